"""`unpause`: lets a paused run go on."""

from __future__ import annotations

from pathlib import Path

from ..core.steered import Command
from .steering import Steered, steer


def unpause(
    run_id: str | None = None, *, state_dir: Path | str | None = None, who: str | None = None, reason: str = ""
) -> Steered:
    """Let a paused run start cutovers again.

    Args:
        run_id: The run, or how its id begins; None: the only one that a process works on.
        state_dir: Where its journal is; None: the usual place.
        who: Who asks, for log and report; None: this process's user and host.
        reason: Why, for log and report.

    Raises:
        InputError: There is no such run, or what is asked changes nothing: the message says why.
        JournalError: The journal cannot be read or written.
        TemporalError: The run is at Temporal, which does not answer.
    """
    return steer(run_id, Command.UNPAUSE, state_dir=state_dir, who=who, reason=reason)
