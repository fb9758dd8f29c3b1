"""Programs that this process starts, follows, and takes with it when it ends, however it ends."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import DEVNULL, PIPE

import anyio
from anyio.abc import Process

from .groups import alone

_KEEPER = Path(__file__).with_name("keeper.py")
_LINES = 5  # of what it said last
_LONGEST = 65536  # of a line
_SLACK = 5.0  # seconds beyond its grace after which a keeper is given up


@dataclass(slots=True, kw_only=True)
class Kept:
    """A program that runs. *said*: the last lines that it has written to stderr; *ended*: is set when it has, with its *code*."""

    name: str
    said: deque[str] = field(default_factory=lambda: deque(maxlen=_LINES))
    ended: anyio.Event = field(default_factory=anyio.Event)
    code: int | None = None

    def last_words(self) -> str:
        """How it has ended, and what it said last."""
        told = "\n".join(f"  {line}" for line in self.said)
        return f"{self.name} ended with exit code {self.code}" + (f":\n{told}" if told else "")


@asynccontextmanager
async def kept(
    name: str,
    command: Sequence[str],
    *,
    environ: Mapping[str, str],
    grace: float,
    on_line: Callable[[str], None] = lambda _: None,
) -> AsyncIterator[Kept]:
    """Run *command* while the context lasts; at its end, and at this process's, it is ended.

    It has a session of its own: Ctrl-C on the terminal is not told to it.

    Args:
        name: What it is, for messages.
        command: Program and arguments.
        environ: Its environment.
        grace: Seconds between SIGTERM and SIGKILL; 0: SIGKILL at once.
        on_line: Is told each line that it writes to stderr.

    Raises:
        OSError: It cannot be started.
    """
    program = Kept(name=name)
    with anyio.CancelScope(shield=True):  # half begun it could not be ended in order, and there is little to wait for
        process = await anyio.open_process(
            [sys.executable, "-I", "-S", str(_KEEPER), f"{grace:g}", *command],
            stdin=PIPE,
            stdout=DEVNULL,
            stderr=PIPE,
            env=environ,
            start_new_session=True,
        )
    with alone():
        async with anyio.create_task_group() as group:
            group.start_soon(_follow, process, program, on_line)
            try:
                yield program
            finally:
                with anyio.CancelScope(shield=True):
                    await _end(process, grace)
                group.cancel_scope.cancel()


async def _follow(process: Process, program: Kept, on_line: Callable[[str], None]) -> None:
    """Take in what it says until it has ended."""
    assert process.stderr is not None
    rest = b""
    async for chunk in process.stderr:
        *lines, rest = (rest + chunk).split(b"\n")
        rest = rest[-_LONGEST:]
        _take(lines, program, on_line)
    _take([rest], program, on_line)
    program.code = await process.wait()
    program.ended.set()


def _take(lines: Sequence[bytes], program: Kept, on_line: Callable[[str], None]) -> None:
    for line in lines:
        text = line.decode(errors="replace").rstrip()
        if text:
            program.said.append(text)
            on_line(text)


async def _end(process: Process, grace: float) -> None:
    assert process.stdin is not None
    await process.stdin.aclose()
    with anyio.move_on_after(grace + _SLACK):
        await process.wait()
        return
    process.kill()
    await process.wait()
