"""Hooks are run once for what they are about, whichever session comes to them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from orchestrator.core.events import (
    CutoverAccepted,
    CutoverRefused,
    CutoverRequested,
    Event,
    HookFinished,
    MigrationFinished,
    WaveFinished,
    WaveStarted,
)
from orchestrator.core.outcomes import ExitCode, Outcome
from orchestrator.simulator import Scenario
from orchestrator.simulator.scenario import Fault, FaultKind, Kind
from orchestrator.store.journal import open_journal
from orchestrator.store.marks import Marks, Reach
from orchestrator.store.wholeness import ROWS

from ..builders import FAILS, WORKS
from .house import READY, AbsoluteWindow, Hooks, House, die_when, house, migration, outcomes, wall, wave, workflow
from .test_continuing import aborted_in_doubt, lost

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]


def hooks_run(it: House) -> list[tuple[str | None, str]]:
    """The hooks that ran to their end: of which wave, and their first argument."""
    return [(hook.wave, hook.argv[1]) for hook in it.names(HookFinished) if not hook.interrupted]


async def test_before_hooks_run_again_where_the_after_hooks_have_undone_them(tmp_path: Path) -> None:
    """The application that was started again after the doubt is stopped again before the second PUT."""
    hooks = Hooks(before=(("true", "stop"),), after_success=(("true", "start"),), after_failure=(("true", "start"),))
    faults = (
        *lost("x").faults,
        Fault(on=Kind.READ, kind=FaultKind.STATUS, status=500, migration="x", after=1.0, until=120.0),
    )
    plan = workflow(wave("w", migration("x", timeout=60.0, hooks=hooks)))
    async with house(tmp_path, plan, Scenario(jobs=READY, faults=faults)) as it:
        ending = await it.start()
        assert outcomes(ending) == {"x": Outcome.IN_DOUBT}
        await anyio.sleep(200)
        ending = await it.resume(ending.state.run_id)
        assert outcomes(ending) == {"x": Outcome.SUCCESS}
        did = [
            event.argv[1] if isinstance(event, HookFinished) else "PUT"
            for event in it.names(Event)
            if isinstance(event, (HookFinished, CutoverRequested))
        ]
        assert did == ["stop", "PUT", "start", "stop", "PUT", "start"]


@pytest.mark.parametrize("dies_at", [CutoverRequested, CutoverRefused])
async def test_before_hooks_run_again_for_the_put_of_another_session(tmp_path: Path, dies_at: type[Event]) -> None:
    """Though nothing has undone them: nobody knows what has become of the application while no process was there."""
    hooks = Hooks(before=(("true", "stop"),), after_success=(("true", "start"),))
    conflict = Fault(on=Kind.CUTOVER, kind=FaultKind.STATUS, status=409, migration="x", times=1)
    plan = workflow(wave("w", migration("x", hooks=hooks)))
    async with house(tmp_path, plan, Scenario(jobs=READY, faults=(conflict,))) as it:
        run_id = await die_when(it, lambda event: isinstance(event, dies_at))
        assert outcomes(await it.resume(run_id)) == {"x": Outcome.SUCCESS}
        did = [
            event.argv[1] if isinstance(event, HookFinished) else "PUT"
            for event in it.names(Event)
            if isinstance(event, (HookFinished, CutoverAccepted))
        ]
        assert did == ["stop", "stop", "PUT", "start"]


@pytest.mark.parametrize("dies_at", [CutoverAccepted, MigrationFinished, WaveFinished])
async def test_after_hooks_of_wave_and_run_are_not_forgotten_by_a_death(tmp_path: Path, dies_at: type[Event]) -> None:
    """What the `before` hooks did is undone by the session that comes next, though it starts nothing itself."""
    hooks = Hooks(before=(("true", "stop"),), after_success=(("true", "start"),))
    async with house(tmp_path, workflow(wave("w", "a", hooks=hooks), hooks=hooks)) as it:
        run_id = await die_when(it, lambda event: isinstance(event, dies_at))
        ending = await it.resume(run_id)
        assert hooks_run(it) == [(None, "stop"), ("w", "stop"), ("w", "start"), (None, "start")]
        assert (ending.exit_code, ending.state.recorded_unfinished) == (ExitCode.SUCCESS, False)


async def test_a_session_that_was_stopped_in_an_after_hook_leaves_the_rest_to_the_next(tmp_path: Path) -> None:
    """All cutovers are over, but the application has not been started: the run is unfinished."""
    last = Hooks(after_success=(("true", "first"), ("true", "second"), ("true", "third")))
    for place, plan in enumerate(
        (
            workflow(wave("w", migration("a", hooks=last))),
            workflow(wave("w", "a", hooks=last)),
            workflow(wave("w", "a"), hooks=last),
        )
    ):
        async with house(tmp_path / str(place), plan) as it:
            run_id = await die_when(it, lambda event: isinstance(event, HookFinished))
            with open_journal(it.settings.state_dir) as journal:
                assert journal.state(run_id).is_unfinished()
            ending = await it.resume(run_id)
            assert [argv for _, argv in hooks_run(it)] == ["first", "second", "third"]
            assert (ending.exit_code, ending.state.recorded_unfinished) == (ExitCode.SUCCESS, False)


@pytest.mark.parametrize("code", [0, 3])
async def test_hooks_that_an_earlier_session_owes_tell_how_its_wave_ended(tmp_path: Path, code: int) -> None:
    """Though nothing of it is selected any more."""
    hooks = Hooks(after_success=(("true", "start"),), after_failure=(("true", "undo"),))
    refusing = migration("a", hooks=Hooks(before=(("sh", "-c", f"exit {code}"),)))
    async with house(tmp_path, workflow(wave("first", refusing, hooks=hooks), wave("second", "b"))) as it:
        run_id = await die_when(it, lambda event: isinstance(event, WaveFinished))
        it.events.clear()
        await it.resume(run_id, only=("second",))
        assert hooks_run(it) == [("first", "undo" if code else "start")]


async def test_a_run_whose_wave_was_never_approved_ends_with_its_hooks(tmp_path: Path) -> None:
    """Somebody may want to be called when the window closes on a wave that waited."""
    window = AbsoluteWindow(opens=wall() - 60, closes=wall() + 60)
    hooks = Hooks(after_failure=(("true", "call"),))
    async with house(tmp_path, workflow(wave("w", "a", approval=True), hooks=hooks, window=window)) as it:
        assert (await it.start()).exit_code is ExitCode.INCOMPLETE
        assert hooks_run(it) == [(None, "call")]


async def test_after_failure_hooks_run_where_the_waves_before_hook_failed(tmp_path: Path) -> None:
    """Its migrations are FAILED, and their hooks hear of it in the same session."""
    plan = workflow(wave("w", migration("a", hooks=Hooks(after_failure=(WORKS,))), hooks=Hooks(before=(FAILS,))))
    async with house(tmp_path, plan) as it:
        assert outcomes(await it.start()) == {"a": Outcome.FAILED}
        assert [(hook.migration, hook.hook) for hook in it.names(HookFinished)] == [
            (None, "before"),
            ("a", "after_failure"),
        ]


async def test_no_before_hook_runs_after_an_abort(tmp_path: Path) -> None:
    """Also where the abort comes while the migration is on its way to the hook."""
    plan = workflow(wave("w", migration("x", hooks=Hooks(before=(WORKS,), after_failure=(WORKS,))), "y"))
    async with house(tmp_path, plan, lost("x")) as it:
        await aborted_in_doubt(it, "x")
        it.watchers.append(
            lambda event, _: it.ask("abort") if isinstance(event, CutoverRequested) and event.migration == "y" else None
        )
        await it.start(new=True)
        assert it.names(HookFinished) == []


async def test_what_is_under_way_is_followed_before_its_wave_ends_whatever_is_selected(tmp_path: Path) -> None:
    """The writers are not started again in the middle of a cutover."""
    hooks = Hooks(before=(("true", "stop"),), after_success=(("true", "switch"),), after_failure=(("true", "undo"),))
    async with house(tmp_path, workflow(wave("first", "a", hooks=hooks), wave("second", "b"))) as it:
        run_id = await die_when(it, lambda event: isinstance(event, CutoverAccepted))
        it.events.clear()
        await it.resume(run_id, only=("second",))
        assert hooks_run(it) == [("first", "switch")]


async def test_a_wave_with_a_doubt_that_nobody_asked_to_look_at_is_not_over(tmp_path: Path) -> None:
    """Its hooks are left to the session that settles it."""
    hooks = Hooks(after_success=(("true", "switch"),), after_failure=(("true", "undo"),))
    faults = (
        *lost("a").faults,
        Fault(on=Kind.READ, kind=FaultKind.STATUS, status=500, migration="a", after=1.0, until=120.0),
    )
    plan = workflow(wave("first", migration("a", timeout=60.0), hooks=hooks), wave("second", "b", approval=True))
    async with house(tmp_path, plan, Scenario(jobs=READY, faults=faults)) as it:
        run_id = await die_when(it, lambda event: isinstance(event, WaveFinished))
        it.events.clear()
        await anyio.sleep(200)
        it.ask("approve", "second")
        await it.resume(run_id, only=("second",))
        assert hooks_run(it) == []
        await it.resume(run_id)
        assert hooks_run(it) == [("first", "switch")]


@pytest.mark.parametrize("whose", ["wave", "run"])
async def test_owed_hooks_tell_how_all_ended_though_a_part_is_selected(tmp_path: Path, whose: str) -> None:
    """What failed in the session that did not come to them has failed."""
    hooks = Hooks(after_success=(("true", "switch"),), after_failure=(("true", "undo"),))
    refusing = migration("a", hooks=Hooks(before=(FAILS,)))
    plan = workflow(wave("w", refusing, "b"))
    if whose == "wave":
        plan = replace(plan, waves=(replace(plan.waves[0], hooks=hooks), wave("v", "c")))
    else:
        plan = replace(plan, hooks=hooks)
    async with house(tmp_path, plan) as it:
        run_id = await die_when(it, lambda event: isinstance(event, WaveFinished))
        it.events.clear()
        await it.resume(run_id, only=("b",))
        assert hooks_run(it) == [("w" if whose == "wave" else None, "undo")]


async def test_a_run_that_ended_without_hooks_has_ended(tmp_path: Path) -> None:
    """No `after_success` follows in a session that starts and follows nothing."""
    hooks = Hooks(after_success=(("true", "call"),))
    window = AbsoluteWindow(opens=wall() - 60, closes=wall() + 60)
    plan = workflow(wave("w", "a"), wave("v", "b", approval=True), hooks=hooks, window=window)
    async with house(tmp_path, plan) as it:
        first = await it.start()
        assert (first.exit_code, hooks_run(it)) == (ExitCode.INCOMPLETE, [])
        await it.resume(first.state.run_id, only=("a",))
        assert hooks_run(it) == []


async def killed_after_its_before_hook(it: House, *, recorded: bool) -> str:
    """Lose the process without the hooks that a cancellation still runs; the id of the run it leaves.

    *recorded*: the hook's end is on disk. Else the process was lost while the hook ran, or right after.
    """
    run_id = await die_when(it, lambda event: isinstance(event, HookFinished) and event.argv[1] == "stop")
    with open_journal(it.settings.state_dir) as journal:
        (seq,) = [seq for seq, event in journal.events(run_id) if isinstance(event, HookFinished) and event.ok][:1]
        journal._db.execute("DELETE FROM events WHERE seq > ?", (seq if recorded else seq - 1,))
        kept = journal._db.execute(ROWS, (run_id, 0, None)).fetchall()
    Marks(it.settings.state_dir).of(run_id).write(Reach().after(kept))  # they were never written
    it.events.clear()
    return run_id


@pytest.mark.parametrize("recorded", [True, False], ids=["ended", "running"])
@pytest.mark.parametrize("why", ["window", "only", "abort", "starts"])
async def test_what_a_before_hook_did_is_undone_by_the_session_after_a_death(
    tmp_path: Path, why: str, recorded: bool
) -> None:
    """Unless that session starts the cutover, whose `before` hooks it runs again."""
    hooks = Hooks(
        before=(("true", "stop"), ("true", "lock")), after_success=(("true", "go"),), after_failure=(("true", "undo"),)
    )
    window = AbsoluteWindow(opens=wall() - 60, closes=wall() + 60)
    plan = workflow(wave("w", migration("a", hooks=hooks)), wave("v", "b"), window=window)
    async with house(tmp_path, plan) as it:
        run_id = await killed_after_its_before_hook(it, recorded=recorded)
        if why == "window":
            await anyio.sleep(120)
        if why == "abort":
            it.ask("abort")
        ending = await it.resume(run_id, only=("b",) if why == "only" else ())
        ran = [argument for _, argument in hooks_run(it)]
        if why == "starts":
            assert ran == ["stop", "lock", "go"]
        else:
            assert (it.puts("a"), ran) == (0, ["undo"])
            assert not ending.state.hooks_left()


async def test_no_before_hook_of_a_wave_begins_after_an_abort(tmp_path: Path) -> None:
    """Also not the second one of its list."""
    flag = tmp_path / "second-began"
    plan = workflow(wave("w", "a", hooks=Hooks(before=(("sleep", "0.6"), ("touch", str(flag))))))
    async with house(tmp_path / "s", plan) as it:
        it.watchers.append(lambda event, _: it.ask("abort") if isinstance(event, WaveStarted) else None)
        assert outcomes(await it.start()) == {"a": Outcome.NOT_STARTED}
        assert not flag.exists()
