"""Events and facts as they travel through Temporal: JSON, and nothing that a worker would have to look up. Pure.

Times are Unix seconds by the Temporal server's clock, durations seconds.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from enum import StrEnum
from typing import Any, Final

from ...core import event_json
from ...core.events import Event, GateOpened, StatusPolled
from ...core.hook_facts import HookFacts
from ...core.migration import MigrationState, Phase
from ...core.next_step import Policy
from ...core.no_return import InCharge
from ...core.outcomes import Outcome
from ...core.settings import Polling
from ...core.steered import Command
from ...core.steering import GateChange, SteeringRequest
from ...core.vars import Vars
from ...core.window import Span
from ...core.workflow import Gate, HookKind, Hooks, Migration
from . import names

FRESH = 5.0
"""Seconds within which a worker has to take a PUT up, or it is proven that none has."""

LONGEST_TO_START = 60.0
"""Seconds within which a batch, too, has to have heard of an order that is to be taken up soon, or it is not: no worker may have served it for hours."""


def seconds_to_start(not_taken_up: int) -> float:
    """How long a PUT waits for a worker that was *not_taken_up* so many times in a row.

    Longer each time: where the workers have more to do than that, orders that come anew every few seconds would be most of what
    they do. It grows no older so, as who takes it up late reads the job again.
    """
    return min(FRESH * 2.0**not_taken_up, LONGEST_TO_START)


TURN_AFTER = 4_000
"""Events of a run's history after which it goes on with an empty one. Whoever takes a run over does all of them again first."""

MOST_CARRIED = 1_900_000
"""Characters that a run may begin with: Temporal takes 2 MB."""

_READS_LOOKED_BACK_TO = 2  # by any rule

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a run is begun with.

    *events*: all that is recorded of the run so far, packed, from the event that began it to those that begin this session.
    *settle*: `atlas.settle`. *queue*: the task queue of the workers for this Atlas and this version of the rules; *account*: all
    projects share one budget. *lease*: how long a worker may be silent. *turn_after*: how many events of its history a run
    has at most, about, before it goes on with an empty one (continue-as-new); *carried*: what it then takes along, packed. *session*: as
    who begins it has announced it (`words`); empty: nobody has.
    """

    run_id: str
    events: str
    settle: float
    polling: dict[str, float]
    queue: str
    lease: float
    account: bool = False
    turn_after: int = TURN_AFTER
    carried: str = ""
    session: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Did:
    """What an activity answers: *what* came of the task that calls itself *task*. No other task is done by it."""

    task: str
    what: Any


def of_task(result: Any, task: str) -> bool:
    """Whether *result*, as it has arrived, is what somebody who did *task* has answered.

    What is encrypted is bound to a workflow, which has many activities: whoever reaches the cluster can copy what came of one into the place of another.
    """
    return isinstance(result, dict) and result.keys() == {"task", "what"} and result["task"] == task


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
    *execution*: whose history that is. A run that has gone on with an empty one has another.
    """

    first: int
    events: list[Any]
    lengths: list[int]
    over: bool
    execution: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody asks of the run *run_id*, while its execution *execution* was the open one. *number*: that nobody else has given to anything.

    *at*: when, by the wall clock of whoever asks; None: a version asks that did not say so.
    """

    run_id: str
    execution: str
    number: str
    requests: list[Json]
    at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What came of what was *asked* with this number: of each request, why it did nothing, or None."""

    asked: str
    answers: list[str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """Which live migrations a run drives: pairs of a migration's name and `project/id`. *workflow*: the id of its workflow at Temporal.

    *task*: whose answer is one to this (`Did`). *keep*: they are not let go, as something is not settled. *aborted_by*: who has ended the run for good.
    *session*: as of `Order`.
    """

    task: str
    run_id: str
    workflow: str
    jobs: list[list[str]]
    scopes: list[str]
    queue: str
    lease: float
    keep: bool = False
    aborted_by: str | None = None
    session: str = ""


OVERTAKEN: Final = {"overtaken": True}
"""What `claim` answers of a session that is not the one announced last, in place of who has its jobs."""
DID_NOTHING: Final = "did_nothing"
"""What such a session has in its memo."""


def holder(job: str, run_id: str) -> str:
    """Who has the claim to *job*, as `claim` answers: the run *run_id*, or where that is empty somebody who says of no run that it is theirs."""
    if run_id:
        return f"run {run_id}"
    claim = names.claim_id(job)
    return (
        f"a workflow at Temporal of which no run can be read here, {claim}: where runs with another temporal.codec_key_file may name this job, see "
        f"whether it is theirs; if it is nobody's, `temporal workflow terminate -w {claim}` ends it"
    )


def given_up(who: str) -> Json:
    """What `claim` answers of a run that *who* has given up, in place of who has its jobs."""
    return {"given_up_by": who}


def given_up_by(answer: Any) -> str | None:
    """Who has given up the run of which `claim` says *answer*; None: nobody."""
    return str(answer["given_up_by"]) if isinstance(answer, dict) and "given_up_by" in answer else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Whether Atlas takes the credentials *sets*, or where *one_will_do* one of them. *task*: as of `Claims`."""

    task: str
    sets: list[str | None]
    lease: float
    one_will_do: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Whose errand an activity is: the workflow that is the run, and the execution that its session began with."""

    workflow: str
    first: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOrder:
    """What a batch is begun with: *session* is whose it is, *batch* its own id."""

    batch: str
    session: Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a run and one of its batches say to each other. *number*: the sequence number, from 1. *body*: items, packed."""

    batch: str
    number: int
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """What came of an errand: the *result* of its activity, or why there is none."""

    number: int
    result: Any = None
    failed: Failed | None = None
    detail: str = ""


class Failed(StrEnum):
    """Why an activity has no result."""

    NOT_TAKEN_UP = "not taken up"  # in time, by any worker: it has done nothing
    CALLED_OFF = "called off"  # before it had done anything
    LOST = "lost"  # with its worker, or its batch: what it has done is not known
    ANOTHERS = "another's"  # was the result that came: what it has done is not known


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One activity that speaks to Atlas about one migration. *span*: the opening of the window that it has to be in.

    *look*: read its job once, to see who is in charge, and do nothing about it. *refusal_known*: nothing follows from its credentials' being refused.
    *task*: whose answer is one to this (`Did`), as its errand is called; whoever begins that says so. *execution*: that of the batch which orders it.
    """

    session: Session
    run_id: str
    migration: Json
    state: Json
    settle: float
    polling: dict[str, float]
    lease: float
    held: bool = False
    refusal_known: bool = False
    look: bool = False
    span: list[float] | None = None
    task: str = ""
    execution: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookTask:
    """One hook, whose it is, and what it is told, as it is known at *told_at*. *task*, *execution*: as of `Task`."""

    session: Session
    run_id: str
    workflow: str
    directory: str
    rehearsal: bool
    argv: list[str]
    hook: str
    timeout: float
    facts: Json
    told_at: float
    lease: float
    wave: str | None = None
    migration: Json | None = None
    task: str = ""
    execution: str = ""


def out(events: Iterable[Event]) -> list[Any]:
    """*events* as JSON data."""
    return [[event.name, event.at, event_json.to_json(event)] for event in events]


def events_of(data: Iterable[Sequence[Any]]) -> list[Event]:
    """The inverse of `out`.

    Raises:
        ValueError: One of them is no event that is known here.
    """
    events = []
    for one in data:
        match one:
            case [str() as name, at, fields]:
                events.append(event_json.from_json(name, at, fields))
            case _:
                raise ValueError("something that is no event")
    return events


def packed(data: Any) -> str:
    """JSON *data* as a short text: an input of a workflow may have 2 MB, and all that it is told is kept."""
    return base64.b64encode(zlib.compress(json.dumps(data, separators=(",", ":")).encode())).decode()


def unpacked(text: str) -> Any:
    """The inverse of `packed`."""
    return json.loads(zlib.decompress(base64.b64decode(text)))


def plain(value: Any) -> Any:
    """*value* as JSON data: a form, or such already."""
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def pack(events: Iterable[Event]) -> str:
    """*events*, packed."""
    return packed(out(events))


def without_idle_reads(events: Iterable[Event]) -> list[Event]:
    """*events* without reads that two more follow: no rule counts further back than that."""
    kept: list[Event] = []
    for event in events:
        last = kept[-_READS_LOOKED_BACK_TO:]
        if (
            isinstance(event, StatusPolled)
            and len(last) == _READS_LOOKED_BACK_TO
            and all(isinstance(e, StatusPolled) for e in last)
        ):
            del kept[-_READS_LOOKED_BACK_TO]
        kept.append(event)
    return kept


def without_open_gate(done: Done) -> Done:
    """*done*, as if the read that found the gate open had not been made, so it is made again. An end of the job stays."""
    if all(name != GateOpened.name for name, _, _ in done.events):
        return done
    return replace(done, events=[each for each in done.events if each[0] not in (GateOpened.name, StatusPolled.name)])


def to_carry(events: Sequence[Sequence[Any]], over: Container[str]) -> list[Any]:
    """What of *events* (as of `out`) has to be known of a run that goes on: all but reads that no rule looks back to.

    *over*: the migrations of which nothing is left to do, so no read of theirs matters.
    """
    kept: list[Any] = []
    reads: Counter[str] = Counter()
    for event in reversed(events):
        name, _, fields = event
        if name == StatusPolled.name:
            migration = fields["migration"]
            reads[migration] += 1
            if reads[migration] > _READS_LOOKED_BACK_TO or migration in over:
                continue
        kept.append(event)
    kept.reverse()
    return kept


_SENT_AS = {"futile_since": "row_since", "not_yet_at": "verified_last"}
"""What is called otherwise in a message than in `MigrationState`."""
_NAMED_HERE = {sent: name for name, sent in _SENT_AS.items()}


def state_out(state: MigrationState) -> Json:
    """*state* as JSON data: what differs from one of which nothing is known."""
    nothing = MigrationState()
    return {_SENT_AS.get(key, key): value for key, value in state._asdict().items() if value != getattr(nothing, key)}


def state_of(data: Json) -> MigrationState:
    """The inverse of `state_out`."""
    known = {_NAMED_HERE.get(key, key): value for key, value in data.items()}
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
    hooks |= {str(kind): tuple(tuple(argv) for argv in hooks.get(kind, ())) for kind in HookKind}
    return Migration(gate=None if gate is None else Gate(**gate), hooks=Hooks(**hooks), **known)


def policy_of(migration: Migration, settle: float) -> Policy:
    """The rules for *migration* here: who sends its PUT reads the job again if what is known is too old."""
    return Policy.of(migration, settle=settle, rereads=True)


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
    known = {
        key: getattr(facts, key) for key in ("outcome", "remote_status", "lag", "error_message", "reason", "in_charge")
    }
    return known | {"vars": facts.vars.as_dict()}


def facts_of(data: Json) -> HookFacts:
    """The inverse of `facts_out`."""
    known = dict(data)
    named, outcome = known.pop("vars"), known.pop("outcome")
    return HookFacts(
        outcome=None if outcome is None else Outcome(outcome),
        in_charge=InCharge(known.pop("in_charge", InCharge.UNKNOWN)),
        vars=Vars(tuple(named), tuple(named.values())),
        **known,
    )


def request_out(request: SteeringRequest) -> Json:
    """*request* as JSON data."""
    data = asdict(request)
    if request.covers is None:
        del data["covers"]  # which a worker of an older version does not know
    return data


def request_of(data: Json) -> SteeringRequest:
    """The inverse of `request_out`."""
    known = dict(data)
    gate, covers = known.pop("gate"), known.pop("covers", None)
    command = Command(known.pop("command"))
    return SteeringRequest(
        command=command,
        gate=None if gate is None else GateChange(**gate),
        covers=None if covers is None else tuple(covers),
        **known,
    )
