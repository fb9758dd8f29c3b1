from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.core.advice import facts_of
from orchestrator.core.events import (
    ApprovalWaiting,
    CredentialsRefused,
    CutoverAccepted,
    CutoverInDoubt,
    CutoverNotBegun,
    CutoverRequested,
    CutoversStopped,
    Event,
    GateOpened,
    GateWaiting,
    HookFinished,
    MigrationRetried,
    MigrationSkipped,
    RateLimited,
    RunAborted,
    RunFinished,
    RunPaused,
    RunUnpaused,
    StatusPolled,
    VerificationFailed,
    WaveApproved,
    WaveFinished,
    WaveRejected,
    WaveStarted,
    WindowOpened,
    WindowWaiting,
)
from orchestrator.core.migration import Phase
from orchestrator.core.next_actions import may_start
from orchestrator.core.outcomes import ExitCode, Outcome, RunOutcome
from orchestrator.core.run import APPROVAL_TIMEOUT, RunState, fold
from orchestrator.core.steered import Command
from orchestrator.core.steering import ABOUT_A_WAVE, ABOUT_MIGRATIONS, SteeringRequest, decide
from orchestrator.core.window import Span
from orchestrator.core.workflow import HookKind, Hooks, Workflow

from ..builders import NOW, WHO, finished, run_resumed, run_started, workflow

NAMES = ("a", "b", "c", "d")


def run_of(*events: Event, given: Workflow | None = None, selected: tuple[str, ...] | None = None) -> RunState:
    """A run after *events*; without *given*, of two waves with two migrations each."""
    first = run_started(given or workflow(("a", "b"), ("c", "d")), selected=selected)
    return fold("r1", [first, *events])


def all_ended(*outcomes: Outcome | None) -> list[Event]:
    """a, b, c, d end so; None: not yet."""
    return [finished(name, outcome) for name, outcome in zip(NAMES, outcomes, strict=False) if outcome is not None]


def sent(name: str) -> list[Event]:
    """The PUT of *name* has left."""
    return [
        GateOpened(at=NOW, migration=name, status="WORKING", ready=True, lag=1.0),
        CutoverRequested(at=NOW, migration=name),
    ]


S, F, T, D, N = Outcome.SUCCESS, Outcome.FAILED, Outcome.TIMED_OUT, Outcome.IN_DOUBT, None


@pytest.mark.parametrize(
    ("outcomes", "outcome", "code"),
    [
        ((S, S, S, S), RunOutcome.SUCCESS, ExitCode.SUCCESS),
        ((S, F, S, S), RunOutcome.FAILED, ExitCode.FAILED),
        ((S, T, S, S), RunOutcome.FAILED, ExitCode.FAILED),
        ((S, S, S, N), RunOutcome.INCOMPLETE, ExitCode.INCOMPLETE),
        ((N, N, N, N), RunOutcome.INCOMPLETE, ExitCode.INCOMPLETE),
        ((S, F, S, N), RunOutcome.FAILED, ExitCode.FAILED),
        ((S, T, N, N), RunOutcome.FAILED, ExitCode.FAILED),
        ((D, S, S, S), RunOutcome.IN_DOUBT, ExitCode.IN_DOUBT),
        ((D, F, T, N), RunOutcome.IN_DOUBT, ExitCode.IN_DOUBT),
    ],
)
def test_doubt_goes_before_failure_and_failure_before_what_was_not_started(
    outcomes: tuple[Outcome | None, ...], outcome: RunOutcome, code: ExitCode
) -> None:
    """4 before 1 before 3."""
    run = run_of(*all_ended(*outcomes))
    assert (run.outcome(), run.exit_code()) == (outcome, code)


def test_totals_count_the_selected_migrations_alone() -> None:
    """What --only left out is in no total and changes no exit code."""
    run = run_of(*all_ended(S, F), selected=("a", "c"))
    assert run.totals() == {Outcome.SUCCESS: 1, Outcome.NOT_STARTED: 1}
    assert run.outcome() is RunOutcome.INCOMPLETE
    assert [migration.name for _, migration in run.rows()] == ["a", "c"]
    assert run.result("d").error_message == "not selected"


def test_rows_come_in_workflow_order() -> None:
    """Whatever order the selection names them in."""
    run = run_of(selected=("d", "a", "c"))
    assert [(wave.name, migration.name) for wave, migration in run.rows()] == [("w1", "a"), ("w2", "c"), ("w2", "d")]


@pytest.mark.parametrize("more", [[], [CutoverInDoubt(at=NOW, migration="a", reason="reset", settle=4.0)]])
def test_what_had_a_put_without_answer_counts_as_in_doubt(more: list[Event]) -> None:
    """Were the run to end now, a person would have to look."""
    run = run_of(*sent("a"), *more)
    result = run.result("a")
    assert result.outcome is Outcome.IN_DOUBT
    assert result.error_message == ("reset" if more else None) or "resume" in (result.error_message or "")


ACCEPTED = (*sent("a"), CutoverAccepted(at=NOW, migration="a", http_status=202, status=None))


def over(*, aborted: bool, successor: str | None = None, unfinished: bool = False) -> list[Event]:
    """The end of a session, after an abort where that is said."""
    end = RunFinished(at=NOW, outcome=RunOutcome.INCOMPLETE, exit_code=3, unfinished=unfinished, requests={})
    return [*([RunAborted(at=NOW, who=WHO, successor=successor)] if aborted else []), end]


@pytest.mark.parametrize("end", [[], over(aborted=False, unfinished=True), over(aborted=True, unfinished=True)])
def test_an_accepted_cutover_without_end_is_under_way(end: list[Event]) -> None:
    """No doubt and no failure: the run is incomplete, whatever ended its session, and `resume` follows it."""
    run = run_of(*ACCEPTED, *all_ended(N, S, S, S), *end)
    result = run.result("a")
    assert (result.outcome, "resume follows it at once" in (result.error_message or "")) == (Outcome.UNDER_WAY, True)
    assert (run.outcome(), run.exit_code(), run.unsettled()) == (RunOutcome.INCOMPLETE, ExitCode.INCOMPLETE, ["a"])
    assert run.is_unfinished()


@pytest.mark.parametrize(
    ("others", "outcome"), [((N, F, S, S), RunOutcome.FAILED), ((N, D, F, S), RunOutcome.IN_DOUBT)]
)
def test_what_is_worse_than_under_way_names_the_run(others: tuple[Outcome | None, ...], outcome: RunOutcome) -> None:
    """As it does for what was not started."""
    assert run_of(*ACCEPTED, *all_ended(*others)).outcome() is outcome


def test_what_is_under_way_in_a_run_that_was_given_up_is_a_matter_for_a_person() -> None:
    """Nobody follows it, unless another run has taken the place."""
    given_up = run_of(*ACCEPTED, *over(aborted=True))
    assert given_up.result("a").outcome is Outcome.IN_DOUBT
    assert "look at the live migration in Atlas" in (given_up.result("a").error_message or "")
    followed = run_of(*ACCEPTED, *over(aborted=True, successor="r2"))
    assert followed.result("a").outcome is Outcome.UNDER_WAY
    assert "run r2" in (followed.result("a").error_message or "")


def test_what_was_not_started_says_why() -> None:
    """The reason that stopped the run, else what the gate waits for."""
    waiting = GateWaiting(at=NOW, migration="a", status="NEW", ready=False, lag=None, max_lag=10.0, note="503")
    assert run_of(waiting).result("a").error_message == "503"
    first = CutoversStopped(at=NOW, reason="the window closed")
    second = CutoversStopped(at=NOW, reason="stopped by SIGINT")
    assert run_of(waiting, first, second).result("a").error_message == "the window closed"


@pytest.mark.parametrize(
    ("outcomes", "unfinished"),
    [((S, S, S, S), False), ((S, F, T, S), False), ((S, S, S, N), True), ((S, S, D, S), True)],
)
def test_a_run_is_unfinished_while_something_can_be_continued(
    outcomes: tuple[Outcome | None, ...], unfinished: bool
) -> None:
    """NOT_STARTED, IN_DOUBT or UNDER_WAY; FAILED and TIMED_OUT are ends."""
    assert run_of(*all_ended(*outcomes)).is_unfinished() is unfinished


def test_a_run_of_a_part_is_unfinished() -> None:
    """The rest of the workflow has not been started."""
    assert run_of(*all_ended(S, S), selected=("a", "b")).is_unfinished()


@pytest.mark.parametrize(("outcome", "unfinished"), [(S, False), (N, False), (D, True)])
def test_an_aborted_run_is_over_but_for_its_doubt(outcome: Outcome | None, unfinished: bool) -> None:
    """What was not started will not be."""
    run = run_of(*all_ended(outcome), RunAborted(at=NOW, who=WHO))
    assert run.aborted_by == WHO
    assert run.is_unfinished() is unfinished


@pytest.mark.parametrize(
    ("limit", "outcomes", "too_many"),
    [
        (None, (F, F), False),
        (0, (S, S), False),
        (0, (S, F), True),
        (0, (S, N), False),
        (1, (S, F), False),
        (1, (T, D), True),
        (2, (F, F), False),
    ],
)
def test_max_failures_counts_ends_without_success(
    limit: int | None, outcomes: tuple[Outcome | None, ...], too_many: bool
) -> None:
    """FAILED, TIMED_OUT and IN_DOUBT, in this wave; what runs or waits is no failure yet."""
    given = workflow(("a", "b"), ("c", "d"))
    first, second = given.waves
    given = replace(given, waves=(replace(first, max_failures=limit), replace(second, max_failures=0)))
    run = run_of(*all_ended(*outcomes), given=given)
    assert run.too_many_failures(given.waves[0]) is too_many
    assert not run.too_many_failures(given.waves[1])


def test_failures_of_earlier_sessions_count_whatever_is_selected_now() -> None:
    """`max_failures` is a rule of the run; what is shown is what was selected."""
    run = run_of(*all_ended(F, S), selected=("b",))
    assert run.ended_badly(run.workflow.waves[0]) == 1
    assert run.outcomes_of(run.workflow.waves[0]) == {"SUCCESS": 1}


def test_counts_are_by_outcome_without_zeros() -> None:
    """For the log line of a finished wave."""
    run = run_of(*all_ended(S, N))
    assert run.outcomes_of(run.workflow.waves[0]) == {"SUCCESS": 1, "NOT_STARTED": 1}


def test_a_wave_goes_from_approval_to_its_end() -> None:
    """Who approved it stays known."""
    run = run_of(ApprovalWaiting(at=NOW + 1, wave="w2"))
    assert run.waves["w2"].approval_since == NOW + 1
    for event in (
        WaveApproved(at=NOW + 2, wave="w2", who="ana"),
        WaveStarted(at=NOW + 3, wave="w2", migrations=2, concurrency=1),
        WaveStarted(at=NOW + 9, wave="w2", migrations=1, concurrency=1),
        WaveFinished(at=NOW + 10, wave="w2", counts={"SUCCESS": 2}),
        WaveFinished(at=NOW + 10, wave="unheard of", counts={}),
    ):
        run.apply(event)
    wave = run.waves["w2"]
    assert (wave.approved_by, wave.approval_since, wave.first_started_at, wave.finished_at) == (
        "ana",
        None,
        NOW + 3,
        NOW + 10,
    )


def test_pause_and_window_are_known() -> None:
    """What holds the run, since when."""
    run = run_of(RunPaused(at=NOW + 1, who="ana"), WindowWaiting(at=NOW, opens=NOW + 60, closes=NOW + 90))
    opening = Span(opens=NOW + 60, closes=NOW + 90, last_start=NOW + 90)
    assert (run.paused_by, run.paused_at, run.window_opens, run.opening) == ("ana", NOW + 1, NOW + 60, opening)
    run.apply(RunUnpaused(at=NOW + 2, who="ana"))
    run.apply(WindowOpened(at=NOW + 60, closes=NOW + 90))
    assert (run.paused_by, run.paused_at, run.window_opens, run.opening) == (None, None, None, opening)


def hook(name: str, code: int | None, **where: str | None) -> HookFinished:
    """A hook that ended with *code*."""
    return HookFinished(at=NOW, hook=name, argv=("true",), exit_code=code, seconds=0.1, **where)  # type: ignore[arg-type]


def test_hooks_go_to_the_migration_or_wave_they_belong_to() -> None:
    """All of them are kept for the report. Waves and the run that have begun owe the hooks that end them."""
    hooks = Hooks(after_failure=(("true",), ("true",)))
    given = workflow(("a", "b"), ("c", "d"))
    given = replace(given, hooks=hooks, waves=tuple(replace(wave, hooks=hooks) for wave in given.waves))
    run = run_of(
        hook("before", 0, migration="a", wave="w1"),
        hook("before", 0, migration="unheard of", wave="w1"),
        hook("before", 3, wave="w2"),
        hook("before", 0, wave="w1"),
        hook("before", 1),
        hook("after_failure", 1, wave="w1"),
        hook("after_failure", 0, wave="w2"),
        given=given,
    )
    assert run.migrations["a"].before_hooks_done == 1
    left = [
        list(hooks.left(HookKind.AFTER_FAILURE))
        for hooks in (run.run_hooks, run.waves["w1"].hooks, run.waves["w2"].hooks)
    ]
    assert left == [[0, 1], [], [1]]
    assert run.hooks_left()
    assert len(run.finished_hooks) == 7


def test_requests_of_all_sessions_are_added_up() -> None:
    """By HTTP status, and the retries."""
    requests = {"by_status": {"200": 5, "401": 1}, "retries": 2}
    end = RunFinished(at=NOW + 9, outcome=RunOutcome.INCOMPLETE, exit_code=3, unfinished=True, requests=requests)
    run = run_of(end, run_resumed(NAMES), end)
    assert run.request_statistics() == {"total": 12, "by_status": {"200": 10, "401": 2}, "retries": 4}
    assert (run.finished_at, run.recorded_exit_code, run.recorded_unfinished) == (NOW + 9, 3, True)


def test_continuing_a_run_reopens_what_is_left() -> None:
    """What stopped the first session does not stop the second; what ended has ended."""
    run = run_of(
        finished("a", S),
        *sent("b"),
        hook("before", 1, wave="w2"),
        ApprovalWaiting(at=NOW, wave="w2"),
        CutoversStopped(at=NOW, reason="the window closed"),
        RunFinished(at=NOW + 9, outcome=RunOutcome.IN_DOUBT, exit_code=4, unfinished=True, requests={}),
        run_resumed(("a", "b", "c"), at=NOW + 100),
    )
    assert (run.sessions, run.stopped, run.finished_at, run.recorded_exit_code) == (2, None, None, None)
    assert run.selected == {"a", "b", "c"}
    phases = [run.migrations[name].phase for name in NAMES]
    assert phases == [Phase.FINISHED, Phase.DOUBT, Phase.NEW, Phase.NEW]
    assert run.waves["w2"].approval_since is None
    assert run.recorded_unfinished


def test_an_approval_outlives_its_session() -> None:
    """Nobody has to approve a wave twice."""
    run = run_of(WaveApproved(at=NOW, wave="w2", who="ana"), run_resumed(NAMES))
    assert run.waves["w2"].approved_by == "ana"


def waits_for_approval(run: RunState) -> bool:
    """Whether w2 has to be approved before it starts."""
    not_yet = may_start(run, run.wave("w2"), NOW, NOW)
    return not_yet is not None and not_yet.reason == "it waits for its approval"


def approved_run(*events: Event, selected: tuple[str, ...] = ("a", "b", "c")) -> RunState:
    """w1 (a, b) is over, w2 (c, d) wants approval, and *events* come after that, in a session about *selected*."""
    plan = workflow(("a", "b"), ("c", "d"))
    plan = replace(plan, waves=(plan.waves[0], replace(plan.waves[1], approval=True)))
    over = (finished("a", S), finished("b", S), WaveFinished(at=NOW, wave="w1", counts={}))
    return fold("run", [run_started(plan, selected=selected), *over, *events])


APPROVED = WaveApproved(at=NOW, wave="w2", who="ana")
STARTED = WaveStarted(at=NOW, wave="w2", migrations=1, concurrency=1)
SKIPPED = MigrationSkipped(at=NOW, migration="c", who="bob")
RETRIED = MigrationRetried(at=NOW, migration="c", who="bob")
REJECTED = WaveRejected(at=NOW, wave="w2", who="bob", reason="")
AGAIN = replace(APPROVED, who="bob")


@pytest.mark.parametrize(
    ("events", "selected", "asked"),
    [
        ((APPROVED, run_resumed(NAMES)), ("a", "b", "c"), True),
        ((APPROVED, run_resumed(("c",))), ("a", "b", "c"), False),
        ((APPROVED, run_resumed(("c",))), NAMES, False),
        ((APPROVED, run_resumed(NAMES)), NAMES, False),
        ((APPROVED, run_resumed(NAMES), AGAIN), ("a", "b", "c"), False),
        ((APPROVED, run_resumed(NAMES), AGAIN, run_resumed(NAMES)), ("a", "b", "c"), False),
        ((APPROVED, STARTED, finished("c", S), run_resumed(NAMES)), ("a", "b", "c"), True),
        ((APPROVED, STARTED, finished("c", F), run_resumed(("c",), retry_failed=True)), ("c",), False),
        ((APPROVED, STARTED, *sent("c"), run_resumed(("c",))), ("c",), False),
        ((APPROVED, run_resumed(NAMES), ApprovalWaiting(at=NOW, wave="w2"), run_resumed(("c",))), ("c",), False),
        ((APPROVED, run_resumed(NAMES)), ("a",), False),
        ((replace(APPROVED, between_sessions=True), run_resumed(NAMES)), ("a", "c"), True),
        ((SKIPPED, APPROVED, RETRIED), NAMES, True),
        ((SKIPPED, APPROVED, STARTED, RETRIED, run_resumed(NAMES)), NAMES, False),
        ((SKIPPED, APPROVED, STARTED, replace(RETRIED, between_sessions=True), run_resumed(NAMES)), NAMES, True),
        ((APPROVED, SKIPPED, RETRIED), NAMES, False),
        ((SKIPPED, APPROVED, STARTED, RETRIED, run_resumed(NAMES)), ("d",), True),
        ((APPROVED, REJECTED, run_resumed(("d",)), AGAIN, run_resumed(NAMES)), NAMES, True),
        ((CredentialsRefused(at=NOW, credentials=None, reason="401"), APPROVED, run_resumed(NAMES)), NAMES, True),
    ],
    ids=[
        "a wider session",
        "the same",
        "a narrower one",
        "all, twice",
        "approved again",
        "and continued",
        "the covered one is over",
        "a failure is tried again",
        "its PUT may have left",
        "the rest was asked for, and is not wanted now",
        "before any of it was selected: all of it",
        "between two sessions, of what the last was about",
        "what was skipped then, taken up again",
        "taken up again while its wave is under way",
        "taken up again between two sessions",
        "skipped afterwards, taken up again",
        "taken up again where it was not selected",
        "rejected meanwhile",
        "what could not start then, as its key was refused",
    ],
)
def test_an_approval_covers_what_it_let_start(
    events: tuple[Event, ...], selected: tuple[str, ...], asked: bool
) -> None:
    """What it did not cover is asked for again, and nothing else is."""
    run = approved_run(*events, selected=selected)
    assert waits_for_approval(run) == asked
    assert (run.waves["w2"].approved_by is None) == asked


@pytest.mark.parametrize(
    ("who", "reason", "forgotten"),
    [
        (APPROVAL_TIMEOUT, "", True),
        (APPROVAL_TIMEOUT, "nobody approved it within 30m", True),
        (f"{APPROVAL_TIMEOUT} (page, 127.0.0.1)", "", False),
        (f"{APPROVAL_TIMEOUT}: ada", "", False),
        ("ada", f"{APPROVAL_TIMEOUT}, as ever", False),
    ],
)
def test_only_a_rejection_for_want_of_an_answer_ends_with_its_session(who: str, reason: str, forgotten: bool) -> None:
    """What a person has rejected stays so, whatever they are called, and the advice says it."""
    rejected = WaveRejected(at=NOW, wave="w2", who=who, reason=reason)
    run = approved_run(rejected, selected=NAMES)
    assert (facts_of(run, NOW).rejected is None) == forgotten
    run.apply(run_resumed(NAMES))
    assert (run.waves["w2"].rejected_by is None) == forgotten
    assert waits_for_approval(run) == forgotten


def test_failures_are_tried_again_on_request_where_selected() -> None:
    """--retry-failed with --only heeds both."""
    run = run_of(*all_ended(F, F), run_resumed(("a", "c"), retry_failed=True))
    assert run.result("a").outcome is Outcome.NOT_STARTED
    assert run.result("b").outcome is Outcome.FAILED


def test_events_of_no_concern_change_nothing() -> None:
    """A rate limit, or a migration nobody knows."""
    run, other = run_of(), run_of()
    run.apply(RateLimited(at=NOW, method="GET", path="/x", scope="g", retry_after=1.0))
    run.apply(StatusPolled(at=NOW, migration="unheard of"))
    assert run == other


def test_a_pause_is_no_time_spent_on_trying() -> None:
    """What a row of PUTs that come to nothing took is told without it."""
    before = [*sent("a"), CutoverNotBegun(at=NOW + 10, migration="a", reason="429")]
    run = run_of(*before, RunPaused(at=NOW + 20, who=WHO), RunUnpaused(at=NOW + 3620, who=WHO))
    assert run.migrations["a"].futile_since == NOW + 3600
    assert run.migrations["b"].futile_since is None


def test_a_row_of_puts_that_begins_in_a_pause_counts_from_its_end() -> None:
    """A PUT that was on its way when the run was paused."""
    paused = [RunPaused(at=NOW - 5, who=WHO), *sent("a"), CutoverNotBegun(at=NOW + 1, migration="a", reason="429")]
    assert run_of(*paused, RunUnpaused(at=NOW + 100, who=WHO)).migrations["a"].futile_since == NOW + 100


@pytest.mark.parametrize("command", [*ABOUT_A_WAVE, *ABOUT_MIGRATIONS])
def test_a_request_that_names_nothing_does_nothing_to_a_run(command: Command) -> None:
    """The engine takes requests in as it finds them in the journal: none may end the session that reads it."""
    assert (
        decide(run_of(), SteeringRequest(command=command, who=WHO), at=NOW)
        == f"`{command}` has to name what it is about"
    )


def test_what_is_said_of_a_name_that_the_workflow_does_not_have_is_of_nobody() -> None:
    """A row that was damaged may say so of any: of a migration, of a wave, and of those that a session is about."""
    run = run_of(
        VerificationFailed(at=NOW, wave="nope", reason="no"),
        WaveStarted(at=NOW, wave="nope", migrations=1, concurrency=1),
        CutoverRequested(at=NOW, migration="nope"),
        MigrationRetried(at=NOW, migration="nope", who=WHO),
        HookFinished(at=NOW, hook="verify", argv=("x",), exit_code=1, seconds=1.0, wave="nope"),
        run_resumed(("a", "nope"), at=NOW),
        RunFinished(at=NOW, outcome=RunOutcome.FAILED, exit_code=1, unfinished=True, requests={}, polls={"nope": 3}),
    )
    assert run.selected == {"a"}
    assert run.totals() == {Outcome.NOT_STARTED: 1}
    assert run_of(selected=("b", "nope")).selected == {"b"}


def test_a_wave_that_is_over_waits_for_no_approval() -> None:
    """All of it was skipped while somebody was asked: the question has ended with it."""
    run = run_of(ApprovalWaiting(at=NOW, wave="w1"), WaveFinished(at=NOW + 1, wave="w1", counts={}))
    assert not run.waves["w1"].waits_for_approval
