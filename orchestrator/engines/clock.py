"""What time it is in a session: one clock for its rules and events, which nobody sets, and the wall's for the window."""

from __future__ import annotations

import time
from collections.abc import Callable

_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

STEP = 1.0
"""Seconds by which the wall clock has to differ from what it would show to count as set."""


def steady_time() -> float:
    """Seconds since some moment, by a clock that is never set and goes on while the machine sleeps.

    What was read before the machine fell asleep has to be old afterwards, so Linux's CLOCK_MONOTONIC would not do: it stands
    still meanwhile. (Where there is no CLOCK_BOOTTIME, as on macOS, CLOCK_MONOTONIC goes on.)
    """
    return time.clock_gettime(_STEADY)


class SessionClock:
    """Begins at the wall's time and goes on steadily, whatever is done to the wall clock.

    Settle times, freshness and timeouts are reckoned by `now`, and events have its time: they compare with each other, and
    are in order. *wall* is what people mean by a time of day: the window is asked by it, and by nothing else.

    Args:
        wall: The wall clock, Unix seconds.
        steady: See `steady_time`.
    """

    def __init__(self, wall: Callable[[], float], steady: Callable[[], float] = steady_time) -> None:
        self.wall = wall
        self._steady = steady
        self._offset = wall() - steady()
        self._told = 0.0

    def now(self) -> float:
        """Unix seconds, as the wall clock would show them had it not been set since the session began."""
        return self._offset + self._steady()

    def was_set(self) -> float | None:
        """By how many seconds the wall clock has been set since this was last asked; None: it was not."""
        ahead = self.wall() - self.now()
        if abs(ahead - self._told) < STEP:
            return None
        by, self._told = ahead - self._told, ahead
        return by
