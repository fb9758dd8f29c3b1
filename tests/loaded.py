"""A process that has loaded the program once. Commands are forks of it: processes of their own, without the start-up.

A new interpreter spends more processor time on imports than on what a test is about. The fork gets everything that a new
process gets: arguments, environment, working directory, streams, a terminal, signals as they were, and it ends as an
interpreter ends, except that it does not take down what was loaded, piece by piece: that takes several times as long as a
short command. `test_a_fork_answers_as_a_new_process_does` of tests/e2e holds the two together.

One such process does for all that do the tests: `ForAll` tells them where it is.
"""

from __future__ import annotations

import json
import os
import select
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Self

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to run: `python -m MODULE ARGV...`.

    *terminal*: stdin is one, and it becomes the process's own. *lacking*: capabilities, by their number, that neither it
    nor what it starts has. *user*: the number of the user and of the group that it works as, in no other group.
    """

    argv: Sequence[str]
    cwd: str
    environ: Mapping[str, str]
    module: str = "orchestrator"
    terminal: bool = False
    lacking: Sequence[int] = ()
    user: int | None = None


@dataclass(frozen=True, slots=True)
class ForShells:
    """The words that are the program where a script has them before its arguments, and the descriptors that its shell has to inherit."""

    command: str
    inherited: tuple[int, ...]


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
            with suppress(ProcessLookupError):  # it has just ended, and that is not known here yet
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


Process = subprocess.Popen[str] | Fork


class Loader:
    """Starts the process that loads the program as soon as somebody asks it, at *address*, a socket in *place*; it ends with this one."""

    def __init__(self, place: Path) -> None:
        self.address = str(place / "orders")
        # Its sets have another order than those of the processes that ask; and authorities take long to read.
        more = {
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "error",
            "PYTHONHASHSEED": "random",
            "SSL_CERT_FILE": os.devnull,
        }
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
            door.bind(self.address)
            door.listen(64)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.forking", str(door.fileno())],
                cwd=ROOT,
                env={**os.environ, **more},
                stdin=subprocess.PIPE,
                pass_fds=[door.fileno()],
            )

    def end(self) -> None:
        """End the process, now that nobody asks any more."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(60) == 0


class Loaded:
    """The process that has loaded the program, at the *address* of its socket."""

    def __init__(self, address: str) -> None:
        self._orders = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._orders.connect(address)

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

    def leave(self) -> None:
        """Ask it no more."""
        self._orders.close()


class ForAll:
    """Where several processes do the tests: the one that hands them out starts one `Loader` for all of them."""

    def __init__(self) -> None:
        self._place = tempfile.TemporaryDirectory(prefix="loaded-", ignore_cleanup_errors=True)
        self._loader = Loader(Path(self._place.name))

    def pytest_configure_node(self, node: Any) -> None:
        """Tell a process where it is."""
        node.workerinput["loaded"] = self._loader.address

    def pytest_unconfigure(self) -> None:
        """End it."""
        self._loader.end()
        self._place.cleanup()


@dataclass(slots=True)
class _Here:
    """What this process knows of it: where it is for all, else the one that it has started."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    address: str | None = None
    loader: Loader | None = None
    loaded: Loaded | None = None


_here = _Here()


def is_at(address: str) -> None:
    """Have this process ask the one at *address*, and start none."""
    _here.address = address


def loaded_program() -> Loaded | None:
    """The one of this test run; None where processes cannot be had so."""
    if sys.platform != "linux":
        return None
    with _here.lock:  # or else two threads might make one each, and drop the first one's with its forks
        if _here.loaded is None and _here.address is not None:
            _here.loaded = Loaded(_here.address)
        elif _here.loaded is None:
            with tempfile.TemporaryDirectory(prefix="loaded-") as place:
                _here.loader = Loader(Path(place))
                _here.loaded = Loaded(_here.loader.address)
        return _here.loaded


def no_more() -> None:
    """Ask for no more commands."""
    if _here.loaded is not None:
        _here.loaded.leave()
    if _here.loader is not None:
        _here.loader.end()
