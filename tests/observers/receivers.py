"""Those who are notified, and a run that notifies them."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread
from aiohttp import web

from orchestrator.core.events import Event
from orchestrator.core.run import RunState
from orchestrator.observers.log.sink import configure_logging
from orchestrator.observers.notify import Notifier

from .examples import running

TOKEN = "t0ken-in-the-address"


def through(sink: Callable[[Event, RunState], object], events: list[Event], *, rehearsal: bool = False) -> list[Any]:
    """What *sink* returns for each of *events*, folded one after another."""
    state = running(rehearsal=rehearsal)
    answers = []
    for event in events:
        if event is not events[0]:
            state.apply(event)
        answers.append(sink(event, state))
    return answers


PATIENCE = 300
"""Seconds that a message waits for its answer: longer than any of these tests may take."""


@asynccontextmanager
async def receiver(
    status: int = 200, hold: anyio.Event | None = None
) -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """An address of apprise's on loopback, and what arrives there; *hold*: the answer waits for it."""
    received: list[dict[str, Any]] = []

    async def take(request: web.Request) -> web.Response:
        received.append(await request.json())
        if hold is not None:
            await hold.wait()
        return web.Response(status=status)

    app = web.Application()
    app.router.add_post("/{tail:.*}", take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"json://127.0.0.1:{runner.addresses[0][1]}/{TOKEN}?cto={PATIENCE}&rto={PATIENCE}", received
    finally:
        await runner.cleanup()


async def notified(
    urls: list[str],
    events: list[Event],
    *,
    first: Callable[[], None] = lambda: None,
    when: Callable[[], bool] = lambda: True,
    **options: Any,
) -> tuple[str, float]:
    """The log and the seconds of a run that notifies *urls*, which have a minute for the rest unless *options* say less.

    *first*: is called before the first event; it ends *when* it may.
    """
    stream = io.StringIO()
    options.setdefault("last_words", 60.0)

    def run() -> float:
        with Notifier(urls, **options) as notifier:
            first()
            began = time.monotonic()
            through(notifier.sink, events)
            took = time.monotonic() - began
            while not when():
                time.sleep(0.01)
        assert took < PATIENCE / 2  # one message to an address that hangs would take longer
        return time.monotonic() - began

    with configure_logging(level="debug", format="json", file=None, secrets=[], stream=stream):
        seconds = await anyio.to_thread.run_sync(run)
    return stream.getvalue(), seconds


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def talker(talk: Talk) -> AsyncIterator[int]:
    """A port of loopback on which each who comes is told what *talk* says, to the end or until they are gone."""
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await talk(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
