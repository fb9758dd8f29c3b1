"""`status`: the runs of a state directory, or how one of them stands."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..core.arguments import count
from ..core.errors import CutoverError
from ..core.holds import Hold, holds, silence
from ..core.listing import RunStanding
from ..reports.model import RunReport
from ..store.journal import MOST_RUNS, Journal, RunRow, open_journal, worked_on_by
from ..store.last_read import LastReads, read_reads, reads_path, silent_since
from ..store.locks import holder_of, run_lock
from .apart import wait_for
from .find import find_run, state_dir_of
from .reporting import as_recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class RunListed:
    """A run in the list of runs.

    *holder*: who works on it (None: nobody); *stale*: why Temporal, where it goes on, could not be asked, so that this is how it
    stood when it was last followed from here, or that somebody has closed it there (None: this is how it stands). *stands*: how it does as a
    whole, in a word or two, where somebody works on it. *events_missing*: why events of it may not be known here, so that its row says less than
    was done (None: all are).
    """

    row: RunRow
    holder: str | None
    stands: str | None = None
    stale: str | None = None
    events_missing: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """How a run stands: its *report* as it would be were it to end now.

    *holder*: who works on it (None: nobody); *holds*: what keeps them from going on; *reads*: what the last read of each job
    showed; *stale*: as of `RunListed`.
    """

    report: RunReport
    holder: str | None
    holds: tuple[Hold, ...]
    reads: LastReads
    stale: str | None = None


def runs(*, state_dir: Path | str | None = None, limit: int = MOST_RUNS) -> tuple[RunListed, ...]:
    """The runs of a state directory, newest first. Those that go on at Temporal, and nobody here follows, are asked for there.

    Args:
        state_dir: Where the journal is; None: the usual place.
        limit: How many, at most.

    Raises:
        InputError: *limit* is no whole number of at least 1.
        JournalError: The journal cannot be read.
    """
    count("limit", limit)
    directory = state_dir_of(state_dir)
    with open_journal(directory, readonly=True) as journal:
        stale = {row.run_id: why for row in journal.runs(limit=limit) if (why := _take_in(row, directory)) is not None}
    with open_journal(directory, readonly=True) as journal:
        if not journal.runs(limit=1):
            journal.check_marks()  # there may have been some
        return tuple(_listed(journal, row, stale.get(row.run_id)) for row in journal.runs(limit=limit))


def _listed(journal: Journal, row: RunRow, stale: str | None) -> RunListed:
    missing = journal.trouble(row.run_id, thorough=False) or None
    holder = worked_on_by(journal.state_dir, row)
    if holder is None:
        return RunListed(row=row, holder=None, stale=stale, events_missing=missing)
    standing = RunStanding()
    journal.bring_up_to_date(row.run_id, standing)
    silent = silent_since(journal.state_dir, row.run_id, now=time.time()) is not None
    stands = standing.word(silent=silent)
    return RunListed(row=row, holder=holder, stale=stale, stands=stands, events_missing=missing)


def up_to_date(run_id: str | None, directory: Path) -> tuple[str, str | None]:
    """The id of the run that *run_id* names, with what Temporal knows of it taken in; and why that could not be done.

    Raises:
        InputError: There is no such run.
        JournalError: The journal cannot be read.
    """
    with open_journal(directory, readonly=True) as journal:
        row = find_run(journal, run_id)
    return row.run_id, _take_in(row, directory)


def _take_in(row: RunRow, directory: Path) -> str | None:
    """Take in what Temporal knows of the run *row*, where it goes on there and nobody here follows it; why not, otherwise."""
    if not row.open_elsewhere or holder_of(run_lock(directory, row.run_id)) is not None:
        return None
    from . import temporal_runs

    try:
        closed = wait_for(row.run_id, partial(temporal_runs.catch_up, row, directory))
    except CutoverError as error:
        return f"run {row.run_id}: this is how it stood when it was last followed from here; {error}"
    if closed:
        return (
            f"run {row.run_id}: it was closed at Temporal before it had ended: `atlas-cutover resume {row.run_id}` goes on "
            "with it"
        )
    return None


def status(run_id: str | None = None, *, state_dir: Path | str | None = None) -> RunStatus:
    """How one run stands, from the journal: Atlas is not asked. One that goes on at Temporal, and nobody here follows, is asked for there.

    Args:
        run_id: The run, or how its id begins; None: the newest of those under way, else of all, real ones first.
        state_dir: Where its journal is; None: the usual place.

    Raises:
        InputError: There is no such run.
        JournalError: The journal cannot be read.
    """
    directory = state_dir_of(state_dir)
    whole_id, stale = up_to_date(run_id, directory)
    with open_journal(directory, readonly=True) as journal:
        row = find_run(journal, whole_id)
        state = journal.told_state(row.run_id)
        holder = worked_on_by(journal.state_dir, row)
        silent = silent_since(journal.state_dir, row.run_id, now=time.time()) if holder else None
        report = as_recorded(state, now=time.time(), holder=holder, silent=silent)
        return RunStatus(
            report=report,
            holder=holder,
            holds=((silence(row.run_id, holder, silent),) if holder and silent else ())
            + (tuple(holds(state)) if holder else ()),
            reads=LastReads(by_name=read_reads(reads_path(journal.state_dir, row.run_id)), now=time.time()),
            stale=stale,
        )
