"""The journal: every event of every run, in SQLite, on disk before it counts.

A run's events are added by who has read all of them, and by nobody else: two processes that both believe to hold a run are
told apart by the first commit. How far they go is told beside the file, too (`marks`).

`Journal` reads (runs, events, control requests) and writes in transactions. While a run is under way,
`writer.Writer` alone appends its events; `schema` has the tables.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..core import event_json
from ..core import events as ev
from ..core.checkpoints import Checkpoint, unwatched
from ..core.errors import BusyError, JournalError
from ..core.events import Event
from ..core.listing import DECIDING, RunStanding
from ..core.outcomes import RunOutcome
from ..core.readiness import FirstSeen
from ..core.run import RunState, fold
from ..core.steered import Command
from ..core.steering import GateChange, SteeringRequest
from ..core.workflow import Workflow
from .ground import OpenFile
from .locks import holder_of, run_lock
from .marks import Marks, Reach
from .schema import FILE, connected, empty_wal, explained, open_files_of, where_to_read
from .state_dir import unusable
from .wholeness import ROWS, WholenessCheck, last_event

_RUNS = "SELECT run_id, workflow, rehearsal, migrations, started_at, finished_at, outcome, exit_code, unfinished, temporal FROM runs"
_DECIDING = (
    "SELECT seq, at, name, data FROM events WHERE run_id = ? AND seq > ? AND seq <= ? "
    "AND name IN (SELECT value FROM json_each(?)) ORDER BY seq"
)
EarlierPuts = Mapping[tuple[str, str], tuple[str, float]]
"""Which run sent a PUT for a live migration (project and id), and when."""
DoubtsOf = Callable[[EarlierPuts], tuple[ev.CutoverInDoubt, ...]]
"""What is in doubt for a run because of the PUTs that others sent."""

_FORGET = (
    "DELETE FROM ready WHERE (group_id, live_migration_id) IN (SELECT group_id, live_migration_id FROM puts WHERE run_id = ?)",
    "DELETE FROM puts WHERE run_id = ?",
    "DELETE FROM claims WHERE run_id = ?",
    "DELETE FROM controls WHERE run_id = ?",
    "DELETE FROM events WHERE run_id = ?",
    "DELETE FROM runs WHERE run_id = ?",
)
"""In this order, as all that is recorded of a run refers to it."""

_DECODER = json.JSONDecoder()
MOST_RUNS = 1000
"""Runs that are listed, where nobody says how many: the newest."""
_NEWEST_FIRST = "ORDER BY started_at DESC, run_id DESC LIMIT ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """A run as the list of runs shows it. *exit_code* None: it is under way, or was interrupted without a word.

    *temporal*: the Temporal cluster whose workers work on it, as `begin` was told; None: it is worked on here.
    """

    run_id: str
    workflow: str
    rehearsal: bool
    migrations: int
    started_at: float
    finished_at: float | None
    outcome: RunOutcome | None
    exit_code: int | None
    unfinished: bool
    temporal: Mapping[str, Any] | None = None

    @property
    def open_elsewhere(self) -> bool:
        """Whether, as far as is known here, workers of a Temporal cluster work on it.

        A rehearsal has a cluster of its own, which ends with the process that follows it.
        """
        return self.temporal is not None and self.finished_at is None and not self.rehearsal


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """What another process has left for the one that holds the run."""

    id: int
    request: SteeringRequest


class Journal:
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
    ) -> None:
        self.path = path
        self.state_dir = path.parent
        self.open_files = open_files
        self._db = connection
        self._checkpoint = checkpoint
        self._marks = Marks(path.parent)
        self._check = WholenessCheck(path, self._query, self._marks)
        self._known: dict[str, Reach] = {}  # by run: the events that were read or written here
        self._added: dict[str, Reach] = {}  # the same with those of the transaction under way
        self._whole: set[str] = set()  # runs whose events were seen to be those that were written

    # -- reading -----------------------------------------------------------------------------------------------------

    def runs(self, *, limit: int = MOST_RUNS) -> list[RunRow]:
        """The newest runs, newest first."""
        return [_run_row(self.path, row) for row in self._query(f"{_RUNS} {_NEWEST_FIRST}", (limit,))]

    def runs_with(self, event: type[Event], *, rehearsal: bool, limit: int) -> list[RunRow]:
        """The newest real runs, or rehearsals, that have an event of this kind, newest first."""
        having = "EXISTS (SELECT 1 FROM events WHERE events.run_id = runs.run_id AND name = ?)"
        sql = f"{_RUNS} WHERE rehearsal = ? AND {having} {_NEWEST_FIRST}"
        return [_run_row(self.path, row) for row in self._query(sql, (rehearsal, event.name, limit))]

    def find(self, run_id: str) -> RunRow | None:
        """The run *run_id*."""
        rows = self._query(f"{_RUNS} WHERE run_id = ?", (run_id,))
        return _run_row(self.path, rows[0]) if rows else None

    def matching(self, beginning: str, *, limit: int = MOST_RUNS) -> list[RunRow]:
        """The runs whose ids begin with *beginning*, newest first; only the one whose whole id it is, where there is one."""
        whole = self.find(beginning)
        if whole is not None:
            return [whole]
        sql = f"{_RUNS} WHERE substr(run_id, 1, length(?1)) = ?1 {_NEWEST_FIRST}"
        return [_run_row(self.path, row) for row in self._query(sql, (beginning, limit))]

    def unfinished(self, *, workflow: str | None = None, rehearsal: bool | None = None) -> list[RunRow]:
        """The unfinished runs (of *workflow*, where given), newest first."""
        conditions = "unfinished AND workflow = ifnull(?, workflow) AND rehearsal = ifnull(?, rehearsal)"
        rows = self._query(f"{_RUNS} WHERE {conditions} {_NEWEST_FIRST}", (workflow, rehearsal, -1))
        return [_run_row(self.path, row) for row in rows]

    def events(self, run_id: str, *, after: int = 0, most: int = -1) -> Iterator[tuple[int, Event]]:
        """The events of a run with their sequence numbers, from the first after *after* on; at most so many, -1: all.

        Raises:
            JournalError: An event was written by a newer version, or is damaged.
        """
        return self._read(self._query(f"{ROWS} LIMIT ?4", (run_id, after, None, most)))

    def bring_up_to_date(self, run_id: str, standing: RunStanding) -> None:
        """Let *standing* know what has happened to a run since it was asked last: those events alone are read that it follows from.

        Raises:
            JournalError: As `events`.
        """
        upto = last_event(self._query, run_id)
        if upto != standing.seq:
            names = json.dumps([kind.name for kind in DECIDING])
            rows = self._query(_DECIDING, (run_id, standing.seq, upto, names))
            standing.take(event for _, event in self._read(rows))
            standing.seq = upto

    def state(self, run_id: str) -> RunState:
        """The fold of a run's events, all of which are known here from now on.

        Raises:
            JournalError: As `events`.
        """
        rows = self._query(ROWS, (run_id, 0, None))
        self._known[run_id] = Reach().after(rows)
        return fold(run_id, (event for _, event in self._read(rows)))

    def earlier_puts(self, run_id: str) -> EarlierPuts:
        """Live migrations that another run sent a PUT for which may have been carried out: which run, and when."""
        rows = self._query("SELECT group_id, live_migration_id, run_id, at FROM puts WHERE run_id != ?", (run_id,))
        return {(group, live): (other, at) for group, live, other, at in rows}

    def first_seen_ready(self) -> FirstSeen:
        """When each live migration (project and id) was first seen ready that no run has sent a PUT for since."""
        sql = (
            "SELECT group_id, live_migration_id, first_seen_at FROM ready "
            "WHERE (group_id, live_migration_id) NOT IN (SELECT group_id, live_migration_id FROM puts)"
        )
        return {(group, live): at for group, live, at in self._query(sql, ())}

    def controls(self, run_id: str) -> list[Control]:
        """What other processes ask of this run and has not been handled.

        Raises:
            JournalError: A request was written by a newer version, or is damaged.
        """
        sql = "SELECT id, command, wave, who, detail FROM controls WHERE run_id = ? AND handled = 0 ORDER BY id"
        try:
            return [
                Control(id=number, request=_request(command, wave, who, json.loads(detail)))
                for number, command, wave, who, detail in self._query(sql, (run_id,))
            ]
        except ValueError as error:
            raise JournalError(
                f"{self.path}: what is asked of run {run_id} cannot be read ({error}); a newer version may have written it"
            ) from None

    # -- writing -----------------------------------------------------------------------------------------------------

    def request(self, run_id: str, *requests: SteeringRequest, at: float) -> None:
        """Leave *requests* for the process that holds the run."""
        with self._transaction():
            self._db.executemany(
                "INSERT INTO controls (run_id, at, command, wave, who, detail) VALUES (?, ?, ?, ?, ?, ?)",
                [(run_id, at, each.command, each.wave, each.who, json.dumps(_detail(each))) for each in requests],
            )

    def seen_ready(self, jobs: Iterable[tuple[str, str]], *, at: float) -> None:
        """Remember that *jobs* (project and id) are ready, which were so *at* then; the first time counts."""
        with self._transaction():
            self._db.executemany("INSERT OR IGNORE INTO ready VALUES (?, ?, ?)", [(*job, at) for job in jobs])

    def handled(self, controls: Sequence[Control]) -> None:
        """These requests have been seen to."""
        with self._transaction():
            self._mark_handled(controls)

    def _mark_handled(self, controls: Sequence[Control]) -> None:
        self._db.executemany("UPDATE controls SET handled = 1 WHERE id = ?", [(control.id,) for control in controls])

    def begin(
        self,
        run_id: str,
        workflow: Workflow,
        event: ev.RunStarted,
        *,
        also: Sequence[Event] = (),
        doubts_of: DoubtsOf = lambda _: (),
        in_place_of: Mapping[str, Sequence[Event]] = MappingProxyType({}),
        temporal: Mapping[str, Any] | None = None,
    ) -> tuple[ev.CutoverInDoubt, ...]:
        """Record the *event* with which a new run begins and, unless it is a rehearsal, claim its live migrations.

        *also*: what is recorded with it. *doubts_of* makes what is recorded and returned with it, of the PUTs that are known once
        no other run can send one. *in_place_of*: runs that end with its beginning, all at once or not at all, and the events that end them.
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
            doubts = self._claim_and_insert(run_id, workflow, event, doubts_of, also=also, rehearsal=event.rehearsal)
        self._settle(run_id)
        return doubts

    def resume(
        self,
        run_id: str,
        workflow: Workflow,
        event: ev.RunResumed,
        *,
        also: Sequence[Event] = (),
        rehearsal: bool,
        doubts_of: DoubtsOf = lambda _: (),
    ) -> tuple[ev.CutoverInDoubt, ...]:
        """Record the *event* with which a run goes on and, unless it is a rehearsal, claim its live migrations again.

        *also*: what is recorded with it. *doubts_of*: as for `begin`.

        Raises:
            BusyError: Another run has claimed one of them meanwhile.
            JournalError: As `begin`.
        """
        with self._transaction():
            self._check.check((run_id,))
            doubts = self._claim_and_insert(run_id, workflow, event, doubts_of, also=also, rehearsal=rehearsal)
        self._settle(run_id)
        return doubts

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
        rows = []
        for event in events:
            rows.append((run_id, event.at, event.name, json.dumps(event_json.to_json(event), separators=(",", ":"))))
            match event:
                case ev.GateOpened() | ev.GateWaiting() if event.ready and event.migration in ids:
                    self._db.execute("INSERT OR IGNORE INTO ready VALUES (?, ?, ?)", (*ids[event.migration], event.at))
                case ev.CutoverRequested() if event.migration in ids:
                    self._db.execute(
                        "INSERT OR REPLACE INTO puts VALUES (?, ?, ?, ?)", (*ids[event.migration], run_id, event.at)
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
        event: Event,
        doubts_of: DoubtsOf,
        *,
        also: Sequence[Event] = (),
        rehearsal: bool,
    ) -> tuple[ev.CutoverInDoubt, ...]:
        doubts: tuple[ev.CutoverInDoubt, ...] = ()
        if not rehearsal:
            self._claim(run_id, workflow)
            doubts = doubts_of(self.earlier_puts(run_id))
        self.insert(run_id, (event, *also, *doubts), {})
        if not self._marks.of(run_id).exists():  # a run has a mark, whenever the power goes
            self._marks.of(run_id).write(Reach())
        return doubts

    def _claim(self, run_id: str, workflow: Workflow) -> None:
        wanted = [(m.group_id, m.live_migration_id) for _, m in workflow.migrations()]
        names = {(m.group_id, m.live_migration_id): m.name for _, m in workflow.migrations()}
        for group_id, live_migration_id, other in self._query(
            "SELECT group_id, live_migration_id, run_id FROM claims", ()
        ):
            name = names.get((group_id, live_migration_id))
            if name is None or other == run_id:
                continue
            holder = holder_of(run_lock(self.state_dir, other))
            row = self.find(other)
            whose = f"run {other}" + (f" of workflow {row.workflow!r}" if row else "")
            if holder is not None:
                raise BusyError(
                    f"live migration {live_migration_id} ({name}) is held by {whose}, {holder}: wait for it to end"
                )
            if row is not None and row.open_elsewhere:
                raise BusyError(
                    f"live migration {live_migration_id} ({name}) is held by {whose}, which Temporal works on: "
                    f"`atlas-cutover resume {other}` follows it"
                )
            raise BusyError(
                f"live migration {live_migration_id} ({name}) belongs to {whose}, which was interrupted: "
                f"`atlas-cutover resume {other}` continues it, `atlas-cutover abort {other}` ends it"
            )
        self._db.executemany("INSERT OR IGNORE INTO claims VALUES (?, ?, ?)", [(*pair, run_id) for pair in wanted])

    # -- how far it reaches --------------------------------------------------------------------------------------------

    def _settle(self, run_id: str) -> None:
        """The beginning of a session, whose events were looked at, goes into the main file at once, and is marked."""
        try:
            empty_wal(self._db)
        except sqlite3.Error as error:
            raise explained(self.path, error) from error
        self._marks.of(run_id).write(self._known[run_id])
        self._whole.add(run_id)

    def _read(self, rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[int, Event]]:
        for seq, at, name, data in rows:
            try:
                yield seq, event_json.from_json(name, at, _parsed(data))
            except (ValueError, KeyError) as error:
                raise JournalError(f"{self.path}: event {seq} cannot be read ({error})") from error

    def _query(self, sql: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        try:
            return self._db.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise explained(self.path, error) from error

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
        yield Journal(path, connection, open_files, checkpoint)


def worked_on_by(state_dir: Path, row: RunRow) -> str | None:
    """Who works on the run *row* of *state_dir*: a process here, or as far as is known, a Temporal cluster; None: nobody."""
    holder = holder_of(run_lock(state_dir, row.run_id))
    if holder is None and row.open_elsewhere and row.temporal is not None:
        return f"Temporal at {row.temporal['address']}"
    return holder


def _parsed(data: str) -> Any:
    """What the JSON text *data* says: `json.loads` without the blanks around it, that `Journal.insert` writes none of.

    Raises:
        ValueError: It is damaged.
    """
    document, end = _DECODER.raw_decode(data)
    return document if end == len(data) else json.loads(data)


def _run_row(path: Path, row: tuple[Any, ...]) -> RunRow:
    run_id, workflow, rehearsal, migrations, started_at, finished_at, outcome, exit_code, unfinished, temporal = row
    return RunRow(
        run_id=run_id,
        workflow=workflow,
        rehearsal=bool(rehearsal),
        migrations=migrations,
        started_at=started_at,
        finished_at=finished_at,
        outcome=None if outcome is None else RunOutcome(outcome),
        exit_code=exit_code,
        unfinished=bool(unfinished),
        temporal=None if temporal is None else _cluster(path, run_id, temporal),
    )


_OF_A_CLUSTER: Mapping[str, Any] = {
    "address": str,
    "namespace": str,
    "tls": bool,
    "codec_key_file": str | None,
    "lease": int | float,
}


def _cluster(path: Path, run_id: str, written: str) -> Mapping[str, Any]:
    """Where the run *run_id* is at Temporal, as `begin` was told.

    Raises:
        JournalError: That is damaged, or nothing of this program's.
    """
    try:
        found = json.loads(written)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(found.get(key), kind) for key, kind in _OF_A_CLUSTER.items()):
        raise JournalError(
            f"{path}: run {run_id}: where it is at Temporal cannot be read: the file is damaged; restore a copy"
        )
    return found


def _detail(request: SteeringRequest) -> dict[str, Any]:
    gate = [request.gate.max_lag, request.gate.timeout] if request.gate else None
    return {"reason": request.reason, "migration": request.migration, "gate": gate}


_OF_A_REQUEST: Mapping[str, Any] = {"reason": str | None, "migration": str | None, "gate": list | None}


def _request(command: str, wave: str | None, who: str, detail: Any) -> SteeringRequest:
    """A request as it was left; one of an older version has no detail.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(detail, dict) or not all(
        isinstance(detail.get(key), kind) for key, kind in _OF_A_REQUEST.items()
    ):
        raise ValueError(f"{command}: its details are none")
    gate = detail.get("gate")
    if gate is not None and (
        len(gate) != 2 or not all(isinstance(each, int | float | None) and not isinstance(each, bool) for each in gate)
    ):
        raise ValueError(f"{command}: its gate is none")
    return SteeringRequest(
        command=Command(command),
        who=who,
        reason=detail.get("reason") or "",
        wave=wave,
        migration=detail.get("migration"),
        gate=GateChange(max_lag=gate[0], timeout=gate[1]) if gate else None,
    )
