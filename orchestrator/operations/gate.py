"""`gate`: changes what migrations wait for."""

from __future__ import annotations

from pathlib import Path

from ..core.workflow import Gate
from .steering import Steered, steer


def gate(
    run_id: str,
    *names: str,
    max_lag: float | None = None,
    timeout: float | None = None,
    off: bool = False,
    state_dir: Path | str | None = None,
    who: str | None = None,
    reason: str = "",
) -> Steered:
    """Give *names* another gate, also while they wait at it. What is not given is as in the defaults of a workflow.

    Args:
        run_id: The run, or how its id begins.
        names: Migrations, or waves for all of theirs.
        max_lag: Seconds; the largest lag that a cutover may start with.
        timeout: Seconds to wait for it, from when it began to wait.
        off: No gate.
        state_dir: Where its journal is; None: the usual place.
        who: Who asks, for log and report; None: this process's user and host.
        reason: Why, for log and report.

    Raises:
        InputError: There is no such run, or what is asked changes nothing: the message says why.
        JournalError: The journal cannot be read or written.
    """
    usual = Gate()
    new = Gate(
        max_lag=usual.max_lag if max_lag is None else max_lag, timeout=usual.timeout if timeout is None else timeout
    )
    new_gate = None if off else new
    return steer(run_id, "gate", *names, state_dir=state_dir, who=who, reason=reason, gate=new_gate)
