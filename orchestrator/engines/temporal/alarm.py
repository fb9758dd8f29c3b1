"""The time in a workflow, and what waits for it."""

from __future__ import annotations

import asyncio

from temporalio import workflow


def now() -> float:
    """Unix seconds by the server's clock, as they were when this part of the workflow was worked on first."""
    return workflow.now().timestamp()


class Alarm:
    """Rings at a time. A timer is made anew only when that changes, as each takes two events of the history."""

    def __init__(self) -> None:
        self._at: float | None = None
        self._timer: asyncio.Task[None] | None = None
        self.rung = False

    def set(self, at: float | None) -> None:
        """Ring at *at*, in place of what was set before; None: at no time."""
        if at == self._at and not self.rung:
            return
        self.rung = False
        if self._timer is not None and not self._timer.done():
            self._timer.cancel()
        self._at, self._timer = at, None
        if at is not None:
            self._timer = asyncio.create_task(self._ring(max(0.001, at - now())))

    @property
    def is_set(self) -> bool:
        """Whether it rings, or has rung."""
        return self._at is not None

    async def _ring(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.rung = True
