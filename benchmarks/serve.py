"""What the status page takes while a large run goes on and people watch it."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp

from benchmarks.figures import table
from benchmarks.fleet import EVERY, RUN, TOKEN, begin, cpu_of, going_on, keep, names_of
from orchestrator.store.journal import open_journal
from orchestrator.store.locks import locked, run_lock

VIEWERS = 20


def measure(*, quick: bool) -> str:
    """The section on the page: processor time and memory of `serve`, with viewers who have all that came before."""
    sizes, seconds = ((500,), 5.0) if quick else ((20000,), 30.0)
    rows = []
    for size in sizes:
        cpu, memory = asyncio.run(_watched(size, seconds))
        rows.append((f"{size:,}", f"{cpu:.1f} %", f"{memory / 1024:.0f}"))
    head = ("migrations", "one core", "memory, MiB")
    return (
        f"## The page\n\n`serve` with {VIEWERS} viewers of a run half done, 10 migrations and 50 events a second, over {seconds:.0f} s, once "
        f"each viewer has what came before.\n\n{table(head, rows)}"
    )


async def _watched(size: int, seconds: float) -> tuple[float, int]:
    """Per cent of a core, and kB."""
    with TemporaryDirectory() as directory, ExitStack() as stack:
        state_dir, token = Path(directory, "state"), Path(directory, "token")
        keep(token)
        names = names_of(size)
        journal = stack.enter_context(open_journal(state_dir))
        begin(journal, names)
        stack.enter_context(locked(run_lock(state_dir, RUN), holder="benchmark"))
        arguments = ["serve", "--port", "0", "--state-dir", str(state_dir), "--token-file", str(token)]
        serving = subprocess.Popen(  # noqa: ASYNC220 - nothing else goes on yet
            [sys.executable, "-m", "orchestrator", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        try:
            assert serving.stdout is not None
            origin = serving.stdout.readline().strip().rstrip("/")
            ready = [asyncio.Event() for _ in range(VIEWERS)]
            viewers = [asyncio.create_task(_view(origin, 200 * size, each)) for each in ready]
            for each in ready:
                await asyncio.wait_for(each.wait(), 300)
            await asyncio.sleep(3)
            before, began = cpu_of(serving.pid), time.monotonic()
            for _ in going_on(journal, names[size // 2 :], seconds):
                await asyncio.sleep(EVERY)
            took = cpu_of(serving.pid) - before
            cpu, memory = 100 * took / (time.monotonic() - began), _memory(serving.pid)
            for viewer in viewers:
                viewer.cancel()
            await asyncio.gather(*viewers, return_exceptions=True)
        finally:
            serving.terminate()
            serving.wait()
    return cpu, memory


async def _view(origin: str, enough: int, ready: asyncio.Event) -> None:
    """Follow the run as a browser does; *ready*: more than *enough* bytes are here, and so nearly all that came before."""
    jar = aiohttp.CookieJar(unsafe=True)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(cookie_jar=jar, read_bufsize=2**22, timeout=timeout) as session:
        answer = await session.post(f"{origin}/login", data={"token": TOKEN, "then": "/"})
        found = re.search(r'name="key" content="([0-9a-f]+)"', await answer.text())
        assert found is not None
        headers = {"X-Page-Key": found[1]}
        async with session.get(f"{origin}/api/events", params={"follow": RUN}, headers=headers) as stream:
            got = 0
            async for part in stream.content.iter_any():
                got += len(part)
                if got > enough:
                    ready.set()


def _memory(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])
