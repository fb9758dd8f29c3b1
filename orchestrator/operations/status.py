"""`status`: the runs of a state directory, or how one of them stands."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from ..core.advice import Hold, holds, silence
from ..core.errors import CutoverError
from ..reports.model import RunReport
from ..store.journal import RunRow, open_journal, worked_on_by
from ..store.last_read import LastReads, read_reads, reads_path, silent_since
from ..store.locks import holder_of, run_lock
from .find import find_run, place_of
from .reporting import as_recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class RunListed:
    """A run in the list of runs. *holder*: who works on it (None: nobody)."""

    row: RunRow
    holder: str | None


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
        return tuple(RunListed(row=row, holder=worked_on_by(journal.state_dir, row)) for row in journal.runs())


def take_in(run_id: str | None = None, *, state_dir: Path | str | None = None) -> tuple[str, ...]:
    """Take in what Temporal knows of runs that it works on and that nobody here follows; why that could not be done, for each.

    Args:
        run_id: The run, or how its id begins; None: all of them.
        state_dir: Where the journal is; None: the usual place.

    Raises:
        InputError: There is no such run.
        JournalError: The journal cannot be read or written.
    """
    place = place_of(state_dir)
    with open_journal(place, readonly=True) as journal:
        rows = journal.runs() if run_id is None else [find_run(journal, run_id)]
    rows = [row for row in rows if row.open_elsewhere and holder_of(run_lock(place, row.run_id)) is None]
    if not rows:
        return ()
    import anyio

    from . import elsewhere

    trouble = []
    for row in rows:
        try:
            anyio.run(elsewhere.catch_up, row, place)
        except CutoverError as error:
            trouble.append(f"run {row.run_id}: this is how it stood when it was last followed from here; {error}")
    return tuple(trouble)


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
        holder = worked_on_by(journal.state_dir, row)
        silent = silent_since(journal.state_dir, row.run_id, now=time.time()) if holder else None
        report = as_recorded(state, now=time.time(), holder=holder, silent=silent)
        return RunStatus(
            report=report,
            holder=holder,
            holds=((silence(holder, silent),) if holder and silent else ()) + (holds(state) if holder else ()),
            reads=LastReads(by_name=read_reads(reads_path(journal.state_dir, row.run_id)), now=time.time()),
        )
