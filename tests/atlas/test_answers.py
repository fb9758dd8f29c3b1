"""What is believed of an answer: what is about this job, in the shape that was asked for, and of a sane size."""

from __future__ import annotations

import gzip
import json
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from functools import cache

import anyio
import pytest

from orchestrator.atlas.client import Accepted, AtlasClient
from orchestrator.atlas.errors import AnswerLostError, AnswerTimeoutError, ApiError, AtlasError, BadAnswerError
from orchestrator.atlas.response import LARGEST_ANSWER
from orchestrator.machine.version import program_version

from .servers import GROUP, KEYS, LIVE, Raw, client_of, http, job_document, live, raw_server

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

CHALLENGE = 'Digest realm="r", domain="", nonce="n1", algorithm=MD5, qop="auth", stale=false'
OTHER = live(7).encode()
MINE = json.dumps({"_id": LIVE, "status": "COMPLETE"}).encode()
FOREIGN = {
    "another job": b'{"_id": "%s", "status": "COMPLETE"}' % OTHER,
    "another job failed": b'{"_id": "%s", "status": "FAILED", "errorMessage": "no disk"}' % OTHER,
    "no id": b'{"status": "COMPLETE"}',
    "nothing": b"{}",
    "null": b"null",
    "no body": b"",
    "a list": b"[%s]" % MINE,
    "a text": b'"COMPLETE"',
    "an envelope": b'{"status": 200, "envelope": %s}' % MINE,
    "content": b'{"status": 200, "content": %s}' % MINE,
    "a status": b'{"status": 404}',
    "an error in an envelope": b'{"status": 404, "envelope": {"errorCode": "NOT_FOUND"}}',
    "a limit in an envelope": b'{"status": 429, "envelope": {}}',
    "a page": b"<html>Please log in</html>",
}


async def put(client: AtlasClient, live_migration_id: str = LIVE) -> Accepted:
    """Cut the job over."""
    reservation = await client.reserve(GROUP)
    try:
        return await client.cutover(GROUP, live_migration_id, reservation)
    finally:
        reservation.give_back()


@pytest.mark.parametrize("name", FOREIGN)
async def test_an_answer_that_is_not_about_the_job_says_nothing_of_it(name: str) -> None:
    """A read with 200 and such a document is no reading; a PUT with 200 is accepted, and no more."""

    async def answer(_: Raw) -> bytes:
        return http(200, FOREIGN[name])

    async with raw_server(answer) as raw, client_of(raw.base_url) as client:
        with pytest.raises(BadAnswerError):
            await client.job(GROUP, LIVE)
        assert await put(client) == Accepted(http_status=200, job=None)


async def test_the_jobs_own_document_is_believed_of_the_put_too() -> None:
    """v1.0 answers with one."""

    async def answer(_: Raw) -> bytes:
        return http(200, MINE)

    async with raw_server(answer) as raw, client_of(raw.base_url) as client:
        accepted = await put(client)
        assert accepted.job == await client.job(GROUP, LIVE)
        assert accepted.job is not None
        assert accepted.job.status == "COMPLETE"


async def test_an_error_in_an_envelope_that_was_not_asked_for_has_no_code() -> None:
    """The status of HTTP is what counts; figures for the rate limit are not taken from there either."""
    error = {"errorCode": "RATE_LIMITED_TOKEN_BUCKET", "detail": "x", "parameters": ["p", 5, 7, 7, 7]}

    async def answer(_: Raw) -> bytes:
        return http(409, json.dumps({"status": 200, "envelope": error}).encode())

    async with raw_server(answer) as raw, client_of(raw.base_url) as client:
        with pytest.raises(ApiError) as caught:
            await put(client)
        assert (caught.value.status, caught.value.error_code, caught.value.detail) == (409, None, None)


async def test_an_http_error_is_not_turned_into_a_success_by_its_envelope() -> None:
    """Where envelopes are asked for: a gateway's 502 around anything is a 502."""

    async def answer(_: Raw) -> bytes:
        return http(502, b'{"status": 202, "envelope": %s}' % MINE)

    async with raw_server(answer) as raw, client_of(raw.base_url, envelope=True) as client:
        with pytest.raises(ApiError) as caught:
            await put(client)
        assert caught.value.status == 502


@pytest.mark.parametrize("body", [b"null", b"[]", b'"ok"', b"", b"<html></html>"])
async def test_what_is_not_a_document_is_not_atlas_root_resource(body: bytes) -> None:
    """A portal that answers 200 to everything is found out at the start."""

    async def answer(_: Raw) -> bytes:
        return http(200, body)

    async with raw_server(answer) as raw, client_of(raw.base_url) as client:
        with pytest.raises(BadAnswerError):
            await client.check_access()


# -- size ----------------------------------------------------------------------------------------------------------------


@cache
def bomb(megabytes: int) -> bytes:
    """So many million blanks before a document of the job, as gzip; each is packed as the first was, so this is quick."""
    blanks = b" " * 1_000_000
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packer.compress(blanks)
    head = packer.flush(zlib.Z_FULL_FLUSH)  # nothing after it looks back, so it can be repeated
    body = packer.compress(MINE) + packer.flush()
    checksum = 0
    for _ in range(megabytes):
        checksum = zlib.crc32(blanks, checksum)
    checksum = zlib.crc32(MINE, checksum)
    size = megabytes * len(blanks) + len(MINE)
    return b"\x1f\x8b\x08" + bytes(7) + head * megabytes + body + struct.pack("<II", checksum, size)


def test_the_bomb_is_gzip_like_any_other() -> None:
    """What it unpacks to, by the standard library."""
    assert gzip.decompress(bomb(3)) == b" " * 3_000_000 + MINE


LENGTH = b"Content-Length: %d\r\n\r\n"
LARGE: dict[str, Callable[[bytes], bytes]] = {
    "endless": lambda head: head + b"\r\n" + b" " * 2_000_000,
    "endless chunks": lambda head: (
        head + b"Transfer-Encoding: chunked\r\n\r\n" + b"1000\r\n%s\r\n" % (b" " * 4096) * 200
    ),
    "announced": lambda head: head + LENGTH % 10**12 + b" " * 2_000_000,
    "gzip": lambda head: head + b"Content-Encoding: gzip\r\n" + LENGTH % len(bomb(300)) + bomb(300),
    "a byte too much": lambda head: head + LENGTH % (LARGEST_ANSWER + 1) + b" " * (LARGEST_ANSWER + 1),
}


@pytest.mark.parametrize("name", LARGE)
async def test_an_answer_that_is_too_large_costs_neither_memory_nor_time(name: str) -> None:
    """The rest is not read: a bad answer to a read, and to a PUT what its status says."""
    statuses = iter((200, 200, 200, 200, 202, 409))

    async def answer(_: Raw) -> bytes:
        return LARGE[name](b"HTTP/1.1 %d Whatever\r\n" % next(statuses))

    async with raw_server(answer) as raw, client_of(raw.base_url) as client:
        tracemalloc.start()
        try:
            with pytest.raises(BadAnswerError, match="larger than 262144 bytes"):
                await client.job(GROUP, LIVE)
            began = anyio.current_time()
            assert await put(client) == Accepted(http_status=202, job=None)
            with pytest.raises(ApiError, match=r"409$"):
                await put(client)
            assert anyio.current_time() - began < 1.0
            assert tracemalloc.get_traced_memory()[1] < 20_000_000
        finally:
            tracemalloc.stop()


async def test_the_largest_answer_is_read() -> None:
    """A pretty document with room to spare."""

    async def answer(_: Raw) -> bytes:
        return http(200, MINE + b" " * (LARGEST_ANSWER - len(MINE)))

    async with raw_server(answer) as raw, client_of(raw.base_url) as client:
        assert (await client.job(GROUP, LIVE)).status == "COMPLETE"


async def test_a_challenge_with_a_large_body_is_answered() -> None:
    """Its head is what counts."""

    async def answer(raw: Raw) -> bytes:
        if "Authorization" in raw.headers[-1]:
            return http(200, job_document(raw))
        return http(401, b" " * 1_000_000, WWW_Authenticate=CHALLENGE)

    async with raw_server(answer) as raw, client_of(raw.base_url) as client:
        assert (await client.job(GROUP, LIVE)).ready


HEAD = b"HTTP/1.1 200 OK\r\n"
FLOODS = {
    "status line": b"HTTP/1.1 200 " + b"x" * 1_000_000,
    "a header": HEAD + b"X: " + b"x" * 1_000_000,
    "headers": HEAD + b"X: x\r\n" * 100_000,
    "trailers": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n" + b"X: x\r\n" * 100_000,
    "a chunk's extension": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2;" + b"x" * 1_000_000,
    "go on": b"HTTP/1.1 100 Continue\r\n\r\n" * 3_000,
    "early hints": b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 3_000,
    "another protocol": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n" + b"x" * 1_000_000,
}


@pytest.mark.parametrize("name", FLOODS)
async def test_a_flood_in_place_of_an_answer_is_an_error_in_time(name: str) -> None:
    """Whatever never ends, ends with the request timeout at the latest, and costs no memory."""

    async def answer(_: Raw) -> bytes:
        return FLOODS[name]

    async with raw_server(answer) as raw, client_of(raw.base_url, request_timeout=3.0) as client:
        tracemalloc.start()
        began = anyio.current_time()
        try:
            with pytest.raises(AtlasError) as caught:
                await put(client)
            assert anyio.current_time() - began <= 3.5
            assert tracemalloc.get_traced_memory()[1] < 20_000_000
        finally:
            tracemalloc.stop()
    assert isinstance(caught.value, (AnswerLostError, AnswerTimeoutError)) or caught.value.args[0].endswith(": 101")


# -- requests ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("challenged", [False, True])
async def test_requests_say_what_they_are(challenged: bool) -> None:
    """No cache answers a read, the PUT has the page's content type, and the agent is this version: on both legs."""

    async def answer(raw: Raw) -> bytes:
        if challenged and "Authorization" not in raw.headers[-1]:
            return http(401, WWW_Authenticate=CHALLENGE)
        return http(200, job_document(raw))

    async with raw_server(answer) as raw, client_of(raw.base_url, keys=KEYS) as client:
        await client.job(GROUP, LIVE)
        await put(client)
        for request, headers in zip(raw.requests, raw.headers, strict=True):
            assert headers["User-Agent"] == f"atlas-cutover/{program_version()}"
            if request.startswith("GET"):
                assert headers["Cache-Control"] == "no-cache"
            else:
                assert (headers["Content-Type"], headers["Content-Length"]) == ("application/json", "0")
