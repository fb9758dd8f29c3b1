"""Ends the process that was stopped between the last question whether its PUT may leave and the writing of it.

A worker that is frozen (SIGSTOP, a debugger, a machine that swaps) and wakes does not know that its time is over, and its next
instruction may be the one that writes. So a timer of the kernel runs meanwhile, whose signal ends the process before it gets
to another instruction of its own: the other workers find its work unfinished, and settle it by reading the job.

The timer is set first and the clock asked after that: whoever is stopped before the timer was set sees it by the clock, whoever is
stopped later is ended by the timer. A request is written in one go, without anything else having a turn, so one timer serves all.
The signal must reach the thread that writes, and no other: threads that are made here block it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from ...machine.threads import LoopThreads


class Departure:
    """Watches over one PUT (`atlas.connection.Departure`). *remaining*: the seconds for which it may still take."""

    def __init__(self, remaining: Callable[[], float]) -> None:
        self._remaining = remaining

    def leaving(self) -> None:
        """From now on this process has so long to write it."""
        signal.setitimer(signal.ITIMER_REAL, max(0.001, self._remaining()))

    def left(self) -> None:
        """It is the kernel's."""
        signal.setitimer(signal.ITIMER_REAL, 0)


@contextmanager
def alarm_blocked() -> Iterator[None]:
    """Threads that begin meanwhile never take SIGALRM."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def block_alarm() -> None:
    """Never let the thread that calls this take SIGALRM."""
    if threading.current_thread() is not threading.main_thread():
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})


def threads(most: int) -> ThreadPoolExecutor:
    """Threads that never take SIGALRM."""
    return LoopThreads(max_workers=most, initializer=block_alarm)
