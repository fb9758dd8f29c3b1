"""Process groups that end when whoever began them has died."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator.machine import kept_groups
from orchestrator.machine.kept_groups import KeptGroups, NoKeeperError, keeping

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")]

SLEEPER = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPER}"
TIMES: dict[str, Any] = {"environ": {}, "grace": 0.3, "giving_up": 5.0}

OWNER = """
import anyio, os, subprocess, sys, time
from orchestrator.machine.kept_groups import keeping

def begin(code):
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    process.stdout.readline()
    return process

async def main(lock, *codes):
    descriptors = [int(lock)] if lock else []
    async with keeping(environ={}, grace=0.3, giving_up=5.0, descriptors=descriptors) as groups:
        for code in codes:
            await groups.ready()
            process = begin(code)
            await groups.keep(process.pid)
            print(process.pid, flush=True)
            match sys.stdin.readline().strip():
                case "let go":
                    groups.let_go(process.pid)
                case "fork":
                    child = os.fork()
                    if child:
                        print(child, flush=True)
                    else:
                        os.close(1)
                        time.sleep(600)  # a forked loop is no loop
        await anyio.sleep(600)

anyio.run(main, *sys.argv[1:])
"""


def is_alive(pid: int) -> bool:
    """Whether process *pid* is there and no zombie."""
    return state_of(pid)[0] != "Z"


def state_of(pid: int) -> tuple[str, int]:
    """The state of process *pid* (Z: it has ended, or was never there) and its parent."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return "Z", 0
    return fields[0], int(fields[1])


def keepers_of(pid: int) -> list[int]:
    """The keepers that process *pid* has begun, and that live."""
    all_pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
    return [each for each in all_pids if state_of(each)[1] == pid and is_alive(each) and is_keeper(each)]


def is_keeper(pid: int) -> bool:
    """Whether process *pid* is a keeper."""
    try:
        return b"group_keeper" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def open_files() -> int:
    """How many file descriptors this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


@contextmanager
def group(code: str) -> Iterator[subprocess.Popen[bytes]]:
    """A group of this process's own, in which *code* runs."""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def until(happened: Callable[[], object]) -> None:
    """Wait until it has *happened*."""
    deadline = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@dataclass(slots=True)
class Owner:
    """A process that begins groups, one after another."""

    process: subprocess.Popen[str]

    def number(self) -> int:
        """What it says next: the group that it has begun, or the process that it has forked."""
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())

    def go_on(self, word: str = "") -> None:
        """Let it go on, with *word*."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()

    def keeper(self) -> int:
        """Its keeper."""
        (found,) = keepers_of(self.process.pid)
        return found

    def die(self) -> None:
        """As for want of memory."""
        self.process.kill()
        self.process.wait()


@contextmanager
def owner(*codes: str, lock: int | None = None) -> Iterator[Owner]:
    """A process that begins a group for each of *codes*; its keeper gets *lock*."""
    command = [sys.executable, "-c", OWNER, "" if lock is None else str(lock), *codes]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        pass_fds=() if lock is None else (lock,),
    ) as process:
        try:
            yield Owner(process)
        finally:
            process.kill()


def test_a_group_ends_when_its_owner_is_killed_and_so_does_its_keeper() -> None:
    """Nobody is there to end either, but the kernel closes the line between them."""
    with owner(SLEEPER) as it:
        group, keeper = it.number(), it.keeper()
        assert is_alive(group)
        it.die()
        until(lambda: not is_alive(group))
        until(lambda: not is_alive(keeper))


def test_a_group_that_ignores_the_asking_is_made_to_end() -> None:
    """SIGKILL follows SIGTERM, as where its owner ends it."""
    with owner(STUBBORN) as it:
        group = it.number()
        it.die()
        until(lambda: not is_alive(group))


def test_a_group_that_was_let_go_is_left_alone() -> None:
    """Its number may be another's by now."""
    with owner(SLEEPER, SLEEPER) as it:
        ended = it.number()
        it.go_on("let go")
        group, keeper = it.number(), it.keeper()
        it.die()
        until(lambda: not is_alive(group))
        until(lambda: not is_alive(keeper))
        assert is_alive(ended)
        os.killpg(ended, signal.SIGKILL)


def test_a_keeper_that_was_killed_has_a_successor_that_knows_of_all_groups() -> None:
    """As soon as the next one begins."""
    with owner(SLEEPER, SLEEPER) as it:
        first, keeper = it.number(), it.keeper()
        os.kill(keeper, signal.SIGKILL)
        until(lambda: not is_alive(keeper))
        it.go_on()
        second = it.number()
        assert it.keeper() != keeper
        it.die()
        until(lambda: not is_alive(first))
        until(lambda: not is_alive(second))


def test_signals_to_a_whole_service_do_not_end_its_keeper() -> None:
    """A service manager sends SIGTERM to all of them, a terminal SIGHUP: hooks that undo something may begin after that."""
    with owner(SLEEPER) as it:
        group, keeper = it.number(), it.keeper()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(keeper, number)
        it.die()
        until(lambda: not is_alive(group))


def test_a_process_that_was_forked_keeps_no_group_in_being() -> None:
    """As pool workers of a program that embeds a run, which may outlive it."""
    with owner(SLEEPER) as it:
        group = it.number()
        it.go_on("fork")
        fork = it.number()
        try:
            it.die()
            until(lambda: not is_alive(group))
            assert is_alive(fork)
        finally:
            os.kill(fork, signal.SIGKILL)


def test_what_the_keeper_was_lent_is_free_when_all_groups_have_ended(tmp_path: Path) -> None:
    """A lock, for which whoever goes on with the work waits."""
    with (tmp_path / "lock").open("w") as ours, (tmp_path / "lock").open("w") as others:
        fcntl.flock(ours, fcntl.LOCK_EX)
        with owner(STUBBORN, lock=ours.fileno()) as it:
            ours.close()
            group = it.number()
            it.die()
            with pytest.raises(BlockingIOError):
                fcntl.flock(others, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(others, fcntl.LOCK_EX)
            assert not is_alive(group)


async def test_a_keeper_begins_with_the_first_group_and_ends_with_the_context() -> None:
    """In order: nothing is left of it, not even a zombie."""
    async with keeping(**TIMES) as groups:
        assert keepers_of(os.getpid()) == []
        await groups.ready()
        (keeper,) = keepers_of(os.getpid())
        await groups.ready()
        assert keepers_of(os.getpid()) == [keeper]
    with pytest.raises(ProcessLookupError):
        os.kill(keeper, 0)


async def test_a_keeper_that_hears_nothing_is_replaced_and_ends_nobody() -> None:
    """It was stopped, and knows too little to act by it when it wakes."""
    with group(SLEEPER) as sleeper:
        async with keeping(**TIMES) as groups:
            await groups.ready()
            (stopped,) = keepers_of(os.getpid())
            os.kill(stopped, signal.SIGSTOP)
            await groups.keep(sleeper.pid)
            while keepers_of(os.getpid()) == [stopped]:
                for _ in range(1000):
                    groups.let_go(0)
                await groups.ready()
            assert sleeper.poll() is None
            groups.let_go(sleeper.pid)
        assert sleeper.poll() is None


@pytest.mark.parametrize("python", ["", "/no/such/python", "/bin/false", "/dev/null"])
async def test_where_there_is_no_python_there_is_no_keeper(python: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a program that has one built in: it says so."""
    monkeypatch.setattr(sys, "executable", python)
    async with keeping(**TIMES) as groups:
        with pytest.raises(NoKeeperError, match="the process that would end it if this one died"):
            await groups.ready()


async def test_a_shortage_is_told_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited out: nothing is left of the try, and the next one succeeds."""
    begin = subprocess.Popen
    tries: list[int] = []

    def short(*command: Any, **options: Any) -> Any:
        tries.append(1)
        if len(tries) == 1:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        return begin(*command, **options)

    monkeypatch.setattr(kept_groups, "Popen", short)
    async with keeping(**TIMES) as groups:
        before = open_files()
        with pytest.raises(BlockingIOError):
            await groups.ready()
        assert open_files() == before
        await groups.ready()


async def test_a_group_of_which_no_word_could_be_said_is_told_to_the_successor() -> None:
    """The keeper died between the look at it and the beginning of the group."""
    groups = KeptGroups(environ={}, grace=0.3, giving_up=0.3)
    await groups.ready()
    (first,) = keepers_of(os.getpid())
    os.kill(first, signal.SIGKILL)
    until(lambda: not is_alive(first))
    with group(SLEEPER) as sleeper:
        await groups.keep(sleeper.pid)
        (second,) = keepers_of(os.getpid())
        assert second != first
        await groups.close()  # with a group at work, as when the process dies
        assert sleeper.wait(30) == -signal.SIGTERM
