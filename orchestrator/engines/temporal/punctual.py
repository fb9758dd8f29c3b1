"""Keeps a worker from doing a part of a workflow before its time, which a question to it can bring about.

A question (`Run.news`) to a worker that does not know the run yet comes with the whole history. If that ends with events for which
a workflow task was scheduled that nobody has started, the SDK gives them to the workflow, so that the answer is the newest, and
keeps what has come of it. Once the task is started, more events may belong to it: this worker has then done in two parts, at
another time, what all others do in one, goes on from there, and what it has Temporal record can be replayed by nobody: a run that
stands still, or that has an errand done twice.

Such events are known by the time: that of a workflow is when its task was started, so it cannot be what it was before although the
history has become longer. The SDK then fails the question, forgets the run, and does it again from its beginning when it is next asked.

Of a run that was closed meanwhile nothing more is recorded, and no task is started: there it does no harm, and without it such a
run would never answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowInstance, WorkflowInstanceDetails
from temporalio.workflow import Info

from .names import ASK_AGAIN

_HARMLESS = ("query_workflow", "remove_from_cache")
_PATIENCE = timedelta(seconds=5)


class ClosedRuns:
    """Which executions are closed, as the cluster says that *client* reaches. It is asked in the loop in which this is made."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._loop = asyncio.get_running_loop()
        self._asking: set[str] = set()
        self._closed: set[str] = set()

    def has(self, workflow_id: str, execution: str) -> bool:
        """Whether *execution* is known to be closed. If not, the cluster is asked, for the next time. Any thread may call it."""
        if execution in self._closed:
            return True
        if execution not in self._asking:
            self._asking.add(execution)
            asyncio.run_coroutine_threadsafe(self._ask(workflow_id, execution), self._loop)
        return False

    async def _ask(self, workflow_id: str, execution: str) -> None:
        try:
            known = await self._client.get_workflow_handle(workflow_id, run_id=execution).describe(
                rpc_timeout=_PATIENCE
            )
            if known.status is not WorkflowExecutionStatus.RUNNING:
                self._closed.add(execution)
        except RPCError:
            pass  # whoever asks the run asks again, and so is this
        finally:
            self._asking.discard(execution)


class PunctualRunner(UnsandboxedWorkflowRunner):
    """Runs workflows without a sandbox (the core is pure, and import-linter holds it), and each part of them in its time.

    *closed*: knows of which it is all the same; None: of none.
    """

    def __init__(self, closed: ClosedRuns | None = None) -> None:
        self._closed = closed

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """An instance that does nothing early."""
        closed, info = self._closed, det.info
        if closed is None:
            return Punctual(super().create_instance(det))
        return Punctual(super().create_instance(det), lambda: closed.has(info.workflow_id, info.run_id))


class Punctual(WorkflowInstance):
    """*instance*, which does nothing early. *is_closed*: whether that is all the same, as it goes on no more."""

    def __init__(self, instance: WorkflowInstance, is_closed: Callable[[], bool] = lambda: False) -> None:
        self._instance = instance
        self._is_closed = is_closed
        self._time, self._length = (0, 0), 0

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        """Have *act* done, or refuse it where it is of a task that nobody has started."""
        time, length = (act.timestamp.seconds, act.timestamp.nanos), act.history_length
        if any(job.WhichOneof("variant") not in _HARMLESS for job in act.jobs):
            if time == self._time and length > self._length and not self._is_closed():
                return _refused(act)
            self._time, self._length = time, length
        return self._instance.activate(act)

    def get_serialization_context(self, command_info: Any) -> Any:
        """As of the instance."""
        return self._instance.get_serialization_context(command_info)

    def get_external_store_context(self, command_info: Any) -> Any:
        """As of the instance."""
        return self._instance.get_external_store_context(command_info)

    def get_info(self) -> Info:
        """As of the instance."""
        return self._instance.get_info()

    def get_thread_id(self) -> int | None:
        """As of the instance."""
        return self._instance.get_thread_id()


def _refused(act: WorkflowActivation) -> WorkflowActivationCompletion:
    refused = WorkflowActivationCompletion(run_id=act.run_id)
    refused.failed.failure.message = ASK_AGAIN
    return refused
