"""What the library offers, and how it behaves inside somebody else's program."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
import signal
import sys
import threading
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import anyio
import pytest

import orchestrator
from orchestrator.core.events import Event
from orchestrator.core.run import RunState
from orchestrator.core.wave_state import WaveState
from orchestrator.machine.version import program_version
from orchestrator.simulator import Scenario
from orchestrator.simulator.scenario import Range

from ..engines.house import READY, Gate, house, migration, wave, workflow

PACKAGE = Path(orchestrator.__file__).parent
PLAN = workflow(wave("first", "a"), wave("second", "b", approval=True))

in_virtual_time = pytest.mark.usefixtures("virtual_time")


# -- the face ----------------------------------------------------------------------------------------------------------


def test_what_type_checkers_see_is_what_there_is() -> None:
    """The imports for them, the names of `__all__`, and where each is looked for, are the same."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    (guarded,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: (node.module or "").lstrip(".")
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    homes = {name: home for home, names in vars(orchestrator)["_HOMES"].items() for name in names}
    assert seen == {**homes, "events": "core"}
    assert sorted([*seen, "__version__"]) == orchestrator.__all__
    assert orchestrator.__version__ == program_version()


def test_a_room_hides_nothing_that_is_offered() -> None:
    """Importing a room puts its name into the package: it must not be that of a function."""
    rooms = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert not rooms & set(orchestrator.__all__)


def test_what_is_not_offered_is_no_attribute() -> None:
    """With the message that Python gives for any module."""
    with pytest.raises(AttributeError, match="module 'orchestrator' has no attribute 'cutover_everything'"):
        _ = orchestrator.cutover_everything


LOOKED_INTO = {"Forecast", "Host", "Scenario", "Settings", "Workflow"}
"""What functions make and take as a whole: what is in them is no name that a caller needs."""


def named_in(thing: Any) -> set[type]:
    """The classes of this package in the annotations of a function or a dataclass."""
    known = vars(sys.modules[thing.__module__]) | {"Scenario": orchestrator.Scenario}
    found: set[type] = set()
    hints = list(get_type_hints(thing, globalns=known).values())
    while hints:
        hint = hints.pop()
        if isinstance(hint, type) and hint.__module__.startswith("orchestrator."):
            found.add(hint)
        hints += hint if isinstance(hint, list) else get_args(hint)
    return found


def test_what_signatures_and_results_name_is_offered() -> None:
    """Whoever annotates a variable with what a function takes or gives can import its name, and so on with its fields."""
    offered = [getattr(orchestrator, name) for name in orchestrator.__all__ if name not in ("events", "__version__")]
    facts = [
        each
        for each in offered
        if inspect.isfunction(each)
        or (isinstance(each, type) and is_dataclass(each) and each.__name__ not in LOOKED_INTO)
    ]
    lacking = {(each.__name__, kind.__name__) for each in facts for kind in named_in(each) - set(offered)}
    assert lacking == set()


@pytest.mark.parametrize(("view", "kept"), [(orchestrator.RunView, RunState), (orchestrator.WaveView, WaveState)])
def test_an_observer_can_read_a_run_and_not_change_it(view: type, kept: type) -> None:
    """What it gets is the run's own state: by its type, nothing can be set or applied."""
    members = {name: member for name, member in vars(view).items() if not name.startswith("_")}
    assert set(members) <= set(dir(kept)) | {field.name for field in fields(kept)}
    assert not {"apply", "after", "copy"} & set(members)
    assert [name for name, member in members.items() if isinstance(member, property) and member.fset is not None] == []


def test_the_page_names_everything_that_is_offered() -> None:
    """docs/library.md has no function, class or argument fewer than there are."""
    page = (PACKAGE.parent / "docs" / "library.md").read_text(encoding="utf-8")
    words = set(re.findall(r"\w+", page))
    functions = [getattr(orchestrator, name) for name in FUNCTIONS]
    arguments = {each for function in functions for each in inspect.signature(function).parameters}
    spelt = {
        "path": "FILE",
        "run_id": "RUN_ID",
        "wave": "WAVE",
        "names": "NAME",
        "document": "DOCUMENT",
        "config": "CONFIG",
    }
    lacking = {each for each in arguments if spelt.get(each, each) not in words}
    assert (lacking, set(orchestrator.__all__) - words) == (set(), set())


FUNCTIONS = {
    name: getattr(orchestrator, name)
    for name in orchestrator.__all__
    if inspect.isfunction(getattr(orchestrator, name))
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_signature_shows_nothing_of_the_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`help`, an editor and generated pages print signatures: a default must hold no key, and no whole environment."""
    monkeypatch.setenv("MONGODB_ATLAS_PRIVATE_API_KEY", "5f0c1a5e-not-to-be-shown")
    signature = str(inspect.signature(FUNCTIONS[name]))
    assert not re.findall(r"environ\(|MONGODB_ATLAS|5f0c1a5e", signature)
    assert "5f0c1a5e" not in repr(orchestrator.Host())


OUTSIDE = {"cli", "web", "simulator"}
"""Rooms that have a process of their own; the rest runs in anybody's."""
PROGRAMS = {"__main__.py", "deliverer.py", "group_keeper.py", "keeper.py"}
"""What is run as a process of its own."""
THE_PROCESS = {"_exit", "exit", "set_wakeup_fd", "sigwait", "chdir", "umask", "setrlimit", "basicConfig"}
"""Functions that change or end the process. Those of `machine` are called by the command line alone."""


def test_no_room_below_the_command_line_takes_the_process_over() -> None:
    """No signal handler, no exit, no limit, no logging: whoever embeds the package has a say in these."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        module = path.relative_to(PACKAGE)
        if module.parts[0] in OUTSIDE or module.name in PROGRAMS:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            if node.func.attr in THE_PROCESS or (owner, node.func.attr) == ("signal", "signal"):
                found.add((module.as_posix(), node.func.attr))
    of_the_command_line = {
        "machine/descriptors.py": "setrlimit",
        "machine/init.py": "_exit",
        "machine/memory.py": "setrlimit",
    }
    assert found == set(of_the_command_line.items())


# -- runs --------------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
@in_virtual_time
async def test_a_run_writes_its_reports_and_touches_nothing_of_its_process(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Reports are there when it returns; handlers, working directory and environment are as before."""
    plan = workflow(wave("w", "a", "b"))
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)]
    environ, directory = dict(os.environ), Path.cwd()
    async with house(tmp_path, plan) as it:
        result = await orchestrator.run(plan, it.settings, outputs=[tmp_path / "night.md"])
        assert (it.puts("a"), it.puts("b")) == (1, 1)
    assert (str(result.report.outcome), result.exit_code, result.unwritten) == ("SUCCESS", 0, ())
    kept = tmp_path / "runs" / result.report.run_id
    assert set(result.written) == {
        *(kept / f"report.{suffix}" for suffix in ("json", "md", "html")),
        tmp_path / "night.md",
    }
    assert before == [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)]
    assert (dict(os.environ), Path.cwd()) == (environ, directory)
    assert capfd.readouterr() == ("", "")


@pytest.mark.anyio
@in_virtual_time
async def test_a_report_that_cannot_be_written_is_told_of_and_stops_nothing(tmp_path: Path) -> None:
    """Whether it could ever be is asked before anything is sent."""
    plan = workflow(wave("w", "a"))
    target = tmp_path / "out"
    target.mkdir()
    async with house(tmp_path / "state", plan) as it:
        with pytest.raises(orchestrator.InputError, match="the suffix chooses the format"):
            await orchestrator.run(plan, it.settings, outputs=["night.doc"])
        assert it.puts("a") == 0

        def spoil(event: Event, state: orchestrator.RunView, /) -> None:
            if event.name == "cutover_accepted":
                target.rmdir()
                target.write_text("in the way")

        result = await orchestrator.run(plan, it.settings, outputs=[target / "night.md"], observers=[spoil])
        assert it.puts("a") == 1
    ((path, error),) = result.unwritten
    assert (path, str(result.report.outcome)) == (target / "night.md", "SUCCESS")
    assert isinstance(error, OSError)


@pytest.mark.anyio
@in_virtual_time
@pytest.mark.parametrize("error", [ZeroDivisionError, asyncio.CancelledError, SystemExit, GeneratorExit])
async def test_an_observer_that_raises_takes_no_cutover_with_it(tmp_path: Path, error: type[BaseException]) -> None:
    """It hears nothing more, the others hear everything, and the result has what it raised: also what would end a task or a program."""
    plan = workflow(wave("w", "a", "b"))
    heard: list[str] = []
    raised: list[str] = []

    def bad(event: Event, state: orchestrator.RunView, /) -> None:
        if event.name == "cutover_requested":
            raised.append(event.name)
            raise error(event.name)

    async with house(tmp_path, plan) as it:
        result = await orchestrator.run(plan, it.settings, observers=[bad, lambda event, _: heard.append(event.name)])
        assert (it.puts("a"), it.puts("b")) == (1, 1)
    assert str(result.report.outcome) == "SUCCESS"
    assert ([type(each) for each in result.observer_errors], raised) == ([error], ["cutover_requested"])
    assert (heard.count("cutover_requested"), heard[-1]) == (2, "run_finished")


def test_one_stop_stops_runs_in_several_threads(tmp_path: Path) -> None:
    """An event of asyncio's belongs to the loop that waits for it first; the others look at it."""
    stop = asyncio.Event()
    stopped: list[str] = []

    async def night(name: str) -> None:
        (tmp_path / name).mkdir()
        plan = workflow(wave("w", migration(name, gate=Gate(timeout=86400.0))))
        jobs = replace(READY, ready_after=Range(low=86400.0, high=86400.0))
        async with house(tmp_path / name, plan, Scenario(jobs=jobs)) as it:

            def begun(event: Event, _: orchestrator.RunView, /) -> None:
                if event.name == "gate_waiting":
                    waiting.wait(20)
                    stop.set()

            await orchestrator.run(plan, it.settings, stop=stop, observers=[begun])
            stopped.append(name)

    waiting = threading.Barrier(2)
    threads = [threading.Thread(target=asyncio.run, args=(night(name),)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(stopped) == ["a", "b"]


@pytest.mark.anyio
@in_virtual_time
async def test_a_real_run_is_not_resumed_as_a_rehearsal(tmp_path: Path) -> None:
    """Whoever asks for a rehearsal must not get cutovers: nothing is sent."""
    plan = workflow(wave("w", "a", "b", concurrency=1))
    async with house(tmp_path, plan) as it:
        stop = anyio.Event()

        def watch(event: Event, state: orchestrator.RunView, /) -> None:
            if event.name == "cutover_accepted":
                stop.set()

        first = await orchestrator.run(plan, it.settings, observers=[watch], stop=stop)
        assert first.report.unfinished
        with pytest.raises(orchestrator.InputError, match="cannot go on as a rehearsal; nothing was sent"):
            await orchestrator.resume(first.report.run_id, it.settings, rehearsal=orchestrator.Rehearsal())
        assert it.puts("b") == 0
        second = await orchestrator.resume(None, it.settings)
        assert (it.puts("a"), it.puts("b"), str(second.report.outcome)) == (1, 1, "SUCCESS")


@pytest.mark.anyio
@in_virtual_time
async def test_a_run_is_steered_from_beside_it(tmp_path: Path) -> None:
    """Approved by the name that was given; `status` tells who holds it and what it waits for; abort ends it."""
    where = tmp_path
    async with house(where, PLAN) as it, anyio.create_task_group() as beside:
        results: list[orchestrator.RunResult] = []

        async def work() -> None:
            results.append(await orchestrator.run(PLAN, it.settings))

        beside.start_soon(work)
        await anyio.sleep(60)
        found = orchestrator.status(state_dir=where)
        assert (found.holder is not None, len(found.holds)) == (True, 1)
        assert "approve" in (found.holds[0].command or "")
        run_id = found.report.run_id
        assert orchestrator.pause(state_dir=where, who="somebody").taken is orchestrator.Taken.ASKED
        assert orchestrator.approve(run_id, "second", state_dir=where, who="a person").run_id == run_id
        await anyio.sleep(60)
        assert it.puts("b") == 0
        orchestrator.unpause(run_id, state_dir=where)
        await anyio.sleep(120)
    (result,) = results
    assert (str(result.report.outcome), result.report.waves[1].approved_by) == ("SUCCESS", "a person")
    assert [listed.row.run_id for listed in orchestrator.runs(state_dir=where)] == [run_id]
    for refused in (orchestrator.abort, orchestrator.pause):
        with pytest.raises(orchestrator.InputError, match="is over"):
            refused(run_id, state_dir=where)


@pytest.mark.anyio
@in_virtual_time
async def test_an_interrupted_run_is_ended_and_its_report_says_so(tmp_path: Path) -> None:
    """No process works on it: an approval is kept, and an abort ends it here."""
    async with house(tmp_path, PLAN) as it:
        with anyio.move_on_after(60):
            await orchestrator.run(PLAN, it.settings)
    run_id = orchestrator.status(state_dir=tmp_path).report.run_id
    assert orchestrator.approve(run_id, "second", state_dir=tmp_path).taken is orchestrator.Taken.KEPT
    ended = orchestrator.abort(run_id, state_dir=tmp_path, who="a person")
    assert (ended.taken, ended.unwatched, ended.unwritten) == (orchestrator.Taken.ENDED, (), ())
    report = orchestrator.report(run_id, state_dir=tmp_path, outputs=[tmp_path / "again.csv"])
    assert (report.report.aborted_by, report.report.unfinished, report.holder) == ("a person", False, None)
    assert report.written == (tmp_path / "again.csv",)


@pytest.mark.anyio
@in_virtual_time
async def test_the_plan_sends_no_put(tmp_path: Path) -> None:
    """With Atlas and without it; offline it makes no file, and online it remembers in the journal which jobs are ready."""
    async with house(tmp_path / "state", PLAN) as it:
        offline = orchestrator.plan(PLAN, it.settings)
        assert not (tmp_path / "state").exists()
        online = await orchestrator.plan_online(PLAN, it.settings)
        assert (offline.waves, set(online.jobs)) == (online.plan.waves, {"a", "b"})
        assert (it.puts("a"), it.puts("b")) == (0, 0)
        assert orchestrator.runs(state_dir=tmp_path / "state") == ()


@pytest.mark.anyio
@in_virtual_time
async def test_without_settings_environment_and_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rehearsal needs nothing; a run names the credentials that it lacks; every function looks at the same place."""
    monkeypatch.setenv("ATLAS_CUTOVER_STATE_DIR", str(tmp_path / "state"))
    plan = workflow(wave("w", "a"))
    with pytest.raises(orchestrator.InputError, match="MONGODB_ATLAS_"):
        await orchestrator.run(plan)
    result = await orchestrator.rehearse(plan)
    assert (result.exit_code, result.report.rehearsal) == (0, True)
    assert orchestrator.report().report.run_id == orchestrator.runs()[0].row.run_id == result.report.run_id
    assert orchestrator.status().holder is None
    assert {path.parents[2] for path in result.written} == {tmp_path / "state"}
