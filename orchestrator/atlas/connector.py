"""The pool of connections, of which none is used on which something has come unasked.

HTTP/1.1 has no numbers: what lies unread on a connection is the answer to the next request that is sent on it (RFC 9112, section 9.3.2). A
balancer or proxy that repeats an answer would so answer a PUT before it has left, and a challenge or a 429 among such answers would
let it be sent again. aiohttp looks for that when a connection comes back to its pool, and not when it leaves it; and what comes
while it lies there it reads and keeps without end.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import aiohttp
from aiohttp import ClientTimeout
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from anyio.lowlevel import checkpoint

_LOOKS = 2
"""Rounds of the event loop after which what has come by now has been read: one for the bytes to be met, one for them to be taken in."""


class SpokenTooSoonError(aiohttp.ClientConnectionError):
    """Each connection has something unread on it, also a new one: the request was not written."""


class ProxyCertificateError(aiohttp.ClientConnectorCertificateError):
    """It is the certificate of the proxy, which is spoken to with TLS, that cannot be verified; aiohttp tells it like a server's."""


def proxy_of(error: aiohttp.ClientConnectorError) -> str | None:
    """Host and port of the proxy through which there was no connection; None: it was to be made without one, or to the proxy itself."""
    proxy = error.args[0].proxy  # of the key; the error has no other way to tell it
    return f"{proxy.host_subcomponent}:{proxy.port}" if proxy is not None else None


_WAY = "_proxy_on_the_way"  # what an error of making a connection is given


def proxy_on_the_way(error: BaseException) -> str | None:
    """The proxy through which a connection was to be made when *error* came of it, and what names that; None: there was none, or the connection was made."""
    for each in (error, error.__cause__):  # aiohttp makes an error of its own of a timeout
        way: str | None = getattr(each, _WAY, None)
        if way is not None:
            return way
    return None


class _Unasked(asyncio.Protocol):
    """Takes the place of a connection's *handler* while nothing is asked on it: the first byte ends the connection, and is not read.

    What has ended is the handler's, so that its pool sees it, also what the server ends by itself.
    """

    def __init__(self, handler: ResponseHandler, transport: asyncio.Transport) -> None:
        self._handler = handler
        self._transport = transport

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 - as asyncio calls it
        self._transport.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._handler.connection_lost(exc)

    def pause_writing(self) -> None:
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        self._handler.resume_writing()


async def _is_quiet(connection: Connection) -> bool:
    """Whether nothing has come on *connection* by now; if so, what comes is read until it is given back, and not after that."""
    handler, transport = connection.protocol, connection.transport
    if handler is None or transport is None:
        return False
    unasked = _Unasked(handler, transport)
    transport.set_protocol(unasked)
    try:
        for _ in range(_LOOKS):
            await checkpoint()
    except BaseException:
        connection.close()
        raise
    if not handler.is_connected() or handler.should_close:
        return False
    transport.set_protocol(handler)
    connection.add_callback(partial(transport.set_protocol, unasked))
    return True


class QuietConnector(aiohttp.TCPConnector):
    """Gives out connections on which nothing lies unread; others are closed.

    *proxy_variable*: what names the proxy, where there is one: who reads of trouble with it may know that name alone.
    """

    def __init__(self, *, proxy_variable: str = "", **options: Any) -> None:
        super().__init__(**options)
        self._proxy_variable = proxy_variable

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: ClientTimeout,  # noqa: ASYNC109 - as aiohttp calls it
    ) -> Connection:
        """A kept connection, or a new one.

        Raises:
            SpokenTooSoonError: There is none that is quiet.
            ProxyCertificateError: As it says.
        """
        for _ in range(self.limit + 1):  # all that are kept, and a new one
            try:
                connection = await super().connect(req, traces, timeout)
            except aiohttp.ClientConnectorCertificateError as error:
                if req.proxy is None or proxy_of(error) is not None:
                    raise
                raise ProxyCertificateError(error.args[0], error.certificate_error) from error
            except (aiohttp.ClientError, OSError) as error:
                if req.proxy is not None:
                    named = f" ({self._proxy_variable})" if self._proxy_variable else ""
                    setattr(error, _WAY, f"{req.proxy.host_subcomponent}:{req.proxy.port}{named}")
                raise
            if await _is_quiet(connection):
                return connection
            connection.close()
        raise SpokenTooSoonError("each connection has an answer on it before anything was asked")
