"""Receivers that want to hurt a run, or to learn what is not theirs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from orchestrator.observers.deliverer import deliver

from ..atlas.servers import Raw, http, raw_server
from .examples import started
from .receivers import PATIENCE, TOKEN, notified, receiver, talker

MUCH = 448 * 1024 * 1024
"""Bytes: more than a delivery may keep, and no more than a test may where it could keep all of it."""

ENDLESS = {
    "json": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"a" * 65536 + b"\r\n"),
    "mailto": (b"", b"220-" + b"a" * 4090 + b"\r\n"),
}


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no bound to memory holds")
@pytest.mark.parametrize("scheme", ENDLESS)
async def test_an_endless_answer_is_not_kept(scheme: str) -> None:
    """A page or a greeting without an end: the message counts as not accepted, and the others get theirs."""
    head, piece = ENDLESS[scheme]
    taken = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if head:
            await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        size = 0
        try:
            while size < MUCH:
                writer.write(piece)
                size += len(piece)
                await writer.drain()
        finally:
            taken.append(size)

    async with talker(talk) as port, receiver() as (good, received):
        url = f"{scheme}://user:{TOKEN}@127.0.0.1:{port}/?cto={PATIENCE}&rto={PATIENCE}&from=a@example.com&to=b@example.com"
        log, _ = await notified([url, good], [started()])
    assert len(received) == 1
    [entry] = map(json.loads, log.splitlines())
    assert entry["address"] == f"1 ({scheme})"
    assert max(taken) < MUCH
    assert TOKEN not in log


@pytest.mark.slow
@pytest.mark.anyio
async def test_an_answer_that_drips_is_given_up_and_its_connection_closed() -> None:
    """Each of its bytes comes in time, and no byte is the last."""
    came, gone = [], anyio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nX-Much: ")
        try:
            while True:
                writer.write(b"a")
                await writer.drain()
                await asyncio.sleep(0.05)
        finally:
            gone.set()

    async with talker(talk) as port:
        log, seconds = await notified([f"json://127.0.0.1:{port}"], [started()], patience=3.0)
        assert seconds < 30  # the end would wait for a minute
        if came:  # a busy machine may take as long to begin
            await gone.wait()
    assert json.loads(log)["reason"] == "no answer in time"


def processes_below(parent: int) -> list[Path]:
    """The directories in /proc of the processes that *parent* has started and not those have started."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            if f"\nPPid:\t{parent}\n" in status.read_text():
                found.append(status.parent)
        except OSError:
            pass  # it has ended
    return found


@pytest.mark.anyio
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_what_delivers_shows_no_address_and_ends_with_the_run() -> None:
    """Neither in its arguments nor in its environment; nothing of it is left where a receiver hangs."""
    hold, gone = anyio.Event(), anyio.Event()
    shown: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        children = processes_below(os.getpid())
        shown.extend((each / "cmdline").read_bytes() + (each / "environ").read_bytes() for each in children)
        hold.set()
        while await reader.read(65536):
            pass
        gone.set()

    async with talker(talk) as port:
        url = f"json://127.0.0.1:{port}/{TOKEN}?cto={PATIENCE}&rto={PATIENCE}"
        log, _ = await notified([url], [started()], last_words=0.0, when=hold.is_set)
        await gone.wait()
    assert json.loads(log)["reason"] == "no answer in time"
    assert any(b"orchestrator.observers.deliverer" in one for one in shown)
    assert not any(TOKEN.encode() in one for one in shown)


@pytest.mark.anyio
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_an_address_is_told_to_nobody_who_was_started_since_hooks_are_at_work() -> None:
    """Whoever opened the memory of a process before it had hidden reads on in it: what delivers is forked from one that hid before the run."""
    before: list[Path] = []
    shown: list[tuple[list[Path], list[Path]]] = []

    async def talk(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        own = processes_below(os.getpid())
        shown.append((own, [each for one in own for each in processes_below(int(one.name))]))

    def began() -> None:
        before.extend(processes_below(os.getpid()))

    async with talker(talk) as port:
        url = f"json://127.0.0.1:{port}/{TOKEN}?cto={PATIENCE}&rto={PATIENCE}"
        await notified([url], [started()], first=began, when=lambda: bool(shown))
    assert before
    [(own, forked), *_] = shown
    assert set(own) <= set(before)
    assert forked


@pytest.mark.skipif(sys.platform != "linux", reason="a call of Linux's")
def test_what_is_forked_from_a_hidden_process_is_hidden() -> None:
    """From its first moment: its memory is another one, which was never to be opened."""
    code = (
        "import ctypes, os, sys; sys.path.insert(0, sys.argv[1]); from orchestrator.machine.memory import keep_from_others; keep_from_others();"
        "child = os.fork(); child or os._exit(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0));"  # PR_GET_DUMPABLE
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    root = str(Path(__file__).parents[2])
    said = subprocess.run([sys.executable, "-c", code, root], capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout.strip() == "0"


@pytest.mark.anyio
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_a_process_that_is_gone_from_which_deliveries_begin_ends_no_run() -> None:
    """A hook may kill it: no other one is begun beside hooks, and the log says that nothing is delivered."""

    def kill() -> None:
        for each in processes_below(os.getpid()):
            if b"orchestrator.observers.deliverer" in (each / "cmdline").read_bytes():
                os.kill(int(each.name), signal.SIGKILL)

    log, _ = await notified([f"json://127.0.0.1:1/{TOKEN}"], [started()], first=kill)
    [entry] = map(json.loads, log.splitlines())
    assert entry["reason"].startswith("the process that delivers it has failed")


@pytest.mark.anyio
async def test_a_redirect_is_not_followed() -> None:
    """What the address has in headers and the message itself would go where the receiver says."""

    async def elsewhere(_: Raw) -> bytes:
        return http(200)

    async with raw_server(elsewhere) as other:

        async def redirect(_: Raw) -> bytes:
            return http(307, Location=f"{other.origin}/evil")

        async with raw_server(redirect) as first:
            url = f"{first.origin.replace('http', 'json')}/x?+X-Token={TOKEN}"
            log, _ = await notified([url], [started()])
    assert first.requests == ["POST /x"]
    assert first.headers[0]["X-Token"] == TOKEN
    assert other.requests == []
    assert json.loads(log)["reason"] == "was not accepted"


@pytest.mark.anyio
async def test_passwords_of_netrc_stay_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are for other programs."""

    async def answer(_: Raw) -> bytes:
        return http(200)

    (tmp_path / ".netrc").write_text(
        "machine 127.0.0.1 login svc password s3cret-w0rd\ndefault login svc password s3cret-w0rd\n"
    )
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    async with raw_server(answer) as raw:
        log, _ = await notified([raw.origin.replace("http", "json")], [started()])
    assert (len(raw.requests), log) == (1, "")
    assert "Authorization" not in raw.headers[0]


@pytest.mark.anyio
async def test_the_proxy_of_the_environment_leads_to_receivers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a machine reaches nobody without one."""

    async def answer(_: Raw) -> bytes:
        return http(200)

    async with raw_server(answer) as proxy:
        monkeypatch.setenv("http_proxy", proxy.origin)
        log, _ = await notified(["json://receiver.example.com/x"], [started()])
    assert (proxy.requests, log) == (["POST http://receiver.example.com/x"], "")


@pytest.mark.anyio
async def test_what_cannot_be_delivered_for_want_of_a_process_ends_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may start none is told so in the log, for the address and for each message."""
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    log, _ = await notified([f"json://127.0.0.1:1/{TOKEN}"], [started()])
    reasons = [json.loads(line)["reason"] for line in log.splitlines()]
    assert reasons == ["the process that delivers it has failed (FileNotFoundError)"] * 2


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # apprise's own imports
def test_a_plugin_that_raises_is_told_by_the_kind_of_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its text may hold the address and is not shown."""
    import apprise

    def broken(*_: object, **__: object) -> bool:
        raise RuntimeError(TOKEN)

    monkeypatch.setattr(apprise.Apprise, "notify", broken)
    message = {"kind": "info", "title": "t", "body": "b"}
    assert deliver([f"json://127.0.0.1:1/{TOKEN}"], message) == ["RuntimeError"]
