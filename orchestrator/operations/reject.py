"""`reject`: keeps a wave, and those after it, from starting."""

from __future__ import annotations

from pathlib import Path

from ..core.arguments import text
from ..core.steered import Command
from .steering import Steered, steer


def reject(
    run_id: str, wave: str, *, state_dir: Path | str | None = None, who: str | None = None, reason: str = ""
) -> Steered:
    """Start neither *wave* nor those after it: their migrations are NOT_STARTED, and those of earlier waves go on.

    Args:
        run_id: The run, or how its id begins.
        wave: The name of the wave.
        state_dir: Where its journal is; None: the usual place.
        who: Who asks, for log and report; None: this process's user and host.
        reason: Why, for log and report.

    Raises:
        InputError: There is no such run, or what is asked changes nothing: the message says why.
        JournalError: The journal cannot be read or written.
        TemporalError: The run is at Temporal, which does not answer.
    """
    return steer(run_id, Command.REJECT, text("wave", wave), state_dir=state_dir, who=who, reason=reason)
