"""The journal's table of what the jobs of live migrations have shown, from run to run (`core.seen`)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import suppress

from ..core import event_json
from ..core.events import Event, JobsSeenBefore, RunStarted
from ..core.evidence import Document
from ..core.seen import SHOWING, Seen, seen_after, seen_after_reading, seen_by_name
from ..text.hosts import server_of
from .records import parsed

SEEN = "SELECT group_id, live_migration_id, max(reported_lag), max(lag_gone), max(was_ready) FROM seen GROUP BY group_id, live_migration_id"
"""What is known of each job: what was seen at one server stays, whatever another one shows, as two names may be one Atlas."""
_ONE = "SELECT reported_lag, lag_gone, was_ready FROM seen WHERE group_id = ? AND live_migration_id = ? AND server = ?"
_WORKFLOWS = "SELECT events.run_id, data FROM events JOIN runs USING (run_id) WHERE name = ? AND NOT rehearsal"
_SHOWN = "SELECT run_id, at, name, data FROM events WHERE name IN (SELECT value FROM json_each(?)) ORDER BY seq"

Job = tuple[str, str]
"""Project and id of a live migration."""
_NOTHING = Seen()


class SeenTable:
    """What was seen at the server of *base_url*, in the journal *db*, inside a transaction of the caller's: what is taken in is there once it is written."""

    def __init__(self, db: sqlite3.Connection, base_url: str) -> None:
        self._db = db
        self._server = server_of(base_url)
        self._written: dict[Job, Seen] = {}
        self._seen: dict[Job, Seen] = {}

    def take_in(self, event: Event, ids: Mapping[str, Job]) -> None:
        """Remember what *event* shows of jobs; *ids* has project and id by the migration's name."""
        if isinstance(event, SHOWING) and event.migration in ids:
            job = ids[event.migration]
            self._seen[job] = seen_after(self._known(job), event)
        elif isinstance(event, JobsSeenBefore):  # elsewhere, where this is a run of another state directory
            for name, seen in seen_by_name(event).items():
                if name in ids:
                    self._seen[ids[name]] = Seen(*map(max, self._known(ids[name]), seen))

    def read(self, job: Job, shown: Document) -> None:
        """Remember what *job* has *shown*."""
        self._seen[job] = seen_after_reading(self._known(job), status=shown.status, ready=shown.ready, lag=shown.lag)

    def write(self) -> None:
        """Write what has changed."""
        rows = [
            (*job, self._server, *map(int, seen)) for job, seen in self._seen.items() if seen != self._written.get(job)
        ]
        self._db.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?, ?, ?)", rows)

    def _known(self, job: Job) -> Seen:
        if job not in self._seen:
            rows = self._db.execute(_ONE, (*job, self._server)).fetchall()
            self._seen[job] = Seen(*map(bool, rows[0])) if rows else _NOTHING
            self._written[job] = self._seen[job]
        return self._seen[job]


def take_in_all_runs(db: sqlite3.Connection) -> None:
    """Fill the table of the journal *db*, which has none of it yet, from the events of all its runs; those that cannot be read are left out, as whoever needs them says so."""
    begun = dict(_beginnings(db))
    tables: dict[str, SeenTable] = {}
    names = json.dumps([kind.name for kind in SHOWING])
    for run_id, at, name, data in db.execute(_SHOWN, (names,)).fetchall():
        if run_id in begun:
            first, ids = begun[run_id]
            table = tables.setdefault(server_of(first.base_url), SeenTable(db, first.base_url))
            with suppress(ValueError):
                table.take_in(event_json.from_json(name, at, parsed(data)), ids)
    for table in tables.values():
        table.write()


def _beginnings(db: sqlite3.Connection) -> Iterator[tuple[str, tuple[RunStarted, dict[str, Job]]]]:
    """How each real run began, and its live migrations by the names of its migrations."""
    for run_id, data in db.execute(_WORKFLOWS, (RunStarted.name,)).fetchall():
        with suppress(ValueError):
            event = event_json.from_json(RunStarted.name, 0.0, parsed(data))
            assert isinstance(event, RunStarted)
            yield run_id, (event, {m.name: (m.group_id, m.live_migration_id) for _, m in event.workflow.migrations()})
