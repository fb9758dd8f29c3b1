"""The buttons: requests to the process that works on a run, left in the journal as `atlas-cutover pause` does.

Blocking, with a short-lived connection of its own; the page's only write.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..core.run import RunState
from ..core.steering import Request
from ..operations import steering
from ..store.journal import open_journal
from ..store.locks import holder_of, run_lock
from ..store.schema import FILE

COMMANDS = ("approve", "pause", "unpause", "abort")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why nothing was asked of the run; *status* is the HTTP status that says so."""

    status: int
    reason: str


def ask(state_dir: Path, run_id: str, command: str, *, wave: str | None, who: str, at: float) -> Refusal | None:
    """Leave the request *command* of *who* for the process that works on *run_id*; None when it was left.

    Raises:
        JournalError: The journal cannot be read or written.
    """
    if not (state_dir / FILE).exists():
        return Refusal(status=404, reason=f"there is no run {run_id}")
    with open_journal(state_dir, readonly=True) as journal:
        state = journal.state(run_id)
    if state.started_at is None:
        return Refusal(status=404, reason=f"there is no run {run_id}")
    if holder_of(run_lock(state_dir, run_id)) is None:
        return _nobody(run_id, command)
    refusal = _out_of_place(state, command, wave)
    if refusal is not None:
        return refusal
    with open_journal(state_dir) as journal:
        left = steering.ask(journal, run_id, Request(command=command, who=who, wave=wave), at=at)
    return None if left else _nobody(run_id, command)


def _nobody(run_id: str, command: str) -> Refusal:
    return Refusal(status=409, reason=f"no process works on run {run_id} now: there is nothing to {command}")


def _out_of_place(state: RunState, command: str, wave: str | None) -> Refusal | None:
    match command:
        case "approve" if wave not in state.waves:
            return Refusal(status=404, reason=f"run {state.run_id} has no wave {wave!r}")
        case "approve" if state.waves[str(wave)].approval_since is None:
            return Refusal(status=409, reason=f"wave {wave!r} does not wait for approval")
        case "pause" if state.paused_by is not None:
            return Refusal(status=409, reason=f"the run is paused already, by {state.paused_by}")
        case "unpause" if state.paused_by is None:
            return Refusal(status=409, reason="the run is not paused")
        case "abort" if state.aborted_by is not None:
            return Refusal(status=409, reason=f"the run is aborted already, by {state.aborted_by}")
    return None
