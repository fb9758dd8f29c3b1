"""Simulated time: as fast as it is told to run, and driven by the event loop alone."""

from __future__ import annotations

from collections.abc import Callable


class Clock:
    """Time since the simulator's start, in real and in simulated seconds.

    Jobs live in simulated time, which runs *speed* times as fast; everything on the wire (delays, rate limits, nonces)
    is in real seconds, because the client's own timeouts are.

    Args:
        speed: Simulated seconds in one real second, more than 0.
        loop_time: The event loop's clock, in seconds; a loop with virtual time controls the simulator with it.
    """

    __slots__ = ("_loop_time", "_started", "speed")

    def __init__(self, speed: float, loop_time: Callable[[], float]) -> None:
        if not speed > 0:
            raise ValueError(f"speed is {speed}: it has to be more than 0")
        self.speed = speed
        self._loop_time = loop_time
        self._started = loop_time()

    def real(self) -> float:
        """Real seconds since the start."""
        return self._loop_time() - self._started

    def now(self) -> float:
        """Simulated seconds since the start."""
        return (self._loop_time() - self._started) * self.speed

    def to_real(self, simulated: float) -> float:
        """When the simulated time *simulated* is, in real seconds since the start."""
        return simulated / self.speed
