"""Somebody who reaches the cluster, and has no key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import uuid4

import anyio
from temporalio import workflow
from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import UpdateWorkflowExecutionLifecycleStage
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.update.v1 import Input, Meta, Request, WaitPolicy
from temporalio.api.workflowservice.v1 import (
    RespondActivityTaskCanceledByIdRequest,
    RespondActivityTaskCompletedByIdRequest,
    RespondActivityTaskFailedByIdRequest,
    SignalWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
    UpdateWorkflowExecutionRequest,
)
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ActivityError
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker


@workflow.defn(name="Stranger")
class Stranger:
    """Orders something of the workers of *queue*."""

    @workflow.run
    async def run(self, queue: str, what: str, task: dict[str, Any]) -> Any:
        """What the activity *what* has answered."""
        return await workflow.execute_activity(
            what,
            task | {"execution": workflow.info().run_id},
            task_queue=queue,
            start_to_close_timeout=timedelta(seconds=30),
            heartbeat_timeout=timedelta(seconds=10),
            retry_policy=RetryPolicy(maximum_attempts=1),
        )


@workflow.defn(name="Copier")
class Copier:
    """Orders something of the workers of *queue*, with an order as it once travelled."""

    @workflow.run
    async def run(self, queue: str, what: str, copied: str) -> None:
        """Wait for its end."""
        await workflow.execute_activity(
            what,
            RawValue(Payload.FromString(bytes.fromhex(copied))),
            result_type=RawValue,
            task_queue=queue,
            start_to_close_timeout=timedelta(seconds=30),
            heartbeat_timeout=timedelta(seconds=10),
            retry_policy=RetryPolicy(maximum_attempts=1),
        )


async def orders_of(client: Client, workflow_id: str) -> dict[str, list[str]]:
    """By kind: the first activity of each that *workflow_id* has ordered, as its order travelled: where to, what, and for what."""
    found: dict[str, list[str]] = {}
    for event in (await client.get_workflow_handle(workflow_id).fetch_history()).events:
        given = event.activity_task_scheduled_event_attributes
        if event.HasField("activity_task_scheduled_event_attributes"):
            kind = given.activity_type.name
            found.setdefault(kind, [given.task_queue.name, kind, given.input.payloads[0].SerializeToString().hex()])
    return found


async def ordered_again(client: Client, workflow_id: str, order: Sequence[str]) -> str:
    """Under the name of *workflow_id*, which is closed, have a worker do once more what *order* is; why it was not done, or nothing."""
    name = f"strange-{uuid4().hex}"
    async with Worker(client, task_queue=name, workflows=[Copier], workflow_runner=UnsandboxedWorkflowRunner()):
        try:
            with anyio.fail_after(40):
                await client.execute_workflow(Copier.run, args=list(order), id=workflow_id, task_queue=name)
        except WorkflowFailureError as error:
            return str(error.cause)
    return ""


async def order(client: Client, queue: str, what: str, task: Mapping[str, Any]) -> str:
    """Have a worker that serves *queue* do *what* for *task*; why it did not, or nothing."""
    name = f"strange-{uuid4().hex}"
    async with Worker(client, task_queue=name, workflows=[Stranger], workflow_runner=UnsandboxedWorkflowRunner()):
        try:
            await client.execute_workflow(Stranger.run, args=[queue, what, dict(task)], id=name, task_queue=name)
        except WorkflowFailureError as error:
            return str(error.cause.cause) if isinstance(error.cause, ActivityError) else ""
    return ""


async def order_a_hook(client: Client, queue: str, argv: Sequence[str]) -> str:
    """Have a worker that serves *queue* run *argv* as a hook; why it did not, or nothing."""
    task = {
        "session": {"workflow": "strange", "first": "strange"},
        "run_id": "one",
        "workflow": "strange",
        "directory": "/",
        "rehearsal": True,
        "argv": list(argv),
        "hook": "before",
        "timeout": 20.0,
        "facts": {"vars": {}},
        "lease": 10.0,
        "wave": None,
        "migration": None,
        "task": uuid4().hex,
    }
    return await order(client, queue, "hook", task)


async def said_again(client: Client, event: HistoryEvent, workflow_id: str, queue: str) -> None:
    """Begin, or tell, the workflow *workflow_id* what another was begun with, or told, in *event* of its history."""
    begun, told = event.workflow_execution_started_event_attributes, event.workflow_execution_signaled_event_attributes
    service = client.workflow_service
    if event.HasField("workflow_execution_started_event_attributes"):
        await service.start_workflow_execution(
            StartWorkflowExecutionRequest(
                namespace=client.namespace,
                workflow_id=workflow_id,
                workflow_type=WorkflowType(name=begun.workflow_type.name),
                task_queue=TaskQueue(name=queue),
                input=begun.input,
                request_id=uuid4().hex,
            )
        )
    elif event.HasField("workflow_execution_signaled_event_attributes"):
        await signal(client, workflow_id, told.signal_name, told.input)


async def signal(client: Client, workflow_id: str, name: str, given: Payloads | None = None) -> None:
    """Tell *workflow_id* something, as it is *given*; None: without an argument."""
    await client.workflow_service.signal_workflow_execution(
        SignalWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id),
            signal_name=name,
            input=given,
            request_id=uuid4().hex,
        )
    )


async def update(client: Client, workflow_id: str, name: str, args: Payloads) -> str:
    """Ask *workflow_id* for something, as it is given, and say what became of it: `done` or `refused`."""
    answer = await client.workflow_service.update_workflow_execution(
        UpdateWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id),
            wait_policy=WaitPolicy(
                lifecycle_stage=UpdateWorkflowExecutionLifecycleStage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED
            ),
            request=Request(meta=Meta(update_id=uuid4().hex), input=Input(name=name, args=args)),
        )
    )
    return "done" if answer.outcome.HasField("success") else "refused"


async def result_of(client: Client, workflow_id: str, kind: str) -> Payloads | None:
    """The result of the first activity *kind* that an execution of *workflow_id* has completed, as it travelled."""
    async for each in client.list_workflows(f"WorkflowId = '{workflow_id}'"):
        ordered: set[int] = set()
        history = await client.get_workflow_handle(workflow_id, run_id=each.run_id).fetch_history()
        for event in history.events:
            completed = event.activity_task_completed_event_attributes
            if event.activity_task_scheduled_event_attributes.activity_type.name == kind:
                ordered.add(event.event_id)
            if completed.scheduled_event_id in ordered:
                return completed.result
    return None


async def in_its_place(client: Client, workflow_id: str, kind: str, say: Callable[[str], Awaitable[Any]]) -> bool:
    """Have said, to the id of an activity *kind* of *workflow_id* that a worker is doing, what came of it; False: there is none, or nothing may be said."""
    doing = (await client.get_workflow_handle(workflow_id).describe()).raw_description.pending_activities
    for each in doing:
        if each.activity_type.name == kind and each.HasField("last_started_time"):
            with suppress(RPCError):
                await say(each.activity_id)
                return True
    return False


def saying(client: Client, workflow_id: str, what: Payloads | Failure | None) -> Callable[[str], Awaitable[Any]]:
    """What says of an activity of *workflow_id* that this came of it: a result, a failure, or (None) that it was called off."""
    whose: dict[str, Any] = {"namespace": client.namespace, "workflow_id": workflow_id}
    service = client.workflow_service

    async def say(activity_id: str) -> None:
        match what:
            case Payloads():
                completed = RespondActivityTaskCompletedByIdRequest(**whose, activity_id=activity_id, result=what)
                await service.respond_activity_task_completed_by_id(completed)
            case None:
                cancelled = RespondActivityTaskCanceledByIdRequest(**whose, activity_id=activity_id)
                await service.respond_activity_task_canceled_by_id(cancelled)
            case _:
                failed = RespondActivityTaskFailedByIdRequest(**whose, activity_id=activity_id, failure=what)
                await service.respond_activity_task_failed_by_id(failed)

    return say
