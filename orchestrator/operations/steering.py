"""What the verbs have in common that steer a run: the request goes through the journal to the process that works on it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ..core.errors import InputError
from ..machine.person import who_am_i
from ..store.journal import Journal, RunRow, open_journal
from ..store.locks import holder_of, run_lock
from .find import find_run_under_way, place_of
from .reporting import Unwritten


class Taken(StrEnum):
    """What became of a request."""

    ASKED = "asked"
    """The process that works on the run heeds it within a second."""
    KEPT = "kept"
    """No process works on the run; the one that continues it heeds it."""
    ENDED = "ended"
    """No process worked on the run, and now it is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Steered:
    """What came of a request to the run *run_id*.

    *unwatched*: cutovers that it left under way or in doubt when it ended here; nobody watches them any more. *unwritten*:
    reports that could not be written.
    """

    run_id: str
    taken: Taken
    unwatched: tuple[str, ...] = ()
    unwritten: tuple[Unwritten, ...] = ()


def ask(
    journal: Journal, run_id: str, command: str, *, who: str | None, wave: str | None = None, at: float | None = None
) -> Steered | None:
    """Leave *command* for the process that works on the run; None where there is none, and nothing was left.

    *who* asks (None: this process), *at* (Unix seconds; None: now).
    """
    if holder_of(run_lock(journal.state_dir, run_id)) is None:
        return None
    _leave(journal, run_id, command, who=who, wave=wave, at=at)
    return Steered(run_id=run_id, taken=Taken.ASKED)


def keep(journal: Journal, run_id: str, command: str, *, who: str | None, wave: str | None = None) -> Steered:
    """Leave *command* for the process that will continue the run."""
    _leave(journal, run_id, command, who=who, wave=wave, at=None)
    return Steered(run_id=run_id, taken=Taken.KEPT)


def _leave(journal: Journal, run_id: str, command: str, *, who: str | None, wave: str | None, at: float | None) -> None:
    journal.request(run_id, command, at=time.time() if at is None else at, who=who or who_am_i(), wave=wave)


def ask_under_way(command: str, run_id: str | None, *, state_dir: Path | str | None, who: str | None) -> Steered:
    """Leave *command* for the process that works on a run (None: the only one that is under way).

    Raises:
        InputError: No process works on it.
    """
    place = place_of(state_dir)
    with open_journal(place, readonly=True) as reading:
        row = find_run_under_way(reading, run_id)
    with open_journal(place) as journal:
        steered = ask(journal, row.run_id, command, who=who)
    if steered is None:
        refuse_when_over(row, command)
        raise InputError(f"no process works on run {row.run_id} now, so there is nothing to {command}")
    return steered


def refuse_when_over(row: RunRow, command: str) -> None:
    """Raise where the run is over, so that there is nothing to *command*.

    Raises:
        InputError: It is.
    """
    if not row.unfinished:
        raise InputError(f"run {row.run_id} is over: there is nothing to {command}")
