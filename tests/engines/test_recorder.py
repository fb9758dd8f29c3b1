"""Observers are told in order of time, whatever the disk does."""

from __future__ import annotations

import anyio
import pytest

from orchestrator.core.errors import JournalError
from orchestrator.core.events import CutoverRequested, Event, StatusPolled
from orchestrator.core.run import RunState
from orchestrator.engines.recorder import LONGEST_HOLD, Recorder
from tests.builders import run_started

from .house import wave, workflow

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]


class Disk:
    """A journal's writer whose commits take *seconds*, or fail."""

    def __init__(self, seconds: float, *, fails: bool = False) -> None:
        self._seconds = seconds
        self._fails = fails

    def post(self, event: Event) -> None:
        """Written some time."""

    async def flush(self) -> None:
        """At once."""

    async def append(self, event: Event) -> None:
        """After its time."""
        assert event.journaled
        await anyio.sleep(self._seconds)
        if self._fails:
            raise JournalError("no space left on device")


def recorder(disk: Disk) -> tuple[Recorder, list[float], list[float]]:
    """A recorder, with the times of the events that an observer and a listener are told of."""
    told: list[float] = []
    heard: list[float] = []
    state = RunState(run_id="r1")
    state.apply(run_started(workflow(wave("w", "a", "b"))))
    mine = Recorder(state, disk, [lambda event, _: told.append(event.at)])
    mine.listen(lambda event, _: heard.append(event.at))
    return mine, told, heard


async def intents(mine: Recorder, disk_seconds: float) -> None:
    """An intent at 1, a read at 2, an intent at 3 and a read at 4, all before the first is on disk."""
    async with anyio.create_task_group() as group:
        for at in (1.0, 3.0):
            group.start_soon(mine.commit, CutoverRequested(at=at, migration="a" if at == 1 else "b"))
            await anyio.wait_all_tasks_blocked()
            mine.record(StatusPolled(at=at + 1, migration="b"))
            await anyio.sleep(disk_seconds / 4)


async def test_what_happens_while_an_intent_is_written_is_told_after_it() -> None:
    """In order of time; the engine, which acts on it, hears of it at once."""
    mine, told, heard = recorder(Disk(0.04))
    await intents(mine, 0.04)
    assert told == [1.0, 2.0, 3.0, 4.0]
    assert heard == [2.0, 4.0, 1.0, 3.0]


async def test_a_disk_that_takes_long_holds_nothing_back_for_long() -> None:
    """An end that is seen meanwhile is told; the intents are told when they are there."""
    mine, told, _ = recorder(Disk(30.0))
    async with anyio.create_task_group() as group:
        group.start_soon(intents, mine, 0.4)
        await anyio.sleep(LONGEST_HOLD + 0.2)
        assert told == [2.0, 4.0]
    assert told == [2.0, 4.0, 1.0, 3.0]


async def test_an_intent_that_could_not_be_written_is_not_told() -> None:
    """And holds nothing back."""
    mine, told, heard = recorder(Disk(0.04, fails=True))
    with pytest.raises(ExceptionGroup):
        await intents(mine, 0.04)
    mine.record(StatusPolled(at=5.0, migration="b"))
    assert told == heard == [2.0, 4.0, 5.0]
