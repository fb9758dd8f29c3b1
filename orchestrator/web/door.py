"""How many connections the page takes, and how little it says about those that it does not."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter

from aiohttp import web

from ..core.observer import Say
from .access import Visitor

MOST_CONNECTIONS = 128
"""At once, streams included: a browser has one for its stream and a few for moments."""
MOST_OF_ONE = 48
"""Of these, with one token: what else there is is room for the others, and for who has just come and not signed in yet."""
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
    """The connections of those who have signed in: no stranger's takes the place of one, and no token has more than `MOST_OF_ONE`."""

    def __init__(self) -> None:
        self._known: dict[web.RequestHandler, Visitor] = {}

    def add(self, connection: web.RequestHandler, visitor: Visitor) -> None:
        """*visitor* is at the other end of *connection*. For one too many of a token its oldest has to go."""
        if connection not in self._known:
            self._known = {each: whose for each, whose in self._known.items() if not _is_closing(each)}
            of_one = [each for each, whose in self._known.items() if whose == visitor]
            if len(of_one) >= MOST_OF_ONE:
                _hang_up(of_one[0])
        self._known[connection] = visitor

    def first_to_go(self, connections: list[web.RequestHandler]) -> web.RequestHandler | None:
        """Which of *connections*, the oldest first, makes room for a new one; None: all are of those who may steer.

        The oldest that nobody has signed in on; if there is none, the oldest of the token to look of which most are there.
        """
        stranger = next((each for each in connections if each not in self._known), None)
        if stranger is not None:
            return stranger
        looking = [each for each in connections if not self._known[each].steers]
        how_many = Counter(self._known[each] for each in looking)
        return max(looking, key=lambda each: how_many[self._known[each]], default=None)


class Door:
    """Makes the protocol of each connection: the server's. For one too many another has to go, else the new one."""

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
        first = self._guests.first_to_go(connections)
        if first is None:
            return _HangsUp()
        _hang_up(first)
        return self._server()


def _is_closing(connection: web.RequestHandler) -> bool:
    return connection.transport is None or connection.transport.is_closing()


def _hang_up(connection: web.RequestHandler) -> None:
    if isinstance(connection.transport, asyncio.Transport):
        connection.transport.abort()


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
