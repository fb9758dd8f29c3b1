"""Rows of the journal as facts: a run, a request, an event; and how a request is put into its row."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..core import event_json, stored
from ..core.arguments import seconds, text
from ..core.errors import InputError, JournalDamagedError, JournalError
from ..core.events import Event
from ..core.outcomes import RunOutcome
from ..core.steered import Command
from ..core.steering import ABOUT_A_WAVE, ABOUT_MIGRATIONS, GateChange, SteeringRequest

Row = tuple[Any, ...]
RUNS = "SELECT run_id, workflow, rehearsal, migrations, started_at, finished_at, outcome, exit_code, unfinished, temporal FROM runs"
"""The rows that `run_of` takes."""


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
    """What another process has left for the one that holds the run, at *at* (Unix seconds)."""

    id: int
    at: float
    request: SteeringRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """What another process has left that cannot be read, for *why*: a newer version left it, or it is damaged."""

    id: int
    why: str

    def __str__(self) -> str:
        return f"request {self.id} ({self.why})"


class RowDamagedError(JournalError):
    """How the run *run_id* stands cannot be read in the list of runs; its events tell it, too."""

    def __init__(self, message: str, run_id: str) -> None:
        super().__init__(message)
        self.run_id = run_id


def run_of(path: Path, row: Row) -> RunRow:
    """The run that is in *row* of the journal *path* (`RUNS`).

    Raises:
        RowDamagedError: How it stands is damaged.
        JournalError: Where it is at Temporal is damaged.
    """
    run_id, workflow, rehearsal, migrations, started_at, finished_at, outcome, exit_code, unfinished, temporal = row
    try:
        stored.within(started_at, stored.FIRST, stored.LAST)
        if finished_at is not None:
            stored.within(finished_at, stored.FIRST, stored.LAST)
        ended = None if outcome is None else RunOutcome(outcome)
    except ValueError as error:
        raise RowDamagedError(
            f"{path}: run {stored.shown(run_id)}: how it stands cannot be read ({error}): the file is damaged; restore a copy. If there is "
            f"none, look at each live migration of the run in Atlas, then `atlas-cutover abort {run_id}`, with its whole id, makes that anew "
            "from the run's events, and ends it where it has not ended",
            run_id,
        ) from None
    return RunRow(
        run_id=run_id,
        workflow=workflow,
        rehearsal=bool(rehearsal),
        migrations=migrations,
        started_at=started_at,
        finished_at=finished_at,
        outcome=ended,
        exit_code=exit_code,
        unfinished=bool(unfinished),
        temporal=None if temporal is None else _cluster(path, run_id, temporal),
    )


def _lease(value: Any) -> float:
    return stored.within(value, 0.001, stored.AMOUNT)


_OF_A_CLUSTER: Mapping[str, Callable[[Any], Any]] = {
    "address": partial(stored.of, str),
    "namespace": partial(stored.of, str),
    "tls": partial(stored.of, bool),
    "codec_key_file": stored.text_or_none,
    "lease": _lease,
}


def _cluster(path: Path, run_id: str, written: str) -> Mapping[str, Any]:
    """Where the run *run_id* is at Temporal, as `begin` was told.

    Raises:
        JournalError: That is damaged, or nothing of this program's.
    """
    try:
        found = stored.of(dict, parsed(written))
        for key, check in _OF_A_CLUSTER.items():
            check(found.get(key))
    except ValueError:
        raise JournalError(
            f"{path}: run {run_id}: where it is at Temporal cannot be read: the file is damaged; restore a copy"
        ) from None
    return found


def moment_of(path: Path, table: str, at: float) -> float:
    """*at*, of a row of *table* in the journal *path*.

    Raises:
        JournalError: No date can be made of it.
    """
    try:
        return stored.within(at, stored.FIRST, stored.LAST)
    except ValueError as error:
        raise JournalError(
            f"{path}: a row of {table} cannot be read ({error}): the file is damaged; restore a copy"
        ) from None


def detail_of(request: SteeringRequest) -> dict[str, Any]:
    """What is left of *request* beside its command, its wave and who asks, as `request_of` takes it."""
    gate = [request.gate.max_lag, request.gate.timeout] if request.gate else None
    covers = {} if request.covers is None else {"covers": request.covers}
    return {"reason": request.reason, "migration": request.migration, "gate": gate, **covers}


def control_of(row: Row) -> Control | Unreadable:
    """The request in *row* (id, time, command, wave, who, detail)."""
    number, at, command, wave, who, detail = row
    try:
        stored.within(at, stored.FIRST, stored.LAST)
        return Control(id=number, at=at, request=request_of(command, wave, who, parsed(detail)))
    except ValueError as error:
        return Unreadable(id=number, why=f"{stored.shown(command)} by {stored.shown(who)}: {error}")


def request_of(command: str, wave: str | None, who: str, detail: Any) -> SteeringRequest:
    """A request as it was left; one of an older version has no detail.

    What it is about and the bounds of a gate are looked at as where they are given: who reads the row takes its word.

    Raises:
        ValueError: It is none.
    """
    asked = _command(command)
    try:
        found = stored.of(dict, detail)
        migration = stored.text_or_none(found.get("migration"))
        _refuse_misdirected(asked, wave, migration)
        return SteeringRequest(
            command=asked,
            who=text("who", who),
            reason=text("reason", found.get("reason") or ""),
            wave=wave,
            migration=migration,
            gate=_gate_of(found["gate"]) if asked is Command.GATE else None,
            covers=stored.texts_or_none(found.get("covers")),
        )
    except KeyError:  # to take it for `off` would cut over what waits
        raise ValueError("its details are none: it names no gate") from None
    except (InputError, ValueError) as error:
        raise ValueError(f"its details are none: {error}") from None


def _refuse_misdirected(command: Command, wave: str | None, migration: str | None) -> None:
    """Raise where *command* is about something that it cannot be about."""
    if (wave is not None and command not in ABOUT_A_WAVE) or (
        migration is not None and command not in ABOUT_MIGRATIONS
    ):
        raise ValueError(f"it cannot be about {stored.shown(migration if wave is None else wave)}")


def _command(word: str) -> Command:
    if word in list(Command):
        return Command(word)
    raise ValueError("that is no command")


def _gate_of(data: Any) -> GateChange | None:
    if data is None:
        return None
    if not isinstance(data, list) or len(data) != 2 or any(isinstance(each, str) for each in data):
        raise ValueError("its gate is none")
    lag, timeout = (
        None if each is None else seconds(name, each) for name, each in zip(("max_lag", "timeout"), data, strict=True)
    )
    return GateChange(max_lag=lag, timeout=timeout)


def events_of(
    path: Path, run_id: str, rows: Iterable[Row], *, left_out: list[int] | None = None
) -> Iterator[tuple[int, Event]]:
    """The events of run *run_id* that are in *rows* of the journal *path* (`wholeness.ROWS`), with their sequence numbers.

    Those that cannot be read are *left_out*, and their numbers go there, where that is given.

    Raises:
        JournalDamagedError: One was written by a newer version, or is damaged.
    """
    for seq, at, name, data in rows:
        try:
            event = event_json.from_json(name, at, parsed(data))
        except ValueError as error:
            if left_out is not None:
                left_out.append(seq)
                continue
            raise JournalDamagedError(
                f"{path}: event {seq} cannot be read ({error}), so how run {run_id} stands is not known: a newer version may have "
                "written it, or the file is damaged. Put the whole state directory back as it was. If that is lost, look at each "
                f"live migration of the run in Atlas, then `atlas-cutover abort {run_id}` ends it, where it has not ended"
            ) from error
        yield seq, event


_DECODER = json.JSONDecoder()
_HALF = re.compile(r"\\u[dD][89a-fA-F]")


def parsed(data: str) -> Any:
    """What the JSON text *data* says: `json.loads` without the blanks around it, as the journal writes none.

    Halves of characters, which JSON may hold and no page or report can, become U+FFFD.

    Raises:
        ValueError: It is damaged.
    """
    try:
        document, end = _DECODER.raw_decode(data)
        if end != len(data):
            document = json.loads(data)
        if "\\u" in data and _HALF.search(data):
            whole = json.dumps(document, ensure_ascii=False).encode("utf-16", "surrogatepass")
            document = json.loads(whole.decode("utf-16", "replace"))
    except RecursionError:  # of brackets in brackets by the thousand
        raise ValueError("it has too many brackets in brackets") from None
    return document
