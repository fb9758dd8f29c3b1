"""How many connections the page takes, and how little it says about those that it does not."""

from __future__ import annotations

import asyncio
import logging
import time

from aiohttp import web

from ..core.observer import Say

MOST_CONNECTIONS = 128
"""At once, streams included: a browser has one for its stream and a few for moments."""
IDLE_SECONDS = 10.0
"""A connection that sends no whole request for so long is closed."""
SAID_EVERY = 10.0
"""Seconds; more refusals of one kind are counted until then, and told as one line."""


class Quietly:
    """Passes on to *say* what happens, the first time at once and then at most every `SAID_EVERY` seconds, with how often it did."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._told: dict[str, tuple[float, int]] = {}

    def __call__(self, reason: str, **about: str) -> None:
        """Tell that something was refused, for *reason*; *about* is told of the first of many."""
        at, more = self._told.get(reason, (float("-inf"), 0))
        now = time.monotonic()
        if now - at < SAID_EVERY:
            self._told[reason] = at, more + 1
            return
        self._told[reason] = now, 0
        self._say("page_refused", reason=reason, **about, **({"more": more} if more else {}))


class Guests:
    """The connections of those who have signed in: no stranger's takes the place of one."""

    def __init__(self) -> None:
        self._known: set[object] = set()

    def add(self, connection: object) -> None:
        """Whoever is at the other end of *connection* has shown that they may be here."""
        self._known.add(connection)

    def oldest_stranger(self, connections: list[web.RequestHandler]) -> asyncio.Transport | None:
        """The first of *connections* that nobody has signed in on; None: all are of guests."""
        self._known &= set(connections)
        strangers = (each.transport for each in connections if each not in self._known)
        return next((each for each in strangers if isinstance(each, asyncio.Transport)), None)


class Door:
    """Makes the protocol of each connection: the server's. For one too many a stranger's has to go, the oldest, else the new one."""

    def __init__(self, server: web.Server, guests: Guests, say: Say) -> None:
        self._server = server
        self._guests = guests
        self._quietly = Quietly(say)

    def __call__(self) -> asyncio.Protocol:
        """The protocol of the connection that has just come."""
        connections = [each for each in self._server.connections if not _is_closing(each)]
        if len(connections) < MOST_CONNECTIONS:
            return self._server()
        self._quietly(f"more than {MOST_CONNECTIONS} connections")
        stranger = self._guests.oldest_stranger(connections)
        if stranger is None:
            return _HangsUp()
        stranger.abort()
        return self._server()


def _is_closing(connection: web.RequestHandler) -> bool:
    return connection.transport is None or connection.transport.is_closing()


class _HangsUp(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            transport.abort()


def quiet_logger(say: Say) -> logging.Logger:
    """A logger for aiohttp: what others send it that is no HTTP is one line, not a traceback each."""
    logger = logging.Logger("page")  # noqa: LOG001 - of this page alone, and with nobody above it
    logger.addHandler(_Told(Quietly(say)))
    return logger


class _Told(logging.Handler):
    def __init__(self, quietly: Quietly) -> None:
        super().__init__(logging.WARNING)
        self._quietly = quietly

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self._quietly(f"{type(error).__name__} while a request was read or answered" if error else record.getMessage())
