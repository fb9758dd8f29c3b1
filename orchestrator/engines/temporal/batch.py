"""A batch: the activities of some of a run's migrations. It knows no rule, and does what its run says.

A run has too many activities for one history, and it could not go on with an empty one while any of them is open. So they are
begun by batches, and the run is told what came of them. Each side waits until what it has said is in the other's history before
it says more, and says meanwhile all that has come up as one: so nothing is overtaken, and much goes into few events.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, FailureError, TimeoutType
from temporalio.exceptions import CancelledError as TemporalCancelled
from temporalio.exceptions import TimeoutError as TimedOutError

from . import forms
from .alarm import now
from .forms import Failed

_GAP = 0.2  # seconds between two messages, at least: what comes up meanwhile goes into one
_STILL_THERE = 1800.0  # seconds between two questions whether the run is
AGAIN = RetryPolicy(initial_interval=timedelta(seconds=0.2), maximum_interval=timedelta(seconds=5))
"""Of an activity that may be done any number of times."""
_ONCE = RetryPolicy(maximum_attempts=1)
_CALLED_OFF = {
    # A read is given up at once. Of a PUT it has to be known whether it has left.
    "follow": workflow.ActivityCancellationType.TRY_CANCEL,
    "cutover": workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    "hook": workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
}


@workflow.defn(name="Batch")
class Batch:
    """The activities of one batch of one session."""

    @workflow.init
    def __init__(self, begun: forms.BatchOrder) -> None:
        parent = workflow.info().parent
        self._begun = begun
        self._open: dict[int, workflow.ActivityHandle[Any] | None] = {}  # None: not begun yet
        self._doing: dict[int, asyncio.Task[None]] = {}
        self._off: set[int] = set()  # asked for members alone
        self._to_say: list[Any] = []
        self._said = self._heard = self._newest = 0
        self._said_at = now()
        self._hushed = False
        self._quiet = False  # and the run knows it
        self._over = False
        self._gone = parent is None or parent.workflow_id != begun.session.workflow  # somebody else has begun it
        self._doubtful = False  # whether the run is still there

    @workflow.signal
    def errands(self, message: forms.Message) -> None:
        """Do what the run says."""
        if self._gone or message.number <= self._heard:
            return
        self._heard = message.number
        for item in forms.unpacked(message.body):
            match item["item"]:
                case "begin" if item["number"] <= self._newest:
                    pass  # whatever has gone wrong there: none is done twice
                case "begin":
                    self._newest = item["number"]
                    self._open[item["number"]] = None
                    self._doing[item["number"]] = asyncio.create_task(self._carry_out(item))
                case "call off":
                    self._call_off(item["number"])
                case "hush":
                    self._hushed, self._quiet = True, False
                case "speak":
                    self._hushed = self._quiet = False
                case "end":
                    self._over = True
                case "stop":
                    self._stop()

    @workflow.run
    async def run(self, begun: forms.BatchOrder) -> None:  # noqa: ARG002 - as of __init__, which Temporal calls with it
        """Carry out what the run says until it says that there is no more, or is gone."""
        if self._gone:
            return
        watch = asyncio.create_task(self._watch())
        while True:
            await workflow.wait_condition(lambda: self._has_to_speak() or self._is_over())
            if self._is_over():
                watch.cancel()
                return
            if not self._hushed and not self._doubtful and (soon := self._said_at + _GAP - now()) > 0.0:
                await asyncio.sleep(soon)
            await self._speak()

    def _has_to_speak(self) -> bool:
        if self._gone:
            return False
        return not self._quiet if self._hushed else bool(self._to_say) or self._doubtful

    def _is_over(self) -> bool:
        return self._over and not self._open and (self._gone or not (self._to_say or self._hushed))

    async def _speak(self) -> None:
        """Say all that there is to say; if there is nobody to hear it, end."""
        items, self._to_say = self._to_say, []
        if self._hushed:
            items.append({"item": "quiet"})
            self._quiet = True
        self._doubtful = False
        self._said += 1
        self._said_at = now()
        message = forms.Message(batch=self._begun.batch, number=self._said, body=forms.packed(items))
        run = workflow.get_external_workflow_handle(self._begun.session.workflow)
        try:
            await run.signal("returned", message)
        except FailureError:  # no such run is open
            self._stop()

    def _stop(self) -> None:
        """Give everything up: whoever wanted it is gone."""
        self._over = self._gone = True
        for number in self._open:
            self._call_off(number)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_STILL_THERE)
            self._doubtful = now() - self._said_at >= _STILL_THERE and not self._hushed

    def _call_off(self, number: int) -> None:
        """Give errand *number* up, and say that it has been asked to end: what comes of it is said when that is known."""
        if number not in self._open:
            return
        self._off.add(number)
        handle = self._open[number]
        if handle is not None:
            handle.cancel()
        self._to_say.append({"item": "called off", "number": number})

    async def _carry_out(self, item: dict[str, Any]) -> None:
        number = item["number"]
        try:
            returned = await self._activity(item)
        finally:
            del self._open[number], self._doing[number]
        self._to_say.append({"item": "returned"} | returned)

    async def _activity(self, item: dict[str, Any]) -> dict[str, Any]:
        number, kind, to_start = item["number"], item["kind"], item["to_start"]
        if number in self._off:
            return {"number": number, "failed": Failed.CALLED_OFF}
        if to_start is not None and now() - item.get("at", now()) > max(to_start, forms.LONGEST_TO_START):
            # It has waited for a worker, and the run, which has one by now, too, may have been told to hold it up meanwhile.
            return {"number": number, "failed": Failed.NOT_TAKEN_UP}
        handle = workflow.start_activity(
            kind,
            args=[item["task"] | {"execution": workflow.info().run_id}],  # which a worker holds against who orders it
            task_queue=item["queue"],
            schedule_to_start_timeout=None if to_start is None else timedelta(seconds=to_start),
            start_to_close_timeout=timedelta(seconds=item["to_close"]),
            heartbeat_timeout=timedelta(seconds=item["lease"]),
            retry_policy=AGAIN if kind == "follow" else _ONCE,
            cancellation_type=_CALLED_OFF[kind],
        )
        self._open[number] = handle
        try:
            return {"number": number, "result": await handle}
        except asyncio.CancelledError:
            if number not in self._off:
                raise
            return {"number": number, "failed": Failed.CALLED_OFF}
        except ActivityError as error:
            return {"number": number, "failed": _why(error), "detail": str(error.cause or error)}


def _why(error: ActivityError) -> Failed:
    """Why it has no result. That nothing was done is believed only of what Temporal has given to no worker, as it says by itself.

    Anybody who reaches the cluster can say of an activity that a worker has that nobody took it up in time, or that it was called off.
    """
    cause = error.cause
    if error.started_event_id:
        return Failed.LOST
    if isinstance(cause, TimedOutError) and cause.type is TimeoutType.SCHEDULE_TO_START:
        return Failed.NOT_TAKEN_UP
    if isinstance(cause, TemporalCancelled):  # before anybody had it, or by who had not begun to do it
        return Failed.CALLED_OFF
    return Failed.LOST
