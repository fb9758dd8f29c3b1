"""One live migration: what is known about it, what a new fact means, and what happens next. Pure.

    state = apply(state, event)              fold: facts in, state out (`migration_fold`)
    step = next_step(state, policy, now)     what the driver does next
    events = observe(...), observe_failure(...), answered(...)   what a read or the PUT's answer means (`observations`)

The rules that matter:

* A PUT leaves only in phase READY, and READY is reached by reading the job, or by evidence that the last PUT was not
  carried out (`CutoverNotBegun`). So there are never two PUTs without evidence between them.
* What a job's document shows is `evidence`'s to say. No sign in it counts before the settle time is over, since until then a
  PUT without an answer may still arrive, or not show in reads; and it takes two reads in a row: the first may have been on
  its way before. A cutover that has begun by such evidence alone is in doubt again when the job reports its lag again.
* A 4xx is no end before a read. One read after it is enough to see that nothing began, where the 4xx does not depend on the state
  of the job. A 409 does: a PUT that something on the way sends twice gets one, so it takes what a doubt takes, and then the
  job waits at its gate again.
* The answer to a PUT says "accepted" and no more: a final word in it (v1.0) is for a read to confirm.
* Another PUT passes the gate like the first one, and in its wave's time: a doubt that is settled does not open it.
* A deadline ends a migration only after a read that was tried at or after it, also when the program was down meanwhile. An
  accepted cutover that could not be read then is read for `OVERTIME` more, and is in doubt after that: TIMED_OUT is for good.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from ..text.durations import format_duration, rough_duration
from .evidence import at_gate, why_closed
from .migration import MigrationState, Phase, after_hook_left
from .outcomes import Outcome
from .settings import DEFAULT_SETTLE
from .verification import next_verification
from .workflow import DEFAULT_GATE, DEFAULT_TIMEOUT, NO_HOOKS, Gate, HookKind, Hooks, Migration

SIGNS = 2
"""How many reads in a row have to show the same before a doubt is settled, after its settle time."""

LOOK = "look at it in the Atlas UI"
"""No command stands here: the run's id is not known, and `resume` without it goes on with the newest run. `advice` has it."""

MOST_CHALLENGES = 5
"""After this many consecutive 401s the keys are rejected, not a stale nonce."""

GATE_LIFE = 5.0
"""Seconds after which what was read is stale (a queue for a slot, a pause, a hook): the job is read again before the first
`before` hook, and before the PUT. They count from the moment when the read was sent: its answer is as old as that."""


OVERTIME = 60.0
"""Seconds after its deadline for which a cutover is read on where the read at the deadline gave nothing."""

GATE_CHANGED = "its gate was changed since the job was read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The rules for one migration. Durations in seconds.

    *settle*: how long after a PUT without an answer it may still arrive at Atlas, or not show in reads.
    *rereads*: who sends the PUT reads the job once more before that, if what is known is too old (`observe_before_sending`).
    """

    gate: Gate | None = DEFAULT_GATE
    timeout: float = DEFAULT_TIMEOUT
    settle: float = DEFAULT_SETTLE
    hooks: Hooks = NO_HOOKS
    rereads: bool = False

    @property
    def longest_wait(self) -> float:
        """Seconds that a PUT, or the read before it or before a gate, waits for the budget."""
        return self.gate.timeout if self.gate else self.timeout

    @classmethod
    def of(cls, migration: Migration, *, settle: float, rereads: bool = False) -> Policy:
        """That of *migration*; *settle* in seconds."""
        return cls(
            gate=migration.gate, timeout=migration.timeout, settle=settle, hooks=migration.hooks, rereads=rereads
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one read of a job showed, *took* seconds after it was sent. *status* is Atlas's own word."""

    status: str | None
    ready: bool | None = None
    lag: float | None = None
    error_message: str | None = None
    took: float = 0.0


class ReadKind(StrEnum):
    """Why a job is read: while it waits at its gate, to follow what is under way, or before a hook is told who is in charge."""

    GATE = "gate"
    POLL = "poll"
    LOOK = "look"


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Read the job: the *attempt*-th time in this phase (0: at once), by *deadline* (Unix seconds) at the latest."""

    kind: ReadKind
    attempt: int
    deadline: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHook:
    """Run hook number *index* of the kind *hook*, not before *not_before* (Unix seconds)."""

    hook: HookKind
    index: int
    not_before: float = -math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class SendPut:
    """Send the PUT, the *attempt*-th one (0: the first)."""

    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The migration has ended: record it."""

    outcome: Outcome
    error_message: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """Nothing is left to do."""


Step = Read | RunHook | SendPut | Finish | Done


class AnswerKind(StrEnum):
    """What became of a PUT."""

    ACCEPTED = "accepted"
    REFUSED = "refused"  # a 4xx: Atlas will not do it
    NOT_CARRIED_OUT = "not_carried_out"  # 429, or it never left this machine: may be sent again
    LOST = "lost"  # no answer within the request timeout, the connection broke, a 5xx, or an answer that makes no sense


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to a PUT; *reading* is the document that came with it (v1.0), *reason* says what was wrong.

    Not *sent*: it never left this machine.
    """

    kind: AnswerKind
    sent: bool = True
    http_status: int | None = None
    reason: str = ""
    reading: Reading | None = None


def next_step(state: MigrationState, policy: Policy, now: float, *, held: bool = False) -> Step:
    """What the driver has to do next; *now* in Unix seconds.

    *held*: no cutover may start at the moment, for a pause or the window, so no gate's time is over meanwhile.
    """
    match state.phase:
        case Phase.NEW:
            return Read(kind=ReadKind.GATE, attempt=state.reads_in_phase, deadline=now)
        case Phase.GATE:
            deadline = math.inf if held else _gate_deadline(state, policy, now)
            if _read_after(state, deadline):
                return Finish(outcome=Outcome.FAILED, error_message=_gate_message(state, policy))
            return Read(kind=ReadKind.GATE, attempt=state.reads_in_phase, deadline=deadline)
        case Phase.READY:
            return _ready_step(state, policy, now, held=held)
        case Phase.REQUESTED | Phase.DOUBT:
            deadline = (state.doubt_since or state.requested_at or now) + policy.timeout
            if _read_after(state, deadline):
                return Finish(outcome=Outcome.IN_DOUBT, error_message=_doubt_message(state))
            return Read(kind=ReadKind.POLL, attempt=state.reads_in_phase, deadline=deadline)
        case Phase.ACCEPTED:
            since = state.doubt_since if state.by_evidence else state.accepted_at
            deadline = (since or now) + policy.timeout
            if state.read_failed and _read_after(state, deadline):
                deadline += OVERTIME
            if _read_after(state, deadline):
                unknown = state.by_evidence or state.read_failed
                outcome = Outcome.IN_DOUBT if unknown else Outcome.TIMED_OUT
                return Finish(outcome=outcome, error_message=_timeout_message(state, policy))
            # The first read comes after a wait, too: no cutover is over in no time.
            return Read(kind=ReadKind.POLL, attempt=max(1, state.reads_in_phase + 1), deadline=deadline)
        case Phase.VERIFYING:
            return _verify_step(state, policy)
        case Phase.FINISHED:
            left = after_hook_left(state, policy.hooks)
            if left is not None:
                hook, index = left
                return RunHook(hook=hook, index=index)
            return Done()


def _verify_step(state: MigrationState, policy: Policy) -> Step:
    if state.unverified is not None:
        return Finish(outcome=Outcome.UNVERIFIED, error_message=f"cut over, but not verified: {state.unverified}")
    if state.verify_hooks_done >= len(policy.hooks.verify):
        return Finish(outcome=Outcome.SUCCESS, error_message=None)
    again = next_verification(policy.hooks, since=state.verify_since, last=state.not_yet_at)
    if again is None:
        why = f"{policy.hooks.verify[state.verify_hooks_done][0]} did not pass within {format_duration(policy.hooks.verify_timeout)}"
        return Finish(outcome=Outcome.UNVERIFIED, error_message=f"cut over, but not verified: {why}")
    return RunHook(hook=HookKind.VERIFY, index=state.verify_hooks_done, not_before=again)


def _gate_deadline(state: MigrationState, policy: Policy, now: float) -> float:
    """When waiting for the gate is over: by its own time, or since Atlas's first 409 to a PUT."""
    deadline = (state.gate_since or now) + policy.longest_wait
    if state.refused_since is None:
        return deadline
    return min(deadline, state.refused_since + policy.settle + policy.longest_wait)


def _ready_step(state: MigrationState, policy: Policy, now: float, *, held: bool) -> Step:
    if state.hook_failure is not None:
        return Finish(outcome=Outcome.FAILED, error_message=state.hook_failure)
    if state.refused_since is not None and not held and _read_after(state, _gate_deadline(state, policy, now)):
        return Finish(outcome=Outcome.FAILED, error_message=_gate_message(state, policy))
    if state.gate_changed:  # the new one is passed before anything else is begun; what `before` hooks have done stays
        return Read(kind=ReadKind.GATE, attempt=0, deadline=now)
    stale = too_old(state, now) is not None
    hook_left = state.before_hooks_done < len(policy.hooks.before)
    if hook_left and (state.prepared or not stale):
        return RunHook(hook=HookKind.BEFORE, index=state.before_hooks_done)
    if state.futile_since and state.not_begun_at and state.not_begun_at - state.futile_since >= policy.timeout:
        return in_vain(state, policy, state.note)
    if stale and (hook_left or not policy.rereads):
        return Read(kind=ReadKind.GATE, attempt=0, deadline=now)
    return SendPut(attempt=state.attempts)


def in_vain(state: MigrationState, policy: Policy, why: str | None) -> Finish:
    """The end of a migration whose PUTs could not be sent, or came to nothing, for as long as `Policy.timeout`; *why*, of the last."""
    time, why = format_duration(policy.timeout), f": {why}" if why else ""
    if state.cutover_requests == 0:
        return Finish(outcome=Outcome.NOT_STARTED, error_message=f"no PUT could be sent in {time}{why}")
    return Finish(outcome=Outcome.FAILED, error_message=f"no PUT was carried out in {time}{why}")


def age_of_knowledge(state: MigrationState, now: float) -> float:
    """Seconds since the request left that has read the job of *state*; 0 where none has."""
    return 0.0 if state.known_at is None else now - state.known_at


def too_old(state: MigrationState, now: float) -> str | None:
    """Why nothing may be begun on what is known of the job; None: it is fresh, and tells of the gate as it is now."""
    if state.known_at is None:
        return "the job has not been read"
    if state.gate_changed:
        return GATE_CHANGED
    age = age_of_knowledge(state, now)
    return f"what is known of the job is {rough_duration(age)} old" if age > GATE_LIFE else None


def known_reading(state: MigrationState) -> Reading:
    """What the job showed when it was read last."""
    return Reading(status=state.remote_status, ready=state.ready, lag=state.lag)


def _read_after(state: MigrationState, deadline: float) -> bool:
    return state.last_read_at is not None and state.last_read_at >= deadline


def _gate_message(state: MigrationState, policy: Policy) -> str:
    if policy.gate is None:
        return f"the job could not be read in {format_duration(policy.timeout)}: {state.note}"
    waited = format_duration(policy.gate.timeout)
    seen = {"reported_lag": state.reported_lag, "was_ready": state.was_ready}
    view = at_gate(known_reading(state), policy.gate, **seen)
    closed = why_closed(known_reading(state), policy.gate, **seen)
    why = state.refusal or state.note or closed
    if why == state.note != closed and state.known_at is not None and not view.is_open:
        why = f"{closed} (as last read; then: {state.note})"
    return f"the gate did not open in {waited}: {why}"


def _doubt_message(state: MigrationState) -> str:
    seen = state.note or f"the job shows {state.remote_status or 'no status'}"
    return f"{how_sent(state)}, and reading the job did not settle it ({seen}): {LOOK}"


def how_sent(state: MigrationState) -> str:
    """How often its PUT was sent, or that it was refused, in words."""
    if state.refused:
        return f"the PUT was refused ({state.refusal})"
    match state.cutover_requests:
        case 0:
            return f"another run has sent a PUT{f' to {state.elsewhere}' if state.elsewhere else ''}"
        case 1:
            return "1 PUT sent, its answer was lost"
        case number:
            return f"{number} PUTs sent, the last one's answer was lost"


def _timeout_message(state: MigrationState, policy: Policy) -> str:
    seen = state.note or f"the job shows {state.remote_status or 'no status'}"
    within = f"not final within {format_duration(policy.timeout)} ({seen})"
    if state.by_evidence:
        return f"{how_sent(state)}; its cutover seems to have begun, as the lag is gone, but it is {within}: {LOOK}"
    if state.read_failed:
        return f"accepted, but whether it has ended could not be read by the end of its {format_duration(policy.timeout)} ({state.note}): {LOOK}"
    return f"accepted, but {within}"
