"""Ends activities that Temporal has given to another worker, or that nobody wants any more, without a fault.

The SDK cancels them, and tells of each in the log with a traceback, as if the program had failed: but a worker that was frozen, or cut
off, has lost them as it should.
"""

from __future__ import annotations

import asyncio
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor


def elsewhere(why: str) -> ApplicationError:
    """Another worker does it; no fault that anybody has to see to."""
    return ApplicationError(why, category=ApplicationErrorCategory.BENIGN)


class Lost(Interceptor):
    """Of a worker: lets go of what is not its own any more."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - as Temporal calls it
        """What does so around an activity."""
        return _Lost(next)


class _Lost(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - as Temporal calls it
        try:
            return await super().execute_activity(input)
        except asyncio.CancelledError:
            why = activity.cancellation_details()
            if why is None or not (why.not_found or why.timed_out):
                raise
            raise elsewhere("it is not this worker's any more") from None
