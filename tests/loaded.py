"""A process that has loaded the program once. Commands are forks of it: processes of their own, without the start-up.

A new interpreter spends more processor time on imports than on what a test is about. The fork gets everything that a new
process gets: arguments, environment, working directory, streams, a terminal, signals as they were, and it ends as an
interpreter ends. `test_a_fork_answers_as_a_new_process_does` of tests/e2e holds the two together.
"""

from __future__ import annotations

import ctypes
import fcntl
import gc
import importlib
import io
import json
import os
import pkgutil
import random
import runpy
import select
import selectors
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Self

ROOT = Path(__file__).parents[1]
ENOUGH = 1 << 20
"""Bytes; no order is nearly as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to run: `python -m MODULE ARGV...`.

    *terminal*: stdin is one, and it becomes the process's own. *lacking*: capabilities, by their number, that neither it
    nor what it starts has.
    """

    argv: Sequence[str]
    cwd: str
    environ: Mapping[str, str]
    module: str = "orchestrator"
    terminal: bool = False
    lacking: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class ForShells:
    """The words that are the program where a script has them before its arguments, and the descriptors that its shell has to inherit."""

    command: str
    inherited: tuple[int, ...]


# -- those who ask -----------------------------------------------------------------------------------------------------


class Fork:
    """A command under way, with what tests use of `subprocess.Popen`; leaving the block kills it."""

    def __init__(self, word: socket.socket, order: Order, stdout: IO[str] | None, stderr: IO[str] | None) -> None:
        self._word = word
        self.args = order.argv
        self.stdout, self.stderr = stdout, stderr
        self.pid = int(word.recv(64))
        self.returncode: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self.stdout, self.stderr):
            if stream is not None:
                stream.close()
        self.kill()
        self.wait(60)

    def poll(self) -> int | None:
        """The exit code (negative: the signal that killed it); None while it runs."""
        if self.returncode is None and select.select([self._word], [], [], 0)[0]:
            self.returncode = int(self._word.recv(64))
            self._word.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, waited for; *timeout* in seconds.

        Raises:
            subprocess.TimeoutExpired: It still runs.
        """
        if self.returncode is None:
            select.select([self._word], [], [], timeout)
        if (code := self.poll()) is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return code

    def communicate(self, timeout: float) -> tuple[str, str]:
        """All that it says on stdout and stderr, where they are pipes, until it has ended; *timeout* in seconds.

        Raises:
            subprocess.TimeoutExpired: It still runs.
        """
        deadline = time.monotonic() + timeout
        said = {stream.fileno(): bytearray() for stream in (self.stdout, self.stderr) if stream is not None}
        with selectors.DefaultSelector() as selector:
            for fd in said:
                selector.register(fd, selectors.EVENT_READ)
            while selector.get_map():
                ready = selector.select(max(0.0, deadline - time.monotonic()))
                if not ready:
                    raise subprocess.TimeoutExpired(self.args, timeout)
                for key, _ in ready:
                    if part := os.read(key.fd, 65536):
                        said[key.fd] += part
                    else:
                        selector.unregister(key.fd)
        self.wait(max(0.0, deadline - time.monotonic()))
        out, err = (
            "" if stream is None else said[stream.fileno()].decode().replace("\r\n", "\n")
            for stream in (self.stdout, self.stderr)
        )
        return out, err

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


Process = subprocess.Popen[str] | Fork


class Loaded:
    """The process that has loaded the program; *environ* is what an interpreter looks at when it starts."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.loaded", str(theirs.fileno())],
                cwd=ROOT,
                env=environ,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def start(
        self, order: Order, *, stdin: int | None = None, stdout: int | None = None, stderr: int | None = None
    ) -> Fork:
        """Start a command on these file descriptors; where none is given, stdin is empty and the others are pipes."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ExitStack() as given_away:
            given_away.enter_context(theirs)
            empty = given_away.enter_context(Path(os.devnull).open("rb")).fileno() if stdin is None else stdin

            def pipe() -> tuple[IO[str], int]:
                reading, writing = os.pipe()
                given_away.callback(os.close, writing)
                return os.fdopen(reading, encoding="utf-8"), writing

            out, stdout = pipe() if stdout is None else (None, stdout)
            err, stderr = pipe() if stderr is None else (None, stderr)
            data = json.dumps(asdict(order)).encode()
            socket.send_fds(self._orders, [data], [empty, stdout, stderr, theirs.fileno()])
        return Fork(ours, order, out, err)

    def for_shells(self) -> ForShells:
        """How a shell's script has commands of it."""
        orders = self._orders.fileno()
        return ForShells(f"{sys.executable} -I -S {ROOT / 'tests' / 'asking.py'} {orders}", (orders,))

    def end(self) -> None:
        """End the process; no command of it may be under way."""
        self._orders.close()
        assert self._process.wait(60) == 0


_first = threading.Lock()
_made: list[Loaded] = []


def loaded_program() -> Loaded | None:
    """The one of this test run, or of this worker; None where processes cannot be had so."""
    if sys.platform != "linux":
        return None
    with _first:  # or else two threads might make one each, and drop the first one's with its forks
        if not _made:
            # Its sets have another order than those of the process that asks.
            environ = {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", "PYTHONHASHSEED": "random"}
            _made.append(Loaded({**os.environ, **environ}))
        return _made[0]


def loaded_already() -> Loaded | None:
    """The same, where somebody has asked for it; None: nobody has."""
    return _made[0] if _made else None


# -- the process that has loaded the program ---------------------------------------------------------------------------


def load() -> None:
    """Import all of the program, and make what each run of it would make anew: its loop's backend, the report's template."""
    import orchestrator
    from orchestrator.reports.formats import html

    for module in pkgutil.walk_packages(orchestrator.__path__, "orchestrator."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    importlib.import_module("anyio._backends._asyncio")
    html._template()
    gc.collect()
    gc.freeze()  # so that a fork's collector copies no page of what was loaded


def serve(orders: socket.socket) -> Order | None:
    """Fork for each order: returns it in the fork, and None here when nobody can send one any more."""
    with selectors.DefaultSelector() as selector:
        selector.register(orders, selectors.EVENT_READ)
        under_way: dict[int, tuple[int, socket.socket]] = {}  # by the descriptor that tells of its end
        while True:
            for key, _ in selector.select():
                if key.fileobj is not orders:
                    pid, word = under_way.pop(key.fd)
                    word.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())
                    word.close()
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    continue
                data, descriptors, _, _ = socket.recv_fds(orders, ENOUGH, 4)
                if not data:
                    return None
                *streams, told = descriptors
                word = socket.socket(fileno=told)
                if (pid := os.fork()) == 0:
                    for fd, (_, other) in under_way.items():
                        os.close(fd)
                        other.close()
                    word.close()
                    orders.close()
                    order = Order(**json.loads(data))
                    become(order, streams)
                    return order
                word.send(str(pid).encode())
                for fd in streams:
                    os.close(fd)
                ends = os.pidfd_open(pid)
                under_way[ends] = pid, word
                selector.register(ends, selectors.EVENT_READ)


def become(order: Order, streams: list[int]) -> None:
    """Make this fork what a new process with *order* would be, on *streams* as its three standard ones."""
    for number, fd in enumerate(streams):
        os.dup2(fd, number)
        os.close(fd)
    if order.terminal:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C typed there is a signal to the program
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if order.lacking:
        give_up(order.lacking)
    os.chdir(order.cwd)
    os.environ.clear()
    os.environ.update(order.environ)
    time.tzset()
    random.seed()
    sys.argv[:] = [order.module, *order.argv]
    sys.path[0] = order.cwd
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8")
    sys.stdout = stream(1, "strict", line_buffering=os.isatty(1))
    sys.stderr = stream(2, "backslashreplace", line_buffering=True)


def give_up(capabilities: Sequence[int]) -> None:
    """Lose them, as `setpriv --bounding-set` loses them for the program that it starts."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    for number in capabilities:
        if libc.prctl(24, number, 0, 0, 0) != 0:  # PR_CAPBSET_DROP
            raise OSError(ctypes.get_errno(), "prctl")
    if libc.capget(header, sets) != 0:
        raise OSError(ctypes.get_errno(), "capget")
    for which in range(3):  # effective, permitted, inheritable: the lower half of each
        for number in capabilities:
            sets[which] &= ~(1 << number)
    if libc.capset(header, sets) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def stream(fd: int, errors: str, *, line_buffering: bool) -> io.TextIOWrapper:
    """A standard stream as the interpreter makes it, also where it is told not to buffer any."""
    raw = io.FileIO(fd, "w", closefd=False)
    unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))
    return io.TextIOWrapper(
        raw if unbuffered else io.BufferedWriter(raw),
        encoding="utf-8",
        errors=errors,
        line_buffering=line_buffering,
        write_through=unbuffered,
    )


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as asked:
        load()
        ordered = serve(asked)
    if ordered is not None:
        runpy.run_module(ordered.module, run_name="__main__", alter_sys=True)
