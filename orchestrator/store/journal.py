"""The journal: every event of every run, in SQLite, on disk before it counts.

A run's events are added by who has read all of them, and by nobody else: two processes that both believe to hold a run are
told apart by the first commit. How far they go is told beside the file, too (`marks`).

`Journal` writes in transactions, and says what its `reader` can. While a run is under way, `writer.Writer` alone appends its
events; `schema` has the tables, `records` what is in their rows.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..core import event_json
from ..core import events as ev
from ..core.checkpoints import Checkpoint, unwatched
from ..core.errors import CrossedError, JournalError
from ..core.events import Event
from ..core.evidence import Document
from ..core.seen import SeenJobs
from ..core.steering import SteeringRequest
from ..core.workflow import Workflow
from .claims import refuse_claimed
from .ground import OpenFile
from .locks import run_lock, worker_of
from .marks import Marks, Reach
from .reader import MOST_RUNS, EarlierPuts, JournalReader
from .records import Control, RowDamagedError, RunRow, Unreadable, detail_of, events_of
from .schema import FILE, connected, empty_wal, explained, open_files_of, where_to_read
from .seen import SeenTable
from .state_dir import unusable
from .wholeness import ROWS, last_event

__all__ = ["MOST_RUNS", "Control", "Journal", "RunRow", "Unreadable", "journal_in", "open_journal", "worked_on_by"]

Remembered = Callable[[EarlierPuts, SeenJobs], tuple[Event, ...]]
"""What a session begins with because of the PUTs that others sent, and of what has been seen of its jobs."""

_FORGET = (
    "DELETE FROM ready WHERE (group_id, live_migration_id) IN (SELECT group_id, live_migration_id FROM puts WHERE run_id = ?)",
    "DELETE FROM puts WHERE run_id = ?",
    "DELETE FROM claims WHERE run_id = ?",
    "DELETE FROM controls WHERE run_id = ?",
    "DELETE FROM events WHERE run_id = ?",
    "DELETE FROM runs WHERE run_id = ?",
)
"""In this order, as all that is recorded of a run refers to it."""


class Journal(JournalReader):
    """The journal of one state directory. Use `open_journal`.

    All that reads or writes raises JournalError where the file cannot be read or written, or is damaged; what a method raises
    beside that, it says.
    """

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        open_files: tuple[OpenFile, ...] = (),
        checkpoint: Checkpoint = unwatched,
        marks: Marks | None = None,
    ) -> None:
        super().__init__(path, connection, marks or Marks(path.parent))
        self.state_dir = path.parent
        self.open_files = open_files
        self._checkpoint = checkpoint
        self._added: dict[str, Reach] = {}  # as `_known`, with the events of the transaction under way
        self._whole: set[str] = set()  # runs whose events were seen to be those that were written

    def request(
        self, run_id: str, *requests: SteeringRequest, at: float, in_session: bool = False, after: int | None = None
    ) -> bool:
        """Leave *requests* for the process that holds the run; whether they were left.

        *in_session*: only while a session goes on, whose process looks for them once more when its end is recorded. *after*: only while
        that is the last that was asked (`last_asked`).

        Raises:
            CrossedError: Something else was asked since.
        """
        with self._transaction():
            if after is not None and self.last_asked(run_id) != after:
                raise CrossedError("something else has just been asked of the run: look again")
            if in_session and self._query("SELECT 1 FROM runs WHERE run_id = ? AND finished_at IS NOT NULL", (run_id,)):
                return False
            self._db.executemany(
                "INSERT INTO controls (run_id, at, command, wave, who, detail) VALUES (?, ?, ?, ?, ?, ?)",
                [(run_id, at, each.command, each.wave, each.who, json.dumps(detail_of(each))) for each in requests],
            )
        return True

    def shown(self, jobs: Mapping[tuple[str, str], Document], *, base_url: str, at: float) -> None:
        """Remember what *jobs* (project and id) showed *at* then at *base_url*, whom no run has asked; when each was ready, the first time counts."""
        with self._transaction():
            ready = [(*job, at) for job, shown in jobs.items() if shown.ready]
            self._db.executemany("INSERT OR IGNORE INTO ready VALUES (?, ?, ?)", ready)
            seen = SeenTable(self._db, base_url)
            for job, shown in jobs.items():
                seen.read(job, shown)
            seen.write()

    def handled(self, controls: Sequence[Control | Unreadable]) -> None:
        """These requests have been seen to."""
        with self._transaction():
            self._mark_handled(controls)

    def _mark_handled(self, controls: Sequence[Control | Unreadable]) -> None:
        self._db.executemany("UPDATE controls SET handled = 1 WHERE id = ?", [(control.id,) for control in controls])

    def begin(
        self,
        run_id: str,
        workflow: Workflow,
        event: ev.RunStarted,
        *,
        also: Sequence[Event] = (),
        remembered: Remembered = lambda _puts, _seen: (),
        in_place_of: Mapping[str, Sequence[Event]] = MappingProxyType({}),
        temporal: Mapping[str, Any] | None = None,
    ) -> tuple[Event, ...]:
        """Record the *event* with which a new run begins and, unless it is a rehearsal, claim its live migrations.

        *also*: what is recorded with it. *remembered* makes what is recorded and returned with it, of what is known of its live migrations once
        no other run can work on them. *in_place_of*: runs that end with its beginning, all at once or not at all, and the events that end them.
        *temporal*: the cluster whose workers work on it.

        Raises:
            BusyError: Another run, active or unfinished, has claimed one of them.
            JournalError: It cannot be written, or does not reach the mark of some run.
        """
        with self._transaction():
            self._check.check(in_place_of)
            for other, last in in_place_of.items():
                self.insert(other, last, {})
            self._db.execute(
                "INSERT INTO runs (run_id, workflow, rehearsal, migrations, started_at, temporal) VALUES (?, ?, ?, ?, ?, ?)",
                (
                    run_id,
                    workflow.name,
                    event.rehearsal,
                    len(event.selected),
                    event.at,
                    None if temporal is None else json.dumps(dict(temporal)),
                ),
            )
            told = self._claim_and_insert(run_id, workflow, event, remembered, also=also, rehearsal=event.rehearsal)
        self._settle(run_id)
        return told

    def resume(
        self,
        run_id: str,
        workflow: Workflow,
        event: ev.RunResumed,
        *,
        also: Sequence[Event] = (),
        rehearsal: bool,
        remembered: Remembered = lambda _puts, _seen: (),
    ) -> tuple[Event, ...]:
        """Record the *event* with which a run goes on and, unless it is a rehearsal, claim its live migrations again.

        *also*: what is recorded with it. *remembered*: as for `begin`.

        Raises:
            BusyError: Another run has claimed one of them meanwhile.
            JournalError: As `begin`.
        """
        with self._transaction():
            self._check.check((run_id,))
            told = self._claim_and_insert(run_id, workflow, event, remembered, also=also, rehearsal=rehearsal)
        self._settle(run_id)
        return told

    def insert(self, run_id: str, events: Iterable[Event], ids: dict[str, tuple[str, str]]) -> None:
        """Write *events* inside the caller's transaction, and keep the tables that derive from them in step.

        *ids* gives project and live migration by the migration's name; empty for a rehearsal, which claims nothing.

        Raises:
            JournalError: Another process has added events that are not known here.
        """
        known = self._added.get(run_id) or self._known.get(run_id)
        if known is None:
            known = Reach().after(self._query(ROWS, (run_id, 0, None)))
        elif last_event(self._query, run_id) != known.seq:
            raise JournalError(
                f"{self.path}: another process has worked on run {run_id} meanwhile, so this one stops (was "
                f"its lock file removed?): `atlas-cutover status {run_id}` shows the run, `atlas-cutover resume {run_id}` goes on with it"
            )
        rows, seen = [], SeenTable(self._db, self._begun_at(run_id))
        for event in events:
            seen.take_in(event, ids)
            rows.append((run_id, event.at, event.name, json.dumps(event_json.to_json(event), separators=(",", ":"))))
            match event:
                case ev.GateOpened() | ev.GateWaiting() if event.ready and event.migration in ids:
                    self._db.execute("INSERT OR IGNORE INTO ready VALUES (?, ?, ?)", (*ids[event.migration], event.at))
                case ev.CutoverRequested() if event.migration in ids:
                    self._db.execute(
                        "INSERT OR REPLACE INTO puts VALUES (?, ?, ?, ?)", (*ids[event.migration], run_id, event.at)
                    )
                case ev.CutoverInDoubt() if event.migration in ids:  # perhaps without a PUT that is known here
                    self._db.execute(
                        "INSERT OR IGNORE INTO puts VALUES (?, ?, ?, ?)", (*ids[event.migration], run_id, event.at)
                    )
                case ev.CutoverNotBegun() if event.migration in ids:
                    self._db.execute(
                        "DELETE FROM puts WHERE group_id = ? AND live_migration_id = ? AND run_id = ?",
                        (*ids[event.migration], run_id),
                    )
                case ev.RunFinished():
                    self._db.execute(
                        "UPDATE runs SET finished_at = ?, outcome = ?, exit_code = ?, unfinished = ? WHERE run_id = ?",
                        (event.at, event.outcome, event.exit_code, event.unfinished, run_id),
                    )
                    if not event.keep_claims:
                        self._db.execute("DELETE FROM claims WHERE run_id = ?", (run_id,))
                case ev.RunResumed():
                    self._db.execute(
                        "UPDATE runs SET finished_at = NULL, outcome = NULL, exit_code = NULL, unfinished = 1, migrations = ? "
                        "WHERE run_id = ?",
                        (len(event.selected), run_id),
                    )
        seen.write()
        self._db.executemany("INSERT INTO events (run_id, at, name, data) VALUES (?, ?, ?, ?)", rows)
        self._added[run_id] = known.after(self._query(ROWS, (run_id, known.seq, None)))

    def commit(
        self,
        run_id: str,
        events: Sequence[Event],
        ids: dict[str, tuple[str, str]],
        *,
        marked: bool = True,
        damaged_too: bool = False,
        handled: Sequence[Control] = (),
    ) -> None:
        """Write *events* in one transaction: they are on disk when this returns.

        *marked*: their loss would be noticed, too. It costs a sync more, and only events that an action waits for need it.
        *damaged_too*: also where events of the run are missing. A mark over those that are left says that they are all, so
        only the end of a run may be written there. *handled*: the requests that they carry out.

        Raises:
            JournalError: The disk is full, the file read-only or damaged, or events of the run are missing.
        """
        with self._transaction():
            if run_id not in self._whole and not damaged_too:
                self._check.check_run(run_id)
                self._whole.add(run_id)
            self.insert(run_id, events, ids)
            self._mark_handled(handled)
            self._checkpoint("committing")
        if marked:
            self._marks.of(run_id).write(self._known[run_id])
        self._checkpoint("committed")

    def mend(self, run_id: str) -> None:
        """Write down anew how the run *run_id* stands, as its events say, where the list of runs cannot tell. The caller holds its lock.

        Raises:
            JournalError: The journal cannot be read or written.
        """
        try:
            self.find(run_id)
        except RowDamagedError:
            pass
        else:
            return
        first, last = None, None
        for _, event in events_of(self.path, run_id, self._query(ROWS, (run_id, 0, None)), left_out=[]):
            if isinstance(event, (ev.RunStarted, ev.RunResumed, ev.RunFinished)):
                first, last = first or event, event
        ended = last if isinstance(last, ev.RunFinished) else None
        stands = (
            first.at if first else 0.0,
            *((ended.at, ended.outcome, ended.exit_code, ended.unfinished) if ended else (None, None, None, True)),
        )
        with self._transaction():
            self._db.execute(
                "UPDATE runs SET started_at = ?, finished_at = ?, outcome = ?, exit_code = ?, unfinished = ? WHERE run_id = ?",
                (*stands, run_id),
            )

    def forget(self, run_id: str) -> None:
        """Remove a run and all that is recorded of it. The caller holds its lock, and has seen that it is over.

        Its mark goes first, as one without a run would keep every other run from starting.
        """
        self._marks.of(run_id).remove()
        with self._transaction():
            for statement in _FORGET:
                self._db.execute(statement, (run_id,))
        self._known.pop(run_id, None)
        self._whole.discard(run_id)

    def try_to_write(self) -> None:
        """Return when a transaction could begin now.

        Raises:
            JournalLockedError: Another program keeps the file locked.
            JournalError: It cannot be written for another reason.
        """
        with self._transaction():
            pass

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _claim_and_insert(
        self,
        run_id: str,
        workflow: Workflow,
        event: ev.RunStarted | ev.RunResumed,
        remembered: Remembered,
        *,
        also: Sequence[Event] = (),
        rehearsal: bool,
    ) -> tuple[Event, ...]:
        told: tuple[Event, ...] = ()
        self._marks.make_place()  # nothing is recorded of a session that could not be marked
        if not rehearsal:
            self._claim(run_id, workflow)
            told = remembered(self.earlier_puts(run_id, base_url=event.base_url), self.seen_jobs())
        self.insert(run_id, (event, *also, *told), {})
        if not self._marks.of(run_id).exists():  # a run has a mark, whenever the power goes
            self._marks.of(run_id).write(Reach())
        return told

    def _claim(self, run_id: str, workflow: Workflow) -> None:
        refuse_claimed(self, run_id, workflow)
        wanted = [(m.group_id, m.live_migration_id, run_id) for _, m in workflow.migrations()]
        self._db.executemany("INSERT OR IGNORE INTO claims VALUES (?, ?, ?)", wanted)

    def _settle(self, run_id: str) -> None:
        """The beginning of a session, whose events were looked at, goes into the main file at once, and is marked."""
        try:
            empty_wal(self._db)
        except sqlite3.Error as error:
            raise explained(self.path, error) from error
        self._marks.of(run_id).write(self._known[run_id])
        self._whole.add(run_id)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._added.clear()
            try:
                yield
                self._db.execute("COMMIT")
                self._known |= self._added
            finally:
                if self._db.in_transaction:  # a full disk has rolled back by itself
                    self._db.rollback()
        except sqlite3.Error as error:
            raise explained(self.path, error) from error


def journal_in(state_dir: Path) -> bool:
    """Whether there is a journal in *state_dir*.

    Raises:
        JournalError: That cannot be seen.
    """
    path = state_dir / FILE
    try:
        return path.exists()
    except OSError as error:
        raise unusable(path, error) from error


@contextmanager
def open_journal(state_dir: Path, *, readonly: bool = False, checkpoint: Checkpoint = unwatched) -> Iterator[Journal]:
    """The journal in *state_dir*; made where there is none, unless *readonly*. *checkpoint* is told of commits.

    Raises:
        JournalError: The directory or file cannot be used, is damaged, or of a newer version.
    """
    path = state_dir / FILE
    with where_to_read(path, readonly=readonly) as file, connected(file, readonly=readonly) as connection:
        try:
            open_files = () if readonly else open_files_of(path)
        except OSError as error:
            raise unusable(path, error) from error
        yield Journal(path, connection, open_files, checkpoint, Marks(file.parent))


def worked_on_by(state_dir: Path, row: RunRow) -> str | None:
    """Who works on the run *row* of *state_dir*: a process here, or as far as is known, a Temporal cluster; None: nobody."""
    holder = worker_of(run_lock(state_dir, row.run_id))
    if holder is None and row.open_elsewhere and row.temporal is not None:
        return f"Temporal at {row.temporal['address']}"
    return holder
