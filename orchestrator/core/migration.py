"""What is known about one live migration, and what follows from that alone. Pure.

`migration_fold` makes it of the events, `next_step` decides from it what comes next.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from .outcomes import Outcome
from .workflow import HookKind, Hooks, after_hook

UNAUTHORIZED = 401
"""The HTTP status of a digest challenge."""

CONFLICT = 409
"""The HTTP status that depends on how the job stands: not ready any more, or its cutover has begun already."""


class Phase(StrEnum):
    """How far a migration has come."""

    NEW = "new"  # nothing is known
    GATE = "gate"  # waiting until the job may be cut over
    READY = "ready"  # the PUT may leave (after the `before` hooks)
    REQUESTED = "requested"  # the PUT may be on the wire
    DOUBT = "doubt"  # the PUT's answer was lost, or it was refused and the job has to show that nothing began
    ACCEPTED = "accepted"  # the cutover is under way at Atlas
    VERIFYING = "verifying"  # complete at Atlas; the `verify` hooks have to prove it good
    FINISHED = "finished"


BEFORE_THE_PUT = frozenset({Phase.NEW, Phase.GATE, Phase.READY})
"""Phases in which no PUT is under way: none was sent, or the last one came to nothing."""

UNDER_WAY = frozenset({Phase.REQUESTED, Phase.DOUBT, Phase.ACCEPTED})
"""Phases in which a PUT may have been carried out and the end is not known yet."""


class MigrationState(NamedTuple):
    """What is known about one migration. Times are Unix seconds, lag is in seconds.

    A named tuple, not a dataclass like the other facts: every event makes a new one, and `_replace` is eight times as
    fast as `dataclasses.replace` with this many fields.
    """

    phase: Phase = Phase.NEW
    """How far it has come."""
    outcome: Outcome | None = None
    """How it ended; None: it has not."""
    remote_status: str | None = None
    """Atlas's word for its job, as last read."""
    ready: bool | None = None
    """Whether the job said that it is ready, as last read; None: it said nothing of that."""
    lag: float | None = None
    """The lag that the job reported, as last read; None: it reported none."""
    error_message: str | None = None
    """What is said of its outcome."""
    note: str | None = None
    """Why it waits, or what its last failed read said."""
    gate_since: float | None = None
    """When it began to wait at its gate, pauses excluded."""
    gate_opened_at: float | None = None
    """When its gate opened last."""
    gate_changed: bool = False
    """Somebody has changed its gate, and its job was not read since: what is known of that says nothing of the new one."""
    futile_since: float | None = None
    """Start of this session's current streak of PUTs not carried out, pauses excluded."""
    not_begun_at: float | None = None
    """When the last of them was seen to have come to nothing."""
    came_to_nothing: bool = False
    """None was intended since then: times don't tell, as a run at Temporal has one for all that it decides at once."""
    requested_at: float | None = None
    """When the last PUT left."""
    requested_before: float | None = None
    """When the one before it left."""
    accepted_at: float | None = None
    """When Atlas was known to have accepted the last PUT."""
    finished_at: float | None = None
    """When its outcome was known: where it has `verify` hooks, after these (`ended_at`: before)."""
    doubt_since: float | None = None
    """When the last PUT came to be in doubt, or this session began with it so."""
    settle: float = 0.0
    """Seconds after that in which it may still arrive at Atlas, or not show in reads."""
    doubted: bool = False
    """A PUT was in doubt once, so that the refusal of a later one does not mean that nothing began."""
    elsewhere: str = ""
    """The address of another server, to which another run sent the PUT that is in doubt; what is read here never shows that it came to nothing."""
    refused: bool = False
    """The doubt is about a PUT that was answered with a 4xx."""
    conflict: bool = False
    """... which was a 409."""
    refusal: str | None = None
    """What the last 4xx to a PUT said, in this session."""
    refused_since: float | None = None
    """When the first one came, in this session, pauses excluded."""
    by_evidence: bool = False
    """Accepted by what the job showed, not by an answer."""
    reported_lag: bool = False
    """The job has reported its lag, in this run or an earlier one, so that its absence means something."""
    was_there: bool = False
    """The job has been read, so that Atlas's word that there is none means something."""
    was_ready: bool = False
    """The job has said that it is ready."""
    lag_gone: bool = False
    """A cutover that is not this run's may have begun: the job lacked its lag when it was read last before its end (`evidence.may_be_under_way`), or has FAILED and was not seen not to be ready just before, or is not there any more."""
    unread: bool = False
    """Nobody knows whether one has begun: the job could not be read before its migration ended or a hook was told who is in charge, or for `evidence.WORD_LIFE` at its gate."""
    reported_ready: bool = False
    """The job said that it is ready, when its gate opened."""
    begun_reads: int = 0
    """How many reads in a row were a sign that the cutover has begun."""
    not_begun_reads: int = 0
    """How many were one that it has not."""
    last_read_at: float | None = None
    """When the job was read last, with or without an answer, in this session."""
    read_failed: bool = False
    """The last read gave nothing."""
    known_at: float | None = None
    """When the request left whose answer is the last that was known, in this session."""
    reads_in_phase: int = 0
    """How many reads were tried in this phase."""
    before_hooks_done: int = 0
    """How many `before` hooks have succeeded."""
    hook_failure: str | None = None
    """Why a `before` hook of this session forbids the cutover."""
    prepared: bool = False
    """A `before` hook has done something that is to be undone if no PUT leaves."""
    prepared_since: float | None = None
    """Since when it waits for its PUT: the last `before` hook to have ended did so then, or the first began; None: nothing has begun, or it was undone."""
    before_at_work: bool = False
    """A `before` hook of this session has begun and not ended."""
    down_since: float | None = None
    """When the first `before` hook began that was not undone since."""
    ended_at: float | None = None
    """When its final status was read, or its outcome was known without one: before its `verify` hooks."""
    verified_at: float | None = None
    """When all `verify` hooks had succeeded."""
    verify_hooks_done: int = 0
    """How many `verify` hooks have succeeded."""
    verify_since: float | None = None
    """When this session's verification was begun."""
    not_yet_at: float | None = None
    """When a `verify` hook said "not yet" last."""
    unverified: str | None = None
    """Why a `verify` hook has not proven it good."""
    skipped: str | None = None
    """Who does not want it to be started any more, and why."""
    after_hooks_done: int = 0
    """How many `after_…` hooks have ended."""
    hooks_ended_at: float | None = None
    """When the last of them did."""
    attempts: int = 0
    """How many PUTs were about to leave in this session."""
    cutover_requests: int = 0
    """How many have left, in all sessions."""
    challenges: int = 0
    """How many PUTs in a row were answered 401."""
    polls: int = 0
    """How often its job was read, in all sessions."""
    admitted: bool = False
    """It has one of its wave's slots, before its PUT and until its last hook."""


def starts_afresh(state: MigrationState, *, retry_failed: bool) -> bool:
    """Whether the migration starts from the beginning when its run is continued: nothing that was sent has been carried out, for certain."""
    if state.outcome is Outcome.FAILED:
        return retry_failed and state.cutover_requests == 0
    return state.phase in BEFORE_THE_PUT or state.outcome is Outcome.NOT_STARTED


def after_hook_left(state: MigrationState, hooks: Hooks) -> tuple[HookKind, int] | None:
    """The `after_…` hook of *hooks* that is to be run next, and its number; None: none is left."""
    if state.phase is not Phase.FINISHED or state.outcome is None:
        return None
    kind = after_hook(state.outcome)
    return (kind, state.after_hooks_done) if state.after_hooks_done < len(hooks.of(kind)) else None


def undo_left(state: MigrationState, *, on_failure: int) -> range:
    """Which of so many `after_failure` hooks are still to undo what `before` hooks did, as long as no PUT leaves."""
    owed = state.prepared and state.phase in BEFORE_THE_PUT
    return range(state.after_hooks_done, on_failure) if owed else range(0)


def may_be_anothers(state: MigrationState) -> bool:
    """Whether somebody else may have begun its cutover, by what was read of its job, or as nothing was: nobody is told then that the source is in charge."""
    return state.lag_gone or state.unread


def refusal_is_definite(state: MigrationState) -> bool:
    """Whether the 4xx that *state* is in doubt about cannot be what a PUT gets that something on the way has sent again.

    Only a 409 depends on the state of the job, and so on a PUT before; but after a doubt nothing is taken for granted.
    """
    return state.refused and not state.conflict and not state.doubted
