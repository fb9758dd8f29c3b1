"""A PUT that Atlas answers with a 4xx: it is no end before the job has been read."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.core.events import CutoverInDoubt, CutoverRefused
from orchestrator.core.migration import Phase
from orchestrator.core.next_step import AnswerKind, Policy, Read, ReadKind, SendPut
from orchestrator.core.outcomes import Outcome
from orchestrator.core.workflow import Gate

from ..builders import NOW, SETTLE, Story, accepted, in_doubt, requested

OTHERS = [400, 403, 404, 422]


def refused(http_status: int = 403, story: Story | None = None, **policy: Any) -> Story:
    """A migration whose PUT was answered with *http_status*."""
    story = story or requested(**policy)
    assert story.answer(AnswerKind.REFUSED, reason=f"{http_status} no", http_status=http_status) == ["cutover_refused"]
    return story


@pytest.mark.parametrize("http_status", OTHERS)
@pytest.mark.parametrize("shown", [("WORKING", True, 1.0), ("WORKING", False, 40.0), ("NEW", True, 0.0)])
def test_a_refused_put_fails_once_a_read_shows_that_nothing_began(http_status: int, shown: Any) -> None:
    """At once, with Atlas's reason; the journal also learns that nothing was begun."""
    story = refused(http_status)
    assert story.step() == Read(kind=ReadKind.POLL, attempt=0, deadline=NOW + 7200)
    assert [name for name in story.read(*shown) if name != "status_changed"] == [
        "cutover_not_begun",
        "migration_finished",
    ]
    assert (story.state.outcome, story.state.error_message) == (Outcome.FAILED, f"{http_status} no")


@pytest.mark.parametrize("http_status", [*OTHERS, 409])
@pytest.mark.parametrize(("word", "outcome"), [("COMPLETE", Outcome.SUCCESS), ("FAILED", Outcome.FAILED)])
def test_a_refusal_is_not_believed_of_a_job_whose_cutover_runs(http_status: int, word: str, outcome: Outcome) -> None:
    """A proxy has sent the PUT twice: the first was carried out, and ours is the answer to the second."""
    story = refused(http_status)
    for _ in range(2):
        assert story.read("WORKING", False, None, after=SETTLE) in ([], ["cutover_accepted"])
    assert story.phase is Phase.ACCEPTED
    story.read(word, after=2)
    assert story.state.outcome is outcome


@pytest.mark.parametrize("http_status", [*OTHERS, 409])
def test_a_refusal_whose_job_is_over_ends_as_the_job_did(http_status: int) -> None:
    """One read."""
    story = refused(http_status)
    story.read("COMPLETE")
    assert story.state.outcome is Outcome.SUCCESS


@pytest.mark.parametrize("shown", [("PENDING", True), ("PENDING", None), ("PENDING", False), ("WORKING", True)])
def test_a_document_without_lag_shows_that_nothing_began_by_being_as_it_was(shown: Any) -> None:
    """The refusal itself is a strong word; what has lost nothing of what it said does not contradict it."""
    story = Story(policy=Policy(gate=None, settle=SETTLE))
    story.read(*shown)
    story.request(reads=shown)
    refused(403, story)
    story.read(*shown)
    assert story.state.outcome is Outcome.FAILED


@pytest.mark.parametrize("http_status", [403, 409])
def test_a_job_that_has_not_begun_to_copy_has_not_been_cut_over(http_status: int) -> None:
    """`gate: off` sends its PUT, Atlas refuses it, and NEW without a lag is as much as its document can say."""
    story = Story(policy=Policy(gate=None, settle=SETTLE))
    story.read("NEW", False)
    story.request(reads=("NEW", False))
    refused(http_status, story)
    story.read("NEW", False, after=SETTLE)
    if http_status == 409:
        story.read("NEW", False, after=1)
    assert story.state.outcome is Outcome.FAILED


@pytest.mark.parametrize("ready", [False, None])
def test_a_job_that_works_without_a_lag_may_have_been_cut_over(ready: bool | None) -> None:
    """It says so little that its lag may be gone: the refusal stays in doubt."""
    story = Story(policy=Policy(gate=None, settle=SETTLE))
    story.read("WORKING", ready)
    story.request(reads=("WORKING", ready))
    refused(403, story)
    assert story.read("WORKING", ready, after=SETTLE) == []


@pytest.mark.parametrize("shown", [("PENDING", False), ("PENDING", None), (None, True), ("STRANGE", True)])
def test_a_document_that_has_lost_something_leaves_the_refusal_in_doubt(shown: Any) -> None:
    """It was ready before the PUT: a cutover may have begun, and only a final status tells."""
    story = Story(policy=Policy(timeout=60, settle=SETTLE))
    story.read("PENDING", True)
    story.request()
    refused(403, story)
    for _ in range(10):
        assert "migration_finished" not in story.read(*shown, after=6)
    assert story.finish() is Outcome.IN_DOUBT
    assert "403 no" in (story.state.error_message or "")


def test_a_read_that_fails_shows_nothing() -> None:
    """The next one may."""
    story = refused()
    assert story.read_fails("503") == []
    assert story.read("WORKING", True, 1.0, after=2) == ["cutover_not_begun", "migration_finished"]


# -- 409 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shown", [("WORKING", True, 1.0), ("WORKING", False, 40.0)])
def test_a_409_before_any_cutover_goes_back_to_the_gate(shown: Any) -> None:
    """The job was not ready after all: no failure. As a PUT that was sent twice gets a 409 as well, it takes a settle time."""
    story = refused(409)
    assert story.read(*shown, after=SETTLE - 1) == []
    assert story.read(*shown, after=1) == []
    assert story.read(*shown, after=1) == ["cutover_not_begun"]
    assert story.step() == Read(kind=ReadKind.GATE, attempt=0, deadline=story.now)
    story.read("WORKING", True, 1.0)
    assert story.step() == SendPut(attempt=1)


def test_a_job_with_an_older_document_goes_back_to_its_gate_while_it_stays_ready() -> None:
    """PENDING and readyForCutover alone."""
    story = Story(policy=Policy(settle=SETTLE))
    story.read("PENDING", True)
    story.request()
    refused(409, story)
    assert story.read("PENDING", False, after=SETTLE) == [], "its cutover may have begun"
    assert story.read("PENDING", True, after=1) == []
    assert story.read("PENDING", True, after=1) == ["cutover_not_begun"]
    assert story.read("PENDING", True, after=1) == ["gate_opened"]


@pytest.mark.parametrize("ready", [True, False])
def test_409s_end_with_the_gates_timeout(ready: bool) -> None:
    """Whether the job says that it is ready or not: FAILED, with Atlas's reason."""
    story = refused(409, gate=Gate(timeout=600))
    puts = 1
    while story.phase is not Phase.FINISHED:
        step = story.step()
        if isinstance(step, SendPut):
            story.request()
            refused(409, story)
            puts += 1
        elif isinstance(step, Read):
            story.read("WORKING", ready, 1.0, after=5)
        else:
            assert story.finish() is Outcome.FAILED
    assert story.state.error_message == "the gate did not open in 10m: 409 no"
    assert 600 <= story.now - NOW <= 600 + SETTLE + 30
    assert puts == 1 if not ready else 20 < puts < 60


def test_a_409_is_a_failure_where_there_is_no_gate_to_wait_at() -> None:
    """`gate: off` sends the PUT whatever the job is like, and takes the answer for what it is, once it is settled."""
    story = refused(409, gate=None)
    story.read("WORKING", False, 3.0, after=SETTLE)
    assert story.read("WORKING", False, 3.0, after=1) == ["cutover_not_begun", "migration_finished"]
    assert story.state.outcome is Outcome.FAILED


# -- after a doubt, over sessions --------------------------------------------------------------------------------------


def doubted_before(kind: str) -> Story:
    """A migration whose second PUT is on the wire, after one that was lost: by this run, or by another."""
    story = in_doubt() if kind == "this run" else Story()
    if kind != "this run":
        story.take(CutoverInDoubt(at=NOW, migration="orders", reason="run r1 sent a PUT", settle=SETTLE))
    for _ in range(2):
        story.read("WORKING", True, 1.0, after=SETTLE)
    story.request()
    return story


@pytest.mark.parametrize("kind", ["this run", "another run"])
@pytest.mark.parametrize("http_status", [*OTHERS, 409])
def test_a_refusal_after_a_doubt_whose_job_shows_that_nothing_began_is_failed(kind: str, http_status: int) -> None:
    """After the settle time, and not after a few hundred more PUTs."""
    story = refused(http_status, doubted_before(kind))
    assert story.read("WORKING", True, 1.0, after=SETTLE - 1) == []
    assert story.read("WORKING", True, 1.0, after=1) == []
    assert story.read("WORKING", True, 1.0, after=1) == ["cutover_not_begun", "migration_finished"]
    assert story.state.outcome is Outcome.FAILED


def test_a_refusal_after_a_doubt_may_mean_that_the_first_put_arrived() -> None:
    """Late: the job tells."""
    story = refused(409, doubted_before("this run"))
    for _ in range(2):
        story.read("WORKING", True, None, after=SETTLE)
    assert story.phase is Phase.ACCEPTED
    assert story.read("WORKING", True, 1.0, after=1) == ["cutover_in_doubt"]
    story.read("WORKING", True, 1.0, after=1)
    assert story.read("WORKING", True, 1.0, after=1) == ["cutover_not_begun", "migration_finished"]


def test_a_refusal_that_no_read_followed_is_read_by_the_next_session() -> None:
    """The program died in between."""
    story = refused(403)
    story.resume(after=1)
    assert story.phase is Phase.DOUBT
    assert story.read("WORKING", True, 1.0) == ["cutover_not_begun", "migration_finished"]


def test_a_409_that_no_read_followed_settles_in_the_next_session() -> None:
    """From its beginning on, like a doubt."""
    story = refused(409)
    story.resume(after=100)
    assert story.read("WORKING", True, 1.0, after=SETTLE - 1) == []
    assert story.read("WORKING", True, 1.0, after=1) == []
    assert story.read("WORKING", True, 1.0, after=1) == ["cutover_not_begun"]


def test_a_refusal_is_told_with_its_status() -> None:
    """For log and report."""
    story = refused(403)
    event = story.told[-1]
    assert isinstance(event, CutoverRefused)
    assert (event.http_status, event.reason, event.settle) == (403, "403 no", SETTLE)


def test_a_put_that_was_refused_to_a_job_that_is_not_there_has_failed() -> None:
    """404 to the PUT, and to the reads after it: nothing can have begun."""
    story = refused(404)
    assert story.read_fails("404 no such job", refused=True, gone=True) == []
    assert story.read_fails("404 no such job", refused=True, gone=True, after=2) == [
        "cutover_not_begun",
        "migration_finished",
    ]
    assert (story.state.outcome, story.state.error_message) == (Outcome.FAILED, "404 no")


@pytest.mark.parametrize("conflict", [True, False])
def test_a_doubt_about_a_job_that_is_not_there_ends_when_that_is_said_twice(conflict: bool) -> None:
    """In doubt: no read will tell. Said once, or with something else between, it is no more than a read that failed."""
    story = refused(409) if conflict else in_doubt()
    for error in ("404", "503", "404"):
        assert story.read_fails(error, refused=error == "404", gone=error == "404", after=2) == []
    assert story.read_fails("404", refused=True, gone=True, after=2) == ["migration_finished"]
    assert story.state.outcome is Outcome.IN_DOUBT
    assert "Atlas knows no such job any more (404)" in str(story.state.error_message)


def test_an_accepted_cutover_whose_job_is_not_found_is_followed_on() -> None:
    """Its application stands still: wrong answers of a while are no reason to look away before its timeout."""
    story = accepted()
    for _ in range(5):
        assert story.read_fails("404", refused=True, gone=True, after=2) == []
    story.read("COMPLETE", after=2)
    assert story.state.outcome is Outcome.SUCCESS
