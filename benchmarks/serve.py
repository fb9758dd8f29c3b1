"""What the status page takes while a large run goes on and people watch it."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp

from benchmarks.figures import table
from orchestrator.core.events import (
    CutoverAccepted,
    CutoverRequested,
    Event,
    GateOpened,
    GateWaiting,
    MigrationFinished,
    RunStarted,
    WaveStarted,
)
from orchestrator.core.outcomes import Outcome
from orchestrator.core.workflow import Migration, Wave, Workflow
from orchestrator.store.journal import Journal, open_journal
from orchestrator.store.locks import locked, run_lock

RUN = "20261128-010000-3f9a1c"
TOKEN = "benchmark-0123456789-abcdefghijk"  # noqa: S105 - of a page that nobody else sees
VIEWERS = 20
EVERY = 0.5  # seconds between two steps of the run
STARTED = 5  # migrations in a step; each has an event in every step, so 10 migrations and 50 events a second


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
        _keep(token)
        names = [f"db-{number:05}" for number in range(size)]
        journal = stack.enter_context(open_journal(state_dir))
        _begin(journal, names)
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
            before, began = _cpu(serving.pid), time.monotonic()
            flight: list[Iterator[Event]] = []
            left = iter(names[size // 2 :])
            while time.monotonic() - began < seconds:
                flight += [_events(name) for name in (next(left, None) for _ in range(STARTED)) if name is not None]
                steps = [(events, next(events, None)) for events in flight]
                journal.commit(RUN, [event for _, event in steps if event is not None], {})
                flight = [events for events, event in steps if event is not None]
                await asyncio.sleep(EVERY)
            took = _cpu(serving.pid) - before
            cpu, memory = 100 * took / (time.monotonic() - began), _memory(serving.pid)
            for viewer in viewers:
                viewer.cancel()
            await asyncio.gather(*viewers, return_exceptions=True)
        finally:
            serving.terminate()
            serving.wait()
    return cpu, memory


def _keep(token: Path) -> None:
    token.write_text(TOKEN)
    token.chmod(0o600)


def _begin(journal: Journal, names: list[str]) -> None:
    migrations = tuple(
        Migration(name=name, group_id="7e68e12770616e75e6df43d0", live_migration_id=f"{number:024x}")
        for number, name in enumerate(names)
    )
    workflow = Workflow(name="fleet", sha256="cd" * 32, waves=(Wave(name="all", migrations=migrations),))
    now = time.time()
    started = RunStarted(
        at=now, workflow=workflow, base_url="https://cloud.mongodb.com/api/atlas/v2", rehearsal=False,
        selected=tuple(names), who="benchmark", version="0",
    )  # fmt: skip
    journal.begin(RUN, workflow, started)
    events: list[Event] = [WaveStarted(at=now, wave="all", migrations=len(names), concurrency=len(names))]
    for name in names[: len(names) // 2]:
        events += _events(name)
    journal.commit(RUN, events, {})


def _events(name: str) -> Iterator[Event]:
    """All that happens to a migration, each when it is asked for."""
    yield GateWaiting(at=time.time(), migration=name, status="WORKING", ready=False, lag=40.0, max_lag=10.0)
    yield GateOpened(at=time.time(), migration=name, status="WORKING", ready=True, lag=2.0)
    yield CutoverRequested(at=time.time(), migration=name)
    yield CutoverAccepted(at=time.time(), migration=name, http_status=202, status="WORKING")
    yield MigrationFinished(at=time.time(), migration=name, outcome=Outcome.SUCCESS, status="COMPLETE", polls=3)


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


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])
