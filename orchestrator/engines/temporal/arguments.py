"""Keeps messages away from workflows that have not the one argument that each of ours has.

The SDK calls a handler with what there is; with too little or too much the workflow's task fails, again and again, and the run
stands still. Nobody needs a key to send nothing.
"""

from __future__ import annotations

from typing import Any

from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    HandleSignalInput,
    HandleUpdateInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)


class OneArgument(Interceptor):
    """Of a worker: drops signals and rejects updates that have another number of arguments."""

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:  # noqa: A002, ARG002 - as Temporal calls it
        """What does so within a workflow."""
        return _OneArgument


class _OneArgument(WorkflowInboundInterceptor):
    async def handle_signal(self, input: HandleSignalInput) -> None:  # noqa: A002 - as Temporal calls it
        if len(input.args) == 1:
            await super().handle_signal(input)

    def handle_update_validator(self, input: HandleUpdateInput) -> None:  # noqa: A002 - as Temporal calls it
        _refuse_another_number(input)
        super().handle_update_validator(input)

    async def handle_update_handler(self, input: HandleUpdateInput) -> Any:  # noqa: A002 - as Temporal calls it
        _refuse_another_number(input)
        return await super().handle_update_handler(input)


def _refuse_another_number(given: HandleUpdateInput) -> None:
    if len(given.args) != 1:
        raise ApplicationError(
            f"`{given.update}` has one argument, and {len(given.args)} were given", non_retryable=True
        )
