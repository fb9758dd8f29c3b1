"""An asyncio event loop whose time is made up: it stands still while code runs and jumps when all wait.

Two hours of waiting pass in milliseconds, and every timeout fires at exactly its time. The rules:

1. Time moves only when nothing is ready to run and no file descriptor has news.
2. Where something was sent over loopback and has not arrived, or a connection begins or ends, or threads run that
   nobody announced, time waits a real millisecond (*grace*) for news before it jumps to the next timer.
3. Jobs in threads (`loop.run_in_executor`, `anyio.to_thread.run_sync`) take no time: it stands still until they end, so
   that it matters to no test how busy the machine is. Where they go on for a real second (*patience*), which may be
   because they wait for something that a timer brings, time runs as on the wall.
4. While other work goes on that the loop cannot see the end of, time runs as on the wall and does not jump: child
   processes, and whatever `busy` or `watch` announce.
"""

from __future__ import annotations

import asyncio
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any, TypeVar, TypeVarTuple, Unpack

from anyio._backends._asyncio import _threadpool_workers

from .loopback import Loopback

START = 1000.0
"""What the clock shows at first, in seconds: not 0, so that "never" and "at the start" differ."""

GRACE = 0.001
"""How long what is on its way, and unknown threads, may take, in real seconds, before time jumps."""

PATIENCE = 1.0
"""How long jobs in threads may take, in real seconds, before time runs as on the wall."""

SLICE = 0.05
"""How often outside work is asked whether it still goes on, in real seconds."""

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """The loop of a test in virtual time; *grace* in real seconds."""

    def __init__(self, grace: float = GRACE) -> None:
        self._now = START
        self._threads_at_start = threading.active_count()
        self._jobs = _Counter()
        self._announced = _Counter()
        self._children: list[asyncio.SubprocessTransport] = []
        self._watched: list[Callable[[], bool]] = []
        self.loopback = Loopback()
        self._default_executor: Executor | None = None
        self._grace = grace
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        """Virtual seconds."""
        return self._now

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Work goes on elsewhere (another thread, another process): no jumps inside. May be entered in any thread."""
        with self._announced:
            yield

    def watch(self, works: Callable[[], bool]) -> None:
        """No jumps while *works()* is true; it is asked in the loop's thread and has to be quick."""
        self._watched.append(works)

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """As in asyncio; the job counts as outside work until its result is here."""
        future = super().run_in_executor(executor, func, *args)
        self._jobs.__enter__()
        future.add_done_callback(self._jobs.__exit__)
        return future

    async def subprocess_exec(
        self, protocol_factory: Callable[[], Any], *args: Any, **kwargs: Any
    ) -> tuple[asyncio.SubprocessTransport, Any]:
        """As in asyncio; the child counts as outside work until its exit is known."""
        with self._announced:
            transport, protocol = await super().subprocess_exec(protocol_factory, *args, **kwargs)
        self._children.append(transport)
        return transport, protocol

    async def subprocess_shell(
        self, protocol_factory: Callable[[], Any], cmd: bytes | str, **kwargs: Any
    ) -> tuple[asyncio.SubprocessTransport, Any]:
        """As in asyncio; the child counts as outside work until its exit is known."""
        with self._announced:
            transport, protocol = await super().subprocess_shell(protocol_factory, cmd, **kwargs)
        self._children.append(transport)
        return transport, protocol

    def _make_socket_transport(self, sock: socket.socket, *args: Any, **kwargs: Any) -> asyncio.Transport:
        self.loopback.add(sock)
        return super()._make_socket_transport(sock, *args, **kwargs)  # type: ignore[misc,no-any-return]

    def _make_ssl_transport(self, rawsock: socket.socket, *args: Any, **kwargs: Any) -> asyncio.Transport:
        self.loopback.add(rawsock)
        return super()._make_ssl_transport(rawsock, *args, **kwargs)  # type: ignore[misc,no-any-return]

    def threads_work(self) -> bool:
        """Whether jobs in threads go on."""
        return self._jobs.value > 0 or any(worker.queue.unfinished_tasks for worker in _threadpool_workers.get(set()))

    def others_work(self) -> bool:
        """Whether something else goes on whose end the loop will only hear of."""
        self._children = [child for child in self._children if child.get_returncode() is None]
        return self._announced.value > 0 or bool(self._children) or any(works() for works in self._watched)

    def may_hear(self) -> bool:
        """Whether news may be on its way that no poll has shown yet."""
        announced = len(_threadpool_workers.get(set())) + len(getattr(self._default_executor, "_threads", ()))
        return threading.active_count() > self._threads_at_start + announced or self.loopback.in_flight()

    def advance(self, seconds: float) -> None:
        """Move the clock."""
        self._now += seconds

    @property
    def grace(self) -> float:
        """Real seconds given to sockets before a jump."""
        return self._grace


class _JumpingSelector(selectors.DefaultSelector):
    """Where the loop would sleep for a timer, moves its clock instead."""

    def __init__(self, loop: VirtualClockLoop) -> None:
        super().__init__()
        self._loop = loop
        self._threads_work_since: float | None = None  # on the real clock

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """As any selector; somebody may be about to connect."""
        self._loop.loopback.stirred = True
        return super().register(fileobj, events, data)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:  # no timer at all: only the outside can bring news
            return super().select(None)
        # Asked before the poll: whoever ends after it has left its news in the loop's own socket by then.
        others_work, threads_work = self._loop.others_work(), self._loop.threads_work()
        news = super().select(0)
        if not threads_work:
            self._threads_work_since = None
        if news or timeout <= 0:
            return news
        if others_work or (threads_work and self._for_long()):
            return self._wait_as_on_the_wall(timeout)
        if threads_work:
            return super().select(SLICE)
        if self._loop.may_hear():
            news = super().select(self._loop.grace)
        if not news:
            self._loop.advance(timeout)
        return news

    def _for_long(self) -> bool:
        if self._threads_work_since is None:
            self._threads_work_since = time.monotonic()
        return time.monotonic() - self._threads_work_since > PATIENCE

    def _wait_as_on_the_wall(self, timeout: float) -> list[tuple[selectors.SelectorKey, int]]:
        began = time.monotonic()
        news = super().select(min(timeout, SLICE))
        self._loop.advance(min(time.monotonic() - began, timeout))
        return news


class _Counter:
    """How many are inside; a context manager for any thread, many at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.value = 0

    def __enter__(self) -> None:
        with self._lock:
            self.value += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self.value -= 1
