"""Keeps a worker from doing a part of a workflow before its time, which a question to it can bring about.

A question (`Run.news`) to a worker that does not know the run yet comes with the whole history. If that ends with events for which
a workflow task was scheduled that nobody has started, the SDK gives them to the workflow, so that the answer is the newest, and
keeps what has come of it. Once the task is started, more events may belong to it: this worker has then done in two parts, at
another time, what all others do in one, goes on from there, and what it has Temporal record can be replayed by nobody: a run that
stands still, or that has an errand done twice.

Such events are known by the time: that of a workflow is when its task was started, so it cannot be what it was before although the
history has become longer. The SDK then fails the question, forgets the run, and does it again from its beginning when it is next asked.
"""

from __future__ import annotations

from typing import Any

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowInstance, WorkflowInstanceDetails
from temporalio.workflow import Info

from .names import ASK_AGAIN

_HARMLESS = ("query_workflow", "remove_from_cache")


class PunctualRunner(UnsandboxedWorkflowRunner):
    """Runs workflows without a sandbox (the core is pure, and import-linter holds it), and each part of them in its time."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """An instance that does nothing early."""
        return Punctual(super().create_instance(det))


class Punctual(WorkflowInstance):
    """*instance*, which does nothing early."""

    def __init__(self, instance: WorkflowInstance) -> None:
        self._instance = instance
        self._time, self._length = (0, 0), 0

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        """Have *act* done, or refuse it where it is of a task that nobody has started."""
        time, length = (act.timestamp.seconds, act.timestamp.nanos), act.history_length
        if any(job.WhichOneof("variant") not in _HARMLESS for job in act.jobs):
            if time == self._time and length > self._length:
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
