"""Signs of life where there is no terminal: now and then a log entry `progress` that says how far the run is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import anyio
import structlog

from ...core.events import Event
from ...core.run import RunState
from ..terminal.board import estimate_text
from ..terminal.tally import AT_GATE, Tally

EARLY, OFTEN, SELDOM = 600.0, 30.0, 300.0
_TICK = 5.0


def heartbeat_due(elapsed: float, since_last: float) -> bool:
    """Whether a sign of life is due: every 30 s in the first ten minutes, then every 5 minutes.

    Args:
        elapsed: Seconds since the beginning.
        since_last: Seconds since the last sign of life, or since the beginning.
    """
    return since_last >= (OFTEN if elapsed < EARLY else SELDOM)


class Heartbeat:
    """Logs `progress` for one run: events go to `sink`, `run` logs. *wall* gives Unix seconds."""

    def __init__(self, *, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._tally = Tally()
        self._state: RunState | None = None

    def sink(self, event: Event, state: RunState) -> None:
        """Take *event* in."""
        self._state = state
        self._tally.take(event, state)

    async def run(self) -> None:
        """Log when it is due, until cancelled."""
        began = last = anyio.current_time()
        while True:
            await anyio.sleep(_TICK)
            now = anyio.current_time()
            if self._state is not None and heartbeat_due(now - began, now - last):
                last = now
                structlog.get_logger().info("progress", **self.fields(self._state))

    def fields(self, state: RunState) -> dict[str, Any]:
        """The fields of the entry."""
        stages = self._tally.stages()
        waits = self._tally.waits(state, self._wall())
        head = {"run_id": state.run_id, "workflow": state.workflow.name}
        return (head | {"rehearsal": True} if state.rehearsal else head) | {
            "migrations": self._tally.total,
            "finished": self._tally.finished,
            "under_way": self._tally.being_cut_over,
            "at_gate": sum(stages[word] for word in AT_GATE),
            "counts": {stage: number for stage, number in stages.items() if number},
            "waiting_for": "; ".join(wait.what for wait in waits) or None,
            "estimate": estimate_text(self._tally) or None,
        }
