"""Workflows that hold something as long as a run needs it: a claim to a live migration, the budget of a project."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

_LONG = timedelta(days=30)


@workflow.defn(name="Claim")
class Claim:
    """The claim of a run to a live migration, while it is open."""

    @workflow.run
    async def run(self) -> None:
        """Be open."""
        await workflow.wait_condition(lambda: False)


@workflow.defn(name="Project")
class Project:
    """Gives one budget to one worker, which then serves the task queue of its requests, as long as there are runs that need it."""

    def __init__(self) -> None:
        self._holders: dict[str, bool] = {}

    @workflow.signal
    def hold(self, run: str) -> None:
        """*run* needs it."""
        self._holders[run] = True

    @workflow.signal
    def release(self, run: str) -> None:
        """*run* needs it no more."""
        self._holders.pop(run, None)

    @workflow.run
    async def run(self, scope: str, lease: float) -> None:
        """Find an owner, and another when that one is silent for *lease* seconds."""
        await workflow.wait_condition(lambda: bool(self._holders))
        while self._holders:
            await self._have_it_owned(scope, lease)

    async def _have_it_owned(self, scope: str, lease: float) -> None:
        """Give it to a worker, until nobody needs it, or somebody has ended that in the worker's place."""
        owner = workflow.start_activity(
            "own_project",
            args=[scope, lease],
            start_to_close_timeout=_LONG,
            heartbeat_timeout=timedelta(seconds=lease),
            retry_policy=RetryPolicy(initial_interval=timedelta(seconds=0.1), maximum_interval=timedelta(seconds=1)),
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
        await workflow.wait_condition(lambda: not self._holders or owner.done())
        owner.cancel()
        with suppress(ActivityError):  # it has let go, or is silent and lets go by itself
            await owner
