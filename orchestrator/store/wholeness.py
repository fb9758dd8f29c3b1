"""Whether a journal is whole: it reaches the marks of all runs, and says what was written of those that go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import JournalDamagedError, JournalError
from .marks import Mark, Marks, Reach

ROWS = "SELECT seq, at, name, data FROM events WHERE run_id = ?1 AND seq > ?2 AND seq <= ifnull(?3, seq) ORDER BY seq"
"""The events of a run after one number and up to another."""

_MISSING = (
    "events of it are missing: the file beside the journal, whose name ends in -wal, was lost, cut or damaged, or the journal comes "
    "from an older copy"
)

_AT_ONCE = 5000

Query = Callable[[str, tuple[Any, ...]], list[tuple[Any, ...]]]


@dataclass(frozen=True, slots=True)
class WholenessCheck:
    """Compares the journal *path*, which *query* asks, with its *marks*."""

    path: Path
    query: Query
    marks: Marks

    def check(self, run_ids: Iterable[str]) -> None:
        """Return when the journal reaches all marks, and has the events that were written of *run_ids*.

        Raises:
            JournalError: It does not, or a mark cannot be read.
        """
        for mark in self.marks:
            self._check_reach(mark)
        for run_id in run_ids:
            self._check_events(self.marks.of(run_id))

    def check_marks(self, beginning: str = "") -> None:
        """Return when the journal reaches the marks of all runs whose ids begin with *beginning*.

        Raises:
            JournalError: As `check`.
        """
        for mark in self.marks:
            if mark.run_id.startswith(beginning):
                self._check_reach(mark)

    def trouble(self, run_id: str, *, thorough: bool) -> str:
        """Why the events of *run_id* that are here cannot be taken for all that were written; empty: they can. Whoever works on it may go on meanwhile.

        *thorough*: also whether they are those that were written, for which all of them are read.
        """
        mark = self.marks.of(run_id)
        try:
            reach = (
                mark.read()
            )  # before the events, after which it is written: they reach it, whoever adds some meanwhile
            if reach.seq > last_event(self.query, run_id):
                return _MISSING
            return self._trouble_with_events(mark, reach) if thorough else ""
        except JournalError as error:
            return f"how many events it must have cannot be read ({error})"

    def check_run(self, run_id: str) -> None:
        """Return when the journal has the events of *run_id* that were written, whatever has become of other runs.

        Raises:
            JournalError: As `check`.
        """
        mark = self.marks.of(run_id)
        self._check_reach(mark)
        self._check_events(mark)

    def _check_reach(self, mark: Mark) -> None:
        if mark.read().seq > last_event(self.query, mark.run_id):
            raise self._refusal(mark, _MISSING)

    def _check_events(self, mark: Mark) -> None:
        if trouble := self._trouble_with_events(mark, mark.read()):
            raise self._refusal(mark, trouble)

    def _trouble_with_events(self, mark: Mark, reach: Reach) -> str:
        if mark.exists():
            if Reach().after(self._rows(mark.run_id, reach.seq)).digest != reach.digest:
                return "its events are not those that were written: the file is damaged"
        elif last_event(self.query, mark.run_id) and not mark.exists():  # a run that begins has its mark first
            return (
                f"{self._file_of(mark)} is gone, or the run was copied into this journal without it, so whether all of its events are "
                "here, and are its own, cannot be told"
            )
        return ""

    def _rows(self, run_id: str, upto: int) -> Iterator[tuple[Any, ...]]:
        """The events of *run_id* up to the number *upto*, some at a time: a large run has many."""
        after = 0
        while rows := self.query(f"{ROWS} LIMIT {_AT_ONCE}", (run_id, after, upto)):
            yield from rows
            after = rows[-1][0]

    def _file_of(self, mark: Mark) -> Path:
        """Where *mark* is, also where a copy of it was read."""
        return Marks(self.path.parent).of(mark.run_id).path

    def _refusal(self, mark: Mark, what: str) -> JournalError:
        known = self.query("SELECT count(*) FROM runs WHERE run_id = ?", (mark.run_id,)) == [(1,)]
        end = ""
        if known:
            end = f"`atlas-cutover abort {mark.run_id}` ends it as it stands here, and "
        elif mark.exists():
            end = f"remove {self._file_of(mark)}, and "
        return JournalDamagedError(
            f"{self.path}: run {mark.run_id}: {what}. Cutovers that it has sent may not be known here, so nothing is sent. "
            "Put the whole state directory back as it was. If that is lost, look at each live migration of the run in Atlas, "
            f"then {end}another run can begin"
        )


def mark_runs(run_ids: Iterable[str], query: Query, marks: Marks) -> None:
    """Give each of *run_ids*, which have none yet, its mark: what the journal has of them now is what it has to reach.

    A mark that says something stays as it is.

    Raises:
        JournalError: A mark cannot be read or written.
    """
    for run_id in run_ids:
        mark = marks.of(run_id)
        if mark.read() == Reach():
            mark.write(Reach().after(query(ROWS, (run_id, 0, None))))


def last_event(query: Query, run_id: str) -> int:
    """The number of a run's last event; 0 where there is none."""
    [(seq,)] = query("SELECT ifnull(max(seq), 0) FROM events WHERE run_id = ?", (run_id,))
    return int(seq)
