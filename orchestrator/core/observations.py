"""What a read of one live migration's job, or the answer to its PUT, means: the events that follow. Pure."""

from __future__ import annotations

from dataclasses import replace

from ..text.durations import format_duration, rough_duration
from .events import (
    CutoverAccepted,
    CutoverInDoubt,
    CutoverNotBegun,
    CutoverRefused,
    Event,
    Evidence,
    GateOpened,
    GateWaiting,
    MigrationFinished,
    StatusChanged,
    StatusPolled,
    VerificationStarted,
)
from .evidence import WORD_LIFE, at_gate, may_be_under_way
from .migration import BEFORE_THE_PUT, MigrationState, Phase, refusal_is_definite
from .migration_fold import apply
from .next_step import (
    GATE_LIFE,
    LOOK,
    MOST_CHALLENGES,
    SIGNS,
    Answer,
    AnswerKind,
    Policy,
    Reading,
    how_sent,
    known_reading,
)
from .outcomes import Outcome, RemoteStatus, normalise


def observe(
    state: MigrationState, reading: Reading, policy: Policy, *, migration: str, now: float
) -> tuple[Event, ...]:
    """What *reading*, taken at *now*, means: first the read itself, then what follows from it."""
    polled = StatusPolled(
        at=now,
        migration=migration,
        status=reading.status,
        ready=reading.ready,
        lag=reading.lag,
        took=round(reading.took, 3),
    )
    events: list[Event] = [polled]
    known = state.remote_status is not None or state.last_read_at is not None  # null is a status, too
    if known and reading.status != state.remote_status:
        events.append(
            StatusChanged(
                at=now, migration=migration, status=reading.status, previous=state.remote_status, lag=reading.lag
            )
        )
    after = apply(state, polled)
    meaning = normalise(reading.status)
    if meaning is not RemoteStatus.PENDING:
        events.append(_final(after, reading, policy, migration=migration, now=now))
    elif state.phase in BEFORE_THE_PUT:
        events += _at_the_gate(state, reading, policy, migration=migration, now=now)
    elif state.phase is Phase.DOUBT:
        events += _settled(after, reading, policy, migration=migration, now=now)
    elif state.by_evidence and reading.lag is not None:
        reason = f"its cutover seemed to have begun, but the job reports its lag again ({format_duration(reading.lag)})"
        events.append(CutoverInDoubt(at=now, migration=migration, reason=reason, settle=0.0))
    return tuple(events)


def looked(state: MigrationState, reading: Reading, policy: Policy, *, migration: str, now: float) -> tuple[Event, ...]:
    """What *reading* means that was made to see who is in charge of a migration for which nothing was sent, and nothing will be.

    Before its PUT an end of the job is its own; once it is over, it shows that somebody else has cut it over, as a lag does that is gone.
    """
    polled, *_ = found = observe(state._replace(phase=Phase.NEW), reading, policy, migration=migration, now=now)
    after = apply(state, polled)
    if state.phase in BEFORE_THE_PUT and isinstance(found[-1], (MigrationFinished, VerificationStarted)):
        return found
    if reading.status == state.remote_status and after.lag_gone == state.lag_gone and not state.unread:
        return (polled,)
    changed = StatusChanged(
        at=now,
        migration=migration,
        status=reading.status,
        previous=state.remote_status,
        lag=reading.lag,
        lag_gone=after.lag_gone,
    )
    return (polled, changed)


def observe_failure(
    state: MigrationState, error: str, policy: Policy, *, migration: str, now: float, refused: bool, gone: bool = False
) -> tuple[Event, ...]:
    """What a read that gave nothing means.

    *refused*: Atlas answered with a 4xx, so asking again is no use. *gone*: with a 404, it knows no such job. That settles no
    doubt, and when it is said twice in a row, no later read will. Nor does it say what has become of a job that was there before.
    """
    polled = StatusPolled(at=now, migration=migration, error=error)
    if state.phase is Phase.DOUBT and gone and state.note == error:
        return (polled, *_gone(state, error, migration=migration, now=now))
    if state.phase not in BEFORE_THE_PUT:
        return (polled,)
    if refused:
        why = f"the job could not be read: {error}"
        ended = finished(apply(state, polled), Outcome.FAILED, why, migration=migration, now=now)
        # A job that was there, and is not: somebody may have cut it over, and have put it away.
        return (polled, replace(ended, lag_gone=ended.lag_gone or (gone and state.was_there)))
    shown_at = state.gate_since if state.known_at is None else state.known_at
    unread = state.unread or (shown_at is not None and now - shown_at > WORD_LIFE)
    if state.phase is Phase.GATE and unread == state.unread:
        return (polled,)
    waiting = GateWaiting(
        at=now,
        migration=migration,
        status=state.remote_status,
        ready=state.ready,  # as it was read last: that nothing came now says nothing of them
        lag=state.lag,
        max_lag=policy.gate.max_lag if policy.gate else None,
        note=error,
        lag_gone=state.lag_gone,
        unread=unread,
    )
    return (polled, waiting)


def look_failed(state: MigrationState, error: str, *, migration: str, now: float) -> tuple[Event, ...]:
    """The same of one that gave nothing: nobody knows who is in charge, as hooks hear; so the run's record says that, too."""
    polled = StatusPolled(at=now, migration=migration, error=error)
    if state.unread:
        return (polled,)
    word = state.remote_status
    changed = StatusChanged(
        at=now,
        migration=migration,
        status=word,
        previous=word,
        lag=state.lag,
        lag_gone=state.lag_gone,
        unread=True,
    )
    return (polled, changed)


def observe_before_sending(
    state: MigrationState, reading: Reading, policy: Policy, *, reason: str, migration: str, now: float
) -> tuple[Event, ...]:
    """What *reading* means, made with the intent recorded and the PUT not sent, as it had waited too long (*reason*).

    If the gate is still open, *state* stays in phase REQUESTED and the PUT may leave; otherwise it is held back.
    """
    back = put_not_sent(reason, migration=migration, now=now)
    found = observe(apply(state, back), reading, policy, migration=migration, now=now)
    if any(isinstance(event, GateOpened) for event in found):
        return tuple(event for event in found if isinstance(event, (StatusPolled, StatusChanged)))
    return (back, *found)


def put_not_sent(reason: str, *, migration: str, now: float) -> CutoverNotBegun:
    """The PUT whose intent is recorded is not sent after all, for *reason*."""
    return CutoverNotBegun(at=now, migration=migration, reason=f"not sent: {reason}", sent=False)


def answered(state: MigrationState, answer: Answer, policy: Policy, *, migration: str, now: float) -> tuple[Event, ...]:
    """What the PUT's *answer* means. *state* is in phase REQUESTED."""
    match answer.kind:
        case AnswerKind.ACCEPTED:
            reading = answer.reading
            status = reading.status if reading else None
            return (CutoverAccepted(at=now, migration=migration, http_status=answer.http_status, status=status),)
        case AnswerKind.NOT_CARRIED_OUT:
            not_begun = _not_begun(answer, migration=migration, now=now)
            if apply(state, not_begun).challenges >= MOST_CHALLENGES:
                return (not_begun, finished(state, Outcome.FAILED, answer.reason, migration=migration, now=now))
            return (not_begun,)
        case AnswerKind.REFUSED:
            refused = CutoverRefused(
                at=now,
                migration=migration,
                http_status=answer.http_status,
                reason=answer.reason,
                settle=policy.settle,
            )
            return (refused,)
        case AnswerKind.LOST:
            return (CutoverInDoubt(at=now, migration=migration, reason=answer.reason, settle=policy.settle),)


def _not_begun(answer: Answer, *, migration: str, now: float) -> CutoverNotBegun:
    return CutoverNotBegun(
        at=now, migration=migration, reason=answer.reason, http_status=answer.http_status, sent=answer.sent
    )


def finished(
    state: MigrationState, outcome: Outcome, message: str | None, *, migration: str, now: float
) -> MigrationFinished:
    """It has ended with *outcome*, as *state* has it; *message*: what is said of that."""
    ours = state.requested_at is not None and not state.came_to_nothing  # then it is our own cutover that shows
    return MigrationFinished(
        at=now,
        migration=migration,
        outcome=outcome,
        status=state.remote_status,
        error_message=message,
        polls=state.polls,
        lag_gone=state.lag_gone and not ours,
        unread=state.read_failed and not ours,
    )


def _final(
    state: MigrationState, reading: Reading, policy: Policy, *, migration: str, now: float
) -> MigrationFinished | VerificationStarted:
    success = normalise(reading.status) is RemoteStatus.SUCCESS
    if success and policy.hooks.verify:
        return VerificationStarted(at=now, migration=migration, status=reading.status)
    if success:
        return finished(state, Outcome.SUCCESS, None, migration=migration, now=now)
    why = reading.error_message or f"Atlas reports {reading.status}"
    return finished(state, Outcome.FAILED, why, migration=migration, now=now)


def _at_the_gate(state: MigrationState, reading: Reading, policy: Policy, *, migration: str, now: float) -> list[Event]:
    gate = policy.gate
    gone = may_be_under_way(reading, reported_lag=state.reported_lag)

    def opened(note: str | None) -> list[Event]:
        return [
            GateOpened(
                at=now, migration=migration, status=reading.status, ready=reading.ready, lag=reading.lag, note=note
            )
        ]

    def waiting(note: str | None) -> list[Event]:
        return [
            GateWaiting(
                at=now,
                migration=migration,
                status=reading.status,
                ready=reading.ready,
                lag=reading.lag,
                max_lag=gate.max_lag if gate else None,
                note=note,
                lag_gone=gone,
            )
        ]

    if reading.took > GATE_LIFE:
        return waiting(f"the answer took {rough_duration(reading.took)}: it is too old to go by")
    if gate is None:
        return opened(None)
    seen = {"reported_lag": state.reported_lag, "was_ready": state.was_ready}
    view = at_gate(reading, gate, **seen)
    if view.is_open:
        return opened(view.note)
    told = state.note or at_gate(known_reading(state), gate, **seen).note
    # Later sessions and runs have to know of it, and no `status_changed` tells it.
    first_lag = reading.lag is not None and not state.reported_lag and reading.status == state.remote_status
    said = gone == state.lag_gone and not state.unread and not first_lag
    if state.phase is Phase.GATE and view.note in (None, told) and said:
        return []
    return waiting(view.note)


def _settled(state: MigrationState, reading: Reading, policy: Policy, *, migration: str, now: float) -> list[Event]:
    """What a read in doubt has settled: that the cutover began, that it did not, or nothing yet."""
    if state.begun_reads >= SIGNS:
        return [
            CutoverAccepted(at=now, migration=migration, http_status=None, status=reading.status, evidence=Evidence.JOB)
        ]
    if state.not_begun_reads < (1 if refusal_is_definite(state) else SIGNS):
        return []
    lag = (
        f"still reports its lag ({format_duration(reading.lag)})" if reading.lag is not None else "is as it was before"
    )
    if state.elsewhere:
        why = (
            f"{how_sent(state)}, and how that ended is not known: that the job is ready here and {lag} is no word of that server's. A run "
            f"with atlas.base_url set back to it settles that; or {LOOK}"
        )
        return [finished(state, Outcome.IN_DOUBT, why, migration=migration, now=now)]
    reason = f"{state.refusal}; the job {lag}" if state.refused else f"the job is ready and {lag}"
    not_begun = CutoverNotBegun(at=now, migration=migration, reason=reason)
    if not state.refused or (state.conflict and not state.doubted and policy.gate is not None):
        return [not_begun]  # to its gate
    return [not_begun, finished(state, Outcome.FAILED, state.refusal, migration=migration, now=now)]


def _gone(state: MigrationState, error: str, *, migration: str, now: float) -> tuple[Event, ...]:
    """A doubt ends, as its job is not there: a PUT that was refused for that began nothing, of others no read can tell."""
    gone = f"Atlas knows no such job any more ({error})"
    if refusal_is_definite(state):
        not_begun = CutoverNotBegun(at=now, migration=migration, reason=f"{state.refusal}; {gone}")
        ended = finished(state, Outcome.FAILED, state.refusal, migration=migration, now=now)
        return (not_begun, replace(ended, lag_gone=state.was_there))  # our PUT did nothing; somebody else's may have
    why = (
        f"{how_sent(state)}, and {gone}, so no read can tell how that ended: look into the report of that PUT's run and at "
        "the cluster in the Atlas UI; `abort` gives this one up"
    )
    return (finished(state._replace(polls=state.polls + 1), Outcome.IN_DOUBT, why, migration=migration, now=now),)
