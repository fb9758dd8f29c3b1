"""Where Atlas is and how it is connected to: settings, TLS, proxy and timeouts of the HTTP session."""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import aiohttp
import anyio
from aiohttp import hdrs
from aiohttp.connector import Connection
from yarl import URL

from ..core.errors import InputError, Problem
from ..core.settings import DEFAULT_POLLING, DEFAULT_RATE_LIMITS, DEFAULT_REQUEST_TIMEOUT, Api, Credentials, LimitScope
from ..machine.certificates import pem_certificates, refuse_foreign_authorities
from ..machine.descriptors import connections_at_most
from ..machine.ownership import ForeignFileError
from ..machine.proxy_variables import proxy_secrets
from ..machine.trusted_files import read_bytes
from ..machine.version import program_version
from ..text.redaction import Redactor
from .connector import QuietConnector
from .proxy import proxy_for, variable_for
from .response import Response
from .sockets import socket_factory
from .wire import accepted

MAX_IN_FLIGHT = 100
"""Requests out at once, and so connections, of one client."""

_LIMIT = DEFAULT_RATE_LIMITS[Api.V2]
CONNECT_TIMEOUT = 10.0
KEEPALIVE = 15.0  # seconds; well below what servers and balancers use, so that a PUT does not meet a closing connection


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """What a client needs to know. Durations in seconds; *scope* is `group` (a bucket per project) or `account`.

    *read_interval*: between two reads of one job, at least. *redactor*: takes secrets out of all that comes from the wire, and is told those that
    a client asks with. *credentials*: None where there are none, so that nothing can be asked.
    """

    base_url: str
    credentials: Credentials | None
    request_timeout: float = DEFAULT_REQUEST_TIMEOUT
    ca_file: Path | None = None
    requests: int = _LIMIT.requests
    per: float = _LIMIT.per
    burst: int = _LIMIT.burst
    scope: LimitScope = _LIMIT.scope
    read_interval: float = DEFAULT_POLLING.initial
    pretty: bool = False
    envelope: bool = False
    redactor: Redactor = field(default_factory=Redactor, compare=False, repr=False)

    @property
    def origin(self) -> str:
        """Scheme, host and port of the base URL."""
        return str(URL(self.base_url).origin())

    @property
    def api(self) -> Api:
        """Which API, by the last part of the path."""
        return Api(self.base_url.rstrip("/").rsplit("/", 1)[1])


class Departure(Protocol):
    """Watches over the moment at which a request leaves, which must not become a long one."""

    def leaving(self) -> None:
        """It is about to be asked for the last time whether it may leave, and then written."""

    def left(self) -> None:
        """All of its bytes are the kernel's, or it is not written after all."""


class GuardedRequest(aiohttp.ClientRequest):
    """Asks right before its bytes are written, when it has its connection, which may have taken long to make.

    *raise_if_held*: raises what the caller gets instead of an answer, if it is not to leave any more. *departure* is told before
    that question, and when the bytes have been written: a process that is stopped in between must not go on as if nothing were.
    *has_left*: whether any of its bytes may have been written, to whoever is to answer it.
    """

    raise_if_held: Callable[[], None] | None = None
    departure: Departure | None = None
    has_left = False

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        """Send it on *conn*, which is closed if it is not to leave."""
        if self.departure is not None:
            self.departure.leaving()
        try:
            if self.raise_if_held is not None:
                self.raise_if_held()
            self.has_left = True
            response = await super().send(conn)
        except BaseException:
            if self.departure is not None:
                self.departure.left()
            raise
        transport = conn.transport
        if self.departure is not None and (transport is None or not transport.get_write_buffer_size()):
            self.departure.left()
        return response


def most_out(session: aiohttp.ClientSession) -> int:
    """How many requests may be out in *session* at once, each on a connection of its own.

    One more would wait inside of aiohttp, its time running, and end as one that got no answer though it never left.
    """
    assert session.connector is not None
    return session.connector.limit


def _authorities(file: Path) -> str:
    """The certificates in *file*, which was read before, and may have changed since."""
    try:
        return pem_certificates(read_bytes(file))
    except ForeignFileError as error:
        raise _untrusted(error) from None
    except (OSError, ValueError) as error:
        why = f"cannot be read: {error.strerror or error}" if isinstance(error, OSError) else str(error)
        raise InputError(problems=[Problem(file=str(file), line=0, key="", message=why)]) from None


def _untrusted(error: ForeignFileError) -> InputError:
    return InputError(problems=[Problem(file=str(error.filename), line=0, key="", message=str(error.strerror))])


def _tls(ca_file: Path | None) -> ssl.SSLContext:
    """What `ssl.create_default_context` makes, with the authorities of *ca_file* as well, and without heeding `SSLKEYLOGFILE`.

    Who reads that file reads all that goes through the connections, keys included, and it is anybody's who can make one.

    Raises:
        InputError: *ca_file* cannot be used, or somebody else decides what is in it, or in the files that OpenSSL's variables name.
    """
    try:
        refuse_foreign_authorities(os.environ)
    except ForeignFileError as error:
        raise _untrusted(error) from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # which verifies certificates and names
    if sys.version_info >= (3, 13):
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    context.load_default_certs()
    if ca_file is not None:
        context.load_verify_locations(cadata=_authorities(ca_file))
    return context


@asynccontextmanager
async def open_session(
    settings: ClientSettings, *, accept: str | None = None, at_once: int = MAX_IN_FLIGHT
) -> AsyncIterator[aiohttp.ClientSession]:
    """Connections to Atlas, closed at the end; *at_once* of them at most.

    *accept*: what answers are to be (None: documents of the API).

    TLS is always verified; *ca_file* adds to the system's CAs. Proxies come from the usual environment variables, read
    once (loopback never goes through one). Nothing is kept between runs.

    Raises:
        InputError: A proxy variable names a proxy that cannot be used, or *ca_file* cannot be used any more, or somebody else can write
            it, or what `SSL_CERT_FILE` or `SSL_CERT_DIR` names.
    """
    proxy = proxy_for(URL(settings.base_url), os.environ)
    settings.redactor.add(*proxy_secrets(os.environ))
    connector = QuietConnector(
        limit=connections_at_most(at_once),
        ssl=_tls(settings.ca_file),
        keepalive_timeout=KEEPALIVE,
        socket_factory=socket_factory(settings.request_timeout),
        proxy_variable=variable_for(URL(settings.base_url), os.environ),
    )
    connecting = min(CONNECT_TIMEOUT, settings.request_timeout / 2)  # below the total: it shows that nothing was sent
    timeout = aiohttp.ClientTimeout(
        total=settings.request_timeout,  # of connecting, sending and reading together: no read may take longer
        sock_connect=connecting,
        connect=connecting if proxy else None,  # a proxy's CONNECT comes on top; a timer for every request
    )
    session = aiohttp.ClientSession(
        connector=connector,
        request_class=GuardedRequest,
        timeout=timeout,
        headers={hdrs.ACCEPT: accept or accepted(settings.api), hdrs.USER_AGENT: f"atlas-cutover/{program_version()}"},
        response_class=Response,
        cookie_jar=aiohttp.DummyCookieJar(),
        proxy=proxy,
        trust_env=False,
    )
    try:
        yield session
    finally:
        with anyio.move_on_after(5, shield=True):
            await session.close()
