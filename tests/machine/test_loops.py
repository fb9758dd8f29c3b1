"""Loops that end with the process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
import pytest

from orchestrator.machine.loops import run_loop


async def alone() -> None:
    """End at once."""
    raise SystemExit(143)


async def beside() -> None:
    """End in a task beside others, which are on their way."""
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep_forever)
        group.start_soon(alone)


async def deeper() -> None:
    """As a client in a client does."""
    async with anyio.create_task_group() as group:
        group.start_soon(beside)
        await anyio.sleep_forever()


@pytest.mark.parametrize("main", [alone, beside, deeper])
def test_the_end_of_the_process_is_no_error(
    main: Callable[[], Awaitable[None]], caplog: pytest.LogCaptureFixture
) -> None:
    """A signal raises it in whichever task works at that moment: asyncio has nothing to say of that, and the exit code stands."""
    with caplog.at_level(logging.WARNING), pytest.raises(SystemExit) as end:
        run_loop(main)
    assert (end.value.code, caplog.text) == (143, "")


def test_what_is_cut_short_by_the_end_of_the_process_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever makes another error of being cancelled, as Temporal's SDK does, is not heard beside it."""

    async def main() -> None:
        asyncio.get_running_loop().call_soon(end)
        try:
            await anyio.sleep_forever()
        except asyncio.CancelledError as error:
            raise RuntimeError("timed out, or cancelled") from error

    def end() -> None:
        raise SystemExit(143)

    with caplog.at_level(logging.WARNING), pytest.raises(SystemExit) as ended:
        run_loop(main)
    assert (ended.value.code, caplog.text) == (143, "")


def test_an_error_in_a_task_that_nobody_awaits_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """What is no end of the process is asyncio's to tell."""

    async def main() -> int:
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await anyio.lowlevel.checkpoint()
        return 7

    assert run_loop(main) == 7
    assert "ZeroDivisionError" in caplog.text
