"""Attempts to get in with a wrong token: the more there were of late, the later the answer."""

from __future__ import annotations

from collections import deque

import anyio

FIRST, LONGEST = 0.1, 5.0
"""Seconds until a wrong attempt is answered: the first of late, and many."""
OF_LATE = 60.0
MOST_WAITING = 32
"""Wrong attempts that wait for their answer; for one more there is no place."""


class Attempts:
    """Wrong attempts are answered one at a time, so that many connections try no faster than one."""

    def __init__(self) -> None:
        self._failed: deque[float] = deque(maxlen=64)
        self._answering = anyio.Lock()
        self._waiting = 0

    async def slow_down(self) -> bool:
        """Wait before a wrong attempt is answered; False, at once: too many wait already."""
        if self._waiting >= MOST_WAITING:
            return False
        self._waiting += 1
        try:
            async with self._answering:
                now = anyio.current_time()
                while self._failed and now - self._failed[0] > OF_LATE:
                    self._failed.popleft()
                wait = min(LONGEST, FIRST * 2 ** len(self._failed))
                self._failed.append(now)
                await anyio.sleep(wait)
        finally:
            self._waiting -= 1
        return True
