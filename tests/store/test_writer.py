"""The writer: one sync serves many events, and whoever waits for one goes on when it is on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from orchestrator.core.errors import JournalError
from orchestrator.core.events import CutoverRequested, Event, RunPaused
from orchestrator.store.journal import Journal, open_journal
from orchestrator.store.reader import EarlierPut
from orchestrator.store.writer import LAZY, LINGER, Writer

from ..builders import GROUP, NOW, WHO, live_id, run_started, workflow
from ..virtualclock import START, VirtualClockLoop

pytestmark = pytest.mark.anyio

IDS = {"orders": (GROUP, live_id(1))}


def event(number: int = 0) -> Event:
    """Some event."""
    return RunPaused(at=NOW + number, who=WHO)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A journal with run r1."""
    with open_journal(tmp_path) as opened:
        opened.begin("r1", workflow(), run_started(workflow()))
        yield opened


@pytest.fixture
def reader(journal: Journal) -> Iterator[Journal]:
    """A second connection, as another process would have."""
    with open_journal(journal.state_dir, readonly=True) as opened:
        yield opened


def written(reader: Journal) -> list[float]:
    """When the events happened that are on disk, in order; the run's beginning left out."""
    return [event.at - NOW for _, event in reader.events("r1")][1:]


async def test_an_appended_event_is_on_disk_when_append_returns(journal: Journal, reader: Journal) -> None:
    """In real time: a second connection sees it, and what was posted before it."""
    writer = Writer(journal, "r1", IDS)
    async with anyio.create_task_group() as group:
        group.start_soon(writer.run)
        writer.post(event(1))
        await writer.append(CutoverRequested(at=NOW + 2, migration="orders"))
        assert written(reader) == [1, 2]
        assert journal.earlier_puts("r2") == {(GROUP, live_id(1)): EarlierPut("r1", NOW + 2)}
        writer.close()


async def test_many_appends_at_once_share_few_commits(journal: Journal, reader: Journal) -> None:
    """In real time, each seen on disk by whoever waited for it."""
    writer = Writer(journal, "r1", IDS)
    seen = []

    async def append(number: int) -> None:
        await writer.append(event(number))
        seen.append(number in written(reader) if number % 20 == 0 else True)

    async with anyio.create_task_group() as group:
        group.start_soon(writer.run)
        async with anyio.create_task_group() as appending:
            for number in range(200):
                appending.start_soon(append, number)
        writer.close()
    assert seen == [True] * 200
    assert writer.events == 200
    assert writer.commits <= 4
    assert written(reader) == list(range(200))


async def test_an_awaited_commit_waits_a_moment_for_company(
    journal: Journal, reader: Journal, virtual_time: VirtualClockLoop
) -> None:
    """Who comes within that moment shares it."""
    writer = Writer(journal, "r1", IDS)
    committed_at: list[float] = []

    async def append(after: float) -> None:
        await anyio.sleep(after)
        await writer.append(event())
        committed_at.append(anyio.current_time() - START)

    async with anyio.create_task_group() as group:
        group.start_soon(writer.run)
        async with anyio.create_task_group() as appending:
            for after in (1.0, 1.0 + LINGER / 2, 2.0):
                appending.start_soon(append, after)
        writer.close()
    assert writer.commits == 2
    assert committed_at[0] == committed_at[1] >= 1.0 + LINGER * 0.999
    assert committed_at[2] >= 2.0 + LINGER * 0.999


async def test_a_posted_event_is_written_before_long(
    journal: Journal, reader: Journal, virtual_time: VirtualClockLoop
) -> None:
    """Also when nobody waits for anything; all that was posted meanwhile goes with it."""
    writer = Writer(journal, "r1", IDS)
    async with anyio.create_task_group() as group:
        group.start_soon(writer.run)
        for number in range(5):
            writer.post(event(number))
            await anyio.sleep(LAZY / 10)
        assert written(reader) == []
        await anyio.sleep(LAZY)
        assert written(reader) == [0, 1, 2, 3, 4]
        assert writer.commits == 1
        writer.close()


async def test_events_keep_their_order(journal: Journal, reader: Journal, virtual_time: VirtualClockLoop) -> None:
    """Posted and appended ones alike, over many commits."""
    writer = Writer(journal, "r1", IDS)
    async with anyio.create_task_group() as group:
        group.start_soon(writer.run)
        for number in range(0, 40, 4):
            for more in range(3):
                writer.post(event(number + more))
            await writer.append(event(number + 3))
        writer.close()
    assert written(reader) == list(range(40))
    assert writer.commits == 10


@pytest.mark.parametrize("posted", [0, 1, 3])
async def test_close_writes_the_rest(
    journal: Journal, reader: Journal, virtual_time: VirtualClockLoop, posted: int
) -> None:
    """At once, then `run` returns."""
    writer = Writer(journal, "r1", IDS)
    async with anyio.create_task_group() as group:
        group.start_soon(writer.run)
        await anyio.sleep(1)
        for number in range(posted):
            writer.post(event(number))
        began = anyio.current_time()
        writer.close()
    assert anyio.current_time() - began < LAZY
    assert written(reader) == list(range(posted))


async def test_what_is_posted_while_the_last_commit_is_written_is_written_too(
    journal: Journal, reader: Journal
) -> None:
    """Nothing is lost between `close` and the end of `run`."""
    writer = Writer(journal, "r1", IDS)
    async with anyio.create_task_group() as group:
        group.start_soon(writer.run)
        writer.post(event(1))
        writer.close()
        while writer._pending:  # until it is on its way to the disk
            await anyio.lowlevel.checkpoint()
        writer.post(event(2))
    assert written(reader) == [1, 2]


async def test_after_a_failure_nothing_is_written_any_more(journal: Journal, reader: Journal) -> None:
    """Everybody who waits hears of it, now and later; `run` still ends in order."""
    writer = Writer(journal, "r1", IDS)
    failures = []

    async def append(number: int) -> None:
        try:
            await writer.append(event(number))
        except JournalError as error:
            failures.append(error)

    journal._db.execute("PRAGMA query_only = ON")
    async with anyio.create_task_group() as group:
        group.start_soon(writer.run)
        async with anyio.create_task_group() as appending:
            for number in range(3):
                appending.start_soon(append, number)
        journal._db.execute("PRAGMA query_only = OFF")
        with pytest.raises(JournalError, match="read-only"):
            await writer.append(event(9))
        writer.post(event(10))
        writer.close()
    assert failures == [writer.failure] * 3
    assert (writer.commits, writer.events, written(reader)) == (0, 0, [])


async def test_an_unexpected_failure_is_heard_by_those_who_wait(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No memory is left: nobody waits for ever, and no cutover starts any more."""
    writer = Writer(journal, "r1", IDS)

    async def no_memory(*_: object) -> None:
        raise MemoryError("none is left")

    monkeypatch.setattr(anyio.to_thread, "run_sync", no_memory)
    async with anyio.create_task_group() as group:
        group.start_soon(writer.run)
        with pytest.raises(JournalError, match="MemoryError: none is left"):
            await writer.append(CutoverRequested(at=NOW + 2, migration="orders"))
        with pytest.raises(JournalError):
            await writer.flush()
        writer.close()


async def test_an_event_is_on_disk_where_no_thread_can_be_started(
    journal: Journal, reader: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit of processes is reached: the loop waits for the disk instead, and cutovers go on."""
    writer = Writer(journal, "r1", IDS)

    async def no_thread(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(anyio.to_thread, "run_sync", no_thread)
    async with anyio.create_task_group() as group:
        group.start_soon(writer.run)
        await writer.append(CutoverRequested(at=NOW + 2, migration="orders"))
        assert len(written(reader)) == 1
        writer.close()


async def test_flush_returns_when_what_was_posted_is_on_disk(journal: Journal) -> None:
    """Sooner than posted events are written otherwise."""
    writer = Writer(journal, "r1", IDS)
    async with anyio.create_task_group() as group:
        group.start_soon(writer.run)
        writer.post(CutoverRequested(at=NOW + 2, migration="orders"))
        await writer.flush()
        assert [event.name for _, event in journal.events("r1")][-1] == "cutover_requested"
        await writer.flush()  # nothing is left to wait for
        writer.close()
