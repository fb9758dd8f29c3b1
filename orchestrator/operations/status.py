"""`status`: the runs of a state directory, or how one of them stands."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from pathlib import Path

from ..core.run import RunState
from ..reports.model import RunReport
from ..store.journal import RunRow, open_journal
from ..store.last_read import LastReads, read_reads, reads_path
from ..store.locks import holder_of, run_lock
from ..text.instants import in_words
from .find import find_run, place_of
from .reporting import as_recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class RunListed:
    """A run in the list of runs. *holder*: who works on it (None: nobody)."""

    row: RunRow
    holder: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """What keeps a run from going on; *command* lets it, where a command can."""

    reason: str
    command: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """How a run stands: its *report* as it would be were it to end now.

    *holder*: who works on it (None: nobody); *holds*: what keeps them from going on; *reads*: what the last read of each job
    showed.
    """

    report: RunReport
    holder: str | None
    holds: tuple[Hold, ...]
    reads: LastReads


def runs(*, state_dir: Path | str | None = None) -> tuple[RunListed, ...]:
    """The runs of a state directory, newest first.

    Args:
        state_dir: Where the journal is; None: the usual place.

    Raises:
        JournalError: The journal cannot be read.
    """
    with open_journal(place_of(state_dir), readonly=True) as journal:
        return tuple(
            RunListed(row=row, holder=holder_of(run_lock(journal.state_dir, row.run_id))) for row in journal.runs()
        )


def status(run_id: str | None = None, *, state_dir: Path | str | None = None) -> RunStatus:
    """How one run stands, from the journal: nothing is sent.

    Args:
        run_id: The run, or how its id begins; None: the newest of those under way, else of all, real ones first.
        state_dir: Where its journal is; None: the usual place.

    Raises:
        InputError: There is no such run.
        JournalError: The journal cannot be read.
    """
    with open_journal(place_of(state_dir), readonly=True) as journal:
        row = find_run(journal, run_id)
        state = journal.state(row.run_id)
        report = as_recorded(state, now=time.time())
        holder = holder_of(run_lock(journal.state_dir, row.run_id))
        return RunStatus(
            report=report,
            holder=holder,
            holds=tuple(_holds(state)) if holder else (),
            reads=LastReads(by_name=read_reads(reads_path(journal.state_dir, row.run_id)), now=time.time()),
        )


def _holds(state: RunState) -> list[Hold]:
    run_id = state.run_id
    holds = []
    if state.paused_by is not None:
        since = f" since {in_words(state.paused_at)}" if state.paused_at else ""
        holds.append(Hold(reason=f"paused by {state.paused_by}{since}", command=f"atlas-cutover unpause {run_id}"))
    if state.unconfirmed_since is not None:
        since = in_words(state.unconfirmed_since)
        holds.append(
            Hold(reason=f"starts nothing before it is confirmed on the terminal of {state.who}, since {since}")
        )
    if state.window_opens is not None:
        last = "" if state.opening is None else f"; cutovers may start until {in_words(state.opening.last_start)}"
        holds.append(Hold(reason=f"waits for the window, which opens at {in_words(state.window_opens)}{last}"))
    for name, wave in state.waves.items():
        if wave.approval_since is not None and wave.approved_by is None:
            since = in_words(wave.approval_since)
            command = f"atlas-cutover approve {run_id} {shlex.quote(name)}"
            holds.append(Hold(reason=f"wave {name} waits for approval since {since}", command=command))
    return holds
