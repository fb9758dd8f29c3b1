"""Events and facts as they travel through Temporal: JSON, and nothing that a worker would have to look up. Pure.

Times are Unix seconds by the Temporal server's clock, durations seconds.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ...core import events as ev
from ...core.events import Event, StatusPolled
from ...core.hook_facts import HookFacts
from ...core.migration import MigrationState, Phase
from ...core.next_step import Policy
from ...core.outcomes import Outcome
from ...core.settings import Polling
from ...core.steering import GateChange, Request
from ...core.vars import Vars
from ...core.window import Span
from ...core.workflow import HOOKS, Gate, Hooks, Migration

FRESH = 5.0
"""Seconds within which a worker has to take a PUT up, or it is proven that none has."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a run is begun with.

    *events*: all that is recorded of the run so far, packed, from the event that began it to those that begin this session.
    *settle*: `atlas.settle`. *queue*: the task queue of the workers for this Atlas and this version of the rules; *account*: all
    projects share one budget. *lease*: how long a worker may be silent.
    """

    run_id: str
    events: str
    settle: float
    polling: dict[str, float]
    queue: str
    lease: float
    account: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of an activity that spoke to Atlas.

    *events* are what it means for its migration, *told* are the client's, *requests* what was sent by status, *polls* how
    often the job was read. *refused*: the keys were, altogether, and what Atlas said.
    """

    events: list[Any] = field(default_factory=list)
    told: list[Any] = field(default_factory=list)
    requests: dict[str, int] = field(default_factory=dict)
    retries: int = 0
    polls: int = 0
    refused: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """Events of a run, from number *first* on. *over*: the session has ended, and nothing comes after them.

    *lengths*: how long the run's history was when each happened. Temporal may answer a question with what a worker has done and
    the server has not committed yet, and never will if one of them dies; an event counts once the history is longer than that.
    """

    first: int
    events: list[Any]
    lengths: list[int]
    over: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """Which live migrations a run drives: pairs of a migration's name and `project/id`. *run*: its workflow's id."""

    run_id: str
    workflow: str
    jobs: list[list[str]]
    scopes: list[str]
    queue: str
    lease: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One activity that speaks to Atlas about one migration. *span*: the opening of the window that it has to be in."""

    run_id: str
    migration: Json
    state: Json
    settle: float
    polling: dict[str, float]
    lease: float
    held: bool = False
    span: list[float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HookTask:
    """One hook, whose it is, and what it is told."""

    run_id: str
    workflow: str
    directory: str
    rehearsal: bool
    argv: list[str]
    hook: str
    timeout: float
    facts: Json
    lease: float
    wave: str | None = None
    migration: Json | None = None


def out(events: Iterable[Event]) -> list[Any]:
    """*events* as JSON data."""
    return [[event.name, event.at, ev.to_json(event)] for event in events]


def events_of(data: Iterable[Sequence[Any]]) -> list[Event]:
    """The inverse of `out`."""
    return [ev.from_json(name, at, dict(fields)) for name, at, fields in data]


def pack(events: Iterable[Event]) -> str:
    """*events* as a short text: an input of a workflow may have 2 MB."""
    text = json.dumps(out(events), separators=(",", ":"))
    return base64.b85encode(zlib.compress(text.encode(), 9)).decode()


def unpack(packed: str) -> list[Event]:
    """The inverse of `pack`."""
    return events_of(json.loads(zlib.decompress(base64.b85decode(packed))))


def without_idle_reads(events: Iterable[Event]) -> list[Event]:
    """*events* without reads that two more follow: no rule counts further back than that."""
    kept: list[Event] = []
    for event in events:
        if isinstance(event, StatusPolled) and len(kept) > 1 and all(isinstance(e, StatusPolled) for e in kept[-2:]):
            del kept[-2]
        kept.append(event)
    return kept


def state_out(state: MigrationState) -> Json:
    """*state* as JSON data: what differs from one of which nothing is known."""
    nothing = MigrationState()
    return {key: value for key, value in state._asdict().items() if value != getattr(nothing, key)}


def state_of(data: Json) -> MigrationState:
    """The inverse of `state_out`."""
    known = dict(data)
    if "phase" in known:
        known["phase"] = Phase(known["phase"])
    if known.get("outcome") is not None:
        known["outcome"] = Outcome(known["outcome"])
    return MigrationState(**known)


def migration_out(migration: Migration) -> Json:
    """*migration* as JSON data, without what only hooks are told."""
    return {
        "name": migration.name,
        "group_id": migration.group_id,
        "live_migration_id": migration.live_migration_id,
        "gate": None if migration.gate is None else asdict(migration.gate),
        "timeout": migration.timeout,
        "hooks": {key: value for key, value in asdict(migration.hooks).items() if value},
        "credentials": migration.credentials,
    }


def migration_of(data: Json) -> Migration:
    """The inverse of `migration_out`."""
    known = dict(data)
    gate, hooks = known.pop("gate"), dict(known.pop("hooks"))
    hooks |= {key: tuple(tuple(argv) for argv in hooks.get(key, ())) for key in HOOKS}
    return Migration(gate=None if gate is None else Gate(**gate), hooks=Hooks(**hooks), **known)


def policy_of(migration: Migration, settle: float) -> Policy:
    """The rules for *migration* here: who sends its PUT reads the job again if what is known is too old."""
    return Policy(gate=migration.gate, timeout=migration.timeout, settle=settle, hooks=migration.hooks, rereads=True)


def polling_of(data: dict[str, float]) -> Polling:
    """The backoff that *data* says."""
    return Polling(**data)


def span_out(span: Span | None) -> list[float] | None:
    """*span* as JSON data."""
    return None if span is None else [span.opens, span.closes, span.last_start]


def span_of(data: list[float] | None) -> Span | None:
    """The inverse of `span_out`."""
    return None if data is None else Span(opens=data[0], closes=data[1], last_start=data[2])


def facts_out(facts: HookFacts) -> Json:
    """*facts* as JSON data."""
    known = {key: getattr(facts, key) for key in ("outcome", "remote_status", "lag", "error_message", "reason")}
    return known | {"vars": facts.vars.as_dict()}


def facts_of(data: Json) -> HookFacts:
    """The inverse of `facts_out`."""
    known = dict(data)
    named = known.pop("vars")
    return HookFacts(vars=Vars(tuple(named), tuple(named.values())), **known)


def request_out(request: Request) -> Json:
    """*request* as JSON data."""
    return asdict(request)


def request_of(data: Json) -> Request:
    """The inverse of `request_out`."""
    known = dict(data)
    gate = known.pop("gate")
    return Request(gate=None if gate is None else GateChange(**gate), **known)
