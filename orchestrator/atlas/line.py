"""Waiting in line: what a token bucket and the places on the wire have in common, which keep a line for each kind of request."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Line(Generic[T]):
    """Those who wait for a T: first come, first served."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[T]] = deque()

    def __bool__(self) -> bool:
        """Whether anybody waits."""
        self._drop_gone()
        return bool(self._waiting)

    def __len__(self) -> int:
        return sum(1 for future in self._waiting if not future.done())

    async def wait(self, *, undo: Callable[[T], None]) -> T:
        """Wait to be called by `call_next`; *undo* takes back what was granted to somebody who is cancelled just then."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
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
        self._waiting.popleft().set_result(granted)

    def _drop_gone(self) -> None:
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft()
