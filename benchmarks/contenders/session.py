"""A session of this program that measures itself: memory, and what its journal costs; the log goes to a file as JSON lines."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import anyio
import anyio._backends._asyncio

from benchmarks.contenders.common import POLL_SECONDS
from orchestrator.cli.observers import observe
from orchestrator.files.config import load_settings
from orchestrator.files.workflow_file import load_workflow
from orchestrator.observers.terminal import progress  # noqa: F401
from orchestrator.operations.options import Ending, Host, Options
from orchestrator.operations.work import start
from orchestrator.store.journal import Journal


class Stopwatch:
    """Adds up the CPU and wall seconds that threads spend in a function."""

    def __init__(self) -> None:
        self.cpu = self.wall = 0.0

    def around(self, function: Callable[..., None]) -> Callable[..., None]:
        """*function*, its calls timed."""

        def timed(*args: Any) -> None:
            cpu, wall = time.thread_time(), time.perf_counter()
            try:
                function(*args)
            finally:
                self.cpu += time.thread_time() - cpu
                self.wall += time.perf_counter() - wall

        return timed


def main(base: str, workflow_file: Path, directory: Path) -> None:
    """Run the workflow once and print what it cost."""
    config = directory / "config.yaml"
    budget = "{requests: 1000000, per: 1s, burst: 1000000}"
    config.write_text(
        f"atlas: {{base_url: '{base}'}}\nrate_limit: {budget}\npolling: {{initial: {POLL_SECONDS}s}}\n",
        encoding="utf-8",
    )
    overrides = {"state_dir": str(directory / "state"), "logging": {"format": "json"}}
    settings = load_settings(config, environ=os.environ, overrides=overrides)
    workflow = load_workflow(workflow_file)
    with ExitStack() as stack, _measured() as extra:
        stream = stack.enter_context((directory / "log.jsonl").open("w", encoding="utf-8"))
        observers = observe(settings, stack, stream)
        options = Options(observers=observers.sinks, host=Host(background=observers.tasks))

        async def conduct() -> Ending:
            return await start(workflow, settings, options)

        journal = Stopwatch()
        with patch.object(Journal, "commit", journal.around(Journal.commit)):
            ending = anyio.run(conduct)
        extra |= {"commits": ending.commits, "events": ending.journaled}
        extra |= {"journal_cpu": journal.cpu, "journal_wall": journal.wall}
    if ending.exit_code:
        raise SystemExit(f"the run ended with {ending.exit_code}")


@contextmanager
def _measured() -> Iterator[dict[str, float]]:
    """Measure the block and print CPU seconds and peak memory of this process as one JSON line."""
    before = _memory("VmRSS")
    cpu = time.process_time()
    extra: dict[str, float] = {}
    yield extra
    result = {
        "cpu": time.process_time() - cpu,
        "memory_kb": _memory("VmHWM") - before,
        **extra,
    }
    sys.stdout.write(json.dumps(result) + "\n")


def _memory(key: str) -> int:
    """A figure of this process in kB. Not `ru_maxrss`, which begins with the peak of the process that started this one."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition(f"{key}:")[2].split()[0])


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
