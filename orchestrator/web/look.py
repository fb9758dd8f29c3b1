"""Looking at the journal: what is new in a run, and which runs there are. Blocking; `feed` calls it in worker threads.

Each look opens the journal for reading and closes it again. So a journal that appears later, or is replaced, needs no
care, and nothing stays locked.
"""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import Any

from ..core.errors import JournalError
from ..core.events import Event, HookFinished, RunFinished, RunResumed, RunStarted, WindowWaiting
from ..core.listing import RunStanding
from ..core.needs import HOOK, needs
from ..core.run import RunState
from ..core.typed import with_options_in
from ..observers.log.entries import Entries, level_of
from ..observers.log.sentences import sentence
from ..observers.terminal.tally import Tally
from ..reports.shape import needed, output_of
from ..store.journal import Journal, RunRow, journal_in, open_journal, worked_on_by
from ..store.last_read import SILENT_AFTER, sign_of_life, silent_since
from ..store.locks import run_lock, worker_of
from ..store.schema import refuse_lost
from ..text.instants import iso
from . import view
from .news import News
from .troubles import Troubles

RUNS = 500
"""How many runs are listed, the newest."""
AT_ONCE = 1000
"""How many events are in memory at once: a run of thousands that is looked at for the first time has many."""
MANY = 1000
"""Of a run of more migrations than that, the first look makes the rows that are seen first, and the next one the rest."""
FIRST_ROWS = 100
"""How many those are: as many as fit a tall screen, and some to scroll."""


class OutOfReachError(Exception):
    """The journal that was read before is not there now: how things stand is not known, and nothing says that they stand otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What a look at a run found.

    *fresh*: everything, what was known before is void; *whole*: of each migration, else of the most urgent ones alone, and the next look has all;
    *jobs*: then, the number and what never changes about the migrations, by name; *needs*: what needs a person, *decisions*: what people have decided,
    both None: as before; *rows*: those
    that differ, by name; *log*: the new events in words, the oldest first.
    """

    fresh: bool
    whole: bool = True
    head: dict[str, Any]
    needs: list[dict[str, Any]] | None
    decisions: dict[str, Any] | None
    jobs: dict[str, view.Job]
    rows: dict[str, view.Row]
    log: list[dict[str, Any]]


@dataclass(slots=True, kw_only=True)
class _Memory:
    """What is known of a run from earlier looks.

    *first_rows*: only these have been told. *told*: what was said when there was no run to look at. *life*: the holder's last sign of life, by the clock of the machine that gave
    it; *life_seen*: when it was seen here to be another one; *silent*: since when there is none. All in Unix seconds.
    """

    state: RunState
    entries: Entries = field(default_factory=Entries)
    tally: Tally = field(default_factory=Tally)
    rows: dict[str, view.Row] = field(default_factory=dict)
    failed_hooks: dict[str, dict[tuple[str, tuple[str, ...]], HookFinished]] = field(
        default_factory=dict
    )  # by migration
    first_rows: bool = False
    states: dict[str, Counter[str]] = field(default_factory=dict)  # by wave: how many of its rows stand where
    since: dict[str, float] = field(default_factory=dict)
    seq: int = 0
    checked: int = 0  # up to which event all were compared with what was written
    outcome: str | None = None
    holder: str | None = None
    life: float | None = None
    life_seen: float = 0.0
    silent: float | None = None
    needs: list[dict[str, Any]] | None = None
    decided: int = 0
    told: str | None = None


class RunLook:
    """Looks at one run again and again. One thread at a time. *options*: with which a command finds *state_dir*, a space before each."""

    def __init__(
        self, state_dir: Path, run_id: str, *, options: str = "", wall: Callable[[], float] = time.time
    ) -> None:
        self._state_dir = state_dir
        self._run_id = run_id
        self._options = options
        self._wall = wall
        self._known = _Memory(state=RunState(run_id=run_id))

    def look(self) -> Changes | None:
        """What has changed since the last look; None: nothing.

        Raises:
            OutOfReachError: There is no journal any more; what was known of the run is kept, for when it is there again.
        """
        try:
            return self._look()
        except (JournalError, OSError) as error:
            if self._known.seq and not _is_there(self._state_dir):  # it went away in the midst of this look
                raise OutOfReachError from error
            told = self._known.told
            self._known = _Memory(state=RunState(run_id=self._run_id), told=told)
            return self._nothing(str(error))

    def _look(self) -> Changes | None:
        known, news, there, missing = self._known, News(), False, ""
        if not journal_in(self._state_dir):
            if known.seq:
                raise OutOfReachError
            refuse_lost(self._state_dir)
        else:
            with open_journal(self._state_dir, readonly=True) as journal:
                if not known.seq and journal.find(self._run_id) is None:
                    journal.check_marks(self._run_id)
                there = not known.seq or journal.find(self._run_id) is not None
                while there and (events := list(journal.events(self._run_id, after=known.seq, most=AT_ONCE))):
                    self._take_in(events, news)
                missing = self._missing(journal) if there and known.seq else ""
        if not there and known.seq:  # it was pruned
            known = self._known = _Memory(state=RunState(run_id=self._run_id))
        if known.state.started_at is None:
            return self._nothing("")
        known.told = None
        holder = worker_of(run_lock(self._state_dir, self._run_id))
        silent = self._silent_since() if holder else None
        otherwise = missing != known.state.missing  # each migration may be told otherwise than before
        known.state.missing = missing
        if not (news.any or otherwise or known.first_rows) and holder == known.holder and silent == known.silent:
            return None
        fresh = news.selection or known.first_rows
        taken_up_or_left = (holder is None) != (known.holder is None)
        wanted = fresh or news.wants or otherwise or holder is None or silent != known.silent or holder != known.holder
        known.silent, known.holder = silent, holder
        known.first_rows = not known.rows and not known.first_rows and len(known.state.selected) > MANY
        if known.first_rows:
            rows = self._first_rows()
        else:
            rows = self._changed_rows(news, everything=fresh or taken_up_or_left or otherwise)
        return Changes(
            fresh=fresh,
            whole=not known.first_rows,
            head=self._head(),
            needs=self._changed_needs(fresh=fresh) if wanted else None,
            decisions=self._new_decisions(fresh=fresh),
            jobs=view.jobs(known.state, rows) if fresh else {},
            rows=rows,
            log=self._words(news.in_words()),
        )

    def _missing(self, journal: Journal) -> str:
        """Why events of the run may not be known here. Whether they are those that were written is looked at where nobody adds to them."""
        known = self._known
        if worker_of(run_lock(self._state_dir, self._run_id)) is not None:
            return journal.trouble(self._run_id, thorough=False)
        if known.checked != known.seq or known.state.missing:
            known.checked = known.seq
            return journal.trouble(self._run_id)
        return journal.trouble(self._run_id, thorough=False)

    def _head(self) -> dict[str, Any]:
        known, now = self._known, self._wall()
        head = view.head(
            known.state,
            known.states,
            holder=known.holder,
            silent=known.silent,
            tally=known.tally,
            outcome=known.outcome,
            since=known.since,
            now=now,
        )
        return head | {"advice": view.way_on(known.state, now, self._options) if known.holder is None else None}

    def _silent_since(self) -> float | None:
        """As `silent_since`; a sign that has just come counts whatever the other machine's clock says."""
        known, now = self._known, self._wall()
        life = sign_of_life(self._state_dir, self._run_id)
        if life != known.life:
            known.life_seen = 0.0 if known.life is None else now
            known.life = life
        if life is None or now - max(life, known.life_seen) <= SILENT_AFTER:
            return None
        return life

    def _changed_needs(self, *, fresh: bool) -> list[dict[str, Any]] | None:
        known = self._known
        wanted = needs(known.state, self._wall(), holder=known.holder, silent=known.silent)
        found = [
            needed(each.with_options(self._options)) | {"output": output_of(each, known.state.finished_hooks)}
            for each in wanted
        ]
        if found == known.needs and not fresh:
            return None
        known.needs = found
        return found

    def _new_decisions(self, *, fresh: bool) -> dict[str, Any] | None:
        known, before = self._known, self._known.decided
        known.decided = len(known.state.steering)
        return view.decisions(known.state) if fresh or known.decided != before else None

    def _take_in(self, events: list[tuple[int, Event]], news: News) -> None:
        """Fold *events*, and keep as *news* what they come to."""
        known = self._known
        state, tally = known.state, known.tally
        failed_hooks = any(need["kind"] == HOOK for need in known.needs or ())
        known.seq, known.since["last"] = events[-1][0], events[-1][1].at
        for seq, event in events:
            state.apply(event)
            tally.take(event, state)
            news.take(seq, event, failed_hooks=failed_hooks)
            match event:
                case RunStarted() | RunResumed():
                    known.outcome = None
                case WindowWaiting():
                    known.since["window"] = event.at
                case RunFinished():
                    known.outcome = str(event.outcome)
                case HookFinished(migration=str(name)):
                    failed = known.failed_hooks.setdefault(name, {})
                    failed.pop((event.hook, event.argv), None)
                    if not (event.ok or event.not_yet):
                        failed[event.hook, event.argv] = event

    def _first_rows(self) -> dict[str, view.Row]:
        """The rows that are seen first. How many of a wave stand where is counted over all."""
        known = self._known
        running, states = known.holder is not None, {}
        waves: dict[str, list[str]] = {}
        for wave, migration in known.state.rows():
            state = states[migration.name] = view.stands(known.state, migration.name, running=running)
            waves.setdefault(wave.name, []).append(state)
        known.states = {name: Counter(found) for name, found in waves.items()}
        first = heapq.nsmallest(FIRST_ROWS, states, key=lambda name: self._rank(name, states[name]))
        return {name: self._row(name) for name in first}

    def _rank(self, name: str, state: str) -> int:
        return min(view.RANK[state], view.RANK["FAILED"] if self._known.failed_hooks.get(name) else len(view.RANK))

    def _row(self, name: str) -> view.Row:
        known = self._known
        failed = known.failed_hooks.get(name, {}).values()
        return view.row(known.state, name, running=known.holder is not None, hooks=failed)

    def _changed_rows(self, news: News, *, everything: bool) -> dict[str, view.Row]:
        known = self._known
        if everything or news.all_rows:
            names = {migration.name for _, migration in known.state.rows()}
            known.rows = {name: row for name, row in known.rows.items() if name in names}
            known.states = {}
            for name, row in known.rows.items():
                self._count(name, row, 1)
        else:
            names = news.touched & known.state.selected
        changed = {}
        for name in names:
            row, before = self._row(name), known.rows.get(name)
            if everything or before != row:
                known.rows[name] = changed[name] = row
                if before is not None:
                    self._count(name, before, -1)
                self._count(name, row, 1)
        return changed

    def _count(self, name: str, row: view.Row, by: int) -> None:
        wave, _ = self._known.state.wave_and_migration(name)
        self._known.states.setdefault(wave.name, Counter())[row.state] += by

    def _words(self, events: list[tuple[int, Event]]) -> list[dict[str, Any]]:
        known, lines = self._known, []
        for seq, event in events:
            level = level_of(event)
            fields = known.entries.entry(event, level, known.state)
            lines.append(
                {
                    "seq": seq,
                    "at": iso(event.at),
                    "level": level,
                    "event": event.name,
                    "about": fields.get("migration") or fields.get("wave"),
                    "text": with_options_in(sentence(fields, UTC), self._options),
                }
            )
        return lines

    def _nothing(self, error: str) -> Changes | None:
        """There is no such run (yet), or the journal cannot be read, for *error*."""
        if self._known.told == error:
            return None
        self._known.told = error
        head = {"run_id": self._run_id, "missing": True, "error": error or None}
        return Changes(fresh=True, head=head, needs=[], decisions=view.NO_DECISIONS, jobs={}, rows={}, log=[])


def _is_there(state_dir: Path) -> bool:
    try:
        return journal_in(state_dir)
    except JournalError:
        return True  # or not: what keeps it from being seen is told


def _lost(state_dir: Path) -> str | None:
    """What there is to say of runs that were recorded in *state_dir*, which has no journal now."""
    try:
        refuse_lost(state_dir)
    except JournalError as error:
        return str(error)
    return None


def look_at_runs(
    state_dir: Path, standings: dict[str, RunStanding] | None = None, troubles: Troubles | None = None
) -> dict[str, Any]:
    """The newest runs, and what keeps them from being read if something does. *standings* and *troubles*: from the look before this one."""
    try:
        if not journal_in(state_dir):
            return {"runs": [], "journal": False, "error": _lost(state_dir)}
        with open_journal(state_dir, readonly=True) as journal:
            rows = journal.runs(limit=RUNS)
            holders = [worked_on_by(state_dir, row) if row.unfinished else None for row in rows]
            if not rows:
                journal.check_marks()
            missing = (Troubles() if troubles is None else troubles).of(journal, rows)
            stands = dict(_standing(journal, rows, holders, {} if standings is None else standings))
    except (JournalError, OSError) as error:
        return {"runs": [], "journal": True, "error": str(error)}
    listed = [
        view.listed(row, holder=holder, stands=stands.get(row.run_id), missing=missing.get(row.run_id, ""))
        for row, holder in zip(rows, holders, strict=True)
    ]
    return {"runs": listed, "journal": True, "error": None}


def _standing(
    journal: Journal, rows: Sequence[RunRow], holders: Sequence[str | None], standings: dict[str, RunStanding]
) -> Iterator[tuple[str, str]]:
    """How each run stands that is under way; *standings* are brought up to date."""
    under_way = [row.run_id for row, holder in zip(rows, holders, strict=True) if holder is not None]
    for run_id in standings.keys() - set(under_way):
        del standings[run_id]
    for run_id in under_way:
        standing = standings.setdefault(run_id, RunStanding())
        journal.bring_up_to_date(run_id, standing)
        yield run_id, standing.word(silent=silent_since(journal.state_dir, run_id, now=time.time()) is not None)
