"""An outage between a client and a server in two network namespaces, to see which PUTs arrive when it ends.

Runs in a network namespace of its own, as `python -m tests.atlas.outage DIRECTORY`; `test_outage.py` says how. The server
(`serve`) runs in a second one, joined by a pair of virtual interfaces. The outage is a wrong hardware address: what is
sent to it is lost without a word, as behind a broken router. It begins right before each client writes its PUT, and the
clients (`ask`) are processes of their own, so that they can be killed and stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path

from orchestrator.atlas.client import AtlasClient
from orchestrator.atlas.errors import AnswerTimeoutError

from .servers import GROUP, client_of

HERE, THERE = "10.99.0.1", "10.99.0.2"
PLAIN, TLS, PROXY = 8080, 8443, 3128
REQUEST_TIMEOUT = 1.0
OUTAGE = 2.5
JOBS = {  # how each client asks, and what its live migration is
    "plain": "0" * 23 + "1",
    "tls": "0" * 23 + "2",
    "proxied": "0" * 23 + "3",
    "killed": "0" * 23 + "4",
    "stopped": "0" * 23 + "5",
    "careless": "0" * 23 + "6",
}


def ip(*arguments: str) -> None:
    """Run `ip`."""
    subprocess.run(("ip", *arguments), check=True, timeout=20)


def say(line: str) -> None:
    """Write *line* to stdout, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


# -- the server's side -------------------------------------------------------------------------------------------------


async def serve(directory: Path) -> None:
    """Answer every request, and say on stdout which PUT has come."""
    say("apart")
    await asyncio.to_thread(sys.stdin.readline)  # the interface is here
    for arguments in (("addr", "add", f"{THERE}/24", "dev", "v1"), ("link", "set", "v1", "up")):
        ip(*arguments)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(directory / "server.pem")
    await asyncio.start_server(answer, THERE, PLAIN)
    await asyncio.start_server(answer, THERE, TLS, ssl=tls)
    await asyncio.start_server(tunnel, THERE, PROXY)
    say("serving")
    await asyncio.Event().wait()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A document for each request."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            job = head.split("/liveMigrations/")[-1][:24]
            if head.startswith("PUT "):
                say(job)
            body = json.dumps({"_id": job, "status": "WORKING", "readyForCutover": True, "lagTimeSeconds": 1}).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            await writer.drain()


async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A proxy that connects to the TLS server, wherever it is asked to."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        await reader.readuntil(b"\r\n\r\n")
        up_reader, up_writer = await asyncio.open_connection(THERE, TLS)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(pipe(reader, up_writer), pipe(up_reader, writer))


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


# -- the clients' side -------------------------------------------------------------------------------------------------


async def ask(directory: Path, kind: str) -> None:
    """Read the job, say so, wait for a word, send the PUT, and say what became of it."""
    if kind == "careless":
        await careless()
        return
    scheme, port = ("https", TLS) if kind in ("tls", "proxied") else ("http", PLAIN)
    base_url = f"{scheme}://{THERE}:{port}/api/atlas/v2"
    ca_file = directory / "ca.pem" if scheme == "https" else None
    async with client_of(base_url, request_timeout=REQUEST_TIMEOUT, ca_file=ca_file) as client:
        await client.job(GROUP, JOBS[kind])
        await word()
        say(await put(client, JOBS[kind]))
        await asyncio.to_thread(sys.stdin.readline)  # nothing is to be said for the process's end


async def put(client: AtlasClient, job: str) -> str:
    """What became of the PUT."""
    reservation = await client.reserve(GROUP)
    try:
        await client.cutover(GROUP, job, reservation)
    except AnswerTimeoutError:
        return "timed out"
    return "answered"


async def careless() -> None:
    """A client as they usually are: it waits for the answer as long as the others, and closes."""
    reader, writer = await asyncio.open_connection(THERE, PLAIN)
    head = f"/liveMigrations/{JOBS['careless']}/cutover HTTP/1.1\r\n\r\n"
    writer.write(f"GET {head}".encode())
    await reader.readuntil(b"}")
    await word()
    writer.write(f"PUT {head}".encode())
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(reader.read(1), REQUEST_TIMEOUT)
    writer.close()
    say("timed out")
    await asyncio.to_thread(sys.stdin.readline)


async def word() -> None:
    """Wait for the word to go on."""
    say("ready")
    await asyncio.to_thread(sys.stdin.readline)


# -- both ----------------------------------------------------------------------------------------------------------------


class Actor:
    """A process that says and is told one line at a time."""

    def __init__(self, *arguments: str, prefix: tuple[str, ...] = ()) -> None:
        command = (*prefix, sys.executable, "-m", "tests.atlas.outage", *arguments)
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def hear(self) -> str:
        """The next line that it says."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def tell(self) -> None:
        """Let it go on."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> str:
        """End it; what it has said since."""
        self.process.kill()
        return self.process.communicate()[0]


def play(directory: Path) -> None:
    """The whole story; prints what each client saw, and which PUTs arrived, and when it was over."""
    ip("link", "set", "lo", "up")
    server = Actor("serve", str(directory), prefix=("unshare", "--net"))
    clients: dict[str, Actor] = {}
    try:
        assert server.hear() == "apart"  # before, its namespace is this one still
        ip("link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", str(server.process.pid))
        ip("addr", "add", f"{HERE}/24", "dev", "v0")
        ip("link", "set", "v0", "up")
        server.tell()
        assert server.hear() == "serving"
        clients = {kind: Actor("ask", str(directory), kind) for kind in JOBS}
        for client in clients.values():
            assert client.hear() == "ready"
        began = time.monotonic()
        ip("neigh", "replace", THERE, "lladdr", "02:00:00:00:00:99", "nud", "permanent", "dev", "v0")
        for client in clients.values():
            client.tell()
        time.sleep(REQUEST_TIMEOUT / 2)  # they have written
        clients["killed"].process.kill()
        clients["stopped"].process.send_signal(signal.SIGSTOP)
        seen = {kind: clients[kind].hear() for kind in JOBS if kind not in ("killed", "stopped")}
        time.sleep(max(0.0, began + OUTAGE - time.monotonic()))
        ip("neigh", "del", THERE, "dev", "v0")
        time.sleep(time.monotonic() - began + 1.0)  # waits between retransmissions double: the next one has been
    finally:
        for client in clients.values():
            client.end()
        arrived = server.end().split()
    say(json.dumps({"seen": seen, "arrived": [kind for kind, job in JOBS.items() if job in arrived]}))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", directory]:
            asyncio.run(serve(Path(directory)))
        case ["ask", directory, kind]:
            asyncio.run(ask(Path(directory), kind))
        case [directory]:
            play(Path(directory))
