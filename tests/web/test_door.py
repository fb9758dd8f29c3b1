"""What the page takes from those who mean it no good, or are slow."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest

from orchestrator.web import app, attempts, door, server, streams
from orchestrator.web.access import Visitor as Visit
from orchestrator.web.server import RunningPage, serve_page

from ..builders import NOW
from .nights import RUN, Night, cutover_of, fleet
from .visitors import Visitor

pytestmark = pytest.mark.anyio

said: list[dict[str, Any]] = []


@pytest.fixture
async def page(night: Night, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RunningPage]:
    """A page that takes few connections and has little patience; what it says is in `said`."""
    said.clear()
    monkeypatch.setattr(door, "MOST_CONNECTIONS", 8)
    monkeypatch.setattr(server, "IDLE_SECONDS", 0.3)
    say = lambda event, **more: said.append({"event": event} | more)  # noqa: E731 - short
    async with serve_page(night.state_dir, wall=lambda: NOW, say=say) as running:
        yield running


async def connected(page: RunningPage) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection on which nothing has been sent yet."""
    return await asyncio.open_connection("127.0.0.1", page.access.port)


async def ended(reader: asyncio.StreamReader | aiohttp.StreamReader) -> None:
    """The other side has hung up."""
    with anyio.fail_after(60):
        try:
            while await reader.read(65536):
                pass
        except (ConnectionError, aiohttp.ClientPayloadError):
            return


async def test_headers_that_never_end_are_not_waited_for(page: RunningPage) -> None:
    """A byte now and then keeps no connection."""
    reader, writer = await connected(page)
    writer.write(b"GET / HTTP/1.1\r\nHost: x")
    await ended(reader)
    writer.close()


@pytest.mark.parametrize(
    "announced", ["Content-Length: 20", "Transfer-Encoding: chunked", "Content-Length: 20\r\nExpect: 100-continue"]
)
async def test_a_form_that_never_ends_is_not_waited_for(
    page: RunningPage, monkeypatch: pytest.MonkeyPatch, announced: str
) -> None:
    """Nobody has to have signed in to send one."""
    monkeypatch.setattr(app, "BODY_SECONDS", 0.1)
    reader, writer = await connected(page)
    kind = "Content-Type: application/x-www-form-urlencoded"
    writer.write(
        f"POST /login HTTP/1.1\r\nHost: 127.0.0.1:{page.access.port}\r\n{kind}\r\n{announced}\r\n\r\n".encode()
    )
    with anyio.fail_after(30):
        line = await reader.readline()
        if line.startswith(b"HTTP/1.1 100"):
            await reader.readline()
            line = await reader.readline()
    assert line.startswith(b"HTTP/1.1 408")
    writer.close()


async def test_strangers_keep_nobody_out_who_has_the_token(page: RunningPage, visitor: Visitor) -> None:
    """However many they are: the oldest of them makes room, and who has signed in stays."""
    crowd = [await connected(page) for _ in range(20)]
    async with visitor.follow("*") as stream:
        await stream.next()
        crowd += [await connected(page) for _ in range(20)]
        await visitor.enter()
        await stream.beat()
    for _, writer in crowd:
        writer.close()


async def test_one_connection_too_many_is_hung_up_and_told_once(page: RunningPage, visitor: Visitor) -> None:
    """Hundreds of them are a line; who is in already goes on."""
    async with visitor.follow("*") as stream:
        await stream.next()
        crowd = [await connected(page) for _ in range(60)]
        for reader, _ in crowd:
            await ended(reader)
        for _, writer in crowd:
            writer.close()
        await stream.beat()
        assert (await visitor.get("/")).status == 200
    refusals = [each for each in said if each["event"] == "page_refused"]
    assert [each["reason"] for each in refusals] == ["more than 8 connections"]


ADA, KIOSK = Visit(name="ada", token="a" * 32), Visit(name="kiosk", token="b" * 32, steers=False)


@pytest.fixture
async def shared(night: Night, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RunningPage]:
    """A page that takes few connections, for one who may steer and one who may look."""
    monkeypatch.setattr(door, "MOST_CONNECTIONS", 8)
    async with serve_page(night.state_dir, wall=lambda: NOW, visitors=(ADA, KIOSK)) as running:
        yield running


@pytest.fixture
async def ada(shared: RunningPage) -> AsyncIterator[Visitor]:
    """Who may steer has signed in, and has no connection open."""
    async with aiohttp.ClientSession(
        cookie_jar=aiohttp.CookieJar(unsafe=True), connector=aiohttp.TCPConnector(force_close=True)
    ) as session:
        visitor = Visitor(page=shared, session=session)
        await visitor.enter(ADA.token)
        yield visitor


async def asked(page: RunningPage, who: Visit, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection on which *who* has asked for *path*."""
    session = page.access.new_session(who)
    reader, writer = await connected(page)
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{page.access.port}\r\nCookie: {page.access.cookie}={session}"
    writer.write(f"{head}\r\nX-Page-Key: {page.access.key(who, session)}\r\n\r\n".encode())
    return reader, writer


async def answered(reader: asyncio.StreamReader) -> bool:
    """Whether an answer begins; False: the other side has hung up."""
    with anyio.fail_after(60):
        try:
            return (await reader.readline()).startswith(b"HTTP/1.1 200")
        except ConnectionError:
            return False


@pytest.mark.parametrize("most_of_one", [4, 100])
async def test_who_may_look_keeps_nobody_out_who_may_steer(
    shared: RunningPage, ada: Visitor, monkeypatch: pytest.MonkeyPatch, most_of_one: int
) -> None:
    """However many connections a token has: the oldest of them makes room, also for a new one of those who may steer."""
    monkeypatch.setattr(door, "MOST_OF_ONE", most_of_one)
    async with ada.follow("*") as stream:
        crowd = []
        for _ in range(12):
            crowd.append(await asked(shared, KIOSK, "/api/events?follow=*"))
            assert await answered(crowd[-1][0])
        assert (await ada.get("/api/session")).document["name"] == "ada"
        for reader, _ in crowd[: 12 - min(most_of_one, 6)]:
            await ended(reader)
        assert (await ada.get("/api/session")).status == 200
        await stream.beat()
    for _, writer in crowd:
        writer.close()


async def test_no_token_has_all_the_connections(
    shared: RunningPage, ada: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that may steer does not either: the oldest ends, and who has another one is not concerned."""
    monkeypatch.setattr(door, "MOST_OF_ONE", 4)
    async with ada.follow("*") as stream:
        crowd = [await asked(shared, ADA, "/api/events?follow=*") for _ in range(4)]
        for reader, _ in crowd:
            assert await answered(reader)
        await ended(stream.response.content)
    kiosk = await asked(shared, KIOSK, "/api/session")
    assert await answered(kiosk[0])
    for _, writer in (*crowd, kiosk):
        writer.close()


async def test_who_asks_for_many_reports_waits_behind_who_asks_for_one(
    shared: RunningPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each token one report at most is waited for by the others."""
    go, made = threading.Event(), list[str]()

    def report_of(_state_dir: Path, run_id: str, _at: float, _options: str) -> str:
        made.append(run_id)
        assert go.wait(60)
        return "a report"

    monkeypatch.setattr(app, "report_of", report_of)
    ids = [f"20270115-080000-00000{number}" for number in range(4)]
    try:
        asking = [await asked(shared, KIOSK, f"/api/runs/{run_id}/report.html") for run_id in ids[:3]]
        with anyio.fail_after(60):
            while not made:  # noqa: ASYNC110 - nobody tells
                await anyio.sleep(0.01)
        for _ in range(3):  # what was sent before is read before these are answered
            reader, writer = await asked(shared, ADA, "/api/session")
            assert await answered(reader)
            writer.close()
        asking.append(await asked(shared, ADA, f"/api/runs/{ids[3]}/report.html"))
        for _ in range(3):
            reader, writer = await asked(shared, ADA, "/api/session")
            assert await answered(reader)
            writer.close()
    finally:
        go.set()
    for reader, _ in asking:
        assert await answered(reader)
    for _, writer in asking:
        writer.close()
    assert made[1] == ids[3]


async def test_what_is_no_http_is_a_line_and_no_traceback(page: RunningPage, capfd: pytest.CaptureFixture[str]) -> None:
    """However often it comes."""
    for _ in range(20):
        reader, writer = await connected(page)
        writer.write(b"\x16\x03\x01\x02\x00\x01 no http at all\r\n\r\n")
        await ended(reader)
        writer.close()
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")
    assert len([each for each in said if each["event"] == "page_refused"]) <= 2


async def test_a_viewer_who_does_not_read_is_dropped(
    page: RunningPage, visitor: Visitor, night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what waited for him is in memory once, not once for each of his kind."""
    monkeypatch.setattr(streams, "SLOWEST", 0.3)
    given = fleet(20_000)
    night.begin(given)
    night.write(*(event for _, m in list(given.migrations())[:200] for event in cutover_of(m.name, NOW)))
    cookie = "; ".join(f"{each.key}={each.value}" for each in visitor.session.cookie_jar)
    key = visitor.session.headers["X-Page-Key"]
    request = f"GET /api/events?follow={RUN}&key={key} HTTP/1.1\r\nHost: 127.0.0.1:{page.access.port}\r\nCookie: {cookie}\r\n\r\n"
    with page.feeds.watch(RUN) as feed:
        lazy = []
        for _ in range(4):
            sleeper = socket.socket()
            sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # or the kernel takes it all for him
            sleeper.connect(("127.0.0.1", page.access.port))
            sleeper.sendall(request.encode())
            lazy.append(sleeper)
        with anyio.fail_after(60):
            while feed.viewers == 1:  # noqa: ASYNC110 - nobody tells
                await anyio.sleep(0.01)
            while feed.viewers > 1:  # noqa: ASYNC110 - nobody tells
                await anyio.sleep(0.01)
        for sleeper in lazy:
            sleeper.close()


async def test_wrong_tokens_by_the_hundred_cost_neither_memory_nor_lines(
    page: RunningPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who hangs up is not waited for, too many are told so at once, and whoever has the token gets in meanwhile."""
    monkeypatch.setattr(attempts, "FIRST", 60.0)
    monkeypatch.setattr(attempts, "LONGEST", 60.0)
    monkeypatch.setattr(attempts, "MOST_WAITING", 2)
    before = len(asyncio.all_tasks())

    async def try_in(token: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await connected(page)
        body = f"token={token}"
        kind = "Content-Type: application/x-www-form-urlencoded"
        head = f"POST /login HTTP/1.1\r\nHost: 127.0.0.1:{page.access.port}\r\n{kind}\r\nContent-Length: {len(body)}"
        writer.write(f"{head}\r\n\r\n{body}".encode())
        await writer.drain()
        return reader, writer

    for _ in range(20):
        _, writer = await try_in("x" * 8000)
        writer.close()
        await writer.wait_closed()
    with anyio.fail_after(30):
        while len(asyncio.all_tasks()) > before:  # noqa: ASYNC110 - the server's tasks tell nobody of their end
            await anyio.sleep(0.01)
    waiting = [await try_in("wrong") for _ in range(3)]
    with anyio.fail_after(30):
        done, _ = await asyncio.wait(
            [asyncio.ensure_future(reader.readline()) for reader, _ in waiting], return_when=asyncio.FIRST_COMPLETED
        )
    assert [task.result().split()[1] for task in done] == [b"429"]
    reader, right = await try_in(page.access.visitors[0].token)
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    for _, writer in (*waiting, (reader, right)):
        writer.close()
    lines = [each for each in said if each["event"] == "page_refused"]
    assert [each["reason"] for each in lines] == ["This token is not known here."]
    assert lines[0] | {"path": "/login", "who": "127.0.0.1"} == lines[0]
