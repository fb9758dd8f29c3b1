"""Threads and processes where the user may have no more of them (`ulimit -u`, a container's `pids` limit): what needs one goes on without.

The limit counts what everybody of the same name has, so it may be reached in the middle of a night by somebody else's doing. A thread
that cannot be started is a `RuntimeError` for Python, which nobody expects of a write or a name lookup, and which would end a run.
"""

from __future__ import annotations

import asyncio
import errno
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar, TypeVarTuple, Unpack

import anyio.to_thread

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
_NO_THREAD = "start new thread"  # of Python's message


async def beside(work: Callable[[Unpack[Ts]], T], *args: *Ts) -> T:
    """What *work* returns, done in a thread; where there can be none, here, while the event loop waits."""
    begun = False

    def working() -> T:
        nonlocal begun
        begun = True
        return work(*args)

    try:
        return await anyio.to_thread.run_sync(working)
    except RuntimeError:
        if begun:
            raise
        return working()


async def in_a_loop_thread(work: Callable[[], T]) -> T:
    """As `beside`, in a thread of the event loop's own, which whoever made the loop may have made for something."""
    begun = False

    def working() -> T:
        nonlocal begun
        begun = True
        return work()

    try:
        return await asyncio.get_running_loop().run_in_executor(None, working)
    except (OSError, RuntimeError):
        if begun:
            raise
        return working()


class LoopThreads(ThreadPoolExecutor):
    """An event loop's own threads, in which it looks names up: where there can be none, that is the system's error, as with files."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """As in `concurrent.futures`.

        Raises:
            OSError: No thread can be started.
        """
        try:
            return super().submit(fn, *args, **kwargs)
        except RuntimeError as error:
            if _NO_THREAD in str(error):
                raise OSError(errno.EAGAIN, str(error)) from error
            raise


@contextmanager
def children_watched_without_threads() -> Iterator[None]:
    """While the context lasts, let asyncio hear of ended children by a descriptor each, as it does from Python 3.12 on: a thread may not be had when the child has begun."""
    if sys.version_info >= (3, 12) or threading.current_thread() is not threading.main_thread() or not _has_pidfd():
        yield
        return
    before = asyncio.get_child_watcher()
    asyncio.set_child_watcher(asyncio.PidfdChildWatcher())
    try:
        yield
    finally:  # it serves the loops of `asyncio.run` alone, and others may be made in this process
        asyncio.set_child_watcher(before)


def _has_pidfd() -> bool:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):  # not on this system or kernel, or forbidden in this container
        return False
    return True
