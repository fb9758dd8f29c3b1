"""One connection for all that a browser follows: messages of several feeds side by side, and a beat between them.

    GET /api/events?follow=*&follow=RUN_ID@PLACE

`*` is the list of runs. Each event's id is ``TOPIC@POSITION``: who comes back says for each topic where he was, and gets what he lacks.
An event `beat` comes at once and every `HEARTBEAT` seconds, and only while all that is followed has been looked at since the
one before: a reader who has missed two knows that what he sees may not be so any more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack

import anyio
from aiohttp import web

from ..text.instants import iso
from .feed import Feed

HEARTBEAT = 5.0
"""Seconds between two beats."""
SLOWEST = 30.0
"""Seconds in which a viewer takes `CHUNK` bytes; one that does not is dropped."""
CHUNK = 64 * 1024
"""Bytes that are copied for a viewer at a time: what waits for slow ones is in memory once, for all of them."""
MOST_TOPICS = 64
"""As in static/hub.js, which asks for no more."""
RUNS = "*"


def topics_in(asked: list[str]) -> dict[str, str]:
    """The position of a viewer in each topic that he asks for, as ``TOPIC`` or ``TOPIC@POSITION``; the empty one: nowhere yet."""
    found = {}
    for each in asked[:MOST_TOPICS]:
        topic, _, position = each.partition("@")
        found[topic] = position
    return found


class Stream:
    """What one connection is sent.

    Args:
        response: Prepared; where it goes.
        wall: Unix seconds, of the beats.
        closing: Set when the server ends.
    """

    def __init__(self, response: web.StreamResponse, *, wall: Callable[[], float], closing: anyio.Event) -> None:
        self._response = response
        self._wall = wall
        self._closing = closing
        self._writing = anyio.Lock()

    async def run(self, places: Mapping[str, str], watch: Callable[[str], AbstractContextManager[Feed]]) -> None:
        """Send what the viewer at *places* lacks, until he goes, is too slow, or the server ends. *watch* opens a topic's feed."""
        with ExitStack() as watching:
            feeds = {topic: watching.enter_context(watch(topic)) for topic in places}
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._end, tasks.cancel_scope)
                tasks.start_soon(self._beat, list(feeds.values()), tasks.cancel_scope)
                for topic, feed in feeds.items():
                    tasks.start_soon(self._follow, topic, feed, places[topic], tasks.cancel_scope)

    async def _end(self, scope: anyio.CancelScope) -> None:
        await self._closing.wait()
        scope.cancel()

    async def _follow(self, topic: str, feed: Feed, position: str, scope: anyio.CancelScope) -> None:
        while True:
            message = await feed.next(position)
            position = message.id
            head = f"id: {topic}@{message.id}\nevent: {message.event}\ndata: ".encode()
            await self._write(head, message.data, b"\n\n", scope=scope)

    async def _beat(self, feeds: list[Feed], scope: anyio.CancelScope) -> None:
        await self._write(self._sign_of_life(), scope=scope)
        while True:
            await anyio.sleep(HEARTBEAT)
            if all(anyio.current_time() - feed.looked_at <= HEARTBEAT for feed in feeds):
                await self._write(self._sign_of_life(), scope=scope)

    def _sign_of_life(self) -> bytes:
        beat = {"at": iso(self._wall()), "every": HEARTBEAT}
        return f"event: beat\ndata: {json.dumps(beat)}\n\n".encode()

    async def _write(self, *parts: bytes, scope: anyio.CancelScope) -> None:
        """Write *parts* as one; where the viewer has gone or is too slow, all that is sent to him ends."""
        try:
            async with self._writing:
                whole = b"".join(parts) if sum(map(len, parts)) <= CHUNK else None  # one packet and not three
                for part in parts if whole is None else (whole,):
                    view = memoryview(part)
                    for start in range(0, len(part), CHUNK):
                        with anyio.fail_after(SLOWEST):
                            await self._response.write(view[start : start + CHUNK])
        except (ConnectionError, TimeoutError):
            scope.cancel()
