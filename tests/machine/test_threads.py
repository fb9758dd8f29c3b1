"""What needs a thread or hears of a process, where no thread can be had."""

from __future__ import annotations

import asyncio
import socket
import threading

import anyio
import anyio.lowlevel
import pytest

from orchestrator.machine.loops import run_loop
from orchestrator.machine.threads import beside


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """From when `take` is called no thread can be started."""
    return monkeypatch


def take(threads: pytest.MonkeyPatch) -> None:
    """Let no thread be started any more."""

    def refused(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    threads.setattr(threading.Thread, "start", refused)


def test_what_is_done_beside_the_loop_is_done_in_it_instead(no_threads: pytest.MonkeyPatch) -> None:
    """Once, whether it succeeds or fails in a way that is its own."""
    done = []

    def work(number: int) -> threading.Thread:
        done.append(number)
        if number < 0:
            raise RuntimeError("can't start new thread, says something else")
        return threading.current_thread()

    async def main() -> None:
        take(no_threads)
        assert await beside(work, 1) is threading.main_thread()
        with pytest.raises(RuntimeError, match="says something else"):
            await beside(work, -1)

    run_loop(main)
    assert done == [1, -1]


def test_it_is_done_in_a_thread_where_there_is_one() -> None:
    """And what it raises is not tried a second time."""
    done = []

    def work() -> None:
        done.append(threading.current_thread())
        raise RuntimeError("can't start new thread")

    async def main() -> None:
        with pytest.raises(RuntimeError):
            await beside(work)

    run_loop(main)
    assert len(done) == 1
    assert done[0] is not threading.main_thread()


def test_a_loop_that_has_returned_has_returned(no_threads: pytest.MonkeyPatch) -> None:
    """It has looked a name up, so it wants a thread to end those in which it did."""

    async def main() -> int:
        await asyncio.get_running_loop().getaddrinfo("localhost", 80)
        take(no_threads)
        return 7

    assert run_loop(main) == 7


def test_a_loop_that_has_not_returned_raises_what_ended_it(no_threads: pytest.MonkeyPatch) -> None:
    """Not what else went wrong when it was taken down."""

    async def main() -> int:
        await asyncio.get_running_loop().getaddrinfo("localhost", 80)
        take(no_threads)
        raise error

    for error in (ValueError("of its own"), OSError("of its own"), SystemExit(143)):
        with pytest.raises(type(error)) as raised:
            run_loop(main)
        assert raised.value is error
        no_threads.undo()


def test_a_name_that_cannot_be_looked_up_for_want_of_a_thread_is_an_error_of_the_systems(
    no_threads: pytest.MonkeyPatch,
) -> None:
    """As one for want of a file is: nothing was sent, and the next try may have a thread."""

    async def main() -> None:
        take(no_threads)
        with pytest.raises(OSError, match="can't start new thread") as refused:
            await asyncio.get_running_loop().getaddrinfo("localhost", 80)
        assert not isinstance(refused.value, socket.gaierror)
        no_threads.undo()
        assert await asyncio.get_running_loop().getaddrinfo("localhost", 80)

    run_loop(main)


def test_a_child_is_followed_without_a_thread(no_threads: pytest.MonkeyPatch) -> None:
    """A hook that has begun is not left alone."""

    async def main() -> int:
        take(no_threads)
        return (await anyio.run_process(["sh", "-c", "exit 3"], check=False)).returncode

    assert run_loop(main) == 3


def test_other_loops_of_the_process_follow_their_children_as_before() -> None:
    """Those of a test, say, which are made in another way."""
    run_loop(anyio.lowlevel.checkpoint)

    async def main() -> int:
        return (await anyio.run_process(["sh", "-c", "exit 3"], check=False)).returncode

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        assert runner.run(main()) == 3
