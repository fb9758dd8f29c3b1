"""The library face, in a program of its own."""

from __future__ import annotations

import json
import subprocess
import sys

from .program import Program, new_id

EMBEDDING = """
import asyncio, json, os
from pathlib import Path
import orchestrator
from orchestrator.operations.target import Rehearsal
from orchestrator.simulator import load_scenario

async def main():
    workflow = orchestrator.load_workflow(Path("night.yaml"))
    settings = orchestrator.load_settings(Path("config.yaml"), environ={})
    names = []
    report = await orchestrator.run_workflow(
        workflow, settings, only=("canary",), observers=[lambda event, state: names.append(event.name)],
        rehearsal=Rehearsal(scenario=load_scenario("night.scenario.yaml"), speed=10.0),
    )
    assert isinstance(report, orchestrator.RunReport)
    print(json.dumps([str(report.outcome), int(report.exit_code), names]))

asyncio.run(main())
"""


def test_run_workflow_in_a_rehearsal(program: Program) -> None:
    """A program that embeds the package gets the report, and each event as it happens; nothing is printed."""
    program.scenario()
    program.workflow({"canary": {"orders": new_id()}, "rest": {"carts": new_id()}})
    done = subprocess.run(
        [sys.executable, "-c", EMBEDDING],
        cwd=program.directory,
        env=program.environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    outcome, code, names = json.loads(done.stdout)
    assert (outcome, code) == ("SUCCESS", 0)
    assert (names[0], names[-1]) == ("run_started", "run_finished")
    assert names.count("cutover_requested") == 1
