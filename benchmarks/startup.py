"""How long the command takes to say something."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.bench import ROOT
from benchmarks.figures import table
from benchmarks.inprocess import workflow_of


def measure(*, quick: bool) -> str:
    """The section on start-up."""
    times = 3 if quick else 15
    bare = _time([sys.executable, "-c", "pass"], times)
    with tempfile.TemporaryDirectory() as name:
        rows = [("python -c pass", f"{1000 * bare:.0f}", "1.0")]
        rows.append(_row("atlas-cutover --help", ["--help"], bare, times))
        for count in (1000, 10000):
            file = Path(name) / f"{count}.yaml"
            file.write_text(workflow_of({"all": count}), encoding="utf-8")
            rows.append(_row(f"check, {count} migrations", ["check", str(file)], bare, min(times, 5)))
    return "## Start\n\n" + table(("command", "median, ms", "times python -c pass"), rows)


def _row(label: str, arguments: list[str], bare: float, times: int) -> tuple[str, str, str]:
    seconds = _time([sys.executable, "-m", "orchestrator", *arguments], times)
    return label, f"{1000 * seconds:.0f}", f"{seconds / bare:.1f}"


def _time(command: list[str], times: int) -> float:
    found = []
    for _ in range(times):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
        found.append(time.perf_counter() - started)
    return median(found)
