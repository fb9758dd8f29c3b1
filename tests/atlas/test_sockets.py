"""How connections end: one that is given up is reset, whatever lies above its socket."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme

from orchestrator.atlas.errors import AnswerTimeoutError
from orchestrator.atlas.sockets import socket_factory

from .servers import GROUP, LIVE, client_of

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]


@dataclass(slots=True)
class Silent:
    """A server that takes a PUT and never answers; *ends* says how its connections ended."""

    port: int = 0
    asked: anyio.Event = field(default_factory=anyio.Event)
    over: anyio.Event = field(default_factory=anyio.Event)
    ends: list[str] = field(default_factory=list)


@asynccontextmanager
async def silent_server(
    tls: ssl.SSLContext | None, *, proxied: bool = False, twice: bool = False
) -> AsyncIterator[Silent]:
    """A `Silent` server; *proxied*: it is its own proxy, and begins with TLS after a CONNECT; *twice*: before it, too."""
    silent = Silent()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if proxied:
                assert head.startswith(b"CONNECT ")
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                assert tls is not None
                await writer.start_tls(tls)
                await reader.readuntil(b"\r\n\r\n")
            silent.asked.set()
            silent.ends.append("closed" if await reader.read() == b"" else "more")
        except ConnectionResetError:
            silent.ends.append("reset")
        finally:
            silent.over.set()
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=None if proxied and not twice else tls)
    silent.port = server.sockets[0].getsockname()[1]
    try:
        yield silent
    finally:
        server.close()
        await server.wait_closed()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where to ask, and the server that is asked there."""

    silent: Silent
    base_url: str
    ca_file: Path | None


@pytest.fixture(params=["plain", "tls", "proxied", "https proxy"])
async def place(request: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    """A silent server, reached in each way that there is."""
    if request.param == "plain":
        async with silent_server(None) as silent:
            yield Place(silent=silent, base_url=f"http://127.0.0.1:{silent.port}/api/atlas/v2", ca_file=None)
        return
    twice = request.param == "https proxy"
    proxied = twice or request.param == "proxied"
    host = "atlas.example.com" if proxied else "127.0.0.1"
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host, "127.0.0.1").configure_cert(tls)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with silent_server(tls, proxied=proxied, twice=twice) as silent:
        if proxied:
            monkeypatch.setenv("HTTPS_PROXY", f"{'https' if twice else 'http'}://127.0.0.1:{silent.port}")
        port = 443 if proxied else silent.port
        yield Place(silent=silent, base_url=f"https://{host}:{port}/api/atlas/v2", ca_file=tmp_path / "ca.pem")


@pytest.mark.parametrize("ended_by", ["timeout", "cancellation"])
async def test_the_connection_of_a_put_that_is_given_up_is_reset_at_once(place: Place, ended_by: str) -> None:
    """Not closed: the other side's goodbye is not waited for, and what was not delivered yet never is."""
    async with client_of(place.base_url, ca_file=place.ca_file, request_timeout=5.0) as client:
        reservation = await client.reserve(GROUP)
        began = anyio.current_time()
        if ended_by == "timeout":
            with pytest.raises(AnswerTimeoutError):
                await client.cutover(GROUP, LIVE, reservation)
        else:
            async with anyio.create_task_group() as group:
                group.start_soon(client.cutover, GROUP, LIVE, reservation)
                await place.silent.asked.wait()
                group.cancel_scope.cancel()
        with anyio.fail_after(1.0):
            await place.silent.over.wait()
        assert place.silent.ends == ["reset"]
        assert anyio.current_time() - began < 5.5


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
@pytest.mark.parametrize(("seconds", "milliseconds"), [(30.0, 30_000), (0.0001, 1), (1e12, 2**31 - 1)])
@pytest.mark.skipif(sys.platform != "linux", reason="TCP_USER_TIMEOUT is Linux's")
async def test_a_socket_gives_up_by_itself(family: int, seconds: float, milliseconds: int) -> None:
    """After the request timeout, whatever this process does meanwhile."""
    if family == socket.AF_INET6 and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    made = socket_factory(seconds)((family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("::1", 1)))
    with made:
        assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == milliseconds
