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
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, Popen, TimeoutExpired
from typing import Final

from .deliverer import HIDDEN

PATIENCE: Final = 120.0
"""Seconds that a message may take: an address may have a list of people, whom apprise tells one after another, with a pause."""

TOO_LATE: Final = "no answer in time"
BROKE_OFF: Final = "the process that delivers it has failed"

_START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from orchestrator.observers.deliverer import main; main()"
_PACKAGES = Path(__file__).parents[2]


class Courier:
    """Takes messages to their receivers, one at a time, in a process that begins with the first and ends with `rest`.

    Args:
        patience: Seconds that a message may take.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._lock = threading.Lock()
        self._process: Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self.stopped = False

    def carry(self, urls: Sequence[str], message: Mapping[str, str] | None) -> list[str | None]:
        """Take *message* to each of *urls*, or only look whether apprise knows them (None).

        Returns:
            What went wrong with each of them; None: nothing.
        """
        order = {"urls": list(urls), "message": message and dict(message)}
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
                self._process.kill()

    def _begin(self) -> socket.socket:
        # Others of the same user could open a pipe of the process by its name in /proc before it hides; a socket they cannot.
        line, theirs = socket.socketpair()
        self._line = line
        line.settimeout(self._patience)
        with theirs, self._lock:
            if self.stopped:
                raise BrokenPipeError
            self._process = Popen(  # noqa: S603 - this module
                [sys.executable, "-P", "-c", _START, str(_PACKAGES), f"{self._patience:g}"],
                stdin=theirs.fileno(),
                stdout=DEVNULL,  # plugins write what they like
                stderr=DEVNULL,
                env={**os.environ, "NETRC": os.devnull},
                start_new_session=True,  # Ctrl-C on the terminal is for the run
            )
        if line.recv(1) != HIDDEN:
            raise BrokenPipeError
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
        process = self._process
        if process is None:
            return None
        with suppress(TimeoutExpired):
            process.wait(grace)
        process.kill()
        code = process.wait()
        with self._lock:
            self._process = None
        return code
