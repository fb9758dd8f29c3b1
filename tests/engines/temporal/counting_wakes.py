"""A workflow that starts a timer each time that it is woken, however many signals have woken it, and a worker that serves it.

python -m tests.engines.temporal.counting_wakes ADDRESS
"""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta

import anyio
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import Worker, WorkflowRunner

from orchestrator.engines.temporal.punctual import PunctualRunner


@workflow.defn
class CountingWakes:
    """Two workers that do not wake it as often have other timers."""

    def __init__(self) -> None:
        self.heard = 0

    @workflow.signal
    def wake(self) -> None:
        """Have a timer started, one for all that come together."""
        self.heard += 1

    @workflow.query
    def news(self) -> int:
        """How many signals have come."""
        return self.heard

    @workflow.run
    async def run(self) -> None:
        """Start them."""
        timers = []
        while True:
            known = self.heard
            await workflow.wait_condition(lambda known=known: self.heard > known)  # type: ignore[misc]
            timers.append(asyncio.create_task(asyncio.sleep(3600.0)))


def serving(client: Client, runner: WorkflowRunner) -> Worker:
    """A worker that serves it."""
    return Worker(
        client,
        task_queue="counting wakes",
        workflows=[CountingWakes],
        workflow_runner=runner,
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
    )


async def _serve(address: str) -> None:
    await serving(await Client.connect(address), PunctualRunner()).run()


if __name__ == "__main__":
    anyio.run(_serve, sys.argv[1])
