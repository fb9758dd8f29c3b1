"""Takes messages to their receivers by apprise (extra `notify`), in processes of their own.

What a receiver answers is read by whatever library its address needs (`requests`, `smtplib`, a plugin's own), which takes in as much as
comes for as long as it comes. So it is read where that can hurt nobody: in a process that may use so much memory, and so much time for a message, and
is killed when nobody waits for it any more. Only there is apprise loaded at all.

Redirects are not followed, as body and headers would go where the receiver says, secrets included; an address that has `redirect=yes`
asks for that itself. `~/.netrc` is not read: its passwords are for other programs, and no redactor here knows them. Proxies are those of the environment.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Final

from .deliverer import ANSWER, AT_WORK, COMMAND, FORK, HIDDEN, KILL, WAIT

PATIENCE: Final = 120.0
"""Seconds that a message may take: an address may have a list of people, whom apprise tells one after another, with a pause."""

TOO_LATE: Final = "no answer in time"
BROKE_OFF: Final = "the process that delivers it has failed"

_ANSWERS_WITHIN: Final = 10.0  # seconds for what takes some milliseconds
_LOOK_EVERY: Final = 0.02  # seconds between two looks whether a process has ended

_START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from orchestrator.observers.deliverer import main; main()"
_PACKAGES = Path(__file__).parents[2]


class Depot:
    """The process that those are forked from which deliver (`deliverer`): one for a run, begun before its hooks are.

    Where it cannot be started, or has ended, nothing is delivered: another one, begun beside hooks, could be looked into.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: Popen[bytes] | None = None
        self._trouble: OSError | None = None
        # Others of the same user could open a pipe of the process by its name in /proc before it hides; a socket they cannot.
        self._control, theirs = socket.socketpair()
        self._control.settimeout(_ANSWERS_WITHIN)
        with theirs:
            try:
                self._process = Popen(  # noqa: S603 - this module
                    [sys.executable, "-P", "-c", _START, str(_PACKAGES)],
                    stdin=theirs.fileno(),
                    stdout=DEVNULL,  # plugins write what they like
                    stderr=DEVNULL,
                    env={**os.environ, "NETRC": os.devnull},
                    start_new_session=True,  # Ctrl-C on the terminal is for the run
                )
                if self._control.recv(1) != HIDDEN:
                    self._trouble = BrokenPipeError()
            except OSError as error:
                self._trouble = error

    def fork(self, line: socket.socket) -> int:
        """A new process, which takes orders from *line*.

        Raises:
            OSError: There is none.
        """
        return self._asked(FORK, 0, line.fileno())

    def end_of(self, process: int, *, kill: bool = False) -> int | None:
        """How *process* has ended; None: it has not. *kill*: it has to.

        Raises:
            OSError: The depot itself has ended.
        """
        code = self._asked(KILL if kill else WAIT, process)
        return None if code == AT_WORK else code

    def close(self) -> None:
        """End it. Those that still deliver end by themselves, as nobody has orders for them."""
        with self._lock:
            self._control.close()
            self._trouble = BrokenPipeError()
            if self._process is not None:
                self._process.kill()
                self._process.wait()

    def _asked(self, command: bytes, process: int, *descriptors: int) -> int:
        with self._lock:
            if self._trouble is None:
                try:
                    socket.send_fds(self._control, [COMMAND.pack(command, process)], descriptors)
                    answer = self._control.recv(ANSWER.size)
                except (
                    OSError
                ) as error:  # nothing more is asked: what is answered late would be taken for the answer to that
                    self._trouble = error
                else:
                    if len(answer) == ANSWER.size:
                        return int(ANSWER.unpack(answer)[0])
                    self._trouble = BrokenPipeError()
            raise self._trouble


class Courier:
    """Takes messages to their receivers, one at a time, in a process that begins with the first and ends with `rest`.

    Args:
        depot: What the process is forked from.
        patience: Seconds that a message may take.
    """

    def __init__(self, depot: Depot, patience: float = PATIENCE) -> None:
        self._depot = depot
        self._patience = patience
        self._lock = threading.Lock()
        self._process: int | None = None
        self._line: socket.socket | None = None
        self.stopped = False

    def carry(self, urls: Sequence[str], message: Mapping[str, str] | None) -> list[str | None]:
        """Take *message* to each of *urls*, or only look whether apprise knows them (None).

        Returns:
            What went wrong with each of them; None: nothing.
        """
        order = {"urls": list(urls), "message": message and dict(message), "patience": self._patience}
        try:
            line = self._line or self._begin()
            line.sendall(json.dumps(order).encode() + b"\n")
            troubles: list[str | None] = json.loads(self._read_line(line))
        except (OSError, ValueError) as error:  # no process can be started; it has ended; nothing comes
            late = self._end() == -signal.SIGALRM or isinstance(error, TimeoutError)
            troubles = [TOO_LATE if late else f"{BROKE_OFF} ({type(error).__name__})"] * len(urls)
        if any(troubles):
            self.rest()  # the next message begins with a new one
        return troubles

    def rest(self) -> None:
        """No further message waits: let the process go."""
        self._end(grace=1.0)

    def stop(self) -> None:
        """Give up what is under way; nothing is delivered any more."""
        with self._lock:
            self.stopped = True
            if self._process is not None:
                with suppress(ProcessLookupError):
                    os.kill(self._process, signal.SIGKILL)

    def _begin(self) -> socket.socket:
        line, theirs = socket.socketpair()
        self._line = line
        line.settimeout(self._patience)
        with theirs, self._lock:
            if self.stopped:
                raise BrokenPipeError
            self._process = self._depot.fork(theirs)
        return line

    @staticmethod
    def _read_line(line: socket.socket) -> bytes:
        answer = b""
        while not answer.endswith(b"\n"):
            part = line.recv(65536)
            if not part:
                raise BrokenPipeError
            answer += part
        return answer

    def _end(self, grace: float = 0.0) -> int | None:
        """End the process, if there is one, *grace* seconds after it was told at the latest; how it has ended."""
        if self._line is not None:
            self._line.close()
            self._line = None
        until = time.monotonic() + grace
        while True:
            with self._lock:  # nobody kills a process that has been waited for: another one may have its number
                if self._process is None:
                    return None
                try:
                    code = self._depot.end_of(self._process, kill=time.monotonic() >= until)
                except OSError:  # the depot is gone, and whoever waits for orphans does so for this one
                    code = 1
                if code is not None:
                    self._process = None
                    return code
            time.sleep(_LOOK_EVERY)
