"""Rows of the journal as facts: a run, a request, an event; and how a request is put into its row."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core import event_json
from ..core.errors import JournalError
from ..core.events import Event
from ..core.outcomes import RunOutcome
from ..core.steered import Command
from ..core.steering import GateChange, SteeringRequest

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


def run_of(path: Path, row: Row) -> RunRow:
    """The run that is in *row* of the journal *path* (`RUNS`).

    Raises:
        JournalError: Where it is at Temporal is damaged.
    """
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


def detail_of(request: SteeringRequest) -> dict[str, Any]:
    """What is left of *request* beside its command, its wave and who asks, as `request_of` takes it."""
    gate = [request.gate.max_lag, request.gate.timeout] if request.gate else None
    covers = {} if request.covers is None else {"covers": request.covers}
    return {"reason": request.reason, "migration": request.migration, "gate": gate, **covers}


_OF_A_REQUEST: Mapping[str, Any] = {
    "reason": str | None,
    "migration": str | None,
    "gate": list | None,
    "covers": list | None,
}


def request_of(command: str, wave: str | None, who: str, detail: Any) -> SteeringRequest:
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
    covers = detail.get("covers")
    if covers is not None and not all(isinstance(name, str) for name in covers):
        raise ValueError(f"{command}: what it covers is none of a wave's")
    return SteeringRequest(
        command=Command(command),
        who=who,
        reason=detail.get("reason") or "",
        wave=wave,
        migration=detail.get("migration"),
        gate=GateChange(max_lag=gate[0], timeout=gate[1]) if gate else None,
        covers=None if covers is None else tuple(covers),
    )


_DECODER = json.JSONDecoder()


def events_of(path: Path, rows: Iterable[Row]) -> Iterator[tuple[int, Event]]:
    """The events that are in *rows* of the journal *path* (`wholeness.ROWS`), with their sequence numbers.

    Raises:
        JournalError: One was written by a newer version, or is damaged.
    """
    for seq, at, name, data in rows:
        try:
            yield seq, event_json.from_json(name, at, _parsed(data))
        except (ValueError, KeyError) as error:
            raise JournalError(f"{path}: event {seq} cannot be read ({error})") from error


def _parsed(data: str) -> Any:
    """What the JSON text *data* says: `json.loads` without the blanks around it, as the journal writes none.

    Raises:
        ValueError: It is damaged.
    """
    document, end = _DECODER.raw_decode(data)
    return document if end == len(data) else json.loads(data)
