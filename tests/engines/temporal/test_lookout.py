"""What a worker says when Temporal has no work for it: the SDK says nothing, or ends with a traceback."""

from __future__ import annotations

import asyncio
import warnings
from functools import partial
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import anyio
import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.activity import ActivityCancellationDetails
from temporalio.api.operatorservice.v1 import DeleteNamespaceRequest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client, RPCError, RPCStatusCode
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Worker

from orchestrator.core.errors import TemporalError
from orchestrator.core.settings import Temporal
from orchestrator.engines.temporal.lookout import look_out
from orchestrator.engines.temporal.lost import Lost
from orchestrator.engines.temporal.service import connect, see_namespace
from orchestrator.engines.temporal.worker import run_worker

from ..house import house, wave, workflow
from .cluster import until, worker
from .servers import Server, needs_temporal
from .test_nights import quick

pytestmark = [pytest.mark.anyio, needs_temporal]


@pytest.fixture
async def place(temporal: Server) -> Temporal:
    """A namespace of the test's own."""
    own = Temporal(address=temporal.address, namespace=f"own-{uuid4().hex[:8]}")
    await make(temporal, own)
    return own


async def make(temporal: Server, own: Temporal) -> None:
    """Make that namespace."""
    client = await temporal.connect()
    retention = Duration(seconds=24 * 3600)
    wanted = RegisterNamespaceRequest(namespace=own.namespace, workflow_execution_retention_period=retention)
    await client.workflow_service.register_namespace(wanted)


async def delete(temporal: Server, own: Temporal) -> None:
    """Delete it."""
    client = await temporal.connect()
    with anyio.fail_after(60):
        while True:
            try:
                await client.operator_service.delete_namespace(DeleteNamespaceRequest(namespace=own.namespace))
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return
            else:
                return


class Said(list[tuple[str, str]]):
    """What was said, and how it was explained."""

    def __call__(self, event: str, **fields: object) -> None:
        """One more."""
        self.append((event, str(fields["detail"])))


async def test_a_worker_tells_that_its_namespace_is_gone_and_that_it_is_back(temporal: Server, place: Temporal) -> None:
    """Once each, with what to look at; it does not end."""
    client = await connect(place)
    warned, said = Said(), Said()
    async with anyio.create_task_group() as group:
        group.start_soon(partial(look_out, client, place, warn=warned, say=said, every=0.05))
        await delete(temporal, place)
        await until(lambda: bool(warned))
        await anyio.sleep(0.2)
        assert [event for event, _ in warned] == ["temporal_silent"]
        assert f"has no namespace {place.namespace!r}" in warned[0][1]
        assert not said
        await make(temporal, place)
        await until(lambda: bool(said))
        assert [event for event, _ in said] == ["temporal_answers"]
        group.cancel_scope.cancel()


async def test_a_worker_that_temporal_gives_no_work_ends_with_a_word(
    tmp_path: Path, temporal: Server, place: Temporal
) -> None:
    """Its namespace goes after it has connected."""

    async def gone(_: object) -> None:
        await delete(temporal, place)

    client = await connect(place)
    async with house(tmp_path, workflow(wave("one", "a")), quick()) as it:
        with pytest.raises(TemporalError, match=r"gives this worker no work .*temporal\.namespace"):
            async with worker(client, it, before=gone):
                await anyio.sleep_forever()


async def test_a_worker_is_not_given_up_when_it_is_told_late_that_an_activity_is_not_wanted(
    tmp_path: Path, client: Client
) -> None:
    """The activity has heard it itself, and has ended: where warnings are errors, the SDK's would be the worker's end."""
    async with house(tmp_path, workflow(wave("one", "a")), quick()) as it, worker(client, it):
        warnings.warn("Cannot find activity to cancel for token b'long ended'", stacklevel=1)


class Following(ActivityInboundInterceptor):
    """An activity that goes on until it is cancelled."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002, ARG002 - as Temporal calls it
        """Go on."""
        self.begun.set()
        await anyio.sleep_forever()


@pytest.mark.parametrize(
    ("why", "ends_with"),
    [
        (ActivityCancellationDetails(not_found=True), ApplicationError),
        (ActivityCancellationDetails(timed_out=True), ApplicationError),
        (ActivityCancellationDetails(cancel_requested=True), asyncio.CancelledError),
        (ActivityCancellationDetails(worker_shutdown=True), asyncio.CancelledError),
    ],
    ids=("another has it", "silent for too long", "called off", "the worker ends"),
)
async def test_an_activity_that_another_worker_has_now_ends_without_a_traceback(
    why: ActivityCancellationDetails, ends_with: type[BaseException]
) -> None:
    """The SDK logs one for all that ends in another way than it asked for, but for what is called benign."""
    following = Following()
    given = ExecuteActivityInput(fn=anyio.sleep_forever, args=(), executor=None, headers={})
    inbound = Lost().intercept_activity(following)
    environment = ActivityEnvironment()
    running = asyncio.ensure_future(environment.run(inbound.execute_activity, given))
    await following.begun.wait()
    environment.cancel(why)
    with pytest.raises(ends_with) as ended:
        await running
    if isinstance(ended.value, ApplicationError):
        assert ended.value.category is ApplicationErrorCategory.BENIGN


class Refusing:
    """A client whose every question is answered with *status*."""

    def __init__(self, status: RPCStatusCode) -> None:
        self.workflow_service = self
        self.status = status

    async def describe_namespace(self, *_: Any, **__: Any) -> None:
        """Refuse."""
        raise RPCError("Request unauthorized.", self.status, b"")


async def test_a_refused_key_is_called_that() -> None:
    """And not silence."""
    place = Temporal(address="127.0.0.1:7233", namespace="cutovers")
    refusing = cast("Client", Refusing(RPCStatusCode.UNAUTHENTICATED))
    with pytest.raises(TemporalError, match=r"refuses this \(Request unauthorized\.\): check temporal\.api_key"):
        await see_namespace(refusing, place)


class Slow:
    """A worker that takes its time to end."""

    def __init__(self) -> None:
        self.asked, self.may_end = asyncio.Event(), asyncio.Event()
        self.ended = False

    async def run(self) -> None:
        """Work."""
        await self.may_end.wait()
        self.ended = True

    async def shutdown(self) -> None:
        """Be asked to end."""
        self.asked.set()
        await self.may_end.wait()


async def test_a_worker_whose_activity_is_cancelled_twice_is_still_waited_for() -> None:
    """By Temporal's client and by its heart: a second one for the same queue would be refused while it goes on."""
    slow = Slow()
    running = asyncio.create_task(run_worker(cast("Worker", slow)))
    await asyncio.sleep(0)
    running.cancel()
    await slow.asked.wait()
    running.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not running.done()
    slow.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert slow.ended
