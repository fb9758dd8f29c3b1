"""`gate`: changes what migrations wait for."""

from __future__ import annotations

from pathlib import Path

from ..core.arguments import expect, seconds
from ..core.errors import InputError
from ..core.steered import Command
from ..core.steering import GateChange
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
        TemporalError: The run is at Temporal, which does not answer.
    """
    change = gate_change(max_lag=max_lag, timeout=timeout, off=off)
    return steer(run_id, Command.GATE, *names, state_dir=state_dir, who=who, reason=reason, gate=change)


def gate_change(
    *, max_lag: float | str | None = None, timeout: float | str | None = None, off: bool = False
) -> GateChange | None:
    """What `gate` is to change; None: there is to be no gate.

    Args:
        max_lag: The largest lag that a cutover may start with: seconds, or a duration such as `60s`. None: as it is.
        timeout: How long to wait for it, likewise.
        off: No gate.

    Raises:
        InputError: One of them is no duration, nothing is to change, or both a gate and none is asked for.
    """
    if expect("gate: off", off, bool) == (max_lag is not None or timeout is not None):
        raise InputError("gate: give `max_lag`, `timeout` or `off` (and `off` alone)")
    if off:
        return None
    return GateChange(
        max_lag=None if max_lag is None else seconds("gate: max_lag", max_lag),
        timeout=None if timeout is None else seconds("gate: timeout", timeout),
    )
