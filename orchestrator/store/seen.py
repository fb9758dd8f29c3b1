"""The journal's table of what the jobs of live migrations have shown, from run to run (`core.seen`)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Protocol

from ..core import event_json
from ..core.events import Event, JobsSeenBefore, RunStarted
from ..core.seen import SHOWING, Seen, seen_after, seen_after_reading, seen_by_name
from .records import parsed

SEEN = "SELECT group_id, live_migration_id, reported_lag, lag_gone FROM seen"
_ONE = "SELECT reported_lag, lag_gone FROM seen WHERE group_id = ? AND live_migration_id = ?"
_WORKFLOWS = "SELECT events.run_id, data FROM events JOIN runs USING (run_id) WHERE name = ? AND NOT rehearsal"
_SHOWN = "SELECT run_id, at, name, data FROM events WHERE name IN (SELECT value FROM json_each(?)) ORDER BY seq"

Job = tuple[str, str]
"""Project and id of a live migration."""
_NOTHING = Seen()


class Shown(Protocol):
    """A job's document, as who reads it without a run has it."""

    @property
    def status(self) -> str | None:
        """Atlas's own word."""

    @property
    def ready(self) -> bool | None:
        """`readyForCutover`."""

    @property
    def lag(self) -> float | None:
        """`lagTimeSeconds`."""


class SeenTable:
    """The table in the journal *db*, inside a transaction of the caller's: what is taken in is there once it is written."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
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

    def read(self, job: Job, shown: Shown) -> None:
        """Remember what *job* has *shown*."""
        self._seen[job] = seen_after_reading(self._known(job), status=shown.status, ready=shown.ready, lag=shown.lag)

    def write(self) -> None:
        """Write what has changed."""
        rows = [(*job, *map(int, seen)) for job, seen in self._seen.items() if seen != self._written.get(job)]
        self._db.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?)", rows)

    def take_in_all_runs(self) -> None:
        """Fill the table of a journal that had none from the events of all its runs; those that cannot be read are left out, as whoever needs them says so."""
        ids = dict(self._workflows())
        names = json.dumps([kind.name for kind in SHOWING])
        for run_id, at, name, data in self._db.execute(_SHOWN, (names,)).fetchall():
            if run_id in ids:
                with suppress(ValueError):
                    self.take_in(event_json.from_json(name, at, parsed(data)), ids[run_id])
        self.write()

    def _workflows(self) -> Iterator[tuple[str, dict[str, Job]]]:
        """The live migrations of each real run, by the names of its migrations."""
        for run_id, data in self._db.execute(_WORKFLOWS, (RunStarted.name,)).fetchall():
            with suppress(ValueError):
                event = event_json.from_json(RunStarted.name, 0.0, parsed(data))
                assert isinstance(event, RunStarted)
                yield run_id, {m.name: (m.group_id, m.live_migration_id) for _, m in event.workflow.migrations()}

    def _known(self, job: Job) -> Seen:
        if job not in self._seen:
            rows = self._db.execute(_ONE, job).fetchall()
            self._seen[job] = Seen(*map(bool, rows[0])) if rows else _NOTHING
            self._written[job] = self._seen[job]
        return self._seen[job]
