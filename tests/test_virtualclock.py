from __future__ import annotations

import asyncio
import os
import random
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread
import pytest
from aiohttp import ClientSession, ClientTimeout, web
from anyio import CapacityLimiter

from .conftest import Keys
from .virtualclock import START, VirtualClockLoop

pytestmark = pytest.mark.anyio


async def test_two_hours_of_sleep_pass_at_once(virtual_time: VirtualClockLoop) -> None:
    """Waiting costs no real time, and the clock shows exactly what was waited for."""
    began = time.monotonic()
    for _ in range(120):
        await anyio.sleep(60)
    assert anyio.current_time() == pytest.approx(START + 7200)
    assert time.monotonic() - began < 60


async def test_sleepers_wake_in_the_order_of_their_times(virtual_time: VirtualClockLoop) -> None:
    """Each sleeper sees its own time, whoever was started first."""
    woken: list[tuple[int, float]] = []

    async def sleeper(seconds: int) -> None:
        await anyio.sleep(seconds)
        woken.append((seconds, anyio.current_time() - START))

    async with anyio.create_task_group() as group:
        for seconds in (300, 1, 86_400 * 3, 20):
            group.start_soon(sleeper, seconds)
    assert [seconds for seconds, _ in woken] == [1, 20, 300, 86_400 * 3]
    assert all(at == pytest.approx(seconds) for seconds, at in woken)


async def test_a_timeout_fires_at_its_time(virtual_time: VirtualClockLoop) -> None:
    """Cancel scopes live on the same clock."""
    with anyio.move_on_after(1800) as scope:
        await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert anyio.current_time() == pytest.approx(START + 1800)


async def test_time_stands_still_while_code_runs(virtual_time: VirtualClockLoop) -> None:
    """What is always ready to run keeps the clock where it is."""
    for _ in range(1000):
        await anyio.lowlevel.checkpoint()
    assert anyio.current_time() == START


async def test_http_over_loopback_sees_no_false_timeout(virtual_time: VirtualClockLoop) -> None:
    """Client and server in one loop, over a real socket: a thousand requests, none meets its 30 s timeout."""

    async def answer(request: web.Request) -> web.Response:
        await anyio.sleep(random.choice((0, 0, 0.2, 12)))
        return web.Response(body=b"x" * random.choice((1, 200_000)))

    async def fetch(session: ClientSession, url: str) -> None:
        async with session.get(url) as response:
            assert response.status == 200
            sizes.append(len(await response.read()))

    sizes: list[int] = []
    timeout = ClientTimeout(total=30, connect=5)
    async with serving(answer) as url, ClientSession(timeout=timeout) as session:
        for _ in range(10):
            async with anyio.create_task_group() as group:
                for _ in range(100):
                    group.start_soon(fetch, session, url)
            await anyio.sleep(600)  # longer than any keep-alive
    assert len(sizes) == 1000
    assert set(sizes) == {1, 200_000}


async def test_open_connections_and_idle_threads_keep_no_time_back(virtual_time: VirtualClockLoop) -> None:
    """While nothing is on its way, time jumps at once; where a connection begins or ends, it waits for news."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response()

    async with serving(answer) as url, ClientSession() as session:
        for _ in range(3):
            async with session.get(url) as response:
                await response.read()
        assert await anyio.to_thread.run_sync(hold_the_thread) == "done"
        await anyio.sleep(1)
        assert not virtual_time.may_hear()
        _, writer = await asyncio.open_connection(*url.removeprefix("http://").split(":"))
        assert virtual_time.may_hear()
        assert not virtual_time.may_hear()
        writer.close()
        await writer.wait_closed()
        assert virtual_time.may_hear()


async def test_a_real_delay_of_the_server_is_a_timeout_at_its_time(virtual_time: VirtualClockLoop) -> None:
    """A request that is not answered ends when its timeout says so, on the virtual clock."""

    async def hang(request: web.Request) -> web.Response:
        await anyio.sleep_forever()
        raise AssertionError

    async with serving(hang) as url, ClientSession(timeout=ClientTimeout(total=30)) as session:
        with pytest.raises(TimeoutError):
            await session.get(url)
    assert 30 <= anyio.current_time() - START < 100


@asynccontextmanager
async def serving(answer: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[str]:
    """A server that answers each request by *answer*; its address."""
    application = web.Application()
    application.router.add_get("/", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


def hold_the_thread() -> str:
    """Outside work of real 50 ms."""
    time.sleep(0.05)
    return "done"


async def through_anyio() -> str:
    """The usual way."""
    return await anyio.to_thread.run_sync(hold_the_thread)


async def through_a_limiter_of_its_own() -> str:
    """A way that the default limiter does not count."""
    return await anyio.to_thread.run_sync(hold_the_thread, limiter=CapacityLimiter(1))


async def through_the_executor() -> str:
    """The way of asyncio itself, which aiohttp takes for names."""
    return await asyncio.get_running_loop().run_in_executor(None, hold_the_thread)


@pytest.mark.parametrize("job", [through_anyio, through_a_limiter_of_its_own, through_the_executor])
async def test_work_in_a_thread_takes_no_time(job: Any, virtual_time: VirtualClockLoop) -> None:
    """A timer that is near in virtual time does not overtake a job that takes real time, however busy the machine is."""
    for _ in range(3):
        with anyio.fail_after(0.001):
            assert await job() == "done"
    assert anyio.current_time() == START


async def test_a_thread_that_waits_for_a_timer_gets_it(virtual_time: VirtualClockLoop) -> None:
    """After a while time goes on beside it."""
    rung = threading.Event()
    virtual_time.call_later(0.2, rung.set)
    with anyio.fail_after(60):
        assert await anyio.to_thread.run_sync(rung.wait, 60)
    assert anyio.current_time() >= START + 0.2


async def test_time_jumps_again_after_work_in_a_thread(virtual_time: VirtualClockLoop) -> None:
    """An idle worker thread holds nothing up."""
    await through_anyio()
    await through_the_executor()
    began = time.monotonic()
    await anyio.sleep(3600)
    assert time.monotonic() - began < 60


async def test_announced_work_is_waited_for(virtual_time: VirtualClockLoop) -> None:
    """A thread that the loop knows nothing of is waited for inside `busy`."""
    arrived = asyncio.Event()

    def deliver() -> None:
        hold_the_thread()
        virtual_time.call_soon_threadsafe(arrived.set)

    thread = threading.Thread(target=deliver)
    with virtual_time.busy(), anyio.fail_after(60):
        thread.start()
        await arrived.wait()
    thread.join()


async def test_watched_work_is_waited_for(virtual_time: VirtualClockLoop) -> None:
    """A thread that lives longer than one job is asked whether it has something to do."""
    arrived = asyncio.Event()
    pending = threading.Event()

    def deliver() -> None:
        hold_the_thread()
        virtual_time.call_soon_threadsafe(arrived.set)
        pending.clear()

    virtual_time.watch(pending.is_set)
    pending.set()
    thread = threading.Thread(target=deliver)
    thread.start()
    with anyio.fail_after(60):
        await arrived.wait()
    thread.join()


async def test_a_child_process_is_waited_for(virtual_time: VirtualClockLoop) -> None:
    """A command has its real time to end in."""
    with anyio.fail_after(60):
        done = await anyio.run_process([sys.executable, "-c", "print('done')"])
    assert done.stdout == b"done\n"


async def test_a_child_process_that_does_not_end_meets_its_timeout(virtual_time: VirtualClockLoop) -> None:
    """Time runs as on the wall beside outside work, so a short timeout ends it."""
    async with await anyio.open_process([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        with anyio.move_on_after(0.1) as scope:  # not around its start: asyncio would leave it behind
            await process.wait()
        assert scope.cancelled_caught
        process.kill()


async def test_real_time_is_the_default(anyio_backend: tuple[str, dict[str, Any]]) -> None:
    """Whoever does not ask for virtual time has asyncio's own loop."""
    assert not isinstance(asyncio.get_running_loop(), VirtualClockLoop)


async def test_the_environment_is_clean(keys: Keys) -> None:
    """Nothing from outside steers a test, and its keys are its own."""
    assert not [name for name in os.environ if name.lower().endswith("_proxy") or name.startswith("MONGODB_")]
    assert keys.public.isalpha()
    assert keys.private != keys.public
