from __future__ import annotations

import asyncio

import anyio
import pytest
from anyio.lowlevel import checkpoint

from orchestrator.waiting import Line, Slots

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


async def test_no_more_than_the_slots_are_taken() -> None:
    """Whoever comes too late waits for a release."""
    slots, inside, most = Slots(2), 0, 0

    async def worker() -> None:
        nonlocal inside, most
        await slots.take(0)
        inside += 1
        most = max(most, inside)
        await settle()
        inside -= 1
        slots.release()

    async with anyio.create_task_group() as group:
        for _ in range(9):
            group.start_soon(worker)
    assert (inside, most) == (0, 2)


async def test_a_slot_granted_to_somebody_cancelled_just_then_goes_on_to_the_next() -> None:
    """Cancellation between the grant and the waking up (asyncio's own; anyio's comes later) loses no slot."""
    slots, served = Slots(1), list[str]()
    await slots.take(0)

    async def worker(name: str) -> None:
        await slots.take(0)
        served.append(name)

    async with asyncio.TaskGroup() as group:
        unlucky = group.create_task(worker("unlucky"))
        group.create_task(worker("lucky"))
        await settle()
        slots.release()
        unlucky.cancel()
    assert served == ["lucky"]


async def test_a_newcomer_does_not_overtake_those_in_line() -> None:
    """A free slot belongs to who has waited."""
    slots, served = Slots(1), list[str]()
    await slots.take(0)

    async def worker(name: str) -> None:
        await slots.take(0)
        served.append(name)
        slots.release()

    async with anyio.create_task_group() as group:
        group.start_soon(worker, "first")
        await settle()
        group.start_soon(worker, "second")
        slots.release()
    assert served == ["first", "second"]
    await slots.take(0)  # and it is free again
