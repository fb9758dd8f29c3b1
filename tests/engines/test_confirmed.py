"""What is confirmed is what is done.

A file that says something else than the run that would go on, and runs that change while the operator is asked.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from orchestrator.cli.consent import consent_to_follow
from orchestrator.core.consent import Intention
from orchestrator.core.errors import InputError
from orchestrator.core.events import (
    CutoverAccepted,
    CutoverInDoubt,
    CutoverNotBegun,
    CutoverRequested,
    RunResumed,
    WindowChanged,
)
from orchestrator.core.outcomes import Outcome
from orchestrator.core.steered import Command
from orchestrator.core.workflow import Workflow
from orchestrator.operations.abort import abort_interrupted
from orchestrator.operations.foresight import foresee, foresee_resume
from orchestrator.operations.options import Options
from orchestrator.operations.steering import steer
from orchestrator.reports.model import build
from orchestrator.simulator import Scenario
from orchestrator.simulator.scenario import Fault, FaultKind, Kind
from orchestrator.store.journal import open_journal

from .house import (
    READY,
    AbsoluteWindow,
    Gate,
    Hooks,
    House,
    die_when,
    house,
    migration,
    outcomes,
    wall,
    wave,
    workflow,
)
from .test_continuing import lost

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

PLAN = workflow(wave("w", "a", "b", "c", concurrency=1))


def foreseen(it: House, **options: object) -> Intention:
    """What `run` would be confirmed for now."""
    return foresee(it.workflow, it.settings, Options(**options), now=wall())  # type: ignore[arg-type]


async def left_unstarted(it: House) -> str:
    """Leave a run whose `a` is over and whose `b` and `c` have not begun; its id."""
    first = await it.start(only=("a",))
    it.events.clear()
    return first.state.run_id


def without_b_and_c(plan: Workflow) -> Workflow:
    """Two migrations were taken out of the file."""
    return replace(plan, waves=(wave("w", "a", concurrency=1),))


def with_another(plan: Workflow) -> Workflow:
    """And one put in."""
    return replace(plan, waves=(*plan.waves, wave("v", "d")))


def wider(plan: Workflow) -> Workflow:
    """More at once."""
    return replace(plan, waves=(replace(plan.waves[0], concurrency=2),))


def without_gates(plan: Workflow) -> Workflow:
    """The gates are off."""
    members = tuple(replace(m, gate=None) for m in plan.waves[0].migrations)
    return replace(plan, waves=(replace(plan.waves[0], migrations=members),))


def hooked(plan: Workflow) -> Workflow:
    """The run has a hook now, and a new window."""
    return replace(plan, hooks=Hooks(before=(("true",),)), window=AbsoluteWindow(opens=wall(), closes=wall() + 600))


def another_teams(plan: Workflow) -> Workflow:
    """Somebody else's workflow that has the same name."""
    return replace(plan, waves=(wave("w", "x", "y"),))


@pytest.mark.parametrize("only", [(), ("w",)])
@pytest.mark.parametrize("change", [without_b_and_c, with_another, wider, without_gates, hooked, another_teams])
async def test_a_run_is_not_continued_for_a_file_that_says_something_else(
    tmp_path: Path, change: Callable[[Workflow], Workflow], only: tuple[str, ...]
) -> None:
    """Nothing is asked of Atlas; the message has both ways on, and what the recorded run would still cut over."""
    async with house(tmp_path, PLAN) as it:
        run_id = await left_unstarted(it)
        sent = it.atlas.record()
        it.workflow = change(PLAN)
        with pytest.raises(InputError) as refused:
            await it.start(only=only)
        with pytest.raises(InputError) as before_the_question:
            foreseen(it, only=only)
        assert str(before_the_question.value) == str(refused.value)
        assert f"atlas-cutover resume {run_id}" in str(refused.value)
        assert "run --new" in str(refused.value)
        assert "cuts 2 live migrations over: b, c" in str(refused.value)
        assert (it.atlas.record(), it.events) == (sent, [])
        assert outcomes(await it.resume(run_id)) == dict.fromkeys("abc", Outcome.SUCCESS)


async def test_another_run_of_the_file_takes_its_place(tmp_path: Path) -> None:
    """The second way on, which leaves alone what is not in the file any more."""
    async with house(tmp_path, PLAN) as it:
        await left_unstarted(it)
        it.workflow = without_b_and_c(PLAN)
        assert outcomes(await it.start(new=True)) == {"a": Outcome.SUCCESS}
        assert (it.puts("a"), it.puts("b"), it.puts("c")) == (1, 0, 0)


async def test_a_new_window_is_heeded_and_kept_to_without_the_file(tmp_path: Path) -> None:
    """Last night's is over; `resume`, which has no file, waits for the new one, too."""
    plan = replace(PLAN, window=AbsoluteWindow(opens=wall(), closes=wall() + 15))
    async with house(tmp_path, plan) as it:
        first = await it.start()
        assert set(outcomes(first).values()) == {Outcome.SUCCESS, Outcome.NOT_STARTED}
        opens = wall() + 300
        new = AbsoluteWindow(opens=opens, closes=opens + 600)
        it.workflow = replace(plan, window=new)
        assert foreseen(it).workflow.window == new
        run_id = await die_when(it, lambda event: isinstance(event, WindowChanged))
        assert run_id == first.state.run_id
        it.events.clear()
        ending = await it.resume(run_id)
        assert set(outcomes(ending).values()) == {Outcome.SUCCESS}
        assert all(event.at >= opens for event in it.names(CutoverRequested))
        assert it.names(WindowChanged) == []
        report = build(ending.state, now=wall())
        assert report.window is not None
        assert report.window.rule.startswith("2026-")


async def test_a_window_that_was_taken_out_of_the_file_holds_no_more(tmp_path: Path) -> None:
    """It is none, and that is recorded."""
    plan = replace(PLAN, window=AbsoluteWindow(opens=wall() - 60, closes=wall() - 1))
    async with house(tmp_path, plan) as it:
        assert set(outcomes(await it.start()).values()) == {Outcome.NOT_STARTED}
        it.workflow = PLAN
        ending = await it.start()
        assert set(outcomes(ending).values()) == {Outcome.SUCCESS}
        assert ending.state.workflow.window is None


async def test_what_is_confirmed_is_what_gets_a_put(tmp_path: Path) -> None:
    """One is over, one in doubt, one was accepted, and one is left."""
    plan = workflow(wave("one", "a"), wave("two", "b", "c"), wave("three", "d"))
    async with house(tmp_path, plan, lost("b")) as it:
        run_id = await die_when(
            it, lambda _: len(it.names(CutoverInDoubt)) == 1 and len(it.names(CutoverAccepted)) == 2
        )
        confirmed = foreseen(it)
        assert confirmed.run_id == run_id
        assert (confirmed.starts, confirmed.repeats, confirmed.follows) == (("d",), ("b",), ("c",))
        assert confirmed == foresee_resume(run_id, it.settings, Options(), now=wall())
        it.events.clear()
        assert set(outcomes(await it.start(confirmed=confirmed)).values()) == {Outcome.SUCCESS}
        assert sorted(event.migration for event in it.names(CutoverRequested)) == ["b", "d"]


async def test_a_put_of_another_run_is_told_before_it_is_repeated(tmp_path: Path) -> None:
    """A new run reads it first."""
    async with house(tmp_path, PLAN, lost("a")) as it:
        run_id = await die_when(it, lambda event: isinstance(event, CutoverInDoubt))
        with open_journal(it.settings.state_dir) as journal:
            abort_interrupted(journal, run_id, now=wall())
        found = foreseen(it)
        assert (found.run_id, found.starts, found.repeats) == (None, ("b", "c"), ("a",))


async def test_the_session_asks_for_another_put_only_when_it_would_send_one(tmp_path: Path) -> None:
    """A doubt is read first, and the question comes with the evidence; until the answer nothing leaves."""
    async with house(tmp_path, workflow(wave("w", "a")), lost("a")) as it:
        run_id = await die_when(it, lambda event: isinstance(event, CutoverInDoubt))
        it.events.clear()
        asked: list[tuple[Intention, int]] = []

        def ask(intention: Intention) -> None:
            asked.append((intention, len(it.names(CutoverNotBegun))))
            assert it.names(CutoverRequested) == []

        with anyio.move_on_after(3600):
            await it.resume(run_id, ask=ask)
        ((intention, evidence),) = asked
        assert (intention.run_id, intention.starts, intention.repeats, evidence) == (run_id, ("a",), (), 1)
        assert it.names(CutoverRequested) == []


async def test_a_session_that_sends_nothing_asks_nothing(tmp_path: Path) -> None:
    """The doubt turns out to have begun."""
    kept = Fault(on=Kind.CUTOVER, kind=FaultKind.LOST_AFTER, migration="a", times=1)
    async with house(tmp_path, workflow(wave("w", "a")), Scenario(jobs=READY, faults=(kept,))) as it:
        run_id = await die_when(it, lambda event: isinstance(event, CutoverInDoubt))
        asked: list[Intention] = []
        assert outcomes(await it.resume(run_id, ask=asked.append)) == {"a": Outcome.SUCCESS}
        assert asked == []


@pytest.mark.parametrize("new", [False, True])
async def test_nothing_is_done_when_the_run_has_changed_since_the_question(tmp_path: Path, new: bool) -> None:
    """Another process has continued it meanwhile, and left less to do."""
    async with house(tmp_path, PLAN) as it:
        run_id = await left_unstarted(it)
        confirmed = foreseen(it, new=new)
        assert confirmed.ends == ((run_id,) if new else ())
        await it.resume(run_id, only=("b",))
        if new:
            await it.resume(run_id)
        it.events.clear()
        puts = [it.puts(name) for name in "abc"]
        with pytest.raises(InputError, match="has changed since you were asked"):
            await it.start(new=new, confirmed=confirmed)
        assert ([it.puts(name) for name in "abc"], it.events) == (puts, [])


def waiting(it: House, commands: str) -> None:
    """Leave *commands* for the newest run; what is about a migration is about `b`."""
    for command in commands.split():
        it.ask(command, **({"migration": "b"} if command in ("skip", "gate") else {}))


@pytest.mark.parametrize("command", ["run", "resume"])
@pytest.mark.parametrize("commands", ["abort", "pause abort", "abort skip", "skip gate pause", "pause", "skip"])
async def test_what_a_process_had_not_heeded_when_it_died_keeps_nobody_from_going_on(
    tmp_path: Path, commands: str, command: str
) -> None:
    """The question reckons with it, and so does the session: what is under way is followed, and an abort is heeded before anything starts."""
    async with house(tmp_path, workflow(wave("one", "a"), wave("two", "b"))) as it:
        run_id = await die_when(it, lambda event: isinstance(event, CutoverAccepted))
        waiting(it, commands)
        confirmed = foreseen(it) if command == "run" else foresee_resume(run_id, it.settings, Options(), now=wall())
        assert confirmed.follows == ("a",)
        assert confirmed.may_put == (commands == "pause")
        it.events.clear()
        with anyio.move_on_after(600):
            on = it.start(confirmed=confirmed) if command == "run" else it.resume(run_id, confirmed=confirmed)
            ending = await on
            assert outcomes(ending)["b"] is Outcome.NOT_STARTED
        with open_journal(it.settings.state_dir) as journal:
            assert journal.state(run_id).migrations["a"].outcome is Outcome.SUCCESS
        assert (it.puts("a"), it.puts("b")) == (1, 0)


async def test_nothing_that_failed_is_tried_again_in_a_run_whose_abort_waits(tmp_path: Path) -> None:
    """It would be taken up, and not be started: how it had failed would be in no report any more."""
    no = Hooks(before=(("false",),))
    async with house(tmp_path, workflow(wave("one", migration("a", hooks=no)), wave("two", "b"))) as it:
        run_id = await die_when(it, lambda event: isinstance(event, CutoverAccepted))
        it.ask("abort")
        it.events.clear()
        with pytest.raises(InputError, match="was aborted by somebody"):
            await it.resume(run_id, retry_failed=True)
        assert it.events == []
        assert outcomes(await it.resume(run_id)) == {"a": Outcome.FAILED, "b": Outcome.SUCCESS}


async def test_nothing_is_done_when_a_run_has_begun_since_the_question(tmp_path: Path) -> None:
    """It was another process's, which died."""
    async with house(tmp_path, PLAN) as it:
        confirmed = foreseen(it)
        assert (confirmed.run_id, confirmed.starts) == (None, ("a", "b", "c"))
        assert not (it.settings.state_dir / "journal.db").exists()
        await left_unstarted(it)
        with pytest.raises(InputError, match="has changed since you were asked"):
            await it.start(confirmed=confirmed)
        assert it.events == []


async def test_nothing_is_done_when_the_window_has_closed_since_the_question(tmp_path: Path) -> None:
    """Somebody took their time."""
    plan = replace(PLAN, window=AbsoluteWindow(opens=wall(), closes=wall() + 60))
    async with house(tmp_path, plan) as it:
        confirmed = foreseen(it)
        await anyio.sleep(100)
        with pytest.raises(InputError, match="the window has closed"):
            await it.start(confirmed=confirmed)


async def test_nothing_is_cut_over_of_which_nobody_was_asked_as_there_was_nothing_to_ask(tmp_path: Path) -> None:
    """A run that was over when the command began is over no more when it comes to it: somebody has taken a migration up again."""
    async with house(tmp_path, workflow(wave("w", "a", "b"))) as it:
        first = await it.start(checkpoint=lambda name: it.ask("skip", migration="b") if name == "run_begun" else None)
        assert (outcomes(first)["b"], first.state.is_unfinished()) == (Outcome.NOT_STARTED, False)
        over = await it.resume(first.state.run_id, unasked=True)
        assert over.exit_code == first.exit_code
        steer(first.state.run_id, Command.RETRY, "b", state_dir=it.settings.state_dir, who="somebody")
        it.events.clear()
        with pytest.raises(InputError, match="there was nothing to ask you about, and now run"):
            await it.resume(first.state.run_id, unasked=True)
        assert (it.puts("b"), it.events) == (0, [])
        assert outcomes(await it.resume(first.state.run_id))["b"] == Outcome.SUCCESS


async def test_no_run_begins_where_nobody_was_asked_as_one_was_open(tmp_path: Path) -> None:
    """It has ended since; what was begun now would be another."""
    async with house(tmp_path, workflow(wave("w", "a"))) as it:
        with pytest.raises(InputError, match="nothing was sent"):
            await it.start(unasked=True)
        assert (it.puts("a"), it.events) == (0, [])


@pytest.mark.parametrize(
    ("command", "yes", "terminal", "unasked"),
    [
        ("run", False, False, True),
        ("run", True, False, False),
        ("resume", False, True, True),
        ("resume", True, True, False),
        ("resume", False, False, False),
    ],
)
def test_whoever_would_be_asked_follows_and_no_more(
    monkeypatch: pytest.MonkeyPatch, command: str, yes: bool, terminal: bool, unasked: bool
) -> None:
    """`--yes` is the answer to every question, and `resume` asks on a terminal alone."""
    monkeypatch.setattr("orchestrator.cli.consent._can_ask", lambda: terminal)
    assert consent_to_follow(Namespace(command=command, yes=yes)).unasked is unasked


async def test_what_was_confirmed_for_failed_ones_is_done(tmp_path: Path) -> None:
    """`--retry-failed` is foreseen like everything else."""
    flag = tmp_path / "ok"
    no = Hooks(before=(("test", "-e", str(flag)),))
    plan = workflow(wave("w", migration("a", hooks=no), migration("b", gate=Gate())))
    async with house(tmp_path / "s", plan, Scenario(jobs=READY)) as it:
        first = await it.start()
        assert outcomes(first) == {"a": Outcome.FAILED, "b": Outcome.SUCCESS}
        flag.touch()
        options = Options(retry_failed=True)
        confirmed = foresee_resume(first.state.run_id, it.settings, options, now=wall())
        assert (confirmed.starts, confirmed.repeats) == (("a",), ())
        it.events.clear()
        ending = await it.resume(first.state.run_id, retry_failed=True, confirmed=confirmed)
        assert (outcomes(ending)["a"], len(it.names(RunResumed))) == (Outcome.SUCCESS, 1)
