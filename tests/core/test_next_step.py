from __future__ import annotations

import pytest

from orchestrator.core.advice import Failed, about_failed, how_it_failed
from orchestrator.core.events import (
    CutoverAccepted,
    CutoverInDoubt,
    CutoverNotBegun,
    CutoverRequested,
    HookFinished,
    HookStarted,
    MigrationFinished,
)
from orchestrator.core.migration import MigrationState, Phase, undo_left
from orchestrator.core.migration_fold import apply
from orchestrator.core.next_step import (
    GATE_LIFE,
    Answer,
    AnswerKind,
    Done,
    Finish,
    Policy,
    Read,
    Reading,
    ReadKind,
    RunHook,
    SendPut,
    next_step,
)
from orchestrator.core.no_return import Point, point_of
from orchestrator.core.observations import answered, looked, observe_failure
from orchestrator.core.outcomes import Outcome
from orchestrator.core.workflow import Gate, HookKind, Hooks

from ..builders import NOW, ONE, Story, at_ready, requested


def ending(story: Story) -> MigrationFinished:
    """The last event, which is the end."""
    event = story.told[-1]
    assert isinstance(event, MigrationFinished)
    return event


# -- before the PUT ----------------------------------------------------------------------------------------------------


def test_the_job_is_read_before_anything_else() -> None:
    """At once, and as a gate read."""
    assert Story().step() == Read(kind=ReadKind.GATE, attempt=0, deadline=NOW)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("COMPLETE", Outcome.SUCCESS),
        ("SUCCESS", Outcome.SUCCESS),
        ("FAILED", Outcome.FAILED),
        ("EXPIRED", Outcome.FAILED),
    ],
)
def test_a_job_that_is_over_gets_no_put(status: str, outcome: Outcome) -> None:
    """What has ended before the run has its outcome from the first read."""
    story = Story()
    assert story.read(status, True, 0.0) == ["migration_finished"]
    assert (story.state.outcome, story.state.cutover_requests) == (outcome, 0)
    assert story.step() == Done()


def test_atlas_own_message_is_the_reason_of_a_failure() -> None:
    """Where there is none, the status word is named; a success has none."""
    story, silent, success = Story(), Story(), Story()
    story.read("FAILED", error_message="source unreachable")
    silent.read("EXPIRED")
    success.read("COMPLETE", error_message="left over")
    assert ending(story).error_message == "source unreachable"
    assert ending(silent).error_message == "Atlas reports EXPIRED"
    assert ending(success).error_message is None


@pytest.mark.parametrize(
    ("ready", "lag", "opens"),
    [
        (True, 10.0, True),
        (True, 0.0, True),
        (True, 10.1, False),
        (False, 0.0, False),
        (False, None, False),
        (None, None, False),
        (None, 0.0, False),
    ],
)
def test_the_gate_wants_readiness_and_little_lag(ready: bool | None, lag: float | None, opens: bool) -> None:
    """`readyForCutover` and `lagTimeSeconds` of at most `max_lag`, nothing less."""
    story = Story()
    assert story.read("WORKING", ready, lag) == ["gate_opened" if opens else "gate_waiting"]
    assert story.state.phase is (Phase.READY if opens else Phase.GATE)


def test_a_waiting_gate_opens_once_the_job_has_caught_up() -> None:
    """It says that it waits once; each read in between waits longer."""
    story = Story()
    assert story.read("NEW", False) == ["gate_waiting"]
    assert story.step() == Read(kind=ReadKind.GATE, attempt=1, deadline=NOW + 1800)
    assert story.read("NEW", False, after=2) == []
    assert story.step() == Read(kind=ReadKind.GATE, attempt=2, deadline=NOW + 1800)
    assert story.read("WORKING", True, 3.0, after=3) == ["status_changed", "gate_opened"]
    assert story.step() == SendPut(attempt=0)


@pytest.mark.parametrize("status", ["NEW", "WORKING", None, "BRAND_NEW_WORD"])
def test_without_a_gate_one_read_is_enough(status: str | None) -> None:
    """`gate: off`: neither readiness nor lag matter."""
    story = Story(policy=Policy(gate=None))
    assert story.read(status) == ["gate_opened"]
    assert story.step() == SendPut(attempt=0)


@pytest.mark.parametrize("status", ["PENDING", "WORKING", None, "BRAND_NEW_WORD"])
def test_a_ready_job_without_any_lag_opens_its_gate_and_the_event_says_so(status: str | None) -> None:
    """The older document of v1.0: PENDING and readyForCutover alone."""
    story = Story()
    assert story.read(status, True) == ["gate_opened"]
    assert "no lag" in (story.state.note or "")
    assert story.step() == SendPut(attempt=0)


@pytest.mark.parametrize("status", ["NEW", "QUEUED"])
@pytest.mark.parametrize(("ready", "lag"), [(True, 0.0), (True, None), (False, None), (None, None)])
def test_a_job_that_has_not_begun_to_copy_is_waited_for(status: str, ready: bool | None, lag: float | None) -> None:
    """Whatever else its document says, there is nothing to cut over yet."""
    story = Story()
    assert story.read(status, ready, lag) == ["gate_waiting"]
    assert story.read("WORKING", True, 0.0, after=2) == ["status_changed", "gate_opened"]


def test_a_lag_that_was_reported_before_and_is_gone_closes_the_gate() -> None:
    """Somebody else may have begun the cutover: it is waited for, and said when it is first seen."""
    story = Story()
    story.read("WORKING", False, 30.0)
    assert story.read("WORKING", True, None, after=2) == ["gate_waiting"]
    assert "somebody else" in (story.state.note or "")
    assert story.read("WORKING", True, None, after=2) == []
    assert story.read("WORKING", True, 3.0, after=2) == ["gate_opened"]


@pytest.mark.parametrize("ready", [True, False, None])
def test_nobody_is_told_that_the_source_is_in_charge_while_the_lag_is_gone(ready: bool | None) -> None:
    """As Atlas shows a job that is being cut over, by whomever: not ready, and without a lag."""
    story = Story(policy=Policy(gate=Gate(timeout=60)))
    story.read("WORKING", False, 30.0)
    assert point_of(story.state) is Point.WAITS
    assert story.read("WORKING", ready, None, after=2) == ["gate_waiting"]
    assert point_of(story.state) is Point.DOUBT
    assert story.read("WORKING", ready, None, after=60) == []
    assert story.finish() is Outcome.FAILED
    assert "let no writer return to the source" in (story.state.error_message or "")
    assert (point_of(story.state), how_it_failed(story.state)) == (Point.DOUBT, Failed.LAG_GONE)
    assert "source is" not in about_failed(how_it_failed(story.state))


def test_a_lag_that_is_back_leaves_the_source_in_charge() -> None:
    """The event says so, as reads are in no journal: whoever reads the run's record knows it, too."""
    story = Story()
    story.read("WORKING", False, 30.0)
    story.read("WORKING", False, None, after=2)
    assert story.read("WORKING", False, 20.0, after=2) == ["gate_waiting"]
    assert (point_of(story.state), story.state.note) == (Point.WAITS, None)


@pytest.mark.parametrize(
    ("status", "ready", "lag", "point"),
    [
        ("WORKING", False, None, Point.DOUBT),
        ("WORKING", None, None, Point.DOUBT),
        ("WORKING", False, 30.0, Point.WAITS),
        ("NEW", False, None, Point.WAITS),
        ("QUEUED", False, None, Point.WAITS),
        ("PENDING", False, None, Point.DOUBT),  # an older document never has a lag, and is not ready during a cutover
        ("PENDING", None, None, Point.DOUBT),  # a bare one is always the same
        ("CUTTING_OVER", False, None, Point.DOUBT),  # a word that nobody knows, or none
        ("CUTTING_OVER", False, 30.0, Point.WAITS),
        (None, False, None, Point.DOUBT),
    ],
)
def test_a_job_that_is_first_seen_as_during_a_cutover_may_be_being_cut_over(
    status: str | None, ready: bool | None, lag: float | None, point: Point
) -> None:
    """By hand, by another machine, by a run whose record is lost: nobody is told that the source is in charge."""
    story = Story(policy=Policy(gate=Gate(timeout=60)))
    assert story.read(status, ready, lag) == ["gate_waiting"]
    assert point_of(story.state) is point
    story.read(status, ready, lag, after=60)
    assert story.finish() is Outcome.FAILED
    in_doubt = point is Point.DOUBT
    assert (point_of(story.state) is Point.DOUBT) is in_doubt
    assert (how_it_failed(story.state) is Failed.LAG_GONE) is in_doubt


@pytest.mark.parametrize(
    ("status", "ready", "point"),
    [
        ("WORKING", True, Point.DOUBT),  # a full document has a lag until its cutover begins
        ("PENDING", True, Point.WAITS),
        ("PENDING", None, Point.DOUBT),
        ("CUTTING_OVER", True, Point.DOUBT),
    ],
)
def test_a_job_whose_gate_opens_may_be_being_cut_over_all_the_same(
    status: str, ready: bool | None, point: Point
) -> None:
    """Where its document does not show that it is not: `gate: off` asks for nothing, and a job that never had a lag is not waited for."""
    story = Story(policy=Policy(gate=None))
    assert story.read(status, ready) == ["gate_opened"]
    assert point_of(story.state) is point
    story.request()
    assert story.answer(AnswerKind.ACCEPTED) == ["cutover_accepted"]
    story.read("FAILED", after=60)
    assert point_of(story.state) is Point.FAILED_AT_ATLAS


@pytest.mark.parametrize(("word", "point"), [("FAILED", Point.DOUBT), ("EXPIRED", Point.NOT_CUT_OVER)])
def test_what_was_ready_and_failed_before_any_put_of_ours_may_have_been_cut_over_by_somebody(
    word: str, point: Point
) -> None:
    """Between two reads; one that has expired had no cutover."""
    story = at_ready()
    story.read(word, after=GATE_LIFE + 1)
    assert ending(story).outcome is Outcome.FAILED
    assert point_of(story.state) is point


@pytest.mark.parametrize(("age", "point"), [(30.0, Point.NOT_CUT_OVER), (61.0, Point.DOUBT)])
def test_that_a_job_was_not_ready_before_it_failed_has_to_be_known_of_just_before(age: float, point: Point) -> None:
    """While nobody could read it, it may have become ready, and been cut over in vain."""
    story = Story()
    story.read("WORKING", False, 5.0)
    story.read("FAILED", after=age)
    assert ending(story).outcome is Outcome.FAILED
    assert point_of(story.state) is point


def test_a_read_that_gave_nothing_is_not_told_as_one_that_showed_nothing() -> None:
    """What was known before stays what is known, and the message says what has failed."""
    story = at_ready(gate=Gate(timeout=60))
    for after in (10, 60):
        story.read_fails("the answer was lost", after=after)
    assert story.finish() is Outcome.FAILED
    assert "the answer was lost" in (story.state.error_message or "")
    assert "reports none now" not in (story.state.error_message or "")


def test_what_was_in_doubt_when_its_hooks_ran_is_undone_when_it_has_come_to_nothing() -> None:
    """They heard that nobody knows who is in charge, so they may have let nobody in."""
    hooks = Hooks(before=ONE, after_failure=ONE)
    story = at_ready(hooks=hooks)
    argv = {"argv": ONE[0], "wave": "w", "migration": "m", "exit_code": 0, "seconds": 0.0}
    story.take(
        HookStarted(at=story.now, hook=HookKind.BEFORE, argv=ONE[0], wave="w", migration="m"),
        HookFinished(at=story.now, hook=HookKind.BEFORE, **argv),  # type: ignore[arg-type]
        CutoverRequested(at=story.now, migration="m"),
        CutoverInDoubt(at=story.now, migration="m", reason="lost", settle=4.0),
        MigrationFinished(at=story.now, migration="m", outcome=Outcome.IN_DOUBT, status="WORKING"),
        HookFinished(at=story.now, hook=HookKind.AFTER_FAILURE, **argv),  # type: ignore[arg-type]
    )
    story.resume()
    assert not undo_left(story.state, on_failure=1)
    story.take(CutoverNotBegun(at=story.now, migration="m", reason="it reports its lag"))
    assert undo_left(story.state, on_failure=1) == range(1)
    assert point_of(story.state) is Point.PREPARED


@pytest.mark.parametrize("later", [False, None])
def test_a_job_that_was_ready_and_is_not_may_be_being_cut_over(later: bool | None) -> None:
    """As older documents are during a cutover, which never have a lag; until it is ready again. In a later session, too."""
    story = Story()
    assert story.read("PENDING", True) == ["gate_opened"]
    assert story.read("PENDING", later, after=GATE_LIFE + 1) == ["gate_waiting"]
    assert point_of(story.state) is Point.DOUBT
    assert "somebody else" in (story.state.note or "")
    story.resume()
    assert story.read("PENDING", later) == ["gate_waiting"]
    assert point_of(story.state) is Point.DOUBT
    assert story.read("PENDING", True, after=2) == ["gate_opened"]
    assert point_of(story.state) is Point.WAITS


@pytest.mark.parametrize("status", [404, 400])
def test_a_job_that_is_gone_after_its_put_was_refused_may_have_been_cut_over_by_somebody(status: int) -> None:
    """Our own PUT did nothing. Nobody is told that the source is in charge."""
    story = at_ready()
    story.take(CutoverRequested(at=story.now, migration="m"))
    answer = Answer(kind=AnswerKind.REFUSED, http_status=status, reason=f"HTTP {status}")
    story.take(*answered(story.state, answer, story.policy, migration="m", now=story.now))
    for _ in range(2):
        gone = observe_failure(story.state, "404", story.policy, migration="m", now=story.now, refused=True, gone=True)
        story.take(*gone)
    assert ending(story).outcome is Outcome.FAILED
    assert (point_of(story.state), how_it_failed(story.state)) == (Point.DOUBT, Failed.LAG_GONE)


def test_a_job_that_an_earlier_session_has_read_and_that_is_gone_may_have_been_cut_over_by_somebody() -> None:
    """While nobody worked on the run; its documents may never have had a lag."""
    story = Story()
    story.read("PENDING", True)
    story.resume()
    story.take(
        *observe_failure(story.state, "404", story.policy, migration="m", now=story.now, refused=True, gone=True)
    )
    assert point_of(story.state) is Point.DOUBT


@pytest.mark.parametrize("seen", [True, False])
def test_a_job_that_is_there_no_more_may_have_been_cut_over_by_somebody(seen: bool) -> None:
    """And put away after that; of one that was never there nothing is known, and nothing is said."""
    story = at_ready() if seen else Story()
    story.take(
        *observe_failure(
            story.state, "404", story.policy, migration="m", now=story.now + GATE_LIFE + 1, refused=True, gone=True
        )
    )
    assert ending(story).outcome is Outcome.FAILED
    assert point_of(story.state) is Point.DOUBT
    assert how_it_failed(story.state) is (Failed.LAG_GONE if seen else Failed.UNREAD)


def test_a_job_that_could_not_be_read_at_its_end_is_not_said_to_be_the_sources() -> None:
    """Whether Atlas refused that or did not answer: somebody may have cut it over since it was read. What it was read for may be tried again."""
    refused, silent = Story(), Story(policy=Policy(gate=Gate(timeout=20)))
    refused.read("WORKING", False, 100.0)
    refused.read_fails("403", refused=True, after=1)
    silent.read("WORKING", False, 100.0)
    silent.read_fails("no answer", after=20)
    assert point_of(silent.state) is Point.WAITS  # it is read again, and was a moment ago
    silent.finish()
    for story in (refused, silent):
        assert ending(story).outcome is Outcome.FAILED
        assert (point_of(story.state), how_it_failed(story.state)) == (Point.DOUBT, Failed.UNREAD)
        assert "in charge" not in about_failed(Failed.UNREAD)
        assert "can be tried again" in about_failed(Failed.UNREAD)


def test_a_job_at_its_gate_that_nothing_was_read_of_for_a_minute_is_in_doubt_until_it_is_read() -> None:
    """Whoever reads the journal knows it, too; the outage is told once, and its end."""
    story = Story()
    story.read("WORKING", False, 100.0)
    assert story.read_fails(after=50) == []
    assert story.read_fails(after=11) == ["gate_waiting"]
    assert story.read_fails(after=11) == []
    journaled = MigrationState()
    for event in story.told:
        journaled = apply(journaled, event) if event.journaled else journaled
    assert point_of(story.state) is point_of(journaled) is Point.DOUBT
    assert story.read("WORKING", False, 100.0, after=2) == ["gate_waiting"]
    assert point_of(apply(journaled, story.told[-1])) is point_of(story.state) is Point.WAITS


@pytest.mark.parametrize("lag", [100.0, None])
def test_a_look_that_shows_the_job_takes_back_that_it_could_not_be_read(lag: float | None) -> None:
    """Unless what it shows may be a cutover of somebody else's."""
    story = Story()
    story.read("WORKING", False, 100.0)
    story.read_fails("403", refused=True, after=1)
    shown = Reading(status="WORKING", ready=False, lag=lag)
    events = looked(story.state, shown, story.policy, migration="orders", now=story.now + 9)
    assert story.take(*events) == ["status_polled", "status_changed"]
    assert point_of(story.state) is (Point.DOUBT if lag is None else Point.NOT_CUT_OVER)


@pytest.mark.parametrize(("lag", "point"), [(5.0, Point.NOT_CUT_OVER), (None, Point.DOUBT)])
def test_what_atlas_ends_as_failed_before_any_put_of_ours_may_have_been_begun_by_somebody(
    lag: float | None, point: Point
) -> None:
    """Where its lag was gone before that."""
    story = Story()
    story.read("WORKING", False, 30.0)
    story.read("WORKING", False, lag, after=2)
    story.read("FAILED", after=2)
    assert ending(story).outcome is Outcome.FAILED
    assert point_of(story.state) is point


def test_a_lag_that_is_gone_right_before_the_put_holds_it_back() -> None:
    """The job is read again as its gate has grown old, in a later session, too."""
    story = at_ready()
    assert story.read("WORKING", True, None, after=GATE_LIFE + 1) == ["gate_waiting"]
    story.resume()
    assert story.read("WORKING", True, None) == ["gate_waiting"]


def test_a_document_that_says_nothing_of_readiness_waits_and_says_what_to_do() -> None:
    """A bare PENDING is no word about readiness; `gate: off` is the way on, and a person's to choose."""
    story = Story(policy=Policy(gate=Gate(timeout=60)))
    assert story.read("PENDING") == ["gate_waiting"]
    assert story.read("PENDING", after=60) == []
    assert story.finish() is Outcome.FAILED
    assert "gate: off" in (story.state.error_message or "")
    assert Story(policy=Policy(gate=None)).read("PENDING") == ["gate_opened"]


@pytest.mark.parametrize(
    ("status", "ready", "lag", "message"),
    [
        ("NEW", False, None, "the gate did not open in 1m: the job is NEW and not ready for cutover"),
        ("WORKING", True, 90.0, "the gate did not open in 1m: the lag is 1m30s, and at most 10s is allowed"),
        ("WORKING", None, 3.0, "the gate did not open in 1m: the job is WORKING and not ready for cutover"),
        ("NEW", True, 0.0, "the gate did not open in 1m: the job is NEW and not ready for cutover"),
    ],
)
def test_a_gate_that_stays_closed_fails_and_says_why(
    status: str, ready: bool | None, lag: float | None, message: str
) -> None:
    """FAILED without PUT, after a read at the deadline."""
    story = Story(policy=Policy(gate=Gate(timeout=60)))
    story.read(status, ready, lag)
    story.read(status, ready, lag, after=59.9)
    assert isinstance(story.step(), Read)
    story.read(status, ready, lag, after=0.1)
    assert story.finish() is Outcome.FAILED
    assert (story.state.error_message, story.state.cutover_requests) == (message, 0)


def test_a_gate_whose_job_cannot_be_read_fails_with_that_reason() -> None:
    """Reads that fail are tried again until the gate's deadline."""
    story = Story(policy=Policy(gate=Gate(timeout=60)))
    assert story.read_fails("503 down") == ["gate_waiting"]
    assert story.read_fails("503 down", after=60) == []
    assert story.finish() is Outcome.FAILED
    assert story.state.error_message == "the gate did not open in 1m: 503 down"


def test_a_gate_that_a_document_kept_closed_says_so_although_its_last_read_failed() -> None:
    """A read that found no budget in time says nothing of why the gate was closed until then, and what is to be done."""
    story = Story(policy=Policy(gate=Gate(timeout=60)))
    story.read("PENDING")
    story.read_fails("no budget in time", after=60)
    assert story.finish() is Outcome.FAILED
    assert "gate: off" in (story.state.error_message or "")
    assert (story.state.error_message or "").endswith("(as last read; then: no budget in time)")


def test_without_gate_a_job_that_cannot_be_read_fails_after_the_timeout() -> None:
    """One read is needed also with `gate: off`."""
    story = Story(policy=Policy(gate=None, timeout=120))
    story.read_fails("503 down")
    story.read_fails("503 down", after=120)
    assert story.finish() is Outcome.FAILED
    assert story.state.error_message == "the job could not be read in 2m: 503 down"


@pytest.mark.parametrize("before", [0, 1])
def test_a_read_that_is_refused_fails_at_once(before: int) -> None:
    """A wrong id does not become right by asking again."""
    story = Story()
    for _ in range(before):
        story.read("NEW", False)
    assert story.read_fails("404 no such job", refused=True) == ["migration_finished"]
    assert (story.state.outcome, story.state.error_message) == (
        Outcome.FAILED,
        "the job could not be read: 404 no such job",
    )


def test_before_hooks_run_in_order_after_the_gate_and_before_the_put() -> None:
    """All of them, each once."""
    story = Story(policy=Policy(hooks=Hooks(before=ONE * 2)))
    assert isinstance(story.step(), Read)
    story.read("WORKING", True, 1.0)
    assert story.step() == RunHook(hook=HookKind.BEFORE, index=0)
    story.hook("before")
    assert story.step() == RunHook(hook=HookKind.BEFORE, index=1)
    story.hook("before")
    assert story.step() == SendPut(attempt=0)


def test_a_failed_before_hook_fails_the_migration() -> None:
    """The core never goes on to the PUT."""
    story = at_ready(hooks=Hooks(before=ONE))
    story.hook("before", exit_code=1)
    assert story.step() == Finish(outcome=Outcome.FAILED, error_message="before hook: true ended with 1")


# -- an open gate grows old --------------------------------------------------------------------------------------------


def test_an_open_gate_grows_stale() -> None:
    """After a pause or a long hook the job is read again before its PUT."""
    story = at_ready()
    story.now += GATE_LIFE
    assert story.step() == SendPut(attempt=0)
    story.now += 0.1
    assert story.step() == Read(kind=ReadKind.GATE, attempt=0, deadline=story.now)
    assert story.read("WORKING", True, 2.0) == ["gate_opened"]
    assert story.step() == SendPut(attempt=0)


def test_a_stale_gate_is_not_refreshed_by_a_read_that_fails() -> None:
    """Only a read that shows the job may let the PUT leave."""
    story = at_ready()
    assert story.read_fails("503 down", after=GATE_LIFE + 1) == ["gate_waiting"]
    assert isinstance(story.step(), Read)
    assert story.read("WORKING", True, 2.0, after=2) == ["gate_opened"]
    assert story.step() == SendPut(attempt=0)


def test_a_gate_that_closes_again_waits_its_full_time_again() -> None:
    """The time of a pause is not counted against the gate."""
    story = at_ready(gate=Gate(timeout=600))
    assert story.read("WORKING", True, 99.0, after=3600) == ["gate_waiting"]
    assert story.step() == Read(kind=ReadKind.GATE, attempt=1, deadline=story.now + 600)
    story.read("WORKING", True, 99.0, after=600)
    assert story.finish() is Outcome.FAILED


def test_a_job_that_ended_meanwhile_gets_no_put_either() -> None:
    """Somebody else cut it over during the pause."""
    story = at_ready()
    assert story.read("COMPLETE", after=GATE_LIFE + 1) == ["status_changed", "migration_finished"]
    assert story.state.outcome is Outcome.SUCCESS


# -- the PUT's answer --------------------------------------------------------------------------------------------------


def test_an_accepted_put_is_followed() -> None:
    """The first read comes after a wait: no cutover is over in no time."""
    story = requested()
    assert story.answer(AnswerKind.ACCEPTED, http_status=202) == ["cutover_accepted"]
    assert story.step() == Read(kind=ReadKind.POLL, attempt=1, deadline=NOW + 7200)
    assert story.read("WORKING", after=2) == []
    assert story.step() == Read(kind=ReadKind.POLL, attempt=2, deadline=NOW + 7200)
    assert story.read("COMPLETE", after=3) == ["status_changed", "migration_finished"]
    assert (story.state.outcome, story.state.polls) == (Outcome.SUCCESS, 3)


@pytest.mark.parametrize("said", ["PENDING", None, "SUCCESS", "FAILED", "COMPLETE", "EXPIRED"])
@pytest.mark.parametrize(("truth", "outcome"), [("COMPLETE", Outcome.SUCCESS), ("FAILED", Outcome.FAILED)])
def test_a_final_word_in_the_puts_own_answer_is_confirmed_by_a_read(
    said: str | None, truth: str, outcome: Outcome
) -> None:
    """The answer says "accepted" and no more: the words in the table of v1.0's page are those of another job."""
    story = requested()
    answer = Reading(status=said, error_message="no space")
    assert story.answer(AnswerKind.ACCEPTED, http_status=200, reading=answer) == ["cutover_accepted"]
    assert (story.phase, story.state.outcome) == (Phase.ACCEPTED, None)
    assert story.state.remote_status in ("WORKING", "PENDING")
    assert "migration_finished" not in story.read("WORKING", after=2)
    story.read(truth, after=2)
    assert story.state.outcome is outcome


def test_a_put_that_was_not_carried_out_is_sent_again() -> None:
    """429, a digest challenge, or no connection at all."""
    story = requested()
    assert story.answer(AnswerKind.NOT_CARRIED_OUT) == ["cutover_not_begun"]
    assert story.step() == SendPut(attempt=1)


def test_puts_that_are_never_carried_out_end() -> None:
    """A server that answers 429 for ever does not hold the run for ever."""
    story = requested(timeout=600, gate=None)
    for _ in range(6):
        story.now += 100
        story.answer(AnswerKind.NOT_CARRIED_OUT, reason="429 too many requests")
        if story.now < NOW + 600:
            story.request()
    assert story.finish() is Outcome.FAILED
    assert story.state.error_message == "no PUT was carried out in 10m: 429 too many requests"


@pytest.mark.parametrize("apart", [1.0, 400.0, 3600.0])
def test_puts_that_are_never_carried_out_end_however_far_apart_they_are(apart: float) -> None:
    """A `Retry-After` of many minutes is no way around the timeout."""
    story = requested(timeout=7200, gate=None)
    while story.now < NOW + 7200:
        story.answer(AnswerKind.NOT_CARRIED_OUT)
        story.request(after=apart)
    story.answer(AnswerKind.NOT_CARRIED_OUT)
    assert story.finish() is Outcome.FAILED


def test_every_doubt_has_the_whole_timeout() -> None:
    """Also that of a PUT which was sent after another one had come to nothing."""
    story = requested(timeout=600, gate=None)
    for _ in range(5):
        story.now += 119
        story.answer(AnswerKind.NOT_CARRIED_OUT)
        story.request()
    story.answer(AnswerKind.LOST)
    asked = story.step()
    assert isinstance(asked, Read)
    assert asked.deadline == story.now + 600


def test_a_put_that_is_challenged_again_and_again_is_refused() -> None:
    """A 401 is a stale nonce, and another PUT gets a fresh one; five of them mean that the keys are not taken."""
    story = requested(gate=None)
    for _ in range(4):
        assert story.answer(AnswerKind.NOT_CARRIED_OUT, http_status=401) == ["cutover_not_begun"]
        story.request(after=1)
    assert story.answer(AnswerKind.NOT_CARRIED_OUT, http_status=401) == ["cutover_not_begun", "migration_finished"]
    assert story.state.outcome is Outcome.FAILED


def test_a_challenge_after_other_answers_begins_a_row_of_its_own() -> None:
    """Only challenges in a row say something about the keys: a 429 between them shows that they are taken."""
    story = requested(gate=None)
    for status in (429, 429, 429, 429, 401, 401, 401, 401, 429, 401):
        assert story.answer(AnswerKind.NOT_CARRIED_OUT, http_status=status) == ["cutover_not_begun"]
        story.request(after=1)


def test_a_put_without_answer_is_in_doubt() -> None:
    """The job is read at once, and no other PUT leaves."""
    story = requested(settle=30.0)
    assert story.answer(AnswerKind.LOST) == ["cutover_in_doubt"]
    assert story.state.settle == 30.0
    assert story.step() == Read(kind=ReadKind.POLL, attempt=0, deadline=NOW + 7200)


def test_a_put_that_never_left_is_not_counted() -> None:
    """The run was stopped between the intent and the sending."""
    story = requested(gate=None)
    story.take(CutoverNotBegun(at=story.now, migration="orders", reason="not sent: stopped by SIGINT", sent=False))
    assert (story.state.phase, story.state.cutover_requests) == (Phase.READY, 0)


def test_an_after_hook_that_was_interrupted_is_run_again() -> None:
    """It was ended because the run was stopped: the next session begins with it."""
    story = requested(hooks=Hooks(after_success=ONE), gate=None)
    story.answer(AnswerKind.ACCEPTED)
    story.take(MigrationFinished(at=story.now, migration="orders", outcome=Outcome.SUCCESS, status="COMPLETE"))
    due = story.step()
    assert due == RunHook(hook=HookKind.AFTER_SUCCESS, index=0)
    story.take(
        HookFinished(
            at=story.now,
            hook="after_success",
            argv=("true",),
            exit_code=None,
            seconds=0.1,
            error="ended",
            migration="orders",
            interrupted=True,
        )
    )
    assert story.step() == due


def test_who_reads_again_before_the_put_is_asked_for_it_on_old_knowledge() -> None:
    """The read is part of sending it; before the first `before` hook the job is read in any case."""
    old = MigrationState(phase=Phase.READY, known_at=NOW - 60, gate_since=NOW - 60)
    assert isinstance(next_step(old, Policy(), NOW), Read)
    assert next_step(old, Policy(rereads=True), NOW) == SendPut(attempt=0)
    assert isinstance(next_step(old, Policy(rereads=True, hooks=Hooks(before=ONE)), NOW), Read)


def test_the_lag_that_our_own_cutover_takes_away_is_nobody_elses() -> None:
    """The event of its end does not say that somebody else may have begun one."""
    story = at_ready()
    story.take(
        CutoverRequested(at=story.now, migration="m"),
        CutoverAccepted(at=story.now, migration="m", http_status=202, status=None),
    )
    story.read("WORKING", False, None, after=10)
    story.read("COMPLETE", after=10)
    assert (ending(story).outcome, ending(story).lag_gone) == (Outcome.SUCCESS, False)
