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


async def test_who_came_first_goes_first() -> None:
    """And each with what it is granted."""
    line, served = Line[int](), list[tuple[str, int]]()

    async def customer(name: str) -> None:
        served.append((name, await line.wait(undo=lambda _: None)))

    async with anyio.create_task_group() as group:
        for name in ("one", "two", "three"):
            group.start_soon(customer, name)
        await settle()
        assert len(line) == 3
        for number in range(3):
            line.call_next(number)
        await settle()
    assert served == [("one", 0), ("two", 1), ("three", 2)]
    assert (bool(line), len(line)) == (False, 0)


async def test_who_was_cancelled_is_passed_over() -> None:
    """No turn is lost to somebody who has left."""
    line, served = Line[None](), list[str]()

    async def customer(name: str, scope: anyio.CancelScope) -> None:
        with scope:
            await line.wait(undo=lambda _: None)
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
