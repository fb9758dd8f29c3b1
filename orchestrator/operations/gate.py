"""`gate`: changes what migrations wait for."""

from __future__ import annotations

from pathlib import Path

from .arguments import gate_change
from .steering import Steered, steer


def gate(
    run_id: str,
    *names: str,
    max_lag: float | str | None = None,
    timeout: float | str | None = None,
    off: bool = False,
    state_dir: Path | str | None = None,
    who: str | None = None,
    reason: str = "",
) -> Steered:
    """Change the gate of *names*, also while they wait at it. What is not given stays as it is.

    Args:
        run_id: The run, or how its id begins.
        names: Migrations, or waves for all of theirs.
        max_lag: The largest lag that a cutover may start with: seconds, or a duration such as `60s`.
        timeout: How long to wait for it, from when it began to wait, likewise.
        off: No gate.
        state_dir: Where its journal is; None: the usual place.
        who: Who asks, for log and report; None: this process's user and host.
        reason: Why, for log and report.

    Raises:
        InputError: There is no such run, what is given is no gate, or what is asked changes nothing: the message says why.
        JournalError: The journal cannot be read or written.
    """
    change = gate_change(max_lag=max_lag, timeout=timeout, off=off)
    return steer(run_id, "gate", *names, state_dir=state_dir, who=who, reason=reason, gate=change)
