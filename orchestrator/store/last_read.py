"""What the last read of each job showed, in a file of the state directory, for `status --all`.

Reads are not journaled one by one, so nobody else would know the lag of now, or that a job has not been readable for minutes.
The file is a copy for the eye: nothing is decided by it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..core import stored
from ..core.events import StatusPolled
from ..machine.own_files import read_own
from .locks import run_lock, worker_of
from .state_dir import part_of_path

DIRECTORY = "reads"
SILENT_AFTER = 20.0
"""Seconds after which a session that has given no sign of life is said to be silent; it gives one every 5 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRead:
    """The last read of a job. Times are Unix seconds, *lag* is in seconds.

    *at*: when it was tried; *seen_at*: when what is told of the job was true; *error*: of the last read that failed, at
    *error_at*.
    """

    at: float
    seen_at: float | None = None
    status: str | None = None
    ready: bool | None = None
    lag: float | None = None
    error: str | None = None
    error_at: float | None = None

    def after(self, read: StatusPolled) -> LastRead:
        """What is known after another *read*."""
        if read.error is not None:
            return replace(self, at=read.at, error=read.error, error_at=read.at)
        return replace(self, at=read.at, seen_at=read.at, status=read.status, ready=read.ready, lag=read.lag)


def reads_path(state_dir: Path, run_id: str) -> Path:
    """Where the reads of run *run_id* are."""
    return state_dir / DIRECTORY / f"{part_of_path(run_id)}.json"


def _moment(value: Any) -> float:
    return stored.within(value, stored.FIRST, stored.LAST)


def _text(value: Any) -> str:
    stored.of(str, value).encode()  # half of a character is no text
    return str(value)


def _or_none(kind: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else kind(value)


_OF_A_READ: Mapping[str, Callable[[Any], Any]] = {
    "at": _moment,
    "seen_at": _or_none(_moment),
    "status": _or_none(_text),
    "ready": _or_none(partial(stored.of, bool)),
    "lag": _or_none(stored.number),
    "error": _or_none(_text),
    "error_at": _or_none(_moment),
}


def read_reads(path: Path) -> dict[str, LastRead]:
    """The last reads in *path*, by the migration's name; none where there is no such file, half of one, or one that is not ours."""
    try:
        data = json.loads(read_own(path))
        return {
            name: LastRead(**{key: _OF_A_READ[key](each) for key, each in read.items()}) for name, read in data.items()
        }
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return {}


def sign_of_life(state_dir: Path, run_id: str) -> float | None:
    """When the process that works on run *run_id* last showed that it goes on (Unix seconds); None: that is not known."""
    try:
        return reads_path(state_dir, run_id).lstat().st_mtime
    except OSError:
        return None


def silent_since(state_dir: Path, run_id: str, *, now: float) -> float | None:
    """Since when (Unix seconds) the process here that works on run *run_id* gives no sign of life; None: it does, or that is not known, or there is none.

    Who followed a run at Temporal, and has let go of it, has left the last of theirs; the run goes on without them.

    Raises:
        JournalError: Whether there is one cannot be seen.
    """
    if worker_of(run_lock(state_dir, run_id)) is None:
        return None
    seen = sign_of_life(state_dir, run_id)
    return seen if seen is not None and now - seen > SILENT_AFTER else None


@dataclass(frozen=True, slots=True, kw_only=True)
class LastReads:
    """The last reads of a run's jobs by migration, as they are looked at *now* (Unix seconds)."""

    by_name: Mapping[str, LastRead]
    now: float

    def of(self, name: str) -> LastRead:
        """The last read of migration *name*; one that showed nothing where there was none."""
        return self.by_name.get(name) or LastRead(at=self.now)

    def age(self, at: float | None) -> float | None:
        """How many seconds ago *at* was."""
        return None if at is None else max(0.0, self.now - at)
