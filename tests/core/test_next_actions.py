"""Each rule of a run, by example: what it does next, and whether a PUT may leave."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.core.agenda import Agenda, Drive, HookOf, Record, RunGroupHook, Wait, WaitsFor
from orchestrator.core.events import (
    ApprovalWaiting,
    CredentialsRefused,
    CutoverAccepted,
    CutoverAdmitted,
    CutoverInDoubt,
    CutoverRequested,
    CutoversStopped,
    Event,
    Evidence,
    GateChanged,
    GateOpened,
    GateWaiting,
    HookFinished,
    HookStarted,
    MigrationFinished,
    MigrationRetried,
    MigrationSkipped,
    RunAborted,
    RunFinished,
    RunPaused,
    RunUnpaused,
    StatusPolled,
    WaveApproved,
    WaveFinished,
    WaveSoaking,
    WaveStarted,
    WindowOpened,
    WindowWaiting,
)
from orchestrator.core.next_actions import may_request, may_start, migration_step, next_actions, to_drive
from orchestrator.core.next_step import Done, Finish, Policy, Read, ReadKind, RunHook, SendPut
from orchestrator.core.observations import look_failed
from orchestrator.core.outcomes import Outcome, RunOutcome
from orchestrator.core.run import RunState, fold
from orchestrator.core.steered import Command
from orchestrator.core.steering import SteeringRequest, decide
from orchestrator.core.window import AbsoluteWindow
from orchestrator.core.workflow import NO_HOOKS, HookKind, Hooks, Migration, Wave, Workflow

from ..builders import NOW, WHO, finished, live_id, migration, run_resumed, run_started

ONE = (("true", "1"),)
STARTED = WaveStarted(at=NOW, wave="w", migrations=2, concurrency=2)


def wave(
    *names: str,
    name: str = "w",
    first: int = 1,
    hooks: Hooks = NO_HOOKS,
    hooks_of_wave: Any = (),
    undone_by: Any = (),
    **settings: Any,
) -> Wave:
    """A wave; *hooks* are its migrations', *hooks_of_wave* its own `before` hooks, *undone_by* its `after_failure` hooks."""
    if hooks_of_wave:
        settings["hooks"] = Hooks(before=hooks_of_wave, after_failure=undone_by)
    members = tuple(migration(each, number, hooks=hooks) for number, each in enumerate(names, start=first))
    return Wave(name=name, migrations=members, **settings)


def run_of_waves(*waves: Wave, events: tuple[Event, ...] = (), selected: Any = None, **settings: Any) -> RunState:
    """A run of *waves* after *events*."""
    given = Workflow(name="night", waves=waves, **settings)
    return fold("r", (run_started(given, selected=selected), *events))


def recorded(agenda: Agenda) -> list[Event]:
    """The events that are to be recorded."""
    return [action.event for action in agenda.actions if isinstance(action, Record)]


def opened(name: str, at: float = NOW) -> tuple[Event, ...]:
    """The job of *name* was read, and is ready."""
    facts = {"status": "WORKING", "ready": True, "lag": 1.0}
    return (StatusPolled(at=at, migration=name, **facts), GateOpened(at=at, migration=name, **facts))  # type: ignore[arg-type]


def requested(name: str) -> tuple[Event, ...]:
    """The PUT of *name* has left."""
    return (*opened(name), CutoverAdmitted(at=NOW, migration=name), CutoverRequested(at=NOW, migration=name))


def hook(which: str, wave_name: str | None, *, code: int = 0, name: str | None = None) -> Event:
    """A hook has ended."""
    return HookFinished(at=NOW, hook=which, argv=ONE[0], exit_code=code, seconds=0.0, wave=wave_name, migration=name)


def drive(name: str = "w", *, started: bool = True, stopped: bool = False) -> Drive:
    """Drive the migrations of a wave."""
    return Drive(wave=name, started=started, stopped=stopped)


# -- waves ---------------------------------------------------------------------------------------------------------------


def test_the_first_wave_starts_and_then_its_migrations_are_driven() -> None:
    """Nothing else stands in the way."""
    run = run_of_waves(wave("a", "b"), wave("c", name="v", first=3))
    (started,) = recorded(next_actions(run, NOW, NOW))
    assert started == STARTED
    run.apply(started)
    agenda = next_actions(run, NOW, NOW)
    assert (agenda.actions, agenda.over) == ((drive(),), False)
    assert [m.name for m in to_drive(run, run.wave("w"))] == ["a", "b"]


def test_a_wave_soaks_after_the_end_of_a_doubt_that_this_session_has_settled() -> None:
    """The soak counts from its last cutover's end, not from when an earlier session gave up on it."""
    waves = wave("a", soak=900.0), wave("b", name="v", first=2)
    lost = CutoverInDoubt(at=NOW, migration="a", reason="reset", settle=4.0)
    given_up = finished("a", Outcome.IN_DOUBT, at=NOW + 60)
    resumed = run_resumed(("a", "b"), at=NOW + 7200)
    run = run_of_waves(*waves, events=(STARTED, *requested("a"), lost, given_up, resumed))
    run.apply(finished("a", Outcome.SUCCESS, at=NOW + 7300))
    (soaking,) = recorded(next_actions(run, NOW + 7300, NOW + 7300))
    assert soaking == WaveSoaking(at=NOW + 7300, wave="w", until=NOW + 8200)


def test_a_wave_starts_when_the_one_before_it_is_over() -> None:
    """Also when that one has failed, as long as no `max_failures` forbids it."""
    waves = wave("a"), wave("b", name="v", first=2)
    run = run_of_waves(*waves, events=(STARTED, *requested("a")))
    assert next_actions(run, NOW, NOW, {"w"}).actions == (drive(),)
    run.apply(finished("a", Outcome.FAILED))
    assert next_actions(run, NOW, NOW, {"w"}).actions == ()  # its driver is not done yet
    (end,) = recorded(next_actions(run, NOW, NOW))
    assert end == WaveFinished(at=NOW, wave="w", counts={"FAILED": 1})
    run.apply(end)
    assert recorded(next_actions(run, NOW, NOW)) == [WaveStarted(at=NOW, wave="v", migrations=1, concurrency=1)]


def test_what_keeps_a_wave_from_starting_is_said_in_order() -> None:
    """Each condition that is met uncovers the next one, until the wave may start."""
    stop = Hooks(before=ONE)
    waves = wave("a", "x"), wave("b", "c", name="v", first=3, approval=True, max_failures=0)
    run = run_of_waves(*waves, hooks=stop)
    second = run.wave("v")
    seen: list[str | None] = []

    def reason() -> str | None:
        found = may_start(run, second, NOW, NOW)
        return None if found is None else found.reason

    lost = CutoverInDoubt(at=NOW, migration="b", reason="reset", settle=4.0)
    for event in (
        RunPaused(at=NOW, who=WHO),
        hook("before", None),
        finished("a", Outcome.SUCCESS),
        finished("x", Outcome.SUCCESS),
        WaveFinished(at=NOW, wave="w", counts={}),
        RunUnpaused(at=NOW, who=WHO),
        ApprovalWaiting(at=NOW, wave="v"),
        CutoverRequested(at=NOW, migration="b"),
        lost,
        WaveApproved(at=NOW, wave="v", who=WHO),
        finished("b", Outcome.SUCCESS),
    ):
        run.apply(event)
        if seen[-1:] != [reason()]:
            seen.append(reason())
    assert seen == [
        "wave 'w' is not over",
        "the run is paused",
        "it waits for its approval",
        "max_failures would be exceeded if what is in doubt stays in doubt",
        None,
    ]


@pytest.mark.parametrize("already", [False, True])
def test_a_wave_that_needs_approval_asks_for_it_once(already: bool) -> None:
    """What is to be done about a condition comes with it; where nothing is, it is waited for."""
    asked = ApprovalWaiting(at=NOW, wave="w")
    run = run_of_waves(wave("a", approval=True), events=(asked,) if already else ())
    found = may_start(run, run.wave("w"), NOW, NOW)
    assert found is not None
    assert found.action == (None if already else Record(event=asked))


def test_a_run_is_over_when_all_its_waves_are() -> None:
    """And not before."""
    run = run_of_waves(wave("a"), events=(STARTED, *requested("a"), finished("a", Outcome.SUCCESS)))
    assert not next_actions(run, NOW, NOW).over
    run.apply(WaveFinished(at=NOW, wave="w", counts={}))
    assert next_actions(run, NOW, NOW).over


def test_what_is_under_way_is_followed_from_the_beginning_whatever_its_wave() -> None:
    """A later session follows it while an earlier wave starts."""
    waves = wave("a"), wave("b", name="v", first=2)
    run = run_of_waves(*waves, events=(*requested("b"), run_resumed(("a", "b"))))
    (started,) = recorded(next_actions(run, NOW, NOW))
    run.apply(started)
    assert set(next_actions(run, NOW, NOW).actions) == {drive(), drive("v", started=False)}
    assert [m.name for m in to_drive(run, run.wave("v"))] == ["b"]


def test_a_wave_of_what_is_under_way_starts_only_if_one_of_it_has_not_begun() -> None:
    """It is followed without the wave's `before` hooks and approval."""
    run = run_of_waves(wave("a", approval=True), events=(*requested("a"), run_resumed(("a",))))
    assert next_actions(run, NOW, NOW).actions == (drive(started=False),)
    assert isinstance(migration_step(run, "a", Policy(), NOW, NOW), Read)


def test_migrations_that_are_not_selected_are_left_alone() -> None:
    """Their wave starts without them."""
    run = run_of_waves(wave("a", "b"), events=(STARTED,), selected=("b",))
    assert [m.name for m in to_drive(run, run.wave("w"))] == ["b"]
    assert may_request(run, "a", NOW, NOW) == "it is not selected"
    assert isinstance(migration_step(run, "a", Policy(), NOW, NOW), Done)


# -- the window ----------------------------------------------------------------------------------------------------------

WINDOW = AbsoluteWindow(opens=NOW + 60, closes=NOW + 120)


def test_a_run_waits_for_its_window_and_says_so_once() -> None:
    """It looks again when the window opens."""
    run = run_of_waves(wave("a"), window=WINDOW)
    (waiting,) = recorded(next_actions(run, NOW, NOW))
    assert waiting == WindowWaiting(at=NOW, opens=NOW + 60, closes=NOW + 120, last_start=NOW + 120)
    run.apply(waiting)
    assert next_actions(run, NOW + 59, NOW + 59) == Agenda(look_again=NOW + 60)
    assert recorded(next_actions(run, NOW + 60, NOW + 60)) == [
        WindowOpened(at=NOW + 60, opens=NOW + 60, closes=NOW + 120, last_start=NOW + 120)
    ]


@pytest.mark.parametrize(("at", "may"), [(59.0, False), (60.0, True), (119.9, True), (120.0, False)])
def test_a_put_leaves_inside_the_window_alone(at: float, may: bool) -> None:
    """`opens <= now < closes`, asked at the wire."""
    events = (WindowOpened(at=NOW + 60, opens=NOW + 60, closes=NOW + 120), STARTED, *opened("a", NOW + at))
    run = run_of_waves(wave("a"), window=WINDOW)
    if at < 60:
        events = (WindowWaiting(at=NOW, opens=NOW + 60, closes=NOW + 120), *events[1:])
    for event in (*events, CutoverAdmitted(at=NOW + at, migration="a")):
        run.apply(event)
    assert may_request(run, "a", NOW + at, NOW + at) == (None if may else "the window is not open")


def test_cutovers_stop_when_the_window_closes() -> None:
    """What is under way is followed."""
    run = run_of_waves(
        wave("a", "b"),
        window=WINDOW,
        events=(WindowOpened(at=NOW + 60, opens=NOW + 60, closes=NOW + 120), STARTED, *requested("a")),
    )
    assert next_actions(run, NOW + 119, NOW + 119, {"w"}).look_again == NOW + 120
    (stopped,) = recorded(next_actions(run, NOW + 120, NOW + 120, {"w"}))
    assert isinstance(stopped, CutoversStopped)
    assert stopped.reason.startswith("the window closed at")
    run.apply(stopped)
    assert next_actions(run, NOW + 121, NOW + 121, {"w"}).actions == (drive(stopped=True),)
    assert isinstance(migration_step(run, "b", Policy(), NOW + 121, NOW + 121), Done)


RESERVED = replace(WINDOW, reserve=20.0)


@pytest.mark.parametrize(("at", "may"), [(59.0, False), (60.0, True), (99.9, True), (100.0, False), (119.0, False)])
def test_no_put_leaves_in_the_reserve(at: float, may: bool) -> None:
    """Asked at the wire, of the window as it was opened."""
    run = run_of_waves(wave("a"), window=RESERVED)
    (told,) = recorded(next_actions(run, NOW, min(NOW + at, NOW + 99)))
    for event in (told, STARTED, *opened("a", NOW + at), CutoverAdmitted(at=NOW + at, migration="a")):
        run.apply(event)
    assert may_request(run, "a", NOW + at, NOW + at) == (None if may else "the window is not open")


def test_cutovers_stop_when_the_reserve_begins() -> None:
    """With the last moment at which one could have started; what is under way is followed."""
    run = run_of_waves(wave("a", "b"), window=RESERVED)
    (told,) = recorded(next_actions(run, NOW + 60, NOW + 60))
    assert told == WindowOpened(at=NOW + 60, opens=NOW + 60, closes=NOW + 120, last_start=NOW + 100)
    for event in (told, STARTED, *requested("a")):
        run.apply(event)
    assert next_actions(run, NOW + 99, NOW + 99, {"w"}).look_again == NOW + 100
    (stopped,) = recorded(next_actions(run, NOW + 100, NOW + 100, {"w"}))
    assert isinstance(stopped, CutoversStopped)
    assert stopped.reason == (
        "the window closes at 2027-01-15 08:02:00 UTC, and no cutover starts in its last 20s: the last moment for one was "
        "2027-01-15 08:01:40 UTC"
    )
    run.apply(stopped)
    assert next_actions(run, NOW + 101, NOW + 101, {"w"}).actions == (drive(stopped=True),)


def test_a_run_that_begins_in_the_reserve_starts_nothing() -> None:
    """Its window has no opening left."""
    run = run_of_waves(wave("a"), window=RESERVED)
    (stopped,) = recorded(next_actions(run, NOW + 110, NOW + 110))
    assert isinstance(stopped, CutoversStopped)
    assert "no cutover starts in its last 20s" in stopped.reason


def test_a_window_recorded_by_an_older_version_has_no_reserve() -> None:
    """Its events do not say when the last cutover may start."""
    events = (WindowOpened(at=NOW + 60, opens=NOW + 60, closes=NOW + 120), STARTED)
    run = run_of_waves(wave("a"), window=WINDOW, events=events)
    assert recorded(next_actions(run, NOW + 119, NOW + 119)) == []
    assert run.opening is not None
    assert run.opening.last_start == NOW + 120


def test_a_window_that_is_over_starts_nothing() -> None:
    """Not even the run's hooks."""
    run = run_of_waves(wave("a"), window=WINDOW, hooks=Hooks(before=ONE))
    (stopped,) = recorded(next_actions(run, NOW + 120, NOW + 120))
    run.apply(stopped)
    assert next_actions(run, NOW + 120, NOW + 120).over


# -- approval, pause, abort ----------------------------------------------------------------------------------------------


def test_a_wave_waits_for_its_approval() -> None:
    """It says so once."""
    run = run_of_waves(wave("a", approval=True))
    assert recorded(next_actions(run, NOW, NOW)) == [ApprovalWaiting(at=NOW, wave="w")]
    run.apply(ApprovalWaiting(at=NOW, wave="w"))
    assert next_actions(run, NOW, NOW) == Agenda()
    run.apply(WaveApproved(at=NOW, wave="w", who=WHO))
    assert isinstance(recorded(next_actions(run, NOW, NOW))[0], WaveStarted)


def test_nothing_starts_in_a_pause() -> None:
    """No wave, no hook, no PUT; jobs are still read."""
    paused = RunPaused(at=NOW, who=WHO)
    run = run_of_waves(wave("a", hooks=Hooks(before=ONE)), events=(paused,))
    assert next_actions(run, NOW, NOW) == Agenda()
    run = run_of_waves(wave("a"), events=(STARTED, *opened("a"), CutoverAdmitted(at=NOW, migration="a"), paused))
    assert migration_step(run, "a", Policy(), NOW, NOW) == Wait(what=WaitsFor.DOOR)
    assert isinstance(migration_step(run, "a", Policy(), NOW + 60, NOW + 60), Read)
    assert may_request(run, "a", NOW, NOW) == "the run is paused"
    run.apply(RunUnpaused(at=NOW, who=WHO))
    assert isinstance(migration_step(run, "a", Policy(), NOW, NOW), SendPut)


def test_after_an_abort_nothing_starts_and_what_is_under_way_is_followed() -> None:
    """In the session that hears of it, and in every later one, which says who has ended it, and why."""
    run = run_of_waves(
        wave("a", "b"), events=(STARTED, *requested("a"), RunAborted(at=NOW, who=WHO, reason="too slow"))
    )
    (stopped,) = recorded(next_actions(run, NOW, NOW, {"w"}))
    assert stopped == CutoversStopped(at=NOW, reason=f"aborted by {WHO} (too slow)")
    run.apply(stopped)
    assert isinstance(migration_step(run, "a", Policy(), NOW, NOW), Read)
    assert isinstance(migration_step(run, "b", Policy(), NOW, NOW), Done)
    run.apply(run_resumed(("a", "b")))
    assert isinstance(recorded(next_actions(run, NOW, NOW))[0], CutoversStopped)


# -- failures and doubts -------------------------------------------------------------------------------------------------


def test_too_many_failures_stop_the_run() -> None:
    """The one that is one too many."""
    run = run_of_waves(wave("a", "b", "c", max_failures=1), events=(STARTED, finished("a", Outcome.FAILED)))
    assert recorded(next_actions(run, NOW, NOW, {"w"})) == []
    run.apply(finished("b", Outcome.TIMED_OUT))
    assert may_request(run, "c", NOW, NOW) == "2 of wave 'w' ended without SUCCESS, max_failures is 1"
    (stopped,) = recorded(next_actions(run, NOW, NOW, {"w"}))
    assert stopped == CutoversStopped(at=NOW, reason="2 of wave 'w' ended without SUCCESS, max_failures is 1")


@pytest.mark.parametrize(
    "event",
    [RunAborted(at=NOW, who=WHO), finished("c", Outcome.FAILED), hook("before", None, code=1)],
    ids=["an abort", "too many failures of another wave", "the run's hook"],
)
def test_what_stops_the_run_holds_each_put_from_that_moment_on(event: Event) -> None:
    """Also before `cutovers_stopped` is recorded: a PUT may be at the wire just then."""
    ready = (*opened("a"), CutoverAdmitted(at=NOW, migration="a"))
    run = run_of_waves(wave("a"), wave("c", name="v", first=2, max_failures=0), events=(STARTED, *ready))
    assert may_request(run, "a", NOW, NOW) is None
    run.apply(event)
    assert may_request(run, "a", NOW, NOW) is not None


def test_doubts_that_could_be_too_many_failures_are_settled_before_their_wave_goes_on() -> None:
    """A wave that an earlier session began."""
    doubt = CutoverInDoubt(at=NOW, migration="a", reason="lost", settle=4.0)
    run = run_of_waves(wave("a", "b", max_failures=0), events=(*requested("a"), doubt, run_resumed(("a", "b"))))
    assert next_actions(run, NOW, NOW).actions == (drive(started=False),)
    run.apply(CutoverAccepted(at=NOW, migration="a", http_status=None, status="WORKING", evidence=Evidence.JOB))
    assert isinstance(recorded(next_actions(run, NOW, NOW))[0], WaveStarted)


# -- slots ---------------------------------------------------------------------------------------------------------------


def test_slots_go_to_those_that_are_ready_in_the_order_of_the_file() -> None:
    """As many at once as `concurrency` says."""
    run = run_of_waves(wave("a", "b", "c", concurrency=1), events=(STARTED, *opened("c"), *opened("b")))
    assert migration_step(run, "b", Policy(), NOW, NOW) == Wait(what=WaitsFor.SLOT)
    (admitted,) = recorded(next_actions(run, NOW, NOW, {"w"}))
    assert admitted == CutoverAdmitted(at=NOW, migration="b")
    run.apply(admitted)
    assert recorded(next_actions(run, NOW, NOW, {"w"})) == []
    assert (may_request(run, "b", NOW, NOW), may_request(run, "c", NOW, NOW)) == (None, "it has no slot")
    run.apply(CutoverRequested(at=NOW, migration="b"))
    assert recorded(next_actions(run, NOW, NOW, {"w"})) == []
    run.apply(finished("b", Outcome.SUCCESS))
    assert recorded(next_actions(run, NOW, NOW, {"w"})) == [CutoverAdmitted(at=NOW, migration="c")]


def test_who_goes_back_to_the_gate_gives_the_slot_back_unless_its_application_is_stopped() -> None:
    """It may wait for long."""
    hooks = Hooks(before=ONE)
    waits = GateWaiting(at=NOW, migration="a", status="WORKING", ready=False, lag=99.0, max_lag=10.0)
    ready = (*opened("a"), CutoverAdmitted(at=NOW, migration="a"))
    run = run_of_waves(wave("a", "b", hooks=hooks, concurrency=1), events=(STARTED, *ready, *opened("b"), waits))
    assert recorded(next_actions(run, NOW, NOW, {"w"})) == [CutoverAdmitted(at=NOW, migration="b")]
    stopped = (*ready, hook("before", "w", name="a"))
    run = run_of_waves(wave("a", "b", hooks=hooks, concurrency=1), events=(STARTED, *stopped, *opened("b"), waits))
    assert recorded(next_actions(run, NOW, NOW, {"w"})) == []


def test_a_slot_is_held_until_the_last_hook() -> None:
    """The next cutover waits for it."""
    hooks = Hooks(after_success=ONE)
    events = (STARTED, *requested("a"), *opened("b"), finished("a", Outcome.SUCCESS))
    run = run_of_waves(wave("a", "b", hooks=hooks, concurrency=1), events=events)
    assert recorded(next_actions(run, NOW, NOW, {"w"})) == []
    run.apply(hook("after_success", "w", name="a"))
    assert recorded(next_actions(run, NOW, NOW, {"w"})) == [CutoverAdmitted(at=NOW, migration="b")]


def test_what_an_earlier_session_left_under_way_counts_against_the_slots() -> None:
    """Though it started before."""
    run = run_of_waves(
        wave("a", "b", concurrency=1), events=(*requested("a"), run_resumed(("a", "b")), STARTED, *opened("b"))
    )
    assert recorded(next_actions(run, NOW, NOW, {"w"})) == []


# -- hooks ---------------------------------------------------------------------------------------------------------------


def test_hooks_of_run_and_wave_come_in_their_order() -> None:
    """Run before, wave before, the wave's migrations, wave after, run after."""
    both = Hooks(before=ONE, after_success=ONE, after_failure=ONE)
    run = run_of_waves(wave("a", name="w"), hooks=both)
    run = run_of_waves(Wave(name="w", migrations=(migration("a"),), hooks=both), hooks=both)
    seen: list[object] = []
    for _ in range(12):
        agenda = next_actions(run, NOW, NOW)
        if agenda.over:
            break
        (action,) = agenda.actions
        match action:
            case Record(event=event):
                seen.append(event.name)
                run.apply(event)
            case RunGroupHook(wave=whose, hook=which, outcome=outcome):
                seen.append((whose, which, outcome))
                run.apply(hook(which, whose))
            case Drive():
                seen.append("drive")
                run.apply(finished("a", Outcome.SUCCESS))
    assert seen == [
        (None, "before", None),
        "wave_started",
        ("w", "before", None),
        "drive",
        "wave_finished",
        ("w", "after_success", "SUCCESS"),
        (None, "after_success", "SUCCESS"),
    ]


def test_a_failed_before_hook_of_the_run_stops_it() -> None:
    """Nothing was refused by Atlas, so nothing is FAILED."""
    run = run_of_waves(wave("a"), hooks=Hooks(before=ONE), events=(hook("before", None, code=1),))
    assert recorded(next_actions(run, NOW, NOW)) == [CutoversStopped(at=NOW, reason="the run's before hook failed")]


def test_a_failed_before_hook_of_a_wave_fails_its_migrations() -> None:
    """And the next wave goes on, if `max_failures` lets it."""
    run = run_of_waves(
        Wave(name="w", migrations=(migration("a"),), hooks=Hooks(before=ONE)),
        events=(STARTED, hook("before", "w", code=1)),
    )
    assert next_actions(run, NOW, NOW).actions == (drive(),)
    step = migration_step(run, "a", Policy(), NOW, NOW)
    assert step == Finish(outcome=Outcome.FAILED, error_message="the wave's before hook failed")


def test_a_failed_before_hook_of_a_migration_fails_it() -> None:
    """The message says which, and how."""
    hooks = Hooks(before=ONE)
    ready = (*opened("a"), CutoverAdmitted(at=NOW, migration="a"), hook("before", "w", name="a", code=3))
    run = run_of_waves(wave("a", hooks=hooks), events=(STARTED, *ready))
    step = migration_step(run, "a", Policy(hooks=Hooks(before=ONE)), NOW, NOW)
    assert step == Finish(outcome=Outcome.FAILED, error_message="before hook: true ended with 3")


def test_what_a_before_hook_prepared_is_undone_when_no_put_leaves() -> None:
    """The wave is not over before."""
    hooks = Hooks(before=ONE, after_failure=ONE)
    prepared = (*opened("a"), CutoverAdmitted(at=NOW, migration="a"), hook("before", "w", name="a"))
    run = run_of_waves(wave("a", hooks=hooks), events=(STARTED, *prepared, CutoversStopped(at=NOW, reason="SIGTERM")))
    assert next_actions(run, NOW, NOW).actions == (drive(stopped=True),)
    assert migration_step(run, "a", Policy(), NOW, NOW) == RunHook(hook=HookKind.AFTER_FAILURE, index=0)
    run.apply(hook("after_failure", "w", name="a"))
    assert isinstance(migration_step(run, "a", Policy(), NOW, NOW), Done)
    assert isinstance(recorded(next_actions(run, NOW, NOW))[0], WaveFinished)


def test_what_failed_and_died_before_it_was_undone_is_undone_when_it_is_tried_again_in_vain() -> None:
    """The session after begins it anew, and stops before the `before` hook runs again."""
    hooks = Hooks(before=ONE, after_failure=ONE)
    failed = (hook("before", "w", name="a", code=3), finished("a", Outcome.FAILED))
    read = opened("a")[0]
    again = (run_resumed(("a",), retry_failed=True), read, CutoversStopped(at=NOW, reason="SIGTERM"))
    run = run_of_waves(wave("a", hooks=hooks), events=(STARTED, *opened("a"), *failed, *again))
    assert migration_step(run, "a", Policy(), NOW, NOW) == RunHook(hook=HookKind.AFTER_FAILURE, index=0)
    undone = (STARTED, *opened("a"), *failed, hook("after_failure", "w", name="a"), *again)
    assert isinstance(
        migration_step(run_of_waves(wave("a", hooks=hooks), events=undone), "a", Policy(), NOW, NOW), Done
    )


def test_a_wave_with_a_doubt_that_nobody_was_asked_to_look_at_is_not_over() -> None:
    """Its `after_…` hooks are left to the session that settles it."""
    hooks = Hooks(after_success=ONE, after_failure=ONE)
    first = Wave(name="w", migrations=(migration("a"),), hooks=hooks)
    run = run_of_waves(first, wave("b", name="v", first=2), events=(STARTED, *requested("a"), run_resumed(("b",))))
    assert recorded(next_actions(run, NOW, NOW)) == [WaveStarted(at=NOW, wave="v", migrations=1, concurrency=1)]


# -- freshness -----------------------------------------------------------------------------------------------------------


def test_a_put_needs_a_fresh_read() -> None:
    """At the wire, too."""
    ready = (*opened("a"), CutoverAdmitted(at=NOW, migration="a"))
    run = run_of_waves(wave("a"), events=(STARTED, *ready))
    assert may_request(run, "a", NOW + 5.0, NOW + 5.0) is None
    assert may_request(run, "a", NOW + 5.1, NOW + 5.1) == "what is known of the job is 5.1s old"


# -- cost ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("max_lag", [0.5, 60.0, None])
def test_a_gate_that_was_changed_is_passed_anew(max_lag: float | None) -> None:
    """Narrower, wider or off, and however fresh the read that opened the old one: in the queue for a slot, after a hook, and while the intent is written."""
    hooks = Hooks(before=ONE)
    policy = Policy(hooks=hooks)
    run = run_of_waves(wave("a", hooks=hooks), events=(STARTED, *opened("a")))
    changed = GateChanged(at=NOW, migration="a", max_lag=max_lag, timeout=60.0, who=WHO)
    admitted = CutoverAdmitted(at=NOW, migration="a")
    look = Read(kind=ReadKind.GATE, attempt=0, deadline=NOW)
    assert migration_step(run.after(changed, admitted), "a", policy, NOW, NOW) == look
    run.apply(admitted)
    run.apply(hook("before", "w", name="a"))
    assert may_request(run, "a", NOW, NOW) is None
    run.apply(changed)
    for rereads in (False, True):
        assert migration_step(run, "a", replace(policy, rereads=rereads), NOW, NOW) == look
    intended = run.after(CutoverRequested(at=NOW, migration="a"))
    for each in (run, intended):
        assert may_request(each, "a", NOW, NOW) == "its gate was changed since the job was read"
    for event in opened("a"):
        run.apply(event)
    assert migration_step(run, "a", policy, NOW, NOW) == SendPut(attempt=0)
    assert run.migrations["a"].before_hooks_done == 1
    assert may_request(run, "a", NOW, NOW) is None


def test_a_decision_costs_the_number_of_waves_and_not_of_migrations() -> None:
    """With 10,000 migrations a decision looks at none of them."""

    class Watched(dict[str, Any]):
        """Counts who looks."""

        looks = 0

        def __getitem__(self, name: str) -> Any:
            Watched.looks += 1
            return super().__getitem__(name)

    members = tuple(
        Migration(name=f"m{number}", group_id="7e68e12770616e75e6df43d0", live_migration_id=live_id(number))
        for number in range(10_000)
    )
    run = run_of_waves(Wave(name="w", migrations=members, concurrency=100, max_failures=5))
    run.apply(WaveStarted(at=NOW, wave="w", migrations=10_000, concurrency=100))
    for member in members[:1000]:
        for event in opened(member.name):
            run.apply(event)
    run.migrations = Watched(run.migrations)
    for _ in range(100):
        (admitted,) = recorded(next_actions(run, NOW, NOW, {"w"}))
        run.apply(admitted)
    assert Watched.looks <= 500
    assert next_actions(run, NOW, NOW, {"w"}).actions == (drive(),)


def retried(name: str) -> Event:
    """Somebody has taken *name* up again."""
    return MigrationRetried(at=NOW + 1, migration=name, who=WHO)


def test_a_retry_into_a_wave_whose_before_hook_failed_runs_that_hook_again() -> None:
    """From the one that failed: what those before it did has not been undone. A second failure fails the migrations again."""
    run = run_of_waves(wave("a", "b", hooks_of_wave=(("true", "1"), ("true", "2"))), events=(STARTED,))
    for event in (hook("before", "w"), hook("before", "w", code=1)):
        run.apply(event)
    assert isinstance(migration_step(run, "a", Policy(), NOW, NOW), Finish)
    for event in (finished("a", Outcome.FAILED), finished("b", Outcome.FAILED), retried("a")):
        run.apply(event)
    assert next_actions(run, NOW, NOW).actions == (RunGroupHook(wave="w", hook=HookKind.BEFORE, index=1),)
    assert migration_step(run, "a", Policy(), NOW, NOW) == Wait(what=WaitsFor.WAVE)
    assert may_request(run, "a", NOW, NOW) == "its wave has not started"
    again = run.after(hook("before", "w", code=1))
    assert isinstance(migration_step(again, "a", Policy(), NOW, NOW), Finish)
    run.apply(hook("before", "w"))
    (driven,) = next_actions(run, NOW, NOW).actions
    assert driven == Drive(wave="w", started=True, stopped=False, retried=1)
    assert isinstance(migration_step(run, "a", Policy(), NOW, NOW), Read)


@pytest.mark.parametrize("code", [0, 1])
def test_a_retry_into_a_wave_whose_after_hooks_have_undone_it_runs_all_its_before_hooks_again(code: int) -> None:
    """Whether they had succeeded or not: its application works by now. While those are at work, nobody may take anything up again."""
    ones = (("true", "1"), ("true", "2"))
    run = run_of_waves(wave("a", hooks_of_wave=ones, undone_by=ONE), events=(STARTED, *opened("a")))
    for event in (hook("before", "w"), hook("before", "w", code=code), finished("a", Outcome.FAILED)):
        run.apply(event)
    run.apply(WaveFinished(at=NOW, wave="w", counts={"FAILED": 1}))
    assert [each.hook for each in next_actions(run, NOW, NOW).actions if isinstance(each, RunGroupHook)] == [
        "after_failure"
    ]
    asked = SteeringRequest(command=Command.RETRY, who=WHO, migration="a")
    assert "a: the after_failure hooks of its wave 'w' have not ended: retry it" in str(decide(run, asked, at=NOW))
    run.apply(hook("after_failure", "w"))
    taken_up = decide(run, asked, at=NOW)
    assert isinstance(taken_up, MigrationRetried)
    run.apply(taken_up)
    assert next_actions(run, NOW, NOW).actions == (RunGroupHook(wave="w", hook=HookKind.BEFORE, index=0),)


UNDOES = Hooks(before=ONE, after_unverified=(*ONE, *ONE), after_failure=(*ONE, *ONE))
AGAIN = RunGroupHook(wave=None, hook=HookKind.BEFORE, index=0)


def why_no_retry(run: RunState, name: str = "a") -> str | None:
    """Why a `retry` of *name* does nothing; None: it does something."""
    found = decide(run, SteeringRequest(command=Command.RETRY, who=WHO, migration=name), at=NOW)
    return found if isinstance(found, str) else None


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.UNVERIFIED])
def test_nothing_is_taken_up_again_while_its_own_hooks_undo_what_was_prepared(outcome: Outcome) -> None:
    """The rest of the list would never run, and somebody is never told."""
    run = run_of_waves(wave("a", hooks=UNDOES), events=(STARTED, *opened("a"), finished("a", outcome)))
    own = "after_failure" if outcome is Outcome.FAILED else "after_unverified"
    for _ in range(2):
        assert f"a: its own {own} hooks have not ended" in str(why_no_retry(run))
        run.apply(hook(own, "w", name="a"))
    assert why_no_retry(run) is None


@pytest.mark.parametrize(
    ("how", "hooks"),
    [
        ((STARTED, *opened("a"), finished("a", Outcome.FAILED)), "after_failure"),
        ((STARTED, *opened("a"), finished("a", Outcome.UNVERIFIED)), "after_unverified"),
        ((*opened("a"), MigrationSkipped(at=NOW, migration="a", who=WHO)), "after_failure"),
    ],
    ids=["failed", "unverified", "skipped"],
)
def test_nothing_is_taken_up_again_while_hooks_of_the_run_undo_what_was_prepared(
    how: tuple[Event, ...], hooks: str
) -> None:
    """A PUT would leave while they let writers in on the source, and what a verification ends with would run beside them."""
    run = run_of_waves(wave("a"), hooks=UNDOES, events=(hook("before", None), *how))
    run.apply(WaveFinished(at=NOW, wave="w", counts={}))
    for number in (0, 1):
        assert f"a: the {hooks} hooks of the run have not ended" in str(why_no_retry(run))
        (undo,) = (each for each in next_actions(run, NOW, NOW).actions if isinstance(each, RunGroupHook))
        assert (undo.hook, undo.index) == (hooks, number)
        run.apply(hook(hooks, None))
    assert why_no_retry(run) is None
    run.apply(retried("a"))
    if hooks == "after_failure":
        assert next_actions(run, NOW, NOW).actions == (AGAIN,)


def test_what_hooks_at_work_do_not_concern_is_taken_up_again() -> None:
    """In a wave that has not come to its hooks, while those of the one before it are at work; and all of it when nobody works on the run."""
    waves = (wave("a", hooks_of_wave=ONE, undone_by=ONE), wave("b", "c", name="v", first=2))
    run = run_of_waves(*waves, hooks=UNDOES, events=(hook("before", None), STARTED, hook("before", "w")))
    for event in (*opened("a"), finished("a", Outcome.FAILED), MigrationSkipped(at=NOW, migration="b", who=WHO)):
        run.apply(event)
    assert "hooks of its wave 'w'" in str(why_no_retry(run))
    assert why_no_retry(run, "b") is None
    over = RunFinished(at=NOW, outcome=RunOutcome.FAILED, exit_code=1, unfinished=True, requests={})
    assert why_no_retry(run.after(CutoversStopped(at=NOW, reason="abort"), over)) is None


def test_no_put_leaves_before_all_is_prepared_again_that_a_hook_of_the_run_has_undone() -> None:
    """However it came to be taken up again half-way: what the first of several hooks has done, a PUT must not meet."""
    run = run_of_waves(wave("a", hooks_of_wave=ONE), hooks=UNDOES, events=(hook("before", None), STARTED))
    for event in (hook("before", "w"), *opened("a"), finished("a", Outcome.FAILED), hook("after_failure", None)):
        run.apply(event)
    for event in (retried("a"), *opened("a"), CutoverAdmitted(at=NOW, migration="a")):
        run.apply(event)
    assert next_actions(run, NOW, NOW).actions == (AGAIN,)
    assert next_actions(run.after(RunPaused(at=NOW, who=WHO)), NOW, NOW).actions == ()
    assert migration_step(run, "a", Policy(), NOW, NOW) == Wait(what=WaitsFor.WAVE)
    assert may_request(run, "a", NOW, NOW) == "the run's before hooks have not run"
    run.apply(hook("before", None))
    assert may_request(run, "a", NOW, NOW) is None


@pytest.mark.parametrize("whose", [None, "w"])
def test_what_a_before_hook_prepares_is_undone_when_it_has_ended(whose: str | None) -> None:
    """The run is stopped while it is at work: an `after_failure` hook beside it would come first, and what it stops would stay so."""
    undoes = Hooks(before=ONE, after_failure=ONE)
    run = run_of_waves(wave("a", hooks_of_wave=ONE, undone_by=ONE), hooks=undoes if whose is None else NO_HOOKS)
    if whose is not None:
        run.apply(STARTED)
    run.apply(HookStarted(at=NOW, hook="before", argv=ONE[0], wave=whose, migration=None))
    run.apply(CutoversStopped(at=NOW, reason="aborted"))
    assert next_actions(run, NOW, NOW, {HookOf(whose)}).actions == ()
    run.apply(hook("before", whose))
    run.apply(WaveFinished(at=NOW, wave="w", counts={}))
    for event in look_failed(run.migrations["a"], "no answer", migration="a", now=NOW):
        run.apply(event)
    (undo,) = next_actions(run, NOW, NOW).actions
    assert isinstance(undo, RunGroupHook)
    assert (undo.wave, undo.hook) == (whose, HookKind.AFTER_FAILURE)


def test_nobody_is_told_that_the_source_is_in_charge_before_the_job_was_looked_at() -> None:
    """After a pause, say: hooks of the wave and of the migration itself could let writers in, though somebody has cut it over by hand."""
    hooks = Hooks(before=ONE, after_failure=ONE)
    run = run_of_waves(wave("a", "b", hooks=hooks, hooks_of_wave=ONE, undone_by=ONE), events=(STARTED, *opened("a")))
    run.apply(hook("before", "w"))
    run.apply(hook("before", "w", name="a"))
    later = NOW + 600
    run.apply(CutoversStopped(at=later, reason="aborted"))
    look = Read(kind=ReadKind.LOOK, attempt=0, deadline=later)
    assert migration_step(run, "a", Policy(hooks=hooks), later, later) == look
    for event in look_failed(run.migrations["a"], "no answer", migration="a", now=later):
        run.apply(event)  # nobody waits for Atlas with the application down
    undo = migration_step(run, "a", Policy(hooks=hooks), later, later)
    assert undo == RunHook(hook=HookKind.AFTER_FAILURE, index=0)
    run.apply(hook("after_failure", "w", name="a"))
    run.apply(WaveFinished(at=later, wave="w", counts={}))
    assert next_actions(run, later, later).actions == (replace(drive(stopped=True), look=later),)
    assert [each.name for each in to_drive(run, run.wave("w"))] == ["b"]
    assert migration_step(run, "b", Policy(hooks=hooks), later, later) == look
    assert next_actions(run, later, later, at_work={"w"}).actions == ()
    run.apply(opened("b", at=later)[0])
    assert isinstance(migration_step(run, "b", Policy(hooks=hooks), later, later), Done)
    (told,) = next_actions(run, later, later).actions
    assert isinstance(told, RunGroupHook)


def test_a_refused_set_of_credentials_holds_its_own_migrations_and_gives_their_slots_free() -> None:
    """Of two sets the other's migrations go on, and their wave ends without those of the refused one."""
    both = wave("a", "b", "c", concurrency=1)
    theirs = tuple(replace(m, credentials="eu") if m.name in ("a", "c") else m for m in both.migrations)
    refusal = CredentialsRefused(at=NOW, credentials="eu", reason="refused")
    admitted = CutoverAdmitted(at=NOW, migration="a")
    events = (STARTED, *opened("a"), *opened("b"), *opened("c"), admitted, refusal)
    run = run_of_waves(replace(both, migrations=theirs), events=events)
    assert may_request(run, "a", NOW, NOW) == "refused"
    assert isinstance(migration_step(run, "a", Policy(gate=None, timeout=60.0, settle=30.0), NOW, NOW), Done)
    assert recorded(next_actions(run, NOW, NOW)) == [CutoverAdmitted(at=NOW, migration="b")]
    assert {m.name for m in to_drive(run, run.workflow.waves[0])} == {"b"}
    ended = MigrationFinished(
        at=NOW, migration="b", outcome=Outcome.SUCCESS, status="COMPLETE", error_message=None, polls=1
    )
    run = run.after(CutoverAdmitted(at=NOW, migration="b"), *requested("b"), ended)
    (end,) = recorded(next_actions(run, NOW, NOW))
    assert isinstance(end, WaveFinished)
    assert run.result("c").error_message == "refused"
    assert run.after(run_resumed(("a", "b", "c"))).withdrawn("a") is None
