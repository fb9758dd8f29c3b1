"""Runs of this tool in this process against a simulator in another: for what only the simulator's record can tell."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import anyio

from benchmarks.bench import KEYS, record_of, simulator
from orchestrator.files.config import load_settings
from orchestrator.files.workflow_file import load_workflow
from orchestrator.operations.options import Ending, Options
from orchestrator.operations.work import start


def run(workflow_text: str, scenario: str, config: str) -> tuple[Ending, dict[str, Any], float]:
    """Run a workflow with the settings *config* (YAML below `atlas:`); ending, the simulator's record, wall seconds."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        file = directory / "workflow.yaml"
        file.write_text(workflow_text, encoding="utf-8")
        with simulator(directory, file, scenario) as (base, _):
            settings_file = directory / "config.yaml"
            settings_file.write_text(f"atlas: {{base_url: '{base}'}}\n{config}", encoding="utf-8")
            settings = load_settings(
                settings_file, environ=os.environ | KEYS, overrides={"state_dir": str(directory / "state")}
            )
            workflow = load_workflow(file)

            async def conduct() -> Ending:
                return await start(workflow, settings, Options())

            started = time.perf_counter()
            ending = anyio.run(conduct)
            return ending, record_of(base), time.perf_counter() - started


def workflow_of(waves: dict[str, int], *, projects: int = 1, extra: str = "", concurrency: int | None = None) -> str:
    """A workflow with so many migrations in each wave, so many of them at once (None: all)."""
    at_once = [] if concurrency is None else [f"    concurrency: {concurrency}"]
    lines = ["version: 1", "name: bench", extra, "waves:"]
    number = 0
    for wave, count in waves.items():
        lines += [f"  - name: {wave}", *at_once, "    migrations:"]
        for _ in range(count):
            number += 1
            group = number % projects + 1
            lines.append(f"      - {{name: m{number}, group_id: '{group:024x}', live_migration_id: '{number:024x}'}}")
    return "\n".join(lines) + "\n"
