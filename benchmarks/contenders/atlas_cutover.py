"""The tool itself: the whole session, with journal, events, log and budget; the log goes to a file as JSON lines."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import anyio

from benchmarks.contenders.common import POLL_SECONDS, measured
from orchestrator.cli.observers import observe
from orchestrator.conductor import Ending, Options
from orchestrator.runner import start
from orchestrator.settings import load_settings
from orchestrator.workflowfile import load_workflow


def main(base: str, workflow_file: Path, directory: Path) -> None:
    """Run the workflow once and print what it cost."""
    config = directory / "config.yaml"
    budget = "{requests: 1000000, per: 1s, burst: 1000000}"
    config.write_text(
        f"atlas: {{base_url: '{base}'}}\nrate_limit: {budget}\npolling: {{initial: {POLL_SECONDS}s}}\n",
        encoding="utf-8",
    )
    overrides = {"state_dir": str(directory / "state"), "logging.format": "json"}
    settings = load_settings(config, environ=os.environ, overrides=overrides, require_keys=True)
    workflow = load_workflow(workflow_file)
    with ExitStack() as stack, measured() as extra:
        log = stack.enter_context((directory / "log.jsonl").open("w", encoding="utf-8"))
        observers = observe(settings, stack, log)
        options = Options(sinks=observers.sinks, background=observers.tasks, environ=os.environ)

        async def conduct() -> Ending:
            return await start(workflow, settings, options, wall=time.time)

        ending = anyio.run(conduct)
        extra["commits"], extra["events"] = ending.commits, ending.journaled
    if ending.exit_code:
        raise SystemExit(f"the run ended with {ending.exit_code}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
