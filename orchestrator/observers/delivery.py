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
import resource
import signal
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, Popen, TimeoutExpired
from typing import Any, Final

MEMORY: Final = 128 * 1024 * 1024
"""Bytes of memory (RLIMIT_DATA) that a process may use; apprise itself needs a third. Linux; elsewhere the time is the only bound."""

PATIENCE: Final = 120.0
"""Seconds that a message may take: an address may have a list of people, whom apprise tells one after another, with a pause."""

NOT_ACCEPTED: Final = "was not accepted"
NOT_KNOWN: Final = "apprise does not know such an address"
TOO_LATE: Final = "no answer in time"
BROKE_OFF: Final = "the process that delivers it has failed"

_START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from orchestrator.observers.delivery import main; main()"
_PACKAGES = Path(__file__).parents[2]
_HIDDEN = b"\n"  # what the process says when nobody else can read its memory any more, and it may be told secrets


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
        if line.recv(1) != _HIDDEN:
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


def main() -> None:
    """Be the process: say that it is hidden, then take orders from stdin and answer them there, until there are no more."""
    from ..machine.memory import keep_from_others

    keep_from_others()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # they are for the run, which tells how it ends
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    bound = MEMORY if most == resource.RLIM_INFINITY else min(MEMORY, most)
    resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))
    patience = float(sys.argv[1])
    with socket.socket(fileno=os.dup(0)) as line, line.makefile("rb") as orders:
        with Path(os.devnull).open("rb") as nothing:
            os.dup2(nothing.fileno(), 0)  # what a plugin starts has no part in this
        line.sendall(_HIDDEN)
        for order in map(json.loads, orders):
            signal.setitimer(signal.ITIMER_REAL, patience)  # also where nobody is left who would kill it
            line.sendall(json.dumps(deliver(order["urls"], order["message"])).encode() + b"\n")
            signal.setitimer(signal.ITIMER_REAL, 0)
    os._exit(0)  # what a plugin has left running is waited for by nobody


def deliver(urls: Sequence[str], message: Mapping[str, str] | None) -> list[str | None]:
    """What went wrong with *message* for each of *urls*; without a message, with the address itself. None: nothing."""
    import apprise

    asset = apprise.AppriseAsset(http_redirects=False)
    return [_deliver(apprise, asset, url, message) for url in urls]


def _deliver(apprise: Any, asset: Any, url: str, message: Mapping[str, str] | None) -> str | None:
    one = apprise.Apprise(asset=asset)
    if not one.add(url):
        return NOT_KNOWN
    if message is None:
        return None
    try:
        taken = one.notify(
            body=message["body"],
            title=message["title"],
            notify_type=message["kind"],
            body_format=apprise.NotifyFormat.TEXT,
        )
    except Exception as error:  # noqa: BLE001 - a hundred plugins raise what they like, and its text may hold the address
        return type(error).__name__
    return None if taken else NOT_ACCEPTED
