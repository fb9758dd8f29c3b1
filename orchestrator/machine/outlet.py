"""Writing that holds nobody up: a terminal, a pipe or a file system may take nothing more, for as long as it likes.

Ctrl-S, an ssh connection that hangs, a pager that does not read, a network's file system without its server: whoever writes there
waits in the kernel, and nothing tells beforehand. So each output has a thread that writes to it, and a queue with room for so much.
Whoever runs an event loop never waits: where there is no room left, it learns that. All others wait as plain files let them,
but no longer than `PATIENCE` while nothing is taken.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import signal
import stat
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TextIO

PATIENCE: Final = 5.0
"""Seconds for which an output may take nothing before nobody waits for it any more."""
ROOM: Final = 4 * 1024 * 1024
"""Bytes that wait for a terminal or a pipe; one more write is not taken then."""
_PAUSE = 0.01  # seconds between two writes: what is said meanwhile leaves in one, and no thread is woken for each line
_AT_ONCE, _WAITED_FOR = (
    65536,
    4096,
)  # bytes of one write to what may take them slowly; less when somebody waits to see them taken


class Outlet:
    """What is written to *descriptor*, in its order, by a thread of its own.

    Args:
        descriptor: Where to.
        room: Bytes that may wait.
        owned: It is closed with the outlet, by the thread, as a network's file system may take its time for that as well.
        patience: Seconds, see `PATIENCE`.
    """

    def __init__(self, descriptor: int, *, room: int = ROOM, owned: bool = False, patience: float = PATIENCE) -> None:
        self._descriptor = descriptor
        self._room = room
        self._owned = owned
        self._patience = patience
        # A file takes all of a write or fails; who shares it with other processes finds no line torn.
        self._whole = stat.S_ISREG(os.fstat(descriptor).st_mode)
        self._changed = threading.Condition()
        self._queue: deque[bytes] = deque()
        self._left = 0  # bytes that have not been taken yet
        self._taken = 0  # bytes so far, those that failed included
        self._given_up: int | None = None  # how much had been taken when patience was at its end
        self._idle = False
        self._awaited = 0
        self._closing = self._closed = False
        self.failure: OSError | None = None
        """Why the last write failed; None: it did not."""
        self._thread: threading.Thread | None = threading.Thread(target=self._work, name="output", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # this user may have no more threads: then it is written where it is said
            self._thread = None

    @property
    def behind(self) -> bool:
        """Whether something has not been taken yet."""
        return self._left > 0

    def put(self, data: bytes) -> None:
        """Write *data*, in time.

        Raises:
            BlockingIOError: There is no room for it, and nothing of it is written.
        """
        if self._thread is None:
            with suppress(OSError):
                self._write(data)
            return
        with self._changed:
            if self._left >= self._room and not (_may_wait() and self._wait(lambda: self._left < self._room)):
                raise BlockingIOError(errno.EAGAIN, f"it takes nothing more, and {self._left} bytes wait for it")
            self._queue.append(data)
            self._left += len(data)
            if self._idle:
                self._idle = False
                self._changed.notify_all()

    def settle(self) -> None:
        """Return when all is written; at once in an event loop.

        Raises:
            TimeoutError: Nothing was taken for as long as patience lasts.
            OSError: The last write failed.
        """
        if _may_wait():
            with self._changed:
                settled = self._wait(lambda: not self._left)
            if not settled:
                raise TimeoutError(errno.ETIMEDOUT, f"it took nothing for {self._patience:g} s")
        if self.failure is not None:
            raise self.failure

    def close(self) -> bool:
        """Write what waits, as long as it is taken, and nothing after it; whether all was written."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is None:
            self._end()
        with self._changed:
            return self._wait(lambda: self._closed)

    def _wait(self, enough: Callable[[], bool]) -> bool:
        """Wait for what is *enough*, as long as something is taken; whether it came. Patience that has ended does not begin anew."""
        self._awaited += 1
        self._changed.notify_all()
        try:
            until, seen = time.monotonic() + self._patience, self._taken
            while not enough():
                if self._taken != seen:
                    until, seen = time.monotonic() + self._patience, self._taken
                left = until - time.monotonic()
                if left <= 0 or self._given_up == seen:
                    self._given_up = seen
                    return False
                self._changed.wait(left)
            return True
        finally:
            self._awaited -= 1

    def _work(self) -> None:
        # A signal is for the thread that heeds it: here it would end a worker that has to be ended in another place (`engines.temporal.guard`).
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            with self._changed:
                while not self._queue and not self._closing:
                    self._idle = True
                    self._changed.wait()
                ended = not self._queue
                data = b"".join(self._queue)
                self._queue.clear()
            if ended:
                self._end()
                return
            with suppress(OSError):
                self._write(data)
            with self._changed:
                self._changed.wait_for(lambda: self._awaited or self._closing, _PAUSE)

    def _write(self, data: bytes) -> None:
        view, begin = memoryview(data), 0
        try:
            while begin < len(data):
                begin += self._written(view[begin : self._end_of_piece(data, begin)])
            self.failure = None
        except OSError as error:
            self.failure = error
            self._count(len(data) - begin)
            raise

    def _end_of_piece(self, data: bytes, begin: int) -> int:
        """Where a piece of *data* ends that is written at once: at the end of a line, if there is one."""
        if self._whole:
            return len(data)
        end = begin + (_WAITED_FOR if self._awaited or self._closing else _AT_ONCE)
        return end if end >= len(data) else data.rfind(b"\n", begin, end) + 1 or end

    def _written(self, piece: memoryview) -> int:
        while True:
            try:
                count = os.write(self._descriptor, piece)
            except BlockingIOError:  # another program has set the terminal so
                waiting = select.poll()
                waiting.register(self._descriptor, select.POLLOUT)
                waiting.poll()
            else:
                self._count(count)
                return count

    def _count(self, size: int) -> None:
        with self._changed:
            self._left = max(0, self._left - size)
            self._taken += size
            if self._awaited:
                self._changed.notify_all()

    def _end(self) -> None:
        if self._owned:
            self._owned = False
            try:
                os.close(self._descriptor)
            except OSError as error:
                self.failure = error
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Unhindered:
    """*stream*, written to by way of *outlet*."""

    def __init__(self, stream: TextIO, outlet: Outlet) -> None:
        self._stream = stream
        self._outlet = outlet

    @property
    def behind(self) -> bool:
        """Whether something has not been taken yet."""
        return self._outlet.behind

    def write(self, text: str) -> int:
        """Write *text*, in time; its length.

        Raises:
            BlockingIOError: It takes nothing more.
        """
        self._outlet.put(text.encode(self._stream.encoding, "backslashreplace"))
        return len(text)

    def flush(self) -> None:
        """Wait for what is written, where somebody may wait.

        Raises:
            OSError: It could not be written, or takes nothing.
        """
        self._outlet.settle()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _may_wait() -> bool:
    """Whether it stops nothing when the caller waits: no event loop is its own, and no thread that others wait for."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return threading.current_thread() is threading.main_thread()
    return False


def is_behind(stream: object) -> bool:
    """Whether *stream* has not taken yet what was written to it, as far as that is known."""
    return bool(getattr(stream, "behind", False))
