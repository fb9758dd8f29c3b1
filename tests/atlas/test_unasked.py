"""Answers that nobody has asked for: a balancer or proxy that repeats one, or a server that speaks before it is asked."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
import trustme

from orchestrator.atlas.errors import AnswerLostError, ApiError, NotSentError

from .servers import GROUP, LIVE, Raw, client_of, http, job_document, raw_server

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

CHALLENGE = 'Digest realm="r", domain="", nonce="n1", algorithm=MD5, qop="auth", stale=false'
UNASKED = {
    "a challenge": http(401, WWW_Authenticate=CHALLENGE),
    "a rate limit": http(429, Retry_After="0"),
    "a success": http(200, b'{"_id": "%s", "status": "COMPLETE"}' % LIVE.encode()),
    "an empty success": http(202, b""),
    "one without its body": http(200, b"{}" * 50)[:-70],
    "an interim one and another": b"HTTP/1.1 100 Continue\r\n\r\n" + http(200),
    "two": http(401, WWW_Authenticate=CHALLENGE) * 2,
    "no HTTP": b"\x00\x01\x02 what is this\r\n\r\n",
}


async def signed(raw: Raw) -> bytes:
    """A challenge to whoever has signed nothing; else the job, and 403 to a PUT."""
    if "Authorization" not in raw.headers[-1]:
        return http(401, WWW_Authenticate=CHALLENGE)
    return http(403) if raw.requests[-1].startswith("PUT") else http(200, job_document(raw))


@pytest.mark.parametrize("what", UNASKED)
async def test_what_came_unasked_is_no_answer_to_a_put(what: str) -> None:
    """The connection that it lies on is closed, and the PUT leaves once, on another; its own answer counts."""
    async with raw_server(signed) as raw, client_of(raw.base_url) as client:
        await client.job(GROUP, LIVE)
        raw.unasked = lambda: UNASKED[what]
        await client.job(GROUP, LIVE)
        raw.unasked = lambda: None
        await anyio.sleep(0.1)
        with pytest.raises(ApiError) as refused:
            await client.cutover(GROUP, LIVE, await client.reserve(GROUP))
        assert refused.value.status == 403
        assert raw.count("PUT") == 1
        assert raw.connections > 1


@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize("what", UNASKED)
async def test_who_speaks_unasked_is_hung_up_on_at_once(what: str, encrypted: bool, tmp_path: Path) -> None:
    """Not when the connection is needed again: until then what comes would be kept, however much it is."""
    tls, ca_file = None, None
    if encrypted:
        authority, ca_file = trustme.CA(), tmp_path / "ca.pem"
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(tls)
        authority.cert_pem.write_to_path(str(ca_file))
    async with raw_server(signed, tls=tls) as raw, client_of(raw.base_url, ca_file=ca_file) as client:
        await client.job(GROUP, LIVE)
        await anyio.sleep(0.1)
        assert raw.ended == 0
        raw.unasked = lambda: UNASKED[what]
        await client.job(GROUP, LIVE)
        await anyio.sleep(0.1)
        assert (raw.connections, raw.ended) == (1, 1)


@pytest.mark.parametrize("what", ["a success", "one without its body"])
async def test_reads_do_not_fall_behind_by_an_answer_that_came_twice(what: str) -> None:
    """Each would else show the job as it was when it was read before."""
    async with raw_server(signed) as raw, client_of(raw.base_url) as client:
        await client.job(GROUP, LIVE)
        raw.unasked = lambda: UNASKED[what]
        for _ in range(5):
            job = await client.job(GROUP, LIVE)
            assert (job.status, job.lag) == ("WORKING", 1.0)
            await anyio.sleep(0.1)


@pytest.mark.parametrize("what", ["a success", "a challenge", "an empty success"])
async def test_nothing_is_sent_to_a_server_that_answers_before_it_is_asked(what: str) -> None:
    """It is not Atlas, and each new connection would be the same: the PUT has not left."""
    async with raw_server(signed) as raw, client_of(raw.base_url) as client:
        raw.greeting = UNASKED[what]
        with pytest.raises(NotSentError, match="an answer on it before anything was asked"):
            await client.cutover(GROUP, LIVE, await client.reserve(GROUP))
        assert raw.requests == []


async def test_an_answer_that_comes_with_another_is_met_before_the_next_request_leaves() -> None:
    """Both are in one segment: what follows the first is there when its connection is taken again at once."""

    async def answer(raw: Raw) -> bytes:
        return await signed(raw) + (http(200) if raw.requests[-1].startswith("GET") else b"")

    async with raw_server(answer) as raw, client_of(raw.base_url) as client:
        permit = await client.reserve(GROUP)
        await client.job(GROUP, LIVE)
        with pytest.raises(ApiError) as refused:
            await client.cutover(GROUP, LIVE, permit)
        assert refused.value.status == 403
        assert raw.count("PUT") == 1


@asynccontextmanager
async def odd_proxy(says: bytes | None) -> AsyncIterator[str]:
    """A proxy that says *says* to every CONNECT and hangs up; None: with a reset."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await reader.readuntil(b"\r\n\r\n")
        if says is None:
            writer.transport.abort()
        else:
            writer.write(says)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for each in writers:
            each.transport.abort()
        await server.wait_closed()


@pytest.mark.parametrize(
    "says",
    [
        b"",
        None,
        b"\x00what is this\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
        b"HTTP/1.1 502 Bad Gateway\r\n\r\n",
        b"HTTP/1.1 200 Connection established\r\n\r\n",
    ],
)
async def test_a_put_for_which_a_proxy_makes_no_connection_has_not_left(
    says: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it does instead: nothing was written to Atlas, so nothing is in doubt."""
    async with odd_proxy(says) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        async with client_of("https://atlas.example.com/api/atlas/v2") as client:
            with pytest.raises(NotSentError, match=r"no connection|the proxy"):
                await client.cutover(GROUP, LIVE, await client.reserve(GROUP))


async def test_a_put_that_has_left_is_in_doubt_when_the_connection_breaks() -> None:
    """As opposed to one for which there was none."""

    async def answer(raw: Raw) -> bytes | None:
        return None if raw.requests[-1].startswith("PUT") else await signed(raw)

    async with raw_server(answer) as raw, client_of(raw.base_url) as client:
        await client.job(GROUP, LIVE)
        with pytest.raises(AnswerLostError):
            await client.cutover(GROUP, LIVE, await client.reserve(GROUP))
        assert raw.count("PUT") == 1
