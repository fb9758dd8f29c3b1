"""What commands say to Temporal: begin a run, ask what has happened, steer it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, GetWorkflowExecutionHistoryReverseRequest
from temporalio.client import (
    Client,
    RPCError,
    RPCStatusCode,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig

from ...core.errors import InputError, TemporalError
from ...core.settings import Secret, Temporal
from ...core.steering import SteeringRequest
from . import forms, names, words
from .asked import HAD, left_waiting, to_leave
from .memos import run_of, shown
from .workflows import Run

_PATIENCE = timedelta(seconds=10)  # for one answer of Temporal's
_AGAIN = 0.2  # seconds until a question is asked again that was asked at a bad moment
_REFUSED = (RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.PERMISSION_DENIED)
CONNECTING = 10.0
"""Seconds for which a connection is tried."""


_NOT_TAKEN = (
    *_REFUSED,
    RPCStatusCode.FAILED_PRECONDITION,
    RPCStatusCode.INVALID_ARGUMENT,
    RPCStatusCode.NOT_FOUND,
    RPCStatusCode.UNIMPLEMENTED,
)
"""With which Temporal answers that it has begun nothing; after all else it may have."""


class NoWorkerError(TemporalError):
    """No worker answers for the run."""


class AnswerLostError(TemporalError):
    """Whether Temporal has done what it was asked is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What Temporal has under the name of a run's workflow.

    *run_id*: the run that it is; empty: none, as somebody else's workflow has that name; *is_open*: it goes on; *length*: of its history, as far as it is committed; *execution*: whose
    history that is, as a run goes on with an empty one from time to time; *queue*: where its work waits for workers; *session*: as it was
    called by who began it; empty where that is not known; *did_nothing*: it came too late, behind another session of the run.
    """

    run_id: str
    is_open: bool
    length: int
    execution: str
    queue: str
    session: str = ""
    did_nothing: bool = False


def as_json(cluster: Temporal) -> dict[str, Any]:
    """Where the cluster is, as the journal keeps it: without its key."""
    file = cluster.codec_key_file
    return {
        "address": cluster.address,
        "namespace": cluster.namespace,
        "tls": cluster.tls,
        "codec_key_file": None if file is None else str(file),
        "lease": cluster.lease,
    }


def from_json(data: Mapping[str, Any], api_key: str | None) -> Temporal:
    """The inverse of `as_json`; *api_key* is that of Temporal Cloud."""
    file = data["codec_key_file"]
    return Temporal(
        address=data["address"],
        namespace=data["namespace"],
        tls=data["tls"],
        api_key=None if api_key is None else Secret(api_key),
        codec_key_file=None if file is None else Path(file),
        lease=data["lease"],
    )


@cache
def _runtime() -> Runtime:
    """Temporal's client, which would write its own warnings to stdout, where a command's answer belongs."""
    return Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter="off")))


async def connect(cluster: Temporal) -> Client:
    """A connection to *cluster*.

    Raises:
        TemporalError: It does not answer, or does not have the namespace.
        InputError: The codec's key cannot be read, or the API key could be read by others on its way.
    """
    if cluster.api_key is not None and cluster.in_clear:
        raise InputError(
            f"the key for Temporal was not sent to {cluster.address}: without TLS everybody on the way could read it (temporal.tls: true)"
        )
    converter = DataConverter.default
    if cluster.codec_key_file is not None:
        from .codec import encrypting, read_key

        converter = encrypting(read_key(cluster.codec_key_file))
    try:
        with anyio.fail_after(CONNECTING):
            client = await Client.connect(
                cluster.address,
                namespace=cluster.namespace,
                tls=cluster.tls,
                api_key=None if cluster.api_key is None else cluster.api_key.reveal(),
                data_converter=converter,
                runtime=_runtime(),
            )
    except (RuntimeError, RPCError, TimeoutError) as error:
        raise TemporalError(
            f"Temporal was not reached at {cluster.address} ({str(error) or 'no answer'}): check temporal.address, the network, and "
            "that the cluster is up"
        ) from None
    await see_namespace(client, cluster)
    return client


async def see_namespace(client: Client, cluster: Temporal) -> None:
    """See that the namespace is there: where it is not, Temporal says of each run that it does not know it.

    Raises:
        TemporalError: It is not there, or Temporal does not answer, or refuses the key.
    """
    try:
        await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=cluster.namespace), timeout=_PATIENCE
        )
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise TemporalError(
                f"Temporal at {cluster.address} has no namespace {cluster.namespace!r}: check temporal.namespace; `temporal operator "
                f"namespace create --address {cluster.address} -n {cluster.namespace}` makes one"
            ) from None
        if error.status is not RPCStatusCode.PERMISSION_DENIED:  # who may run workflows there need not be told about it
            raise _unheard(error) from None


class Remote:
    """The runs of one workflow at Temporal. *workflow_id*: see `names.run_workflow_id`. *wall*: this machine's clock, in Unix seconds."""

    def __init__(self, client: Client, workflow_id: str, *, wall: Callable[[], float] = time.time) -> None:
        self.client = client
        self._wall = wall
        self._left = ""  # the number of what was left in the run's history last
        self.workflow_id = workflow_id

    def _handle(self) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(self.workflow_id)

    async def find(self) -> Found | None:
        """The newest run; None: Temporal knows none (any more).

        Raises:
            TemporalError: Temporal does not answer, or what it says cannot be read with the codec's key.
        """
        try:
            known: WorkflowExecutionDescription = await self._handle().describe(rpc_timeout=_PATIENCE)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise _unheard(error) from None
        with _readable():
            memo = await known.memo()
            run_id, session = run_of(memo), str(memo.get("session", ""))
        is_open = known.status is WorkflowExecutionStatus.RUNNING
        return Found(
            run_id=run_id,
            is_open=is_open,
            length=known.history_length,
            execution=known.run_id or "",
            queue=known.task_queue,
            session=session,
            did_nothing=bool(memo.get(forms.DID_NOTHING)),
        )

    async def announce(self, run_id: str, announced: words.Announced) -> None:
        """Say that a session of the run *run_id* is about to begin. Whether another one has been there meanwhile is looked after that.

        Raises:
            TemporalError: Temporal does not answer.
        """
        try:
            await words.announce(self.client, run_id, announced)
        except RPCError as error:
            raise _unheard(error) from None

    async def last_announced(self, run_id: str) -> words.Announced | None:
        """The session of the run *run_id* that was announced last; None: nobody has announced one.

        Raises:
            TemporalError: Temporal does not answer, or what it says cannot be read with the codec's key.
        """
        try:
            with _readable():
                return await words.last_announced(self.client, run_id)
        except RPCError as error:
            raise _unheard(error) from None

    async def begin(self, order: forms.Order) -> bool:
        """Begin the session of *order*, which was announced; False: one is open already.

        Raises:
            AnswerLostError: Whether it has begun is not known.
            TemporalError: It has not.
        """
        try:
            await self.client.start_workflow(
                Run.run,
                order,
                id=self.workflow_id,
                task_queue=order.queue,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                memo={"run_id": order.run_id, "session": order.session},
                rpc_timeout=_PATIENCE,
            )
        except WorkflowAlreadyStartedError:
            return False
        except RPCError as error:
            unheard = _unheard(error)
            raise (unheard if error.status in _NOT_TAKEN else AnswerLostError(str(unheard))) from None
        return True

    async def news(self, after: int) -> forms.News:
        """The events of the newest run after the first *after* ones, of which some may not be committed (`forms.News`).

        Raises:
            NoWorkerError: No worker answers for it.
            TemporalError: Temporal does not answer.
        """
        try:
            with _readable():
                return await self._asked(after)
        except RPCError as error:
            if error.status in (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.FAILED_PRECONDITION):
                raise NoWorkerError(
                    "no worker answers for the run: start one with `atlas-cutover worker`, of the version that it began with"
                ) from None
            raise _unheard(error) from None
        except WorkflowQueryFailedError as error:
            raise TemporalError(f"the run does not tell what has happened: {shown(error)}") from None

    async def _asked(self, after: int) -> forms.News:
        asked_at = anyio.current_time()
        while True:
            try:
                news: forms.News = await self._handle().query(Run.news, after, rpc_timeout=_PATIENCE)
            except WorkflowQueryFailedError as error:
                if names.ASK_AGAIN not in str(error) or anyio.current_time() - asked_at > _PATIENCE.total_seconds():
                    raise
                await anyio.sleep(_AGAIN)
            else:
                return news

    async def was_committed(self, found: Found, length: int) -> bool:
        """Whether what a worker did when the history of *found* was *length* events long was taken: it may have died, or been too late.

        Raises:
            TemporalError: Temporal does not answer.
        """
        token = b""
        while True:
            asked = GetWorkflowExecutionHistoryReverseRequest(
                namespace=self.client.namespace,
                execution=WorkflowExecution(workflow_id=self.workflow_id, run_id=found.execution),
                maximum_page_size=min(found.length - length + 10, 500),
                next_page_token=token,
            )
            try:
                answer = await self.client.workflow_service.get_workflow_execution_history_reverse(
                    asked, timeout=_PATIENCE
                )
            except RPCError as error:
                raise _unheard(error) from None
            for event in answer.history.events:
                if event.event_id == length + 1:  # the one after that with which the work was begun
                    return event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
            token = answer.next_page_token
            if not token:
                return False

    async def steer(
        self, run_id: str, requests: Sequence[SteeringRequest], *, number: str | None = None, patience: float = 60.0
    ) -> list[str | None]:
        """Ask the open run *run_id* for *requests*; why each did nothing, or None. No PUT leaves after the answer that they have held up.

        *number*: that which they had when they were sent before, and no answer came; None: a new one. What the run has had by then it
        does not do again, and where it remembers no more than that, there are no answers.

        Raises:
            NoWorkerError: No worker has taken them within *patience* seconds. What holds cutovers up has been left in the run's history, and is
                done when one comes, unless the error says otherwise; the rest waits for one (`asked.STANDS`).
            TemporalError: Temporal does not answer, or the run is not open, or something else was answered.
        """
        asked = await self._asked_of(run_id, requests, number or uuid4().hex)
        try:
            with anyio.fail_after(patience), _cancelled_as_such(), _readable():
                answered: forms.Answered = await self._handle().execute_update(Run.steer, asked, id=asked.number)
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
            raise await self._untaken(asked) from None
        except WorkflowUpdateFailedError as error:
            if number is not None and isinstance(error.cause, ApplicationError) and error.cause.message == HAD:
                return []
            raise TemporalError(f"the run has not taken this: {shown(error.cause)}") from None
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise TemporalError(
                    f"run {run_id} was closed at Temporal meanwhile, and whether it had done this is not known: `atlas-cutover resume {run_id}` "
                    "takes in how it has ended"
                ) from None
            # A connection that broke, say, or more is asked at once than Temporal keeps.
            if to_leave(asked) is not None:
                raise await self._untaken(asked) from None
            if error.status in _REFUSED:
                raise _unheard(error) from None
            raise TemporalError(
                f"{_unheard(error)}, and whether run {run_id} has been asked is not known: `atlas-cutover status {run_id}` shows whether it was done; "
                "ask again if it still holds"
            ) from None
        if answered.asked != asked.number:
            raise TemporalError(
                f"the answer that came is not one to what was asked of run {run_id}, so whether it has taken that is not known: "
                f"`atlas-cutover status {run_id}` tells, and somebody on the cluster answers in a worker's place"
            )
        return answered.answers

    async def _untaken(self, asked: forms.Asked) -> NoWorkerError:
        """What to say of *asked*, which no worker has taken up, when what of it holds cutovers up has been left in the run's history."""
        try:
            await self._leave(asked)
        except TemporalError as error:
            return NoWorkerError(left_waiting(asked, why_not_kept=str(error)))
        return NoWorkerError(left_waiting(asked))

    async def _leave(self, asked: forms.Asked) -> None:
        """Leave what of *asked* holds cutovers up in the run's history, once.

        Raises:
            TemporalError: It may not be there, or nobody would heed it.
        """
        left = to_leave(asked)
        if left is None or left.number == self._left:
            return
        found = await self._open(asked.run_id)
        if found is None:
            raise TemporalError("the run is not open there any more")
        if not found.queue.endswith(names.generation()):
            raise TemporalError("the run began with another version, which may not heed it there")
        try:
            await self._handle().signal(Run.left, replace(left, execution=found.execution), rpc_timeout=_PATIENCE)
        except RPCError as error:
            raise _unheard(error) from None
        self._left = left.number

    async def _asked_of(self, run_id: str, requests: Sequence[SteeringRequest], number: str) -> forms.Asked:
        """*requests* as they travel to the run *run_id*: for it alone, and once, as *number*."""
        found = await self._open(run_id)
        if found is None:
            raise TemporalError(f"run {run_id} is not open at Temporal any more; nothing was asked of it")
        return forms.Asked(
            run_id=run_id,
            execution=found.execution,
            number=number,
            requests=[forms.request_out(request) for request in requests],
            at=self._wall(),
        )

    async def _open(self, run_id: str) -> Found | None:
        """The run *run_id*, if it is open."""
        found = await self.find()
        return found if found is not None and found.is_open and found.run_id == run_id else None

    async def give_up(self, run_id: str, who: str) -> None:
        """Leave word that *who* has given up the run *run_id*, of which no session is open: no machine begins another one.

        Raises:
            TemporalError: Temporal does not answer: whether the word is there is not known.
        """
        try:
            await words.give_up(self.client, run_id, who)
        except RPCError as error:
            raise _unheard(error) from None

    async def given_up_by(self, run_id: str) -> str | None:
        """Who has given up the run *run_id*, as `give_up`; None: nobody.

        Raises:
            TemporalError: Temporal does not answer, or what it says cannot be read with the codec's key.
        """
        try:
            with _readable():
                return await words.given_up_by(self.client, run_id)
        except RPCError as error:
            raise _unheard(error) from None

    async def let_go(self, jobs: Sequence[str], run_id: str) -> None:
        """Give up the claims to *jobs* that run *run_id* still has.

        Raises:
            TemporalError: Temporal does not answer.
        """
        for job in jobs:
            claim = self.client.get_workflow_handle(names.claim_id(job))
            try:
                known = await claim.describe(rpc_timeout=_PATIENCE)
                with _readable():
                    holder = run_of(await known.memo())
                if known.status is WorkflowExecutionStatus.RUNNING and holder == run_id:
                    await claim.terminate("the run was given up", rpc_timeout=_PATIENCE)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise _unheard(error) from None


@contextmanager
def _cancelled_as_such() -> Iterator[None]:
    """Let a cancellation, by Ctrl-C say, be one: the SDK makes an error of its own of it, which would be taken for silence."""
    try:
        yield
    except WorkflowUpdateRPCTimeoutOrCancelledError as error:
        if isinstance(error.__cause__, asyncio.CancelledError):
            raise error.__cause__ from None  # the very one: a cancel scope knows it again
        raise


@contextmanager
def _readable() -> Iterator[None]:
    """Read what others have written, in the words of this program where that fails.

    Raises:
        TemporalError: It was written with another codec's key, or with none where there is one, or the other way round.
    """
    try:
        yield
    except (
        KeyError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:  # the second of what is no JSON, or brackets in brackets by the thousand
        raise TemporalError(
            f"what Temporal has cannot be read here ({shown(error.args[0])}): temporal.codec_key_file has to be the same wherever commands "
            "and workers run"
        ) from None


def _unheard(error: RPCError) -> TemporalError:
    said = shown(error.message or error.status.name.lower())
    if error.status in _REFUSED:
        return TemporalError(
            f"Temporal refuses this ({said}): check temporal.api_key, and that it is one of temporal.namespace"
        )
    return TemporalError(f"Temporal does not answer ({said})")
