"""Process groups that this process has begun, and that another one ends if this one dies.

    async with keeping(environ=os.environ, grace=5.0, giving_up=5.0) as groups:
        await groups.ready()
        process = ...               # begins a session of its own
        await groups.keep(process.pid)
        ...                         # it has ended
        groups.let_go(process.pid)

The other one (`group_keeper`) begins with the first group. While it is told of a group, that may end without a word from here: by
SIGKILL, for want of memory, or as whoever works here will not wait.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from subprocess import DEVNULL, Popen, TimeoutExpired

import anyio

from .threads import beside

_KEEPER = Path(__file__).with_name("group_keeper.py")
_COMES = 10.0  # seconds that it may take to come up, on a machine that is busy
_GOES = 5.0  # seconds that it may take to end when nothing is left to do
_WHAT = "the process that would end it if this one died"
_open: set[socket.socket] = set()


class NoKeeperError(OSError):
    """There can be no keeper, whatever is waited for."""


def _let_go_in_child() -> None:
    """A process that was forked may outlive its parent, of whose end the keeper would not hear then."""
    for line in _open:
        line.close()
    _open.clear()


os.register_at_fork(after_in_child=_let_go_in_child)


class KeptGroups:
    """The groups that are at work, and whoever would end them.

    Args:
        environ: The environment of the keeper, which needs none but what Python itself does.
        grace: Seconds between SIGTERM and SIGKILL.
        giving_up: Seconds from SIGKILL until a group is given up that the kernel does not let go of.
        descriptors: What the keeper has open until it has ended: locks.
        run: Does what blocks, out of the event loop's way.
    """

    def __init__(
        self,
        *,
        environ: Mapping[str, str],
        grace: float,
        giving_up: float,
        descriptors: Sequence[int] = (),
        run: Callable[[Callable[[], None]], Awaitable[None]] = beside,
    ) -> None:
        self._environ = environ
        self._times = grace, giving_up
        self._descriptors = tuple(descriptors)
        self._run = run
        self._groups: set[int] = set()
        self._process: Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._deaf = False  # it has not taken a word, so what it knows is not so any more
        self._changing = threading.Lock()
        self._speaking = threading.Lock()

    async def ready(self) -> None:
        """Return when there is a keeper: a new one, where there is none any more.

        Raises:
            NoKeeperError: There can be none.
            OSError: There can be none now: the machine lacks processes, files or memory for it.
        """
        if not self._is_there():
            with anyio.CancelScope(shield=True):
                await self._run(self._begin)

    async def keep(self, group: int) -> None:
        """*group* has begun: it is not to outlive this process."""
        with self._speaking:
            self._groups.add(group)
            told = self._say(f"+{group}\n")
        if not told:  # it has died since it was looked at
            with suppress(OSError):  # whoever begins a group next tries again
                await self.ready()

    def let_go(self, group: int) -> None:
        """*group* has ended: its number may soon be another's."""
        with self._speaking:
            self._groups.discard(group)
            self._say(f"-{group}\n")

    async def close(self) -> None:
        """Let the keeper end, and wait for that."""
        if self._process is not None:
            await self._run(self._end)

    def _is_there(self) -> bool:
        line = self._line
        if line is None or self._deaf:
            return False
        try:
            return line.recv(1) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    def _begin(self) -> None:
        with self._changing:
            if self._is_there():
                return
            self._put_away(at_once=True)
            ours, theirs = socket.socketpair()
            _open.add(ours)
            try:
                with theirs:
                    process = self._start(theirs)
                _hear(ours, process)
            except BaseException:
                _close(ours)
                raise
            with self._speaking:
                self._process, self._line, self._deaf = process, ours, False
                self._say("".join(f"+{group}\n" for group in self._groups))

    def _start(self, line: socket.socket) -> Popen[bytes]:
        if not sys.executable:
            raise NoKeeperError(f"{_WHAT} cannot be started: this program does not know where its Python is")
        grace, giving_up = self._times
        try:
            # Until it ignores them itself, signals to all of a service, or a terminal, are not to end it.
            with _blocked({signal.SIGINT, signal.SIGTERM, signal.SIGHUP}):
                return Popen(  # noqa: S603 - a file of ours
                    [sys.executable, "-I", "-S", str(_KEEPER), f"{grace:g}", f"{giving_up:g}"],
                    stdin=line.fileno(),
                    stdout=DEVNULL,
                    stderr=DEVNULL,
                    cwd="/",
                    env=self._environ,
                    pass_fds=self._descriptors,
                    start_new_session=True,
                )
        except (FileNotFoundError, PermissionError) as error:
            raise NoKeeperError(f"{_WHAT} cannot be started: {sys.executable}: {error.strerror}") from error

    def _end(self) -> None:
        with self._changing:
            self._put_away(at_once=self._deaf)

    def _put_away(self, *, at_once: bool) -> None:
        """Let the keeper that there was end; *at_once*: it knows too little, and must not end what goes on."""
        with self._speaking:
            process, line = self._process, self._line
            self._process = self._line = None
        if process is None or line is None:
            return
        if at_once:
            process.kill()
            _wait(process, _GOES)
        _close(line)
        if not _wait(process, _GOES + (sum(self._times) if self._groups else 0.0)):
            process.kill()
            _wait(process, _GOES)

    def _say(self, words: str) -> bool:
        """Whether the keeper has, or will have, heard *words*."""
        if self._line is None or self._deaf:
            return False
        try:
            self._deaf = self._line.send(words.encode()) != len(words)
        except OSError:
            self._deaf = True
        return not self._deaf


def _hear(line: socket.socket, process: Popen[bytes]) -> None:
    """Return when the keeper has said at *line* that it is there.

    Raises:
        NoKeeperError: It says nothing.
    """
    line.settimeout(_COMES)
    said = b""
    with suppress(OSError):
        said = line.recv(1)
    if said != b"\n":
        process.kill()
        _wait(process, _GOES)
        raise NoKeeperError(f"{_WHAT} did not come up: is {sys.executable} a Python?")
    line.setblocking(False)


def _wait(process: Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except TimeoutExpired:
        return False
    return True


def _close(line: socket.socket) -> None:
    _open.discard(line)
    line.close()


@contextmanager
def _blocked(signals: set[signal.Signals]) -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@asynccontextmanager
async def keeping(
    *,
    environ: Mapping[str, str],
    grace: float,
    giving_up: float,
    descriptors: Sequence[int] = (),
    run: Callable[[Callable[[], None]], Awaitable[None]] = beside,
) -> AsyncIterator[KeptGroups]:
    """Keep groups while the context lasts; see `KeptGroups`."""
    groups = KeptGroups(environ=environ, grace=grace, giving_up=giving_up, descriptors=descriptors, run=run)
    try:
        yield groups
    finally:
        with anyio.CancelScope(shield=True):
            await groups.close()
