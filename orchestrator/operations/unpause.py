"""`unpause`: lets a paused run go on."""

from __future__ import annotations

from pathlib import Path

from .steering import Steered, ask_under_way


def unpause(run_id: str | None = None, *, state_dir: Path | str | None = None, who: str | None = None) -> Steered:
    """Let a paused run go on.

    Args:
        run_id: The run, or how its id begins; None: the only one that a process works on.
        state_dir: Where its journal is; None: the usual place.
        who: Who asks, for log and report; None: this process's user and host.

    Raises:
        InputError: There is no such run, or no process works on it.
        JournalError: The journal cannot be read or written.
    """
    return ask_under_way("unpause", run_id, state_dir=state_dir, who=who)
