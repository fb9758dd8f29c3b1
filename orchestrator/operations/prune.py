"""`runs prune`: removes runs that are over, with their events and reports."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import JournalError
from ..core.outcomes import Outcome
from ..core.run import fold
from ..machine.own_files import refuse_link
from ..machine.person import who_am_i
from ..store.journal import Journal, RunRow, open_journal
from ..store.last_read import reads_path
from ..store.locks import LockedError, holder_of, locked, run_lock
from ..store.marks import Marks
from ..store.state_dir import part_of_path, unusable
from .find import state_dir_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A *run* that is not removed, and *why*."""

    run: RunRow
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prunable:
    """Of the runs that were asked for, those that may be *removed*, or have been, and those that are *kept*."""

    removed: tuple[RunRow, ...]
    kept: tuple[Kept, ...]


def prunable(
    *,
    older_than: float | None = None,
    rehearsals: bool = False,
    state_dir: Path | str | None = None,
    now: float | None = None,
) -> Prunable:
    """What `prune` would remove; nothing is changed.

    Args:
        older_than: Only runs that ended longer ago than so many seconds.
        rehearsals: Only rehearsals.
        state_dir: Where the journal is; None: the usual place.
        now: Unix seconds; None: now.

    Raises:
        JournalError: The journal cannot be read.
    """
    now = time.time() if now is None else now
    with open_journal(state_dir_of(state_dir), readonly=True) as journal:
        asked = [
            row
            for row in journal.runs(limit=-1)
            if (row.rehearsal or not rehearsals)
            and (older_than is None or (row.finished_at or row.started_at) < now - older_than)
        ]
        return _sorted(journal, asked)


def prune(run_ids: Iterable[str], *, state_dir: Path | str | None = None) -> Prunable:
    """Remove the runs *run_ids*, but for those that are not over, or about whose PUTs something is not known.

    Forecasts are made from what is left. The journal's file does not shrink: the room is used for what comes.

    Raises:
        JournalError: The journal cannot be written.
    """
    removed: list[RunRow] = []
    kept: list[Kept] = []
    with open_journal(state_dir_of(state_dir)) as journal:
        for run_id in run_ids:
            row = journal.find(run_id)
            if row is None:
                continue  # somebody else has removed it
            try:
                with locked(run_lock(journal.state_dir, run_id), holder=who_am_i(), briefly=True):
                    found = _sorted(journal, [journal.find(run_id) or row], locked_here=True)
                    kept += found.kept
                    for each in found.removed:
                        _remove(journal, each)
                        removed.append(each)
            except LockedError as error:
                kept.append(Kept(run=row, why=f"{error.holder} works on it"))
    return Prunable(removed=tuple(removed), kept=tuple(kept))


def _sorted(journal: Journal, rows: Iterable[RunRow], *, locked_here: bool = False) -> Prunable:
    removed: list[RunRow] = []
    kept: list[Kept] = []
    for row in rows:
        why = _why_kept(journal, row, locked_here=locked_here)
        if why is None:
            removed.append(row)
        else:
            kept.append(Kept(run=row, why=why))
    return Prunable(removed=tuple(removed), kept=tuple(kept))


def _why_kept(journal: Journal, row: RunRow, *, locked_here: bool) -> str | None:
    """Why the run may not be removed; None: it may."""
    holder = None if locked_here else holder_of(run_lock(journal.state_dir, row.run_id))
    if holder is not None:
        return f"{holder} works on it"
    # Without a mark it is one whose removal was cut short, or that was copied here: then what is there has to do.
    if (
        not row.rehearsal
        and Marks(journal.state_dir).of(row.run_id).exists()
        and (missing := journal.trouble(row.run_id))
    ):
        return f"{missing}. Cutovers that it has sent may not be known here: `atlas-cutover status {row.run_id}` says what to do"
    if row.unfinished:
        return f"it is unfinished: `atlas-cutover resume {row.run_id}` goes on with it, `atlas-cutover abort {row.run_id}` ends it"
    if row.rehearsal:
        return None
    try:
        state = fold(row.run_id, (event for _, event in journal.events(row.run_id)))
    except JournalError as error:
        return f"what it sent cannot be read: {error}"
    unknown = {*state.unsettled(), *(n for n, known in state.migrations.items() if known.outcome is Outcome.TIMED_OUT)}
    if unknown:
        # Another run has to know of these PUTs, or it would take the jobs for untouched.
        return f"how {len(unknown)} of its cutovers ended is not known"
    return None


def _remove(journal: Journal, row: RunRow) -> None:
    reports = journal.state_dir / "runs" / part_of_path(row.run_id)
    files = reads_path(journal.state_dir, row.run_id), run_lock(journal.state_dir, row.run_id)
    try:
        for each in (reports, *files):
            refuse_link(each.parent)  # before the run is forgotten: it would lead to what is not ours to remove
        journal.forget(row.run_id)
        if reports.is_dir() and not reports.is_symlink():
            shutil.rmtree(reports)
        for file in files:
            file.unlink(missing_ok=True)
    except OSError as error:
        raise unusable(Path(error.filename or reports), error) from error
