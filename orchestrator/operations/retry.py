"""`retry`: takes migrations up again."""

from __future__ import annotations

from pathlib import Path

from ..core.steered import Command
from .steering import Steered, steer


def retry(
    run_id: str, *names: str, state_dir: Path | str | None = None, who: str | None = None, reason: str = ""
) -> Steered:
    """Take *names* up again: skipped ones, FAILED ones that had no PUT, and UNVERIFIED ones, which are verified again.

    Args:
        run_id: The run, or how its id begins.
        names: Migrations, or waves for all of theirs.
        state_dir: Where its journal is; None: the usual place.
        who: Who asks, for log and report; None: this process's user and host.
        reason: Why, for log and report.

    Raises:
        InputError: There is no such run, or what is asked changes nothing: the message says why.
        JournalError: The journal cannot be read or written.
        TemporalError: The run is at Temporal, which does not answer.
    """
    return steer(run_id, Command.RETRY, *names, state_dir=state_dir, who=who, reason=reason)
