"""What may hang in the kernel is done by a thread, and nobody waits for it without a bound: a file system without its server tells nothing beforehand."""

from __future__ import annotations

import errno
import signal
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Aside(Generic[T]):
    """*work*, begun at once in a thread of its own; where this user may have no more of them, it has been done here."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._done = threading.Event()
        self._returned: list[T] = []
        self._error: Exception | None = None
        try:
            threading.Thread(target=self._in_thread, name="aside", daemon=True).start()
        except RuntimeError:
            self._do()

    def wait(self, seconds: float) -> bool:
        """Wait until it has come to its end, at most so long; whether it has."""
        return self._done.wait(max(0.0, seconds))

    def result(self, seconds: float) -> T:
        """What it has returned, or raised, which is waited for so long.

        Raises:
            TimeoutError: It has not come to its end, and may yet.
        """
        if not self.wait(seconds):
            raise TimeoutError(errno.ETIMEDOUT, "the file system does not answer; it may be written yet, when it does")
        if self._error is not None:
            raise self._error
        return self._returned[0]

    def _in_thread(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # they are for the thread that heeds them
        self._do()

    def _do(self) -> None:
        try:
            self._returned.append(self._work())
        except Exception as error:  # noqa: BLE001 - it is that of whoever asks for the result
            self._error = error
        finally:
            self._done.set()
