"""Thousands of whole nights over the pure core: the promises of docs/guarantees.md hold in all of them."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core.advice import advise, facts_of
from orchestrator.core.counts import Counts, facets_of
from orchestrator.core.events import (
    CutoversStopped,
    Event,
    GateChanged,
    HookFinished,
    MigrationRetried,
    MigrationSkipped,
    RunAborted,
    RunPaused,
    RunResumed,
    RunStarted,
    RunUnpaused,
    StatusPolled,
    WaveApproved,
    WaveRejected,
    WaveStarted,
)
from orchestrator.core.evidence import WORD_LIFE
from orchestrator.core.hook_facts import facts_for_hook
from orchestrator.core.last_look import stands_since
from orchestrator.core.migration import BEFORE_THE_PUT, UNDER_WAY, Phase
from orchestrator.core.needs import needs
from orchestrator.core.next_step import GATE_LIFE
from orchestrator.core.no_return import SIDES, InCharge, Side, in_charge, last_start, point_in
from orchestrator.core.outcomes import Outcome
from orchestrator.core.outlook import outlook
from orchestrator.core.run import RunState, fold
from orchestrator.core.window import AbsoluteWindow
from orchestrator.core.workflow import Gate, HookKind, Hooks, Migration, Wave, Workflow
from orchestrator.reports.model import build

from ..builders import NOW, migration
from ..strength import examples
from .night import CoreNight


def hooks_of(dice: Random) -> Hooks:
    """None, or some of each kind, of which some fail, take long, or ask to be run again."""
    if dice.random() < 0.5:
        return Hooks()

    def some(*kinds: str) -> tuple[tuple[str, ...], ...]:
        return tuple(
            (dice.choice(["works", "works", "slow", "fails", *kinds]), str(n)) for n in range(dice.randint(0, 2))
        )

    return Hooks(
        before=some(),
        verify=some("later", "later"),
        after_success=some(),
        after_unverified=some(),
        after_failure=some(),
        verify_every=15.0,
        verify_timeout=dice.choice([20.0, 600.0]),
    )


def workflow_of(dice: Random) -> Workflow:
    """Up to three waves of up to four migrations."""
    numbers = iter(range(1, 100))
    waves = []
    for place in range(dice.randint(1, 3)):
        members: list[Migration] = []
        for _ in range(dice.randint(1, 4)):
            number = next(numbers)
            gate = dice.choice([Gate(), Gate(timeout=60.0), None])
            members.append(
                migration(f"m{number}", number, timeout=dice.choice([60.0, 600.0]), gate=gate, hooks=hooks_of(dice))
            )
        waves.append(
            Wave(
                name=f"w{place}",
                migrations=tuple(members),
                concurrency=dice.choice([None, 1, 2]),
                max_failures=dice.choice([None, 0, 1]),
                approval=dice.random() < 0.3,
                approval_timeout=dice.choice([None, 50.0]),
                soak=dice.choice([0.0, 0.0, 200.0]),
                hooks=hooks_of(dice),
            )
        )
    window = dice.choice([None, None, AbsoluteWindow(opens=NOW + 50.0, closes=NOW + dice.choice([80.0, 3000.0]))])
    return Workflow(name="night", waves=tuple(waves), window=window, hooks=hooks_of(dice))


def counts_are_right(night: CoreNight, _: Event) -> None:
    """What `apply` has counted, asked after each event or once at the end, is what counting anew finds."""
    counts_of_are_right(night.run)


def counts_of_are_right(run: RunState) -> None:
    """As `counts_are_right`."""
    for wave in run.workflow.waves:
        counts = Counts()
        for each in wave.migrations:
            state, selected = run.migrations[each.name], each.name in run.selected
            counts.add(facets_of(state, each.hooks, selected=selected, soaks=wave.soak > 0))
        assert counts == run.waves[wave.name].counts, wave.name


def what_is_told_is_right(night: CoreNight, _: Event) -> None:
    """Nothing is called unsent that has been carried out, and nothing that is left is foreseen to end before now."""
    run = night.run
    for name, job in night.jobs.items():
        side = SIDES[point_in(run, name)]
        assert side is not Side.NOTHING_SENT or not job.carried_out, name
        assert side is not Side.OVER or job.over(night.now), name
    last = last_start(run, night.now)
    assert last is None or (last > night.now and run.stopped is None)
    found = outlook(run, night.now)
    for wave in () if found is None else found.waves:
        assert night.now <= wave.starts.p50 <= wave.last_start.p50 <= wave.ends.p50
        assert wave.ends.p50 <= wave.ends.p90


def all_is_right(night: CoreNight, event: Event) -> None:
    """What is known after *event*, and what is told of it."""
    counts_are_right(night, event)
    what_is_told_is_right(night, event)


def somebody_let_it_start(night: CoreNight, wave: Wave, name: str) -> bool:
    """Whether *wave* was approved when *name* was to be cut over, or *name* was taken up again, and nobody has rejected it since.

    An approval in a session that was about none of the wave's is for all of them.
    """
    members, let, selected = {m.name for m in wave.migrations}, False, frozenset[str]()
    for event in night.journal:
        match event:
            case RunStarted() | RunResumed():
                selected = frozenset(event.selected)
            case WaveApproved() if event.wave == wave.name:
                meant = event.migrations is None or name in event.migrations
                let = let or (meant and (name in selected or not members & selected))
            case MigrationRetried() if event.migration == name:
                let = let or name in selected
            case WaveRejected() if event.wave == wave.name:
                let = False
    return let


def a_put_may_leave(night: CoreNight, name: str) -> None:
    """The promises about a PUT, told from the events of its session and not from what the core keeps."""
    run, session = night.run, night.session()
    wave, migration = run.wave_and_migration(name)
    window = run.workflow.window
    assert window is None or (isinstance(window, AbsoluteWindow) and window.opens <= night.now < window.closes)
    assert not [event for event in session if isinstance(event, CutoversStopped)]
    assert not [event for event in night.journal if isinstance(event, RunAborted)]
    pauses = [event for event in night.journal if isinstance(event, (RunPaused, RunUnpaused))]
    assert not pauses or isinstance(pauses[-1], RunUnpaused)
    answers = [e for e in night.journal if isinstance(e, (WaveApproved, WaveRejected)) and e.wave == wave.name]
    assert isinstance(answers[-1], WaveApproved) if answers else not wave.approval
    assert not wave.approval or somebody_let_it_start(night, wave, name)
    wishes = [e for e in night.journal if isinstance(e, (MigrationSkipped, MigrationRetried)) and e.migration == name]
    assert not wishes or isinstance(wishes[-1], MigrationRetried)
    assert wave.name in [event.wave for event in session if isinstance(event, WaveStarted)]
    for whose, hooks in ((None, run.workflow.hooks), (wave.name, wave.hooks)):
        done = [
            e
            for e in session
            if isinstance(e, HookFinished) and (e.wave, e.migration, e.hook) == (whose, None, "before")
        ]
        last = done[len(done) - len(hooks.before) :]  # a retry after they were undone runs them all again
        assert [event.argv for event in last] == list(hooks.before)
        assert all(event.ok for event in last)
        nothing_undone(night, whose, len(hooks.before))
    own = [e for e in session if isinstance(e, HookFinished) and e.migration == name]
    last = own[len(own) - len(migration.hooks.before) :]  # another session's PUT waits for them like a first one
    assert [(e.hook, e.argv, e.ok) for e in last] == [("before", argv, True) for argv in migration.hooks.before]
    read = [event.at for event in session if isinstance(event, StatusPolled) and event.migration == name]
    assert read
    assert night.now - read[-1] <= GATE_LIFE
    shown = [e for e in session if isinstance(e, (StatusPolled, GateChanged)) and e.migration == name]
    assert isinstance(shown[-1], StatusPolled)
    assert migration.gate is None or shown[-1].lag is None or shown[-1].lag <= migration.gate.max_lag
    again = {event.migration for event in night.journal if isinstance(event, MigrationRetried)}
    for earlier in run.workflow.waves[: run.workflow.waves.index(wave)]:
        left = [m.name for m in earlier.migrations if m.name in run.selected and m.name not in again]
        assert all(run.migrations[each].outcome is not None or run.migrations[each].skipped for each in left)
        ends = [run.migrations[each].ended_at for each in left if run.migrations[each].requested_at is not None]
        began = next(e.at for e in reversed(session) if isinstance(e, WaveStarted) and e.wave == wave.name)
        assert all(began >= end + earlier.soak for end in ends if end is not None)
    states = [run.migrations[m.name] for m in wave.migrations]
    failed = sum(1 for state in states if state.outcome not in (None, Outcome.SUCCESS))
    assert wave.max_failures is None or failed <= wave.max_failures
    followed = [m for m in wave.migrations if m.name in night.followed]
    busy = sum(1 for m in wave.migrations if m.name in run.selected and run.migrations[m.name].phase in UNDER_WAY)
    assert busy <= max(wave.concurrency or len(wave.migrations), len(followed) + 1)


def nothing_undone(night: CoreNight, wave: str | None, before: int) -> None:
    """No `after_…` hook of *wave* (None: the run) is at work, and since the last one ended all of its *before* hooks have been run."""
    began, ended = night.hooked(wave)
    undone = [at for at, hook in ended if hook.startswith("after_")]
    assert len([hook for _, hook in began if hook.startswith("after_")]) == len(undone)
    prepared = [at for at, hook in began if hook is HookKind.BEFORE]
    assert not undone or not before or prepared[-before] > undone[-1]


def one_after_the_other(night: CoreNight, hook: HookKind, wave: str | None, name: str | None) -> None:
    """What a `before` hook prepares is undone when that has ended, and prepared again when all of that is undone."""
    a_hook_is_of_what_is_selected(night, hook, name)
    if name is not None or hook is HookKind.VERIFY:
        return
    began, ended = night.hooked(wave)
    for kind in HookKind:
        if kind is not HookKind.VERIFY and kind is not hook:
            assert [each for _, each in began].count(kind) == [each for _, each in ended].count(kind), kind


NIGHTS = given(
    seed=st.integers(0, 2**40), faults=st.sampled_from([0.0, 0.3, 0.7]), deaths=st.sampled_from([0.0, 0.0, 0.02, 0.05])
)


@settings(max_examples=examples(200))
@NIGHTS
def test_the_promises_hold_in_any_night(seed: int, faults: float, deaths: float) -> None:
    """No PUT is carried out twice, no outcome is a lie, every rule of a run is kept, and every session comes to its end."""
    hold_a_night(seed, faults, deaths)


@pytest.mark.chaos
@settings(max_examples=5000)
@NIGHTS
def test_the_promises_hold_in_thousands_of_nights(seed: int, faults: float, deaths: float) -> None:
    """The same, for longer."""
    hold_a_night(seed, faults, deaths)


def a_hook_is_of_what_is_selected(night: CoreNight, hook: HookKind, name: str | None) -> None:
    """Of what a session is not about it undoes alone what `before` hooks have done for a PUT that does not leave."""
    if name is not None and name not in night.run.selected:
        assert hook is HookKind.AFTER_FAILURE, name
        assert night.run.migrations[name].phase in BEFORE_THE_PUT, name


def source_is_told_by_a_look(night: CoreNight, hook: HookKind, wave: str | None, name: str | None) -> None:
    """Nobody has begun a cutover of what such a hook may let writers in to, as a read of the moment has shown."""
    a_hook_is_of_what_is_selected(night, hook, name)
    run = night.run
    group = None if wave is None else run.wave(wave)
    one = None if name is None else run.wave_and_migration(name)[1]
    facts = facts_for_hook(run, group, one, hook, outcome=None, now=night.now)
    if hook is HookKind.BEFORE or facts.in_charge is not InCharge.SOURCE:
        return
    concerned = [name] if name else [each.name for each in group.migrations] if group else list(run.migrations)
    looked_at = night.now - GATE_LIFE if name else stands_since(run, group) - WORD_LIFE
    for each in concerned:
        begun_at = night.jobs[each].begun_at
        assert begun_at is None or begun_at > looked_at, each


def one_word_is_said(night: CoreNight, hook: HookKind, wave: str | None, name: str | None) -> None:
    """What a hook hears of who is in charge is what the record says, and none of the others says more."""
    run = night.run
    group = None if wave is None else run.wave(wave)
    one = None if name is None else run.wave_and_migration(name)[1]
    facts = facts_for_hook(run, group, one, hook, outcome=None, now=night.now)
    concerned = [name] if name else [each.name for each in group.migrations] if group else list(run.migrations)
    known = in_charge(point_in(run, each) for each in concerned)
    assert facts.in_charge in (known, InCharge.UNKNOWN)
    late = name is None and stands_since(run, group) < night.now - WORD_LIFE
    if hook is HookKind.AFTER_FAILURE and not late:  # for the others nothing is read
        assert facts.in_charge is known
    nobody_contradicts(run, night.now)


def nobody_contradicts(run: RunState, now: float) -> None:
    """Report, needs and advice say of each migration's source what `in_charge` says, whether a process works on the run or not."""
    told = {name: in_charge([point_in(run, name)]) for name in run.selected}
    for holder in (None, "ada"):
        for need in needs(run, now, holder=holder):
            if need.kind in tuple(Outcome) and SOURCE in need.to_do:
                assert {told[each.name] for each in need.about} == {InCharge.SOURCE}
        needed = {each.name for need in needs(run, now, holder=holder) for each in need.about}
        all_named = all(need.count == len(need.about) for need in needs(run, now, holder=holder) if need.about)
        for name, word in told.items():
            over = run.migrations[name].phase is Phase.FINISHED or holder is None
            if word is InCharge.UNKNOWN and over and not (holder and run.outcome_of(name) is Outcome.UNDER_WAY):
                assert name in needed or not all_named, name
        facts = facts_of(run, now, goes_on=holder is not None)
        for outcome, text in advise(facts).outcomes.items():
            words = {told[name] for name in run.selected if run.outcome_of(name) == outcome}
            assert SOURCE not in text or InCharge.SOURCE in words
            assert (
                InCharge.UNKNOWN not in words
                or Outcome(outcome) not in UNSENT
                or NO_WRITER in text
                or SOURCE not in text
            )
        for point in build(run, now=now, holder=holder).point_of_no_return:
            assert ("the source is in charge" in point.what_is_right) <= (in_charge([point.point]) is InCharge.SOURCE)
            assert all(told[name] is in_charge([point.point]) for name in point.names)


SOURCE, NO_WRITER = "source is still in charge", "let no writer return to the source"
UNSENT = (Outcome.NOT_STARTED, Outcome.FAILED)


@settings(max_examples=examples(100))
@NIGHTS
def test_report_needs_advice_and_hooks_never_contradict_each_other(seed: int, faults: float, deaths: float) -> None:
    """Of no migration, in no night: what one of them does not know, none of the others says; nor does whoever reads the journal."""
    dice = Random(seed)
    night = CoreNight(
        workflow=workflow_of(dice),
        dice=dice,
        faults=faults,
        deaths=deaths,
        by_hand=0.5,
        check_hook=one_word_is_said,
    )
    some_documents(night)
    alive = night.begin(some_of(night))
    while True:
        nobody_contradicts(night.run, night.now)
        journaled = fold("night", night.journal)
        nobody_contradicts(journaled, night.now)
        if alive:
            assert {name: point_in(journaled, name) for name in night.jobs} == {
                name: point_in(night.run, name) for name in night.jobs
            }
        if (alive and not night.run.recorded_unfinished) or night.sessions >= 8:
            break
        night.now += dice.choice([0.0, 1.0, 100.0])
        alive = night.resume(some_of(night))


@settings(max_examples=examples(100))
@NIGHTS
def test_no_hook_is_told_that_the_source_is_in_charge_where_somebody_has_cut_it_over(
    seed: int, faults: float, deaths: float
) -> None:
    """In the Atlas UI, in any night: what is told was read when nothing more was to start, and of a migration's own hooks just now."""
    dice = Random(seed)
    night = CoreNight(
        workflow=workflow_of(dice),
        dice=dice,
        faults=faults,
        deaths=deaths,
        by_hand=0.5,
        check_hook=source_is_told_by_a_look,
    )
    some_documents(night)
    alive = night.begin(some_of(night))
    while not (alive and not night.run.recorded_unfinished) and night.sessions < 8:
        night.now += dice.choice([0.0, 1.0, 100.0])
        alive = night.resume(some_of(night))


def some_documents(night: CoreNight) -> None:
    """Jobs have documents of all kinds, mostly full ones, and cutovers that take long."""
    for job in night.jobs.values():
        job.documents = night.dice.choice(["full", "full", "older", "bare", "odd"])
        job.takes = night.dice.choice([job.takes, 3000.0])


def some_of(night: CoreNight) -> tuple[str, ...] | None:
    """What a session is about: all, or now and then a part."""
    if night.dice.random() < 0.6:
        return None
    return tuple(name for name in sorted(night.workflow.names()) if night.dice.random() < 0.5) or None


def hold_a_night(seed: int, faults: float, deaths: float) -> None:
    """One night, with its checks."""
    dice = Random(seed)
    night = CoreNight(
        workflow=workflow_of(dice),
        dice=dice,
        faults=faults,
        deaths=deaths,
        check=all_is_right,
        check_put=a_put_may_leave,
        check_hook=one_after_the_other,
    )
    alive = night.begin(some_of(night))
    for _ in range(12):
        if alive and not night.run.recorded_unfinished:
            break
        if night.sessions > 8:
            night.faults = night.deaths = 0.0
        night.now += dice.choice([0.0, 1.0, 100.0])
        alive = night.resume(some_of(night) if night.sessions <= 6 else None)
    for name, job in night.jobs.items():
        assert job.carried_out <= 1, name
        outcome = night.run.result(name).outcome
        _, migration = night.run.wave_and_migration(name)
        verified = [
            event.argv
            for event in night.events
            if isinstance(event, HookFinished) and (event.migration, event.hook) == (name, "verify") and event.ok
        ]
        if outcome is Outcome.SUCCESS:
            assert set(verified) >= set(migration.hooks.verify)
        if outcome is Outcome.UNVERIFIED:
            assert migration.hooks.verify
            assert job.succeeds
        if outcome in (Outcome.SUCCESS, Outcome.UNVERIFIED):
            assert job.carried_out == 1
            assert job.succeeds
            assert job.over(night.now)
        if outcome is Outcome.NOT_STARTED:
            assert job.carried_out == 0
        if outcome is Outcome.FAILED and job.carried_out:
            assert not job.succeeds
    if not night.run.recorded_unfinished:
        assert not night.run.hooks_left()
    counts_of_are_right(fold("read at once", night.journal))
