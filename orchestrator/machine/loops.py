"""Event loops of commands: a signal may end the process in the middle of one."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import anyio

from .threads import LoopThreads, children_watched_without_threads

T = TypeVar("T")
_ROUNDS_TO_ACCEPT = 4
_ENDS = (SystemExit, KeyboardInterrupt, asyncio.CancelledError)


def run_loop(main: Callable[[], Awaitable[T]]) -> T:
    """What *main* returns, in a loop of its own.

    Where no signal is heeded, it raises an exception (`SystemExit`) in whichever task works at that moment; asyncio would tell
    of the tasks that end with it as of errors. What goes wrong when the loop is taken down, after *main*, changes nothing: asyncio
    starts a thread for that, and the user may have no more of them.
    """
    returned: list[T] = []
    raised: BaseException | None = None

    async def in_loop() -> None:
        nonlocal raised
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(partial(_tell_of_errors, asyncio.current_task()))
        loop.set_default_executor(LoopThreads(thread_name_prefix="asyncio"))
        try:
            returned.append(await main())
        except (Exception, SystemExit) as error:
            raised = error
            raise

    try:
        with children_watched_without_threads():
            anyio.run(in_loop)
    except (OSError, RuntimeError) as error:
        if not returned and (raised is None or raised is error):
            raise
    if raised is not None:
        raise raised
    return returned[0]


def _tell_of_errors(main: asyncio.Task[Any] | None, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Tell of what nobody waits for. What *main* ends with that was cut short is nobody's concern: something else ends the process."""
    if context.get("task") is not main and not _ends_the_process(context.get("exception")):
        loop.default_exception_handler(context)


def _ends_the_process(error: BaseException | None) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return error.split(_ENDS)[1] is None
    return isinstance(error, _ENDS)


async def accept_no_more(listening: socket.socket) -> None:
    """Let the server of *listening* accept nothing more, and return when it knows of each connection that it has accepted.

    asyncio makes a connection of an accepted socket in three rounds of its loop. A server that is closed in between never hears
    of it, and nobody closes it.
    """
    asyncio.get_running_loop().remove_reader(listening)
    for _ in range(_ROUNDS_TO_ACCEPT):
        await asyncio.sleep(0)
