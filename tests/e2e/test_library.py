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


IN_THREADS = """
import json, signal, threading
from pathlib import Path
import anyio
import orchestrator
from orchestrator.operations.target import Rehearsal

handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
settings = orchestrator.load_settings(Path("config.yaml"), environ={})
ended = {}

def night(name, stops):
    async def main():
        stop = anyio.Event()
        def watch(event, state):
            if stops and event.name == "cutover_accepted":
                stop.set()
        return await orchestrator.run_workflow(
            orchestrator.load_workflow(Path(f"{name}.yaml")), settings, observers=[watch], rehearsal=Rehearsal(), stop=stop
        )
    ended[name] = anyio.run(main)

threads = [threading.Thread(target=night, args=each) for each in (("first", False), ("second", True))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
print(json.dumps({name: [str(report.outcome), report.unfinished] for name, report in ended.items()}))
"""


def test_two_nights_in_two_threads_of_one_process_and_one_of_them_is_stopped(program: Program) -> None:
    """Neither takes a signal handler, prints, or hears of the other."""
    for name in ("first", "second"):
        program.workflow({"w": {"a": new_id(), "b": new_id()}}, name=name, w={"concurrency": 1})
    done = subprocess.run(
        [sys.executable, "-c", IN_THREADS],
        cwd=program.directory,
        env=program.environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"first": ["SUCCESS", False], "second": ["INCOMPLETE", True]}
