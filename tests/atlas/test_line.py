from __future__ import annotations

import anyio
import pytest
from anyio.lowlevel import checkpoint

from orchestrator.atlas.line import Line

pytestmark = pytest.mark.anyio


async def settle() -> None:
    """Let everybody run who can."""
    for _ in range(5):
        await checkpoint()


async def test_the_lowest_priority_goes_first_and_equals_in_the_order_they_came() -> None:
    """As at the token bucket: PUTs before gate reads before polls."""
    line, served = Line[None](), list[str]()

    async def customer(name: str, priority: int) -> None:
        await line.wait(priority, undo=lambda _: None)
        served.append(name)

    async with anyio.create_task_group() as group:
        for name, priority in (("poll", 2), ("gate", 1), ("put", 0), ("gate again", 1)):
            group.start_soon(customer, name, priority)
        await settle()
        assert (len(line), line.first) == (4, 0)
        while line:
            line.call_next(None)
            await settle()
    assert served == ["put", "gate", "gate again", "poll"]
    assert (bool(line), len(line)) == (False, 0)


async def test_who_was_cancelled_is_passed_over() -> None:
    """No turn is lost to somebody who has left."""
    line, served = Line[None](), list[str]()

    async def customer(name: str, scope: anyio.CancelScope) -> None:
        with scope:
            await line.wait(0, undo=lambda _: None)
            served.append(name)

    leaves = anyio.CancelScope()
    async with anyio.create_task_group() as group:
        group.start_soon(customer, "leaves", leaves)
        group.start_soon(customer, "stays", anyio.CancelScope())
        await settle()
        leaves.cancel()
        await settle()
        assert len(line) == 1
        assert line
        line.call_next(None)
    assert served == ["stays"]
