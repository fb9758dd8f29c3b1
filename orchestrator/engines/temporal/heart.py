"""Tells Temporal that an activity goes on, and hears whether it still may."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import anyio
from temporalio import activity
from temporalio.api.workflowservice.v1 import RecordActivityTaskHeartbeatRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from .clocks import ServerClock

_BEATS = 4  # in a lease
_HOLDS = 0.5  # of a lease: so long after the last answer an activity believes that it is its own


class Heart:
    """The heartbeat of the activity that makes it.

    Args:
        client: Speaks to Temporal.
        clock: The worker's.
        lease: Seconds of silence after which Temporal gives the activity to another worker.
        on_unwanted: Is told, once, that the activity is another's, or not wanted any more.
    """

    def __init__(
        self, client: Client, clock: ServerClock, *, lease: float, on_unwanted: Callable[[], None] = lambda: None
    ) -> None:
        self._client = client
        self._clock = clock
        self._lease = lease
        self._on_unwanted = on_unwanted
        self._token = activity.info().task_token
        self._confirmed_at = clock.steady()
        self.unwanted = False

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            await self.confirm()
            await anyio.sleep(self._lease / _BEATS)

    async def confirm(self) -> float | None:
        """Ask Temporal whether the activity is still wanted here; when that was asked (steady seconds), or None: it is not, or there was no answer."""
        asked_at = self._clock.steady()
        activity.heartbeat()  # the SDK minds the time by calls of its own
        request = RecordActivityTaskHeartbeatRequest(
            namespace=self._client.namespace, task_token=self._token, identity=self._client.identity
        )
        try:
            answer = await self._client.workflow_service.record_activity_task_heartbeat(
                request, retry=False, timeout=timedelta(seconds=self._lease / _BEATS)
            )
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                self._give_up()
            return None
        if answer.cancel_requested:
            self._give_up()
        if self.unwanted:
            return None
        self._confirmed_at = asked_at
        return asked_at

    @property
    def holds(self) -> bool:
        """Whether the activity may believe that it is its own."""
        return (
            not self.unwanted
            and self._clock.steady() - self._confirmed_at < _HOLDS * self._lease + self._lease / _BEATS
        )

    def _give_up(self) -> None:
        if not self.unwanted:
            self.unwanted = True
            self._on_unwanted()
