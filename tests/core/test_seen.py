"""What one run has seen of a job, the next one knows; and what of that is said of who is in charge."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core.advice import Failed, about_failed, how_it_failed
from orchestrator.core.events import (
    CutoverNotBegun,
    CutoverRequested,
    Event,
    GateWaiting,
    JobsSeenBefore,
    MigrationEvent,
    RunStarted,
    StatusPolled,
)
from orchestrator.core.migration import MigrationState
from orchestrator.core.migration_fold import apply
from orchestrator.core.no_return import Point, point_of
from orchestrator.core.outcomes import Outcome
from orchestrator.core.run import RunState, fold
from orchestrator.core.seen import Seen, remembered, seen_after
from orchestrator.core.workflow import Gate, Wave, Workflow
from orchestrator.engines.local.session import doubts_of_earlier_puts
from orchestrator.store.reader import EarlierPut

from ..builders import GROUP, NOW, Story, at_ready, live_id, migration, run_resumed, run_started, workflow
from ..strength import examples
from .night import SETTLE, CoreNight

# -- one job -----------------------------------------------------------------------------------------------------------


def nobody_knows(story: Story) -> bool:
    """Whether it has FAILED without a PUT of ours, and somebody else may have begun its cutover, by what was read."""
    how = how_it_failed(story.state)
    assert story.state.outcome is Outcome.FAILED
    assert ("source is still in charge" in about_failed(how)) is (point_of(story.state) is not Point.DOUBT)
    return how is Failed.LAG_GONE


@pytest.mark.parametrize("between", ["a read that fails", "another session", "both", "nothing"])
@pytest.mark.parametrize("end", ["FAILED", "404"])
def test_a_job_that_was_ready_may_have_been_cut_over_before_it_ended(between: str, end: str) -> None:
    """Whatever came between the two reads: a cutover that somebody else has begun may have failed, or have been completed and its job taken away."""
    story = at_ready()
    if between in ("a read that fails", "both"):
        assert story.read_fails() == ["gate_waiting"]
    if between in ("another session", "both"):
        story.resume(after=3600)
    if end == "404":
        story.read_fails("404", refused=True, gone=True, after=9)
    else:
        story.read(end, after=9)
    assert nobody_knows(story)
    journaled = MigrationState()
    for event in story.told:
        if event.journaled:
            journaled = apply(journaled, event)
    assert point_of(journaled) is Point.DOUBT


def test_a_job_that_was_never_there_is_nobodys_cutover() -> None:
    """A wrong id, most likely, of which another try may come to more; nor is one that was not ready yet and failed."""
    story = Story()
    story.read_fails("404", refused=True, gone=True)
    assert not nobody_knows(story)
    assert how_it_failed(story.state) is Failed.UNREAD
    story = Story()
    story.read("WORKING", False, 500.0)
    story.read("FAILED", after=9)
    assert not nobody_knows(story)


documents = st.one_of(
    st.none(),
    st.tuples(
        st.sampled_from(["NEW", "PENDING", "WORKING"]),
        st.sampled_from([True, False, None]),
        st.sampled_from([None, 1.0, 500.0]),
    ),
)


@given(reads=st.lists(documents, max_size=12), end=st.sampled_from([None, "FAILED"]))
def test_the_journal_has_what_the_next_run_has_to_know(
    reads: list[tuple[str, bool | None, float | None] | None], end: str | None
) -> None:
    """Though it has no read by itself: whoever reads the run's events knows of the job's lag what the run knew."""
    story, seen = Story(), Seen()
    for read in [*reads, *([(end, None, None)] if end else [])]:
        before = len(story.told)
        if read is None:
            story.read_fails(after=6)
        else:
            story.read(*read, after=6)
        for event in story.told[before:]:
            seen = seen_after(seen, event) if event.journaled else seen
        assert seen.reported_lag == story.state.reported_lag
        assert seen.lag_gone >= story.state.lag_gone


# -- one run after another ---------------------------------------------------------------------------------------------


JOB = (GROUP, live_id(1))


def next_run(seen: Seen, *reads: tuple[str, bool | None, float | None], gate: Gate | None = Gate()) -> Story:  # noqa: B008
    """A migration of a run that begins with what was *seen* of its job, and reads it."""
    given = workflow()
    first = run_started(given)
    (told,) = remembered(given, RunState(run_id="r2"), first, {JOB: seen})
    story = Story(state=fold("r2", [first, told]).migrations["orders"])
    story.policy = replace(story.policy, gate=gate)
    for read in reads:
        story.read(*read, after=1)
    return story


def test_a_run_does_not_cut_over_into_a_cutover_that_an_earlier_one_has_seen_begin() -> None:
    """By itself such a document is an older kind's; and before the first read nobody is told that the source is in charge."""
    seen = Seen(reported_lag=True, lag_gone=True)
    assert point_of(next_run(seen).state) is Point.DOUBT
    story = next_run(seen, ("WORKING", True, None))
    assert story.told[-1].name == "gate_waiting"
    assert "the job reported its lag before and reports none now" in str(story.state.note)
    assert point_of(story.state) is Point.DOUBT
    story.read("WORKING", True, None, after=1800)
    assert story.finish() is Outcome.FAILED
    assert nobody_knows(story)
    assert "reported its lag before" in str(story.state.error_message)


def test_a_lag_that_is_back_opens_the_gate_of_the_next_run_and_is_still_missed_when_it_goes() -> None:
    """The cutover was none, or was taken back."""
    story = next_run(Seen(reported_lag=True, lag_gone=True), ("WORKING", True, 1.0))
    assert (story.told[-1].name, point_of(story.state)) == ("gate_opened", Point.WAITS)
    story.read("WORKING", True, None, after=9)
    assert (story.told[-1].name, point_of(story.state)) == ("gate_waiting", Point.DOUBT)


def test_a_gate_that_is_off_asks_for_no_lag() -> None:
    """An operator has said so, in each run anew."""
    story = next_run(Seen(reported_lag=True, lag_gone=True), ("WORKING", True, None), gate=None)
    assert story.told[-1].name == "gate_opened"


@pytest.mark.parametrize("end", ["FAILED", "404"])
def test_a_job_that_an_earlier_run_has_seen_ready_may_have_been_cut_over_since(end: str) -> None:
    """Its end is the first thing that this run reads."""
    story = next_run(Seen(reported_lag=True))
    if end == "404":
        story.read_fails("404", refused=True, gone=True)
    else:
        story.read(end)
    assert nobody_knows(story)


def test_a_run_that_goes_on_is_told_what_others_have_seen_meanwhile_of_what_it_has_not_sent() -> None:
    """What it knows itself is not told again, and what has ended stays as it ended."""
    given = workflow(("a", "b", "c"))
    seen = {(GROUP, live_id(number)): Seen(reported_lag=True, lag_gone=True) for number in (1, 2, 3)}
    waits = GateWaiting(at=NOW, migration="b", status="WORKING", ready=False, lag=7.0, max_lag=10.0)
    run = fold("r1", [run_started(given), waits, CutoverRequested(at=NOW, migration="c")])
    (told,) = remembered(given, run, run_resumed(("a", "b", "c"), at=NOW + 1), seen)
    assert told == JobsSeenBefore(at=NOW + 1, reported_lag=("a",), lag_gone=("a", "b"))
    assert remembered(given, run, run_resumed(("a",)), {}) == ()


# -- whole nights ------------------------------------------------------------------------------------------------------


def plan_of(dice: Random) -> Workflow:
    """A wave of three; a gate that the lag never passes makes a first run that sends nothing."""
    gates = [Gate(), Gate(timeout=60.0), Gate(max_lag=0.0, timeout=60.0), None]
    members = tuple(migration(f"m{n}", n, timeout=60.0, gate=dice.choice(gates)) for n in (1, 2, 3))
    return Workflow(name="night", waves=(Wave(name="w", migrations=members, concurrency=dice.choice([None, 1])),))


def told_by(night: CoreNight) -> dict[tuple[str, str], Seen]:
    """What the journal of *night* tells of its jobs."""
    names = {m.name: (m.group_id, m.live_migration_id) for _, m in night.workflow.migrations()}
    seen = dict.fromkeys(names.values(), Seen())
    for event in night.journal:
        if isinstance(event, MigrationEvent):
            seen[names[event.migration]] = seen_after(seen[names[event.migration]], event)
    return seen


def puts_of(night: CoreNight) -> dict[tuple[str, str], EarlierPut]:
    """The PUTs of *night* that may have been carried out."""
    names = {m.name: (m.group_id, m.live_migration_id) for _, m in night.workflow.migrations()}
    puts: dict[tuple[str, str], EarlierPut] = {}
    for event in night.journal:
        if isinstance(event, CutoverRequested):
            puts[names[event.migration]] = EarlierPut("night", event.at)
        elif isinstance(event, CutoverNotBegun):
            puts.pop(names[event.migration], None)
    return puts


@settings(max_examples=examples(200))
@given(seed=st.integers(0, 2**40), faults=st.sampled_from([0.0, 0.3]), deaths=st.sampled_from([0.0, 0.0, 0.05]))
def test_no_put_leaves_into_a_cutover_that_began_after_an_earlier_run_had_seen_the_lag(
    seed: int, faults: float, deaths: float
) -> None:
    """Two runs, and somebody in the Atlas UI at any time in or between them; unless `gate: off` says so."""
    dice = Random(seed)
    first = CoreNight(workflow=plan_of(dice), dice=dice, faults=faults, deaths=deaths, asks=False)
    for job in first.jobs.values():
        job.takes, job.ready_in_cutover = dice.choice([3.0, 1e6]), True
        job.by_hand_at = NOW + dice.choice([1e9, 5.0, 70.0, 2000.0, 4000.0])
    first.begin()
    had_lag = {
        event.migration
        for event in (first.events if not deaths else first.journal)
        if isinstance(event, MigrationEvent) and getattr(event, "lag", None) is not None
    }

    def has_its_lag(night: CoreNight, name: str) -> None:
        _, migration = night.run.wave_and_migration(name)
        known = [e for e in night.session() if isinstance(e, StatusPolled) and e.migration == name and e.error is None]
        assert migration.gate is None or name not in had_lag or known[-1].lag is not None

    def told(state: RunState, began: RunStarted) -> tuple[Event, ...]:
        doubts = doubts_of_earlier_puts(first.workflow, state, began, puts_of(first), settle=SETTLE)
        return (*remembered(first.workflow, state, began, told_by(first)), *doubts)

    other = replace(first.workflow, name="other") if dice.random() < 0.5 else plan_of(dice)
    second = CoreNight(
        workflow=other,
        dice=dice,
        faults=faults,
        jobs=first.jobs,
        now=first.now + dice.choice([0.0, 100.0, 5000.0]),
        check_put=has_its_lag,
        asks=False,
    )
    second.begin(told=told)
    assert all(job.carried_out <= 1 for job in second.jobs.values())
