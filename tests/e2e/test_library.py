"""The library face, in a program of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys

from .program import ROOT, Program, new_id

EMBEDDING = """
import asyncio, json, os
from pathlib import Path
import orchestrator

async def main():
    workflow = orchestrator.load_workflow(Path("night.yaml"))
    settings = orchestrator.load_settings(Path("config.yaml"), environ={})
    names = []
    result = await orchestrator.rehearse(
        workflow, settings, orchestrator.Rehearsal(scenario=orchestrator.load_scenario("night.scenario.yaml")),
        only=["canary"], observers=[lambda event, state: names.append(event.name)], outputs=["night.csv"],
    )
    assert isinstance(result.report, orchestrator.RunReport)
    assert (result.unwritten, result.journal_failure, result.observer_errors) == ((), None, ())
    assert Path("night.csv") in result.written and all(path.is_file() for path in result.written)
    print(json.dumps([str(result.report.outcome), int(result.exit_code), names]))

asyncio.run(main())
"""


def test_a_program_rehearses_a_night(program: Program) -> None:
    """It gets the report, in files too, and each event as it happens; nothing is printed."""
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

handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
settings = orchestrator.load_settings(Path("config.yaml"), environ={})
ended = {}

def night(name, stops):
    async def main():
        stop = anyio.Event()
        def watch(event, state):
            if stops and event.name == "cutover_accepted":
                stop.set()
        workflow = orchestrator.load_workflow(Path(f"{name}.yaml"))
        result = await orchestrator.rehearse(workflow, settings, observers=[watch], stop=stop)
        return result.report
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
    """Neither takes a signal handler, prints, or hears of the other; their hooks are run in threads, too."""
    for name in ("first", "second"):
        hooks = {"before": [["sh", "-c", "echo nothing of this is printed"]]}
        program.workflow({"w": {"a": new_id(), "b": new_id()}}, name=name, w={"concurrency": 1, "hooks": hooks})
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


UNDER_A_LOOP = """
import asyncio, json, signal
import orchestrator

handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)]

async def beats(count):
    while True:
        count.append(1)
        await asyncio.sleep(0.01)

async def main():
    count, stop = [], asyncio.Event()
    other = asyncio.create_task(beats(count))
    workflow, settings = orchestrator.load_workflow("night.yaml"), orchestrator.load_settings("config.yaml")
    def watch(event, state):
        if isinstance(event, orchestrator.events.CutoverAccepted):
            stop.set()
    first = await orchestrator.rehearse(workflow, settings, observers=[watch], stop=stop)
    unfinished = orchestrator.status(state_dir=settings.state_dir).report.unfinished
    second = await orchestrator.resume(first.report.run_id, settings)
    report = orchestrator.report(first.report.run_id, state_dir=settings.state_dir).report
    assert not other.done() and len(count) > 10
    other.cancel()
    return [str(first.report.outcome), unfinished, str(second.report.outcome), report == second.report]

print(json.dumps(asyncio.run(main())))
assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)]
"""


def test_a_run_is_stopped_and_resumed_within_one_loop_that_does_other_things_too(program: Program) -> None:
    """The loop is its caller's, before, meanwhile and after."""
    program.config()
    program.scenario()
    program.workflow({"w": {"a": new_id(), "b": new_id()}}, w={"concurrency": 1})
    done = subprocess.run(
        [sys.executable, "-c", UNDER_A_LOOP],
        cwd=program.directory,
        env=program.environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == ["INCOMPLETE", True, "SUCCESS", True]


def test_the_example_of_the_page_runs_as_it_is_written(program: Program) -> None:
    """At most 15 lines, in an empty directory, without keys."""
    page = (ROOT / "docs" / "library.md").read_text(encoding="utf-8")
    example = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)[0]
    assert len(example.splitlines()) <= 15
    directory = program.directory / "empty"
    directory.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", example],
        cwd=directory,
        env=program.environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "orders SUCCESS\nSUCCESS 0\n")
    assert {path.name for path in directory.iterdir()} == {"state", "night.html"}
