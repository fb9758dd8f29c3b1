"""What people have decided about a run, as its record keeps it: when, who, why, about what. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from .events import (
    Event,
    GateChanged,
    MigrationRetried,
    MigrationSkipped,
    RunAborted,
    RunPaused,
    RunUnpaused,
    WaveApproved,
    WaveRejected,
)
from .workflow import Gate


class Command(StrEnum):
    """What may be asked of a run."""

    PAUSE = "pause"
    UNPAUSE = "unpause"
    ABORT = "abort"
    APPROVE = "approve"
    REJECT = "reject"
    SKIP = "skip"
    RETRY = "retry"
    GATE = "gate"


Steering = (
    RunPaused
    | RunUnpaused
    | RunAborted
    | WaveApproved
    | WaveRejected
    | MigrationSkipped
    | MigrationRetried
    | GateChanged
)
"""The events by which a run is steered."""

STEERS_A_MIGRATION = (MigrationSkipped, MigrationRetried, GateChanged)
"""Those that are about one migration."""

COMMANDS: dict[type[Event], Command] = {
    RunPaused: Command.PAUSE,
    RunUnpaused: Command.UNPAUSE,
    RunAborted: Command.ABORT,
    WaveApproved: Command.APPROVE,
    WaveRejected: Command.REJECT,
    MigrationSkipped: Command.SKIP,
    MigrationRetried: Command.RETRY,
    GateChanged: Command.GATE,
}
"""The command that each of them comes of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """*who* gave *command* at *at* (Unix seconds), for *reason*, about *wave* or *migration* (neither: the run).

    *gate*: what it has made of the migration's gate, which was *gate_before*; None: off, or no `gate`.
    """

    at: float
    command: Command
    who: str
    reason: str
    wave: str | None = None
    migration: str | None = None
    gate: Gate | None = None
    gate_before: Gate | None = None


def decision_of(event: Steering, *, wave: str | None = None, gate_before: Gate | None = None) -> Decision:
    """What *event* says; *wave* and *gate_before* are those of the migration that it is about, where it is about one."""
    if isinstance(event, (WaveApproved, WaveRejected)):
        wave = event.wave
    return Decision(
        at=event.at,
        command=COMMANDS[type(event)],
        who=event.who,
        reason=event.reason,
        wave=wave,
        migration=event.migration if isinstance(event, STEERS_A_MIGRATION) else None,
        gate=gate_after(event) if isinstance(event, GateChanged) else None,
        gate_before=gate_before if isinstance(event, GateChanged) else None,
    )


def with_reason(said: str, reason: str) -> str:
    """*said*, with the *reason* that somebody has given, if they have: `paused by ada (the network is down)`."""
    return f"{said} ({reason})" if reason else said


def gate_after(event: GateChanged) -> Gate | None:
    """The gate that *event* has given to its migration; None: it has none any more."""
    return None if event.max_lag is None else Gate(max_lag=event.max_lag, timeout=event.timeout or 0.0)


def between_sessions(event: Event) -> Event:
    """*event*, decided when no session works on the run: it stands in no log before one goes on."""
    return replace(event, between_sessions=True) if isinstance(event, Steering) else event
