from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.core.events import CutoverAccepted, CutoverInDoubt, Evidence, MigrationFinished
from orchestrator.core.migration import MigrationState, Phase
from orchestrator.core.next_step import OVERTIME, AnswerKind, Done, Finish, Policy, Read, ReadKind, RunHook, SendPut
from orchestrator.core.outcomes import Outcome
from orchestrator.core.workflow import HookKind, Hooks

from ..builders import NOW, ONE, SETTLE, Story, accepted, at_ready, in_doubt, requested

OLDER = ("PENDING", True)
"""What the older document of v1.0 says of a job that is ready: no lag, ever."""


def ending(story: Story) -> MigrationFinished:
    """The last event, which is the end."""
    event = story.told[-1]
    assert isinstance(event, MigrationFinished)
    return event


# -- doubt and evidence ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settle", [4.0, 30.0])
def test_another_put_needs_two_reads_after_the_settling_time(settle: float) -> None:
    """Ready and still lagging, twice in a row, once no delayed PUT can arrive any more."""
    story = in_doubt(settle=settle)
    assert story.read("WORKING", True, 1.0) == []
    assert story.read("WORKING", True, 1.0, after=settle - 0.5) == []
    assert story.read("WORKING", True, 1.0, after=0.5) == [], "sent before the settling time was over, perhaps"
    assert story.read("WORKING", True, 1.0, after=0.5) == ["cutover_not_begun"]
    assert story.step() == Read(kind=ReadKind.GATE, attempt=0, deadline=story.now)
    assert story.read("WORKING", True, 1.0) == ["gate_opened"]
    assert story.step() == SendPut(attempt=1)


@pytest.mark.parametrize("between", ["WORKING", "NEW", "error", "COMES_LATER"])
def test_reads_that_show_nothing_break_the_row(between: str) -> None:
    """Two reads in a row have to agree."""
    story = in_doubt()
    story.read("WORKING", True, 1.0, after=4)
    if between == "error":
        story.read_fails(after=2)
    else:
        story.read(between, ready=False, lag=5.0, after=2)
    assert "cutover_not_begun" not in story.read("WORKING", True, 1.0, after=2)
    assert "cutover_not_begun" in story.read("WORKING", True, 1.0, after=2)


def test_lag_that_is_gone_twice_shows_that_the_cutover_began() -> None:
    """It is only reported before the cutover phase, and was reported before the PUT."""
    story = in_doubt()
    assert story.read("WORKING", True, None, after=1) == [], "what is read before the settle time is over is no sign"
    assert story.read("WORKING", False, None, after=3) == []
    assert story.read("WORKING", False, None, after=1) == ["cutover_accepted"]
    event = story.told[-1]
    assert isinstance(event, CutoverAccepted)
    assert (event.http_status, event.evidence, story.state.phase) == (None, "job", Phase.ACCEPTED)


@pytest.mark.parametrize("between", ["lag", "error", "NEW"])
def test_one_lag_that_is_missing_is_no_evidence(between: str) -> None:
    """Two reads in a row have to agree, here as well."""
    story = in_doubt()
    story.read("WORKING", True, None, after=4)
    if between == "error":
        story.read_fails(after=2)
    else:
        story.read("WORKING" if between == "lag" else "NEW", True, 1.0 if between == "lag" else None, after=2)
    assert "cutover_accepted" not in story.read("WORKING", True, None, after=2)
    assert "cutover_accepted" in story.read("WORKING", True, None, after=2)


def begun_by_evidence(**policy: Any) -> Story:
    """A migration whose PUT got no answer, and whose cutover seems to have begun."""
    story = in_doubt(**policy)
    for _ in range(2):
        story.read("WORKING", False, None, after=4)
    assert story.phase is Phase.ACCEPTED
    return story


def test_a_lag_that_is_back_takes_the_evidence_back() -> None:
    """What seemed to have begun is in doubt again, and may be sent again after two more reads."""
    story = begun_by_evidence()
    assert story.read("WORKING", True, 2.0, after=2) == ["cutover_in_doubt"]
    assert (story.phase, story.state.accepted_at) == (Phase.DOUBT, None)
    assert story.read("WORKING", True, 2.0, after=2) == []
    assert story.read("WORKING", True, 2.0, after=2) == ["cutover_not_begun"]


def test_a_lag_that_comes_and_goes_is_in_doubt_no_longer_than_its_timeout() -> None:
    """Each turn would otherwise begin the time anew."""
    story = begun_by_evidence(timeout=60)
    for turn in range(100):
        if isinstance(story.step(), Finish):
            break
        story.read("WORKING", True, 2.0 if turn % 3 == 0 else None, after=4)
    assert story.now <= NOW + 68
    assert story.finish() is Outcome.IN_DOUBT


def test_a_cutover_that_began_by_evidence_alone_is_never_timed_out() -> None:
    """TIMED_OUT is for good; what nobody has accepted is for a person to look at, and for `resume`."""
    story = begun_by_evidence(timeout=600)
    story.read("WORKING", after=600)
    assert story.finish() is Outcome.IN_DOUBT
    assert "look at it in the Atlas UI" in (story.state.error_message or "")
    story.resume(after=3600)
    assert (story.phase, story.state.accepted_at) == (Phase.DOUBT, None)
    story.read("COMPLETE")
    assert story.state.outcome is Outcome.SUCCESS


def test_a_lag_after_an_accepted_put_takes_nothing_back() -> None:
    """A replica that is behind shows it for some time; the answer said that it was accepted."""
    story = accepted()
    assert story.read("WORKING", True, 2.0, after=2) == []
    assert story.phase is Phase.ACCEPTED


@pytest.mark.parametrize("status", ["NEW", None, "STRANGE"])
def test_a_missing_lag_proves_nothing_in_another_status(status: str | None) -> None:
    """Garbage is no evidence."""
    story = in_doubt()
    for _ in range(9):
        assert "cutover_accepted" not in story.read(status, after=4)


def test_a_missing_lag_proves_nothing_where_none_was_reported() -> None:
    """With `gate: off` the job may never have had one."""
    story = Story(policy=Policy(gate=None))
    story.read("WORKING")
    story.request()
    story.answer(AnswerKind.LOST)
    for _ in range(9):
        assert story.read("WORKING", after=10) == []
    assert story.phase is Phase.DOUBT


def test_a_document_without_any_lag_proves_nothing_where_another_kind_had_one() -> None:
    """A run begun with v2 that goes on with v1.0's older documents."""
    story = in_doubt()
    story.read(*OLDER, after=10)
    for _ in range(9):
        assert story.read(*OLDER, after=10) == []
    assert story.phase is Phase.DOUBT


@pytest.mark.parametrize(("status", "outcome"), [("COMPLETE", Outcome.SUCCESS), ("FAILED", Outcome.FAILED)])
def test_a_final_status_ends_the_doubt(status: str, outcome: Outcome) -> None:
    """Whoever began it, it is over."""
    story = in_doubt()
    story.read(status, after=1)
    assert story.state.outcome is outcome


@pytest.mark.parametrize("fails", [True, False])
def test_what_cannot_be_settled_ends_in_doubt_after_a_read_at_the_deadline(fails: bool) -> None:
    """The message says what was sent and what to do."""
    story = in_doubt(timeout=600)
    story.read("NEW", after=599)
    assert isinstance(story.step(), Read)
    story.now += 3600
    assert isinstance(story.step(), Read), "a deadline that passed unseen ends nothing"
    story.read_fails("503 down") if fails else story.read("NEW")
    assert story.finish() is Outcome.IN_DOUBT
    message = story.state.error_message or ""
    assert message.startswith("1 PUT sent, its answer was lost")
    assert ("503 down" if fails else "the job shows NEW") in message
    assert "look at it in the Atlas UI" in message


def test_a_second_put_passes_the_gate_again() -> None:
    """The lag may have grown while the first was in doubt."""
    story = in_doubt()
    story.read("WORKING", True, 5000.0, after=4)
    assert story.read("WORKING", True, 5000.0, after=4) == ["cutover_not_begun"]
    assert story.read("WORKING", True, 5000.0) == ["gate_waiting"]
    assert isinstance(story.step(), Read)
    assert story.read("WORKING", True, 5.0, after=4) == ["gate_opened"]
    assert story.step() == SendPut(attempt=1)


def test_doubt_from_another_run_that_cannot_be_settled_says_so() -> None:
    """The message does not claim a PUT of its own."""
    story = Story(policy=Policy(timeout=60))
    story.take(CutoverInDoubt(at=NOW, migration="orders", reason="run r1 sent a PUT", settle=4.0))
    story.read("NEW", after=60)
    assert story.finish() is Outcome.IN_DOUBT
    assert (story.state.error_message or "").startswith("another run has sent a PUT")


def sent_elsewhere() -> Story:
    """Another run has sent a PUT to another server."""
    story = Story(policy=Policy(timeout=600))
    story.read("WORKING", True, 1.0)
    reason = "run r1 sent a PUT"
    story.take(CutoverInDoubt(at=NOW, migration="orders", reason=reason, settle=4.0, elsewhere="https://there"))
    return story


@pytest.mark.parametrize("resumed", [False, True])
def test_a_job_that_is_ready_at_one_server_says_nothing_of_a_put_to_another(resumed: bool) -> None:
    """Nothing that is read later would, so it ends at once, for a person; a session that goes on with it knows no more."""
    story = sent_elsewhere()
    for _ in range(2 if resumed else 1):
        assert story.read("WORKING", True, 1.0, after=SETTLE) == []
        assert story.read("WORKING", True, 1.0, after=2) == ["migration_finished"]
        assert ending(story).outcome is Outcome.IN_DOUBT
        said = ending(story).error_message or ""
        assert said.startswith("another run has sent a PUT to https://there, and how that ended is not known")
        assert said.endswith("look at it in the Atlas UI")
        if resumed:
            story.resume(after=1)


def test_a_cutover_that_is_seen_at_another_server_is_followed() -> None:
    """Two addresses may be one Atlas: what shows that a cutover began, or is over, needs no PUT."""
    story = sent_elsewhere()
    story.read("WORKING", False, None, after=SETTLE)
    assert story.read("WORKING", False, None, after=2) == ["cutover_accepted"]
    assert story.read("WORKING", True, 1.0, after=2) == ["cutover_in_doubt"]
    story.read("WORKING", True, 1.0, after=2)
    assert story.read("WORKING", True, 1.0, after=2) == ["migration_finished"], "the doubt is what it was"
    assert ending(story).outcome is Outcome.IN_DOUBT
    story = sent_elsewhere()
    assert story.read("COMPLETE", after=1) == ["status_changed", "migration_finished"]
    assert ending(story).outcome is Outcome.SUCCESS


@pytest.mark.parametrize("document", [OLDER, ("PENDING", None)])
def test_documents_without_a_lag_never_prove_that_nothing_began(document: tuple[str, bool | None]) -> None:
    """Ready may mean anything during a cutover, so only a final status helps."""
    story = Story(policy=Policy(gate=None, timeout=60))
    story.read(*document)
    story.request(reads=document)
    story.answer(AnswerKind.LOST)
    for _ in range(9):
        assert story.read(*document, after=6) == []
    story.read(*document, after=6)
    assert story.finish() is Outcome.IN_DOUBT


# -- after the PUT -----------------------------------------------------------------------------------------------------


def test_an_accepted_cutover_times_out_after_a_read_at_the_deadline() -> None:
    """Also when the program slept through the deadline."""
    story = accepted(timeout=600)
    story.read("WORKING", after=599)
    story.now += 3600
    assert isinstance(story.step(), Read)
    story.read("WORKING")
    assert story.finish() is Outcome.TIMED_OUT
    assert story.state.error_message == "accepted, but not final within 10m (the job shows WORKING)"


@pytest.mark.parametrize(
    ("status", "outcome"), [("COMPLETE", Outcome.SUCCESS), ("FAILED", Outcome.FAILED), ("WORKING", Outcome.TIMED_OUT)]
)
def test_an_accepted_cutover_that_cannot_be_read_at_its_deadline_is_read_on(status: str, outcome: Outcome) -> None:
    """TIMED_OUT is for good, so it is not for one lost answer to say."""
    story = accepted(timeout=600)
    story.read("WORKING", after=599)
    story.read_fails("503 down", after=1)
    assert story.step() == Read(kind=ReadKind.POLL, attempt=3, deadline=NOW + 600 + OVERTIME)
    story.read(status, after=2)
    if outcome is Outcome.TIMED_OUT:
        story.finish()
    assert story.state.outcome is outcome


@pytest.mark.parametrize(
    ("status", "outcome"), [("COMPLETE", Outcome.SUCCESS), ("FAILED", Outcome.FAILED), ("WORKING", Outcome.TIMED_OUT)]
)
def test_an_accepted_cutover_that_cannot_be_read_for_long_is_in_doubt(status: str, outcome: Outcome) -> None:
    """What Atlas does not let us tell. A later session reads it, and sends nothing: it was accepted, whatever the job shows."""
    story = accepted(timeout=600, hooks=Hooks(after_failure=ONE, after_success=ONE))
    for _ in range(2):
        story.read_fails("503 down", after=600)
    assert story.finish() is Outcome.IN_DOUBT
    assert story.state.error_message == (
        "accepted, but whether it has ended could not be read by the end of its 10m (503 down): look at it in the Atlas UI"
    )
    story.hook("after_failure")
    story.resume(after=3600)
    assert (story.phase, story.state.outcome, story.state.finished_at) == (Phase.ACCEPTED, None, None)
    story.read(status, True, 1.0)
    if outcome is Outcome.TIMED_OUT:
        story.finish()
    assert story.state.outcome is outcome
    kind = HookKind.AFTER_SUCCESS if outcome is Outcome.SUCCESS else HookKind.AFTER_FAILURE
    assert story.step() == RunHook(hook=kind, index=0), "the hooks of the outcome it has now"


def test_a_job_found_complete_by_the_read_at_the_deadline_is_a_success() -> None:
    """Late, but what Atlas says counts."""
    story = accepted(timeout=600)
    story.read("COMPLETE", after=9999)
    assert story.state.outcome is Outcome.SUCCESS


@pytest.mark.parametrize(("status", "hook"), [("COMPLETE", HookKind.AFTER_SUCCESS), ("FAILED", HookKind.AFTER_FAILURE)])
def test_after_hooks_run_by_outcome(status: str, hook: HookKind) -> None:
    """Each once, whether it succeeds or not, then nothing is left to do."""
    story = accepted(hooks=Hooks(after_success=ONE * 2, after_failure=ONE * 2))
    story.read(status)
    for index in range(2):
        assert story.step() == RunHook(hook=hook, index=index)
        story.hook(hook, exit_code=index)
    assert story.step() == Done()


def test_a_put_under_way_whose_answer_never_came_is_read_until_its_deadline() -> None:
    """Phase REQUESTED by itself never leads to another PUT."""
    story = requested(timeout=60)
    assert story.step() == Read(kind=ReadKind.POLL, attempt=1, deadline=NOW + 60)
    story.read("WORKING", True, 1.0, after=60)
    assert story.finish() is Outcome.IN_DOUBT


# -- continuing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("story", [Story(), at_ready(), at_ready(hooks=Hooks(before=ONE))])
def test_what_had_no_put_starts_afresh(story: Story) -> None:
    """Gate and hooks belong to the session that waited for them."""
    polls, seen = story.state.polls, story.state.polls > 0
    story.resume(after=3600)
    assert story.state == MigrationState(polls=polls, reported_lag=seen, was_there=seen, was_ready=seen)


def test_what_waited_at_its_gate_waits_afresh() -> None:
    """The gate's time is counted anew."""
    story = Story()
    story.read("NEW", False)
    story.resume(after=9999)
    story.read("NEW", False)
    assert story.step() == Read(kind=ReadKind.GATE, attempt=1, deadline=story.now + 1800)


def test_a_put_without_recorded_answer_is_in_doubt() -> None:
    """Nothing is known but that it may have left."""
    story = requested()
    story.resume(after=100)
    assert (story.state.phase, story.state.doubt_since) == (Phase.DOUBT, NOW + 100)
    assert story.step() == Read(kind=ReadKind.POLL, attempt=0, deadline=NOW + 100 + 7200)


@pytest.mark.parametrize("ahead", [700 * 86400.0, 3600.0, -3600.0, -700 * 86400.0])
def test_each_session_waits_for_the_settle_time_whatever_the_clock_was_before(ahead: float) -> None:
    """Set right between two sessions, it makes none longer than the longest that was asked for, nor shorter."""
    story = in_doubt(settle=30.0)
    story.resume(after=-ahead, settle=4.0)
    assert (story.state.doubt_since, story.state.settle) == (story.now, 30.0)
    assert story.read("WORKING", True, 1.0, after=29) == []
    assert story.read("WORKING", True, 1.0, after=1) == []
    assert story.read("WORKING", True, 1.0, after=5) == ["cutover_not_begun"]


def test_doubt_starts_anew_and_keeps_its_longer_settling_time() -> None:
    """A PUT without an answer may arrive as late as before, whatever died meanwhile."""
    story = in_doubt(settle=30.0)
    story.resume(after=1)
    for _ in range(5):
        assert story.read("WORKING", True, 1.0, after=5) == []
    story.read("WORKING", True, 1.0, after=5)
    assert "cutover_not_begun" in story.read("WORKING", True, 1.0, after=5)


def test_an_outcome_in_doubt_is_read_again_but_never_sent_again_without_evidence() -> None:
    """The person looked, the run goes on."""
    story = in_doubt(timeout=60, hooks=Hooks(after_failure=ONE, after_success=ONE))
    story.read("NEW", after=60)
    story.finish()
    story.hook("after_failure")
    story.resume(after=3600)
    assert (story.state.phase, story.state.outcome, story.state.finished_at) == (Phase.DOUBT, None, None)
    story.read("COMPLETE")
    assert story.state.outcome is Outcome.SUCCESS
    assert story.step() == RunHook(hook=HookKind.AFTER_SUCCESS, index=0), "the hooks of the outcome it has now"


def test_an_accepted_cutover_is_followed_on_with_its_own_deadline() -> None:
    """The clock ran on while the program was down; one more read decides."""
    story = accepted(timeout=600)
    story.read("WORKING", after=599)
    story.resume(after=3600)
    assert story.step() == Read(kind=ReadKind.POLL, attempt=1, deadline=NOW + 600)
    story.read("WORKING", after=2)
    assert story.finish() is Outcome.TIMED_OUT


def test_a_row_of_puts_that_came_to_nothing_does_not_go_on_in_the_next_session() -> None:
    """An evening's PUTs are no reason to give up the next evening, when a cutover that seemed to have begun has not."""
    story = requested(timeout=3600.0)
    story.answer(AnswerKind.NOT_CARRIED_OUT, http_status=429)
    story.request(after=3000)
    story.answer(AnswerKind.LOST)
    story.read("WORKING", False, None, after=SETTLE)
    assert story.read("WORKING", False, None, after=2) == ["cutover_accepted"]
    story.resume(after=1800)
    assert story.read("WORKING", True, 1.0, after=2) == ["cutover_in_doubt"]
    story.read("WORKING", True, 1.0, after=2)
    assert story.read("WORKING", True, 1.0, after=2) == ["cutover_not_begun"]
    assert story.read("WORKING", True, 1.0, after=2) == ["gate_opened"]
    assert story.step() == SendPut(attempt=0)


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("times", [1, 2])
def test_a_put_that_was_not_carried_out_leaves_no_doubt_behind(times: int, waits: bool) -> None:
    """However often the run is continued, also while it waits at its gate again."""
    story = requested()
    story.answer(AnswerKind.NOT_CARRIED_OUT)
    for _ in range(times):
        story.resume(after=100)
        assert story.step() == Read(kind=ReadKind.GATE, attempt=0, deadline=story.now)
        if waits:
            assert story.read_fails("503") == ["gate_waiting"]
    story.read("WORKING", True, 1.0)
    assert story.step() == SendPut(attempt=0)


def test_doubt_left_by_another_run_survives_continuing() -> None:
    """No PUT of this run is needed for it."""
    story = Story(policy=Policy(gate=None))
    story.take(CutoverInDoubt(at=NOW, migration="orders", reason="run r1 sent a PUT", settle=4.0))
    story.resume(after=1)
    assert story.read("WORKING", True, 1.0) == [], "no gate opens: it is still in doubt"
    story.take(CutoverAccepted(at=NOW, migration="orders", http_status=None, status="WORKING", evidence=Evidence.JOB))
    story.resume(after=1)
    assert story.phase is Phase.ACCEPTED


@pytest.mark.parametrize("outcome", [Outcome.SUCCESS, Outcome.FAILED, Outcome.TIMED_OUT])
@pytest.mark.parametrize("retry_failed", [True, False])
def test_outcomes_after_a_put_stay(outcome: Outcome, retry_failed: bool) -> None:
    """Also with --retry-failed: a PUT was sent."""
    story = accepted()
    story.take(MigrationFinished(at=NOW, migration="orders", outcome=outcome, status=None))
    before = story.state
    story.resume(after=1, retry_failed=retry_failed)
    assert story.state == before


@pytest.mark.parametrize(("retry_failed", "phase"), [(True, Phase.NEW), (False, Phase.FINISHED)])
def test_a_failure_before_the_put_is_tried_again_on_request(retry_failed: bool, phase: Phase) -> None:
    """A gate that stayed closed may open tonight."""
    story = Story()
    story.read("FAILED")
    story.resume(retry_failed=retry_failed)
    assert story.state.phase is phase


def test_continuing_a_fresh_state_changes_nothing() -> None:
    """Continuing is idempotent."""
    story = in_doubt()
    story.resume(after=5)
    once = story.state
    story.resume()
    assert story.state == once


@pytest.mark.parametrize("made", [in_doubt, begun_by_evidence])
def test_the_end_of_a_doubt_tells_no_command_that_could_go_to_another_run(made: Callable[..., Story]) -> None:
    """`resume` without a run's id goes on with the newest one; the need of it has the command, with the id."""
    story = made(timeout=60)
    story.read("WORKING", False, None, after=100)
    assert story.finish() is Outcome.IN_DOUBT
    said = ending(story).error_message or ""
    assert said.endswith("look at it in the Atlas UI")
    assert "atlas-cutover" not in said
