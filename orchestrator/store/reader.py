"""What a journal is asked: its runs, their events, what was sent or claimed, and what other processes have left for a run."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..core.errors import JournalError
from ..core.events import Event
from ..core.listing import DECIDING, RunStanding
from ..core.readiness import FirstSeen
from ..core.run import RunState, fold
from ..core.seen import Seen, SeenJobs
from ..text.counts import plural
from ..text.hosts import same_server, server_of
from .marks import Marks, Reach
from .records import RUNS, Control, Row, RunRow, Unreadable, control_of, events_of, moment_of, run_of
from .schema import explained
from .seen import SEEN
from .wholeness import ROWS, WholenessCheck, last_event

_DECIDING = (
    "SELECT seq, at, name, data FROM events WHERE run_id = ? AND seq > ? AND seq <= ? "
    "AND name IN (SELECT value FROM json_each(?)) ORDER BY seq"
)
MOST_RUNS = 1000
"""Runs that are listed, where nobody says how many: the newest."""
_NEWEST_FIRST = "ORDER BY started_at DESC, run_id DESC LIMIT ?"
_BEGUN_AT = (  # as the run's first event says; one that is damaged tells nothing
    "SELECT CASE WHEN json_valid(data) THEN json_extract(data, '$.base_url') END FROM events WHERE run_id = ? "
    "ORDER BY seq LIMIT 1"
)


class EarlierPut(NamedTuple):
    """Which other run sent a PUT for a live migration, and when (Unix seconds).

    *elsewhere*: the address to which it, or one before it, was sent and whose end is not known, if that is another server.
    """

    run_id: str
    at: float
    elsewhere: str = ""


EarlierPuts = Mapping[tuple[str, str], EarlierPut]
"""That of each live migration (project and id)."""


class JournalReader:
    """What is asked of a journal, none of which changes it. `journal.Journal` is one that can be written as well.

    All of it raises JournalError where the file cannot be read, or is damaged; what a method raises beside that, it says.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, marks: Marks) -> None:
        self.path = path
        self._marks = marks
        self._check = WholenessCheck(path, self._query, marks)
        self._db = connection
        self._known: dict[str, Reach] = {}  # by run: the events that were read or written here
        self._addresses: dict[str, str] = {}  # by run: as `_begun_at`

    def runs(self, *, limit: int = MOST_RUNS) -> list[RunRow]:
        """The newest runs, newest first."""
        return [run_of(self.path, row) for row in self._query(f"{RUNS} {_NEWEST_FIRST}", (limit,))]

    def runs_with(self, event: type[Event], *, rehearsal: bool, limit: int) -> list[RunRow]:
        """The newest real runs, or rehearsals, that have an event of this kind, newest first."""
        having = "EXISTS (SELECT 1 FROM events WHERE events.run_id = runs.run_id AND name = ?)"
        sql = f"{RUNS} WHERE rehearsal = ? AND {having} {_NEWEST_FIRST}"
        return [run_of(self.path, row) for row in self._query(sql, (rehearsal, event.name, limit))]

    def find(self, run_id: str) -> RunRow | None:
        """The run *run_id*."""
        rows = self._query(f"{RUNS} WHERE run_id = ?", (run_id,))
        return run_of(self.path, rows[0]) if rows else None

    def matching(self, beginning: str, *, limit: int = MOST_RUNS) -> list[RunRow]:
        """The runs whose ids begin with *beginning*, newest first; only the one whose whole id it is, where there is one."""
        whole = self.find(beginning)
        if whole is not None:
            return [whole]
        sql = f"{RUNS} WHERE substr(run_id, 1, length(?1)) = ?1 {_NEWEST_FIRST}"
        return [run_of(self.path, row) for row in self._query(sql, (beginning, limit))]

    def unfinished(self, *, workflow: str | None = None, rehearsal: bool | None = None) -> list[RunRow]:
        """The unfinished runs (of *workflow*, where given), newest first."""
        conditions = "unfinished AND workflow = ifnull(?, workflow) AND rehearsal = ifnull(?, rehearsal)"
        rows = self._query(f"{RUNS} WHERE {conditions} {_NEWEST_FIRST}", (workflow, rehearsal, -1))
        return [run_of(self.path, row) for row in rows]

    def events(self, run_id: str, *, after: int = 0, most: int = -1) -> Iterator[tuple[int, Event]]:
        """The events of a run with their sequence numbers, from the first after *after* on; at most so many, -1: all.

        Raises:
            JournalDamagedError: An event was written by a newer version, or is damaged.
        """
        return events_of(self.path, run_id, self._query(f"{ROWS} LIMIT ?4", (run_id, after, None, most)))

    def bring_up_to_date(self, run_id: str, standing: RunStanding) -> None:
        """Let *standing* know what has happened to a run since it was asked last: those events alone are read that it follows from.

        Raises:
            JournalError: As `events`.
        """
        upto = last_event(self._query, run_id)
        if upto != standing.seq:
            names = json.dumps([kind.name for kind in DECIDING])
            rows = self._query(_DECIDING, (run_id, standing.seq, upto, names))
            standing.take(event for _, event in events_of(self.path, run_id, rows))
            standing.seq = upto

    def state(self, run_id: str) -> RunState:
        """The fold of a run's events, all of which are known here from now on.

        Raises:
            JournalError: As `events`.
        """
        return fold(run_id, (event for _, event in events_of(self.path, run_id, self._all_rows(run_id))))

    def told_state(self, run_id: str) -> RunState:
        """As `state`, for whoever tells how the run stands: where events of it are missing, the state says so, and takes nothing for certain that they may have changed.

        Raises:
            JournalError: As `events`.
        """
        state = self.state(run_id)
        state.missing = self.trouble(run_id)
        return state

    def trouble(self, run_id: str, *, thorough: bool = True) -> str:
        """Why the events of a run that are here cannot be taken for all that were written; empty: they can.

        Not *thorough*: only whether their number is too small, which costs little, however many there are.
        """
        return self._check.trouble(run_id, thorough=thorough)

    def check_marks(self, beginning: str = "") -> None:
        """Return when the journal reaches the marks of all runs whose ids begin with *beginning*.

        Raises:
            JournalError: It does not: events of such a run are missing, or all of them.
        """
        self._check.check_marks(beginning)

    def check_whole(self, *run_ids: str) -> None:
        """Return when a session could begin that goes on with *run_ids*: no events are missing of any run, and theirs are those that were written.

        Raises:
            JournalError: It could not.
        """
        self._check.check(run_ids)

    def readable_state(self, run_id: str) -> tuple[RunState, int]:
        """As `told_state`, without the events that cannot be read; and how many those are. It is good for the end of the run alone."""
        left_out: list[int] = []
        rows = self._all_rows(run_id)
        state = fold(run_id, (event for _, event in events_of(self.path, run_id, rows, left_out=left_out)))
        state.missing = self.trouble(run_id)
        if left_out and not state.missing:  # one of them may be the intent of a PUT
            state.missing = f"{plural(len(left_out), 'event')} of it cannot be read"
        return state, len(left_out)

    def _all_rows(self, run_id: str) -> list[Row]:
        """All events of a run, which are known here from now on."""
        rows = self._query(ROWS, (run_id, 0, None))
        self._known[run_id] = Reach().after(rows)
        return rows

    def earlier_puts(self, run_id: str, *, base_url: str = "") -> EarlierPuts:
        """Live migrations that another run sent a PUT for which may have been carried out: which run, and when.

        *base_url*: where run *run_id* reads their jobs (empty: that is not asked). Of several PUTs to one server the last one counts: it left when
        the one before it was known to have come to nothing.
        """
        rows = self._query(
            "SELECT group_id, live_migration_id, run_id, at FROM puts WHERE run_id != ? ORDER BY at, run_id", (run_id,)
        )
        ended: dict[str, frozenset[tuple[str, str]]] = {}
        puts: dict[tuple[str, str], EarlierPut] = {}
        last: dict[tuple[tuple[str, str], str], EarlierPut] = {}  # by job and server
        for group, live, other, at in rows:
            put = puts[group, live] = EarlierPut(other, moment_of(self.path, "puts", at))
            there = self._begun_at(other) if base_url else ""
            if there and not same_server(there, base_url):
                last[(group, live), server_of(there)] = put._replace(elsewhere=there)
        for (job, _), put in last.items():
            if put.run_id not in ended:
                ended[put.run_id] = self._ended_at_atlas(put.run_id)
            if job not in ended[put.run_id]:
                puts[job] = put
        return puts

    def _begun_at(self, run_id: str) -> str:
        """The address that a run was begun at; empty: that cannot be read."""
        if not self._addresses.get(run_id):
            found = next((address for (address,) in self._query(_BEGUN_AT, (run_id,))), None)
            self._addresses[run_id] = found if isinstance(found, str) else ""
        return self._addresses[run_id]

    def _ended_at_atlas(self, run_id: str) -> frozenset[tuple[str, str]]:
        """The live migrations of a run of which Atlas has told it how they ended, as far as its events can be read."""
        state = fold(
            run_id,
            (event for _, event in events_of(self.path, run_id, self._query(ROWS, (run_id, 0, None)), left_out=[])),
        )
        return frozenset(
            (m.group_id, m.live_migration_id)
            for _, m in state.workflow.migrations()
            if state.has_ended_at_atlas(m.name)
        )

    def seen_jobs(self) -> SeenJobs:
        """What the job of each live migration (project and id) has shown, to whoever has read it, at whichever server."""
        return {(group, live): Seen(*map(bool, seen)) for group, live, *seen in self._query(SEEN, ())}

    def claims_of_others(self, run_id: str) -> dict[tuple[str, str], str]:
        """Live migrations (project and id) that other runs have claimed: which run."""
        rows = self._query("SELECT group_id, live_migration_id, run_id FROM claims WHERE run_id != ?", (run_id,))
        return {(group, live): other for group, live, other in rows}

    def first_seen_ready(self) -> FirstSeen:
        """When each live migration (project and id) was first seen ready that no run has sent a PUT for since."""
        sql = (
            "SELECT group_id, live_migration_id, first_seen_at FROM ready "
            "WHERE (group_id, live_migration_id) NOT IN (SELECT group_id, live_migration_id FROM puts)"
        )
        return {(group, live): moment_of(self.path, "ready", at) for group, live, at in self._query(sql, ())}

    def controls(self, run_id: str) -> list[Control]:
        """What other processes ask of this run and has not been handled.

        Raises:
            JournalError: A request was written by a newer version, or is damaged. What it asks for is not known, so nothing is sent
                after it: it may have been `pause`, or `abort`.
        """
        readable, unreadable = self.asked(run_id)
        for each in unreadable:
            raise JournalError(
                f"{self.path}: what is asked of run {run_id} cannot be read: {each}; a newer version may have written it, or it is "
                f"damaged: once no process works on the run, `atlas-cutover abort {run_id}` ends it as it stands here"
            )
        return readable

    def last_asked(self, run_id: str) -> int:
        """Which request was the last that was left for the run, heeded or not; 0: none ever was."""
        ((last,),) = self._query("SELECT coalesce(max(id), 0) FROM controls WHERE run_id = ?", (run_id,))
        return int(last)

    def asked(self, run_id: str) -> tuple[list[Control], list[Unreadable]]:
        """As `controls`, and beside it what cannot be read."""
        sql = "SELECT id, at, command, wave, who, detail FROM controls WHERE run_id = ? AND handled = 0 ORDER BY id"
        found = [control_of(row) for row in self._query(sql, (run_id,))]
        return [each for each in found if isinstance(each, Control)], [
            each for each in found if isinstance(each, Unreadable)
        ]

    def _query(self, sql: str, parameters: tuple[Any, ...]) -> list[Row]:
        try:
            return self._db.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise explained(self.path, error) from error
