"""Somebody who reaches the cluster, and has no key."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

from temporalio import workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker


@workflow.defn(name="Stranger")
class Stranger:
    """Orders a hook of the workers of *queue*."""

    @workflow.run
    async def run(self, queue: str, argv: list[str]) -> Any:
        """What the hook has answered."""
        info = workflow.info()
        task = {
            "session": {"workflow": info.workflow_id, "first": info.run_id},
            "run_id": "one",
            "workflow": "strange",
            "directory": "/",
            "rehearsal": True,
            "argv": argv,
            "hook": "before",
            "timeout": 20.0,
            "facts": {"vars": {}},
            "lease": 10.0,
            "wave": None,
            "migration": None,
        }
        return await workflow.execute_activity(
            "hook",
            task,
            task_queue=queue,
            start_to_close_timeout=timedelta(seconds=30),
            retry_policy=RetryPolicy(maximum_attempts=1),
        )


async def order_a_hook(client: Client, queue: str, argv: Sequence[str]) -> str:
    """Have a worker that serves *queue* run *argv* as a hook; why it did not, or nothing."""
    name = f"strange-{uuid4().hex}"
    async with Worker(client, task_queue=name, workflows=[Stranger], workflow_runner=UnsandboxedWorkflowRunner()):
        try:
            await client.execute_workflow(Stranger.run, args=[queue, list(argv)], id=name, task_queue=name)
        except WorkflowFailureError as error:
            return str(error.cause.cause) if isinstance(error.cause, ActivityError) else ""
    return ""
