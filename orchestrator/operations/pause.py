"""`pause`: holds a run."""

from __future__ import annotations

from pathlib import Path

from .steering import Steered, ask_under_way


def pause(run_id: str | None = None, *, state_dir: Path | str | None = None, who: str | None = None) -> Steered:
    """Hold a run that is under way: no new cutover starts until it is unpaused.

    Args:
        run_id: The run, or how its id begins; None: the only one that a process works on.
        state_dir: Where its journal is; None: the usual place.
        who: Who asks, for log and report; None: this process's user and host.

    Raises:
        InputError: There is no such run, or no process works on it.
        JournalError: The journal cannot be read or written.
    """
    return ask_under_way("pause", run_id, state_dir=state_dir, who=who)
