"""Waiting in line by priority: what a token bucket and the places on the wire have in common."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from itertools import count
from typing import Generic, TypeVar

T = TypeVar("T")


class Line(Generic[T]):
    """Those who wait for a T, lowest *priority* first, within one priority first come, first served."""

    __slots__ = ("_heap", "_sequence")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, asyncio.Future[T]]] = []
        self._sequence = count()

    def __bool__(self) -> bool:
        """Whether anybody waits."""
        self._drop_gone()
        return bool(self._heap)

    def __len__(self) -> int:
        return sum(1 for _, _, future in self._heap if not future.done())

    @property
    def first(self) -> int:
        """The priority of the first in line; there has to be one."""
        self._drop_gone()
        return self._heap[0][0]

    async def wait(self, priority: int, *, undo: Callable[[T], None]) -> T:
        """Wait to be called by `call_next`; *undo* takes back what was granted to somebody who is cancelled just then."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._heap, (priority, next(self._sequence), future))
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
        heapq.heappop(self._heap)[2].set_result(granted)

    def _drop_gone(self) -> None:
        while self._heap and self._heap[0][2].done():
            heapq.heappop(self._heap)
