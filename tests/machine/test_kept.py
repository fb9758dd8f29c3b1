"""Programs that end with whoever started them."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import anyio
import pytest

from orchestrator.machine.kept import kept

pytestmark = pytest.mark.anyio

STUBBORN = "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(sys.argv[1], file=sys.stderr, flush=True); time.sleep(600)"
OWNER = """
import anyio, os, sys
from orchestrator.machine.kept import kept
async def main():
    def on_line(line):
        print(line, flush=True)
    async with kept("it", [sys.executable, "-c", "import os, sys, time; print(os.getpid(), file=sys.stderr, flush=True); time.sleep(600)"],
                    environ=os.environ, grace=5.0, on_line=on_line):
        await anyio.sleep(600)
anyio.run(main)
"""


def is_there(pid: int) -> bool:
    """Whether process *pid* is."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_program_is_heard_and_its_end_is_told() -> None:
    """Its last lines and its code: enough to say what was wrong."""
    heard: list[str] = []
    command = [sys.executable, "-c", "import sys; sys.exit('no port is free')"]
    async with kept("the server", command, environ=os.environ, grace=0.0, on_line=heard.append) as program:
        with anyio.fail_after(30):
            await program.ended.wait()
    assert heard == ["no port is free"]
    assert program.last_words() == "the server ended with exit code 1:\n  no port is free"


async def test_one_that_heeds_no_signal_ends_with_its_context() -> None:
    """SIGTERM first, and when its grace is over, SIGKILL."""
    up = anyio.Event()
    command = [sys.executable, "-c", STUBBORN, "up"]
    with anyio.fail_after(30):
        async with kept("it", command, environ=os.environ, grace=0.2, on_line=lambda _: up.set()) as program:
            await up.wait()
        await program.ended.wait()
    assert program.code == 128 + signal.SIGKILL


async def test_one_ends_when_its_owner_is_killed() -> None:
    """Nobody is there to end it then, but the kernel closes the pipe."""
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with anyio.fail_after(60):
        owner = await anyio.open_process([sys.executable, "-c", OWNER], env=environ)
        assert owner.stdout is not None
        pid = int(await owner.stdout.receive())
        assert is_there(pid)
        owner.kill()
        await owner.wait()
        while is_there(pid):  # noqa: ASYNC110 - the kernel tells it to its parent alone
            await anyio.sleep(0.05)
        await owner.stdout.aclose()
        assert owner.stderr is not None
        await owner.stderr.aclose()
