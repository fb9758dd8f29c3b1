"""What each event changes about one live migration. Pure.

state = apply(state, event)      fold: facts in, state out
state = reopen(state, ...)       what a continued run knows of it
"""

from __future__ import annotations

from .events import (
    CutoverAccepted,
    CutoverAdmitted,
    CutoverInDoubt,
    CutoverNotBegun,
    CutoverRefused,
    CutoverRequested,
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
    StatusChanged,
    StatusPolled,
    VerificationStarted,
)
from .evidence import WORD_LIFE, Refusal, Sign, may_be_under_way, sign
from .migration import (
    BEFORE_THE_PUT,
    CONFLICT,
    UNAUTHORIZED,
    MigrationState,
    Phase,
    refusal_is_definite,
    starts_afresh,
)
from .outcomes import Outcome, RemoteStatus, normalise
from .workflow import HookKind


def apply(state: MigrationState, event: Event) -> MigrationState:
    """*state* after *event*; other events leave it as it is."""
    match event:
        case StatusPolled():
            if event.error is not None:
                return state._replace(
                    last_read_at=event.at,
                    reads_in_phase=state.reads_in_phase + 1,
                    polls=state.polls + 1,
                    note=event.error,
                    read_failed=True,
                    begun_reads=0,
                    not_begun_reads=0,
                )
            shown = _sign(state, event)
            return state._replace(
                last_read_at=event.at,
                reads_in_phase=state.reads_in_phase + 1,
                polls=state.polls + 1,
                known_at=event.at - event.took,
                read_failed=False,
                gate_changed=False,
                remote_status=event.status,
                ready=event.ready,
                lag=event.lag,
                note=None,
                reported_lag=state.reported_lag or event.lag is not None,
                was_there=True,
                was_ready=state.was_ready or event.ready is True,
                lag_gone=_lag_gone(state, event),
                unread=False,
                begun_reads=state.begun_reads + 1 if shown is Sign.BEGUN else 0,
                not_begun_reads=state.not_begun_reads + 1 if shown is Sign.NOT_BEGUN else 0,
            )
        case StatusChanged():
            reported_lag = state.reported_lag or event.lag is not None
            return state._replace(
                remote_status=event.status,
                lag=event.lag,
                reported_lag=reported_lag,
                was_there=True,
                lag_gone=_lag_gone(state, event) if event.lag_gone is None else event.lag_gone,
                unread=event.unread,
            )
        case GateWaiting() | GateOpened():
            return _at_the_gate(state, event)
        case CutoverRequested():
            return state._replace(
                phase=Phase.REQUESTED,
                futile_since=event.at if state.futile_since is None else state.futile_since,
                came_to_nothing=False,
                requested_at=event.at,
                requested_before=state.requested_at,
                attempts=state.attempts + 1,
                cutover_requests=state.cutover_requests + 1,
            )
        case CutoverAccepted():
            by_evidence = event.evidence is not Evidence.ANSWER
            return state._replace(
                phase=Phase.ACCEPTED,
                accepted_at=event.at,
                by_evidence=by_evidence,
                # A final word in the PUT's own answer is no state of the job: a read has to confirm it.
                remote_status=event.status if event.status and _is_pending(event.status) else state.remote_status,
                lag=None,
                note=None,
                reads_in_phase=0,
                doubt_since=state.doubt_since if by_evidence else None,
            )
        case CutoverInDoubt():
            return _into_doubt(state, event, again=state.phase is Phase.ACCEPTED and state.doubt_since is not None)
        case CutoverRefused():
            return state._replace(
                phase=Phase.DOUBT,
                challenges=0,
                doubt_since=event.at,
                settle=event.settle,
                refused=True,
                conflict=event.http_status == CONFLICT,
                refusal=event.reason,
                refused_since=event.at if state.refused_since is None else state.refused_since,
                begun_reads=0,
                not_begun_reads=0,
                reads_in_phase=0,
                note=event.reason,
            )
        case CutoverNotBegun():
            doubted = state.phase is Phase.DOUBT  # after a doubt the gate is passed again, as if nothing were known
            return state._replace(
                phase=Phase.NEW if doubted else Phase.READY,
                reads_in_phase=0 if doubted else state.reads_in_phase,
                note=event.reason,
                doubt_since=None,
                refused=False,
                not_begun_at=event.at,
                came_to_nothing=True,
                requested_at=state.requested_at if event.sent else state.requested_before,
                challenges=state.challenges + 1 if event.http_status == UNAUTHORIZED else 0,
                cutover_requests=state.cutover_requests - (0 if event.sent else 1),
            )
        case MigrationFinished():
            return state._replace(
                phase=Phase.FINISHED,
                outcome=event.outcome,
                remote_status=event.status,
                error_message=event.error_message,
                lag_gone=state.lag_gone if event.lag_gone is None else event.lag_gone,
                unread=state.unread or event.unread,
                finished_at=event.at,
                ended_at=event.at if state.ended_at is None else state.ended_at,
                verified_at=event.at if state.phase is Phase.VERIFYING and event.outcome is Outcome.SUCCESS else None,
                prepared=False,
                prepared_since=None,
                hook_failure=None,
                after_hooks_done=0,
                polls=max(state.polls, event.polls),
                note=None,
            )
        case VerificationStarted():
            return _not_verified(state)._replace(
                phase=Phase.VERIFYING,
                outcome=None,
                remote_status=event.status,
                error_message=None,
                finished_at=None,
                ended_at=event.at if state.ended_at is None else state.ended_at,
                prepared=False,
                prepared_since=None,
                hook_failure=None,
                after_hooks_done=0,
                note=None,
            )
        case MigrationSkipped() | MigrationRetried() | GateChanged():
            return _steered(state, event)
        case CutoverAdmitted():
            return state._replace(admitted=True)
        case HookStarted() | HookFinished():
            return _hook(state, event)
    return state


def _hook(state: MigrationState, event: HookStarted | HookFinished) -> MigrationState:
    if isinstance(event, HookStarted):
        down_since = event.at if state.down_since is None else state.down_since
        since = event.at if state.prepared_since is None else state.prepared_since
        return state._replace(
            prepared=True, prepared_since=since, before_at_work=True, down_since=down_since, after_hooks_done=0
        )
    if event.hook == HookKind.BEFORE:  # also one that was ended half-way
        return state._replace(
            before_hooks_done=state.before_hooks_done + event.ok,
            prepared=True,
            prepared_since=event.at,
            before_at_work=False,
            down_since=event.at - event.seconds if state.down_since is None else state.down_since,
            after_hooks_done=0,
            hook_failure=None if event.ok or event.interrupted else event.what_failed,
        )
    if event.interrupted:
        return state
    if event.hook == HookKind.VERIFY:
        return state._replace(
            verify_since=event.at - event.seconds if state.verify_since is None else state.verify_since,
            verify_hooks_done=state.verify_hooks_done + event.ok,
            not_yet_at=event.at if event.not_yet else None,
            unverified=None if event.ok or event.not_yet else event.what_failed,
            note=f"{event.argv[0]} says: not yet" if event.not_yet else None,
        )
    return state._replace(
        after_hooks_done=state.after_hooks_done + 1,
        prepared_since=None,
        down_since=None if state.phase in BEFORE_THE_PUT else state.down_since,  # undone
        hooks_ended_at=event.at,
    )


def _steered(state: MigrationState, event: MigrationSkipped | MigrationRetried | GateChanged) -> MigrationState:
    """Somebody has decided about it."""
    if isinstance(event, GateChanged):
        return state._replace(
            reads_in_phase=0, gate_changed=True
        )  # it is read at once, also where the old one was open
    if isinstance(event, MigrationSkipped):
        why = f": {event.reason}" if event.reason else ""
        return state._replace(skipped=f"skipped by {event.who}{why}", admitted=state.admitted and state.prepared)
    if state.outcome is Outcome.UNVERIFIED:
        again = VerificationStarted(at=event.at, migration=event.migration, status=state.remote_status)
        return apply(state, again)
    return reopen(state._replace(skipped=None), at=event.at, retry_failed=True, settle=0.0)


def _not_verified(state: MigrationState) -> MigrationState:
    return state._replace(verify_hooks_done=0, verify_since=None, not_yet_at=None, unverified=None)


def _into_doubt(state: MigrationState, event: CutoverInDoubt, *, again: bool) -> MigrationState:
    """*again*: the evidence that it began has been taken back, so it is the doubt from before that goes on, in its time."""
    return state._replace(
        phase=Phase.DOUBT,
        outcome=None,  # also where it had ended, by what was known of it then
        error_message=None,
        finished_at=None,
        ended_at=None,
        challenges=0,
        doubt_since=state.doubt_since if again else event.at,
        settle=state.settle if again else event.settle,
        elsewhere=state.elsewhere if again else event.elsewhere,
        refused=state.refused and again,
        doubted=True,
        accepted_at=None,
        by_evidence=False,
        begun_reads=0,
        not_begun_reads=0,
        reads_in_phase=0,
        note=event.reason,
    )


def _at_the_gate(state: MigrationState, event: GateWaiting | GateOpened) -> MigrationState:
    """*state* with what *event* shows of the job."""
    waits = isinstance(event, GateWaiting)
    phase = Phase.GATE if waits else Phase.READY
    keeps_since = state.phase is Phase.GATE if waits else state.gate_since is not None
    return state._replace(
        phase=phase,
        reads_in_phase=max(state.reads_in_phase, 1) if state.phase is phase else 1,
        remote_status=event.status,
        ready=event.ready,
        lag=event.lag,
        reported_lag=state.reported_lag or event.lag is not None,
        was_there=state.was_there or event.status is not None,
        was_ready=state.was_ready or event.ready is True,
        note=event.note,
        lag_gone=event.lag_gone if isinstance(event, GateWaiting) else _lag_gone(state, event),
        unread=isinstance(event, GateWaiting) and event.unread,
        gate_since=state.gate_since if keeps_since else event.at,
        gate_opened_at=state.gate_opened_at if waits else event.at,
        gate_changed=False,  # also where the read before this is not told of
        reported_ready=state.reported_ready if waits else event.ready is True,
        admitted=state.admitted and (not waits or state.prepared),  # it may wait for long, and others are ready
    )


def reopen(state: MigrationState, *, at: float, retry_failed: bool, settle: float) -> MigrationState:
    """*state* when its run is continued: what has had no PUT starts afresh, what is unclear is read again.

    A PUT without recorded end may have been lost just now or have run into its timeout unrecorded, so *settle* has to be
    the longest time for which any PUT may still arrive.
    SUCCESS, FAILED and TIMED_OUT stay; with *retry_failed* a FAILED migration that never had a PUT starts afresh.
    """
    not_undone = state.phase is Phase.FINISHED and state.down_since is not None and not state.after_hooks_done
    prepared = state.prepared or not_undone
    fresh = MigrationState(
        polls=state.polls,
        cutover_requests=state.cutover_requests,
        requested_at=state.requested_at,
        not_begun_at=state.not_begun_at,
        came_to_nothing=state.came_to_nothing,
        doubted=state.doubted,
        reported_lag=state.reported_lag,
        was_there=state.was_there,
        was_ready=state.was_ready,
        lag_gone=state.lag_gone,
        unread=state.unread,
        prepared=prepared,
        prepared_since=state.down_since if not_undone else state.prepared_since,
        after_hooks_done=state.after_hooks_done if prepared else 0,
        down_since=state.down_since if prepared else None,
        skipped=state.skipped,
    )
    if starts_afresh(state, retry_failed=retry_failed):
        return fresh
    by_answer = state.outcome is Outcome.IN_DOUBT and state.accepted_at is not None and not state.by_evidence
    match Phase.ACCEPTED if by_answer else state.phase:  # it could not be read for long: that takes no acceptance back
        case Phase.ACCEPTED:
            # Of these, the streaks are for the case that the evidence is taken back: what came to nothing before is none of this session.
            return state._replace(
                phase=Phase.ACCEPTED,
                before_hooks_done=0,
                outcome=None,
                error_message=None,
                finished_at=None,
                ended_at=None,
                after_hooks_done=0,
                last_read_at=None,
                known_at=None,
                reads_in_phase=0,
                futile_since=None,
                refused_since=None,
                attempts=0,
                challenges=0,
            )
        case Phase.VERIFYING:
            return _not_verified(state)
        case Phase.FINISHED if state.outcome is not Outcome.IN_DOUBT:
            return state
    return state._replace(
        phase=Phase.DOUBT,
        before_hooks_done=0,  # another PUT waits for them like a first one: who knows what has become of the application since
        prepared=state.down_since is not None,
        prepared_since=state.down_since,
        outcome=None,
        error_message=None,
        finished_at=None,
        ended_at=None,
        futile_since=None,
        doubt_since=at,
        settle=settle
        if state.doubt_since is None
        else max(settle, state.settle),  # anew: clocks differ between sessions
        accepted_at=None,
        by_evidence=False,
        doubted=state.doubted or not state.refused,
        refused_since=None,
        begun_reads=0,
        not_begun_reads=0,
        last_read_at=None,
        known_at=None,
        reads_in_phase=0,
        after_hooks_done=0,
        attempts=0,
        challenges=0,
    )


def read_so_often(state: MigrationState, polls: int) -> MigrationState:
    """*state*, whose job was read *polls* times, or as often as is known already."""
    return state._replace(polls=max(state.polls, polls))


def without_pause(state: MigrationState, *, since: float, until: float) -> MigrationState:
    """*state* after a time in which no cutover might start, which is no time spent on trying, or at the gate (Unix seconds)."""
    if state.phase is Phase.FINISHED:
        return state
    return state._replace(
        futile_since=_later(state.futile_since, since, until),
        refused_since=_later(state.refused_since, since, until),
        gate_since=_later(state.gate_since, since, until),
    )


def _later(began: float | None, since: float, until: float) -> float | None:
    """When what *began* would have begun, had it not stood still from *since* to *until*."""
    return None if began is None else began + max(0.0, until - max(since, began))


def _sign(state: MigrationState, read: StatusPolled) -> Sign:
    """What *read* says of the PUT that *state* is in doubt about; nothing before the settle time is over."""
    if state.phase is not Phase.DOUBT or state.doubt_since is None:
        return Sign.NOTHING
    settled = read.at - read.took >= state.doubt_since + state.settle  # it was sent after that
    definite = refusal_is_definite(state)
    refusal = Refusal.DEFINITE if definite else Refusal.CONFLICT if state.refused else None
    found = sign(read, reported_lag=state.reported_lag, reported_ready=state.reported_ready, refusal=refusal)
    return found if settled or (definite and found is Sign.NOT_BEGUN) else Sign.NOTHING


def _lag_gone(state: MigrationState, read: StatusPolled | StatusChanged | GateOpened) -> bool:
    """Whether the lag is gone by *read*; of one that has FAILED, and was not seen not to be ready just before, nobody knows what it was in between.

    Nor of one that has come to an end after its migration was over, for which no PUT was sent.
    """
    if isinstance(read, StatusChanged) and read.status == state.remote_status:
        return state.lag_gone  # the read itself has said it
    if isinstance(read, StatusChanged) or not _is_pending(read.status):
        ended_later = (
            state.phase is Phase.FINISHED and not _is_pending(read.status) and read.status != state.remote_status
        )
        return state.lag_gone or ended_later or (read.status == "FAILED" and not _was_not_ready(state, read))
    return may_be_under_way(read, reported_lag=state.reported_lag)


def _was_not_ready(state: MigrationState, read: StatusPolled | StatusChanged | GateOpened) -> bool:
    """Whether the job was not ready when it was read last before *read*, as far as that still counts then; reads are in no journal."""
    if state.ready is not False or not isinstance(read, StatusPolled):
        return state.ready is False
    return state.known_at is not None and read.at - read.took - state.known_at <= WORD_LIFE


def _is_pending(status: str | None) -> bool:
    return normalise(status) is RemoteStatus.PENDING
