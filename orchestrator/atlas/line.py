"""Waiting in line: what a token bucket and the places on the wire have in common, which keep a line for each kind of request."""

from __future__ import annotations

import asyncio
import bisect
from collections import deque
from collections.abc import Callable
from operator import itemgetter
from typing import Generic, TypeVar

T = TypeVar("T")


class Line(Generic[T]):
    """Those who wait for a T: first come, first served, or whose matter is the oldest."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: deque[tuple[asyncio.Future[T], float]] = deque()

    def __bool__(self) -> bool:
        """Whether anybody waits."""
        self._drop_gone()
        return bool(self._waiting)

    def __len__(self) -> int:
        return sum(1 for future, _ in self._waiting if not future.done())

    @property
    def first_waits(self) -> float:
        """Seconds for which the first's matter has waited; 0 without one."""
        return asyncio.get_running_loop().time() - self._waiting[0][1] if self else 0.0

    async def wait(self, *, undo: Callable[[T], None], since: float | None = None) -> T:
        """Wait to be called by `call_next`.

        Args:
            undo: Takes back what was granted to somebody who is cancelled just then.
            since: When the matter began, by the event loop's clock; None: now.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        bisect.insort(self._waiting, (future, loop.time() if since is None else since), key=itemgetter(1))
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                undo(future.result())
            future.cancel()
            raise

    def call_next(self, granted: T) -> None:
        """Let the first in line go, with what it is *granted*."""
        self._drop_gone()
        self._waiting.popleft()[0].set_result(granted)

    def _drop_gone(self) -> None:
        while self._waiting and self._waiting[0][0].done():
            self._waiting.popleft()
