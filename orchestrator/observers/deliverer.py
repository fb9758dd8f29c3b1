"""The processes that take messages to their receivers, with bounds for their memory and their time (`delivery`)."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

MEMORY: Final = 128 * 1024 * 1024
"""Bytes of memory (RLIMIT_DATA) that a process may use; apprise itself needs a third. Linux; elsewhere the time is the only bound."""

NOT_ACCEPTED: Final = "was not accepted"
NOT_KNOWN: Final = "apprise does not know such an address"

HIDDEN: Final = b"\n"
"""What the process says when nobody else can read its memory any more."""
COMMAND: Final = struct.Struct("=ci")
"""A command to it: its letter, and the process that it is about."""
FORK, WAIT, KILL = b"f", b"w", b"k"
ANSWER: Final = struct.Struct("=i")
"""What it answers: the new process, or how one has ended."""
AT_WORK: Final = -1000
"""What it answers of one that has not ended."""


def main() -> None:
    """Be the process that those are forked from which deliver: hidden from the beginning, as they are. Ends with whoever has started it.

    Who has opened the memory of a process before it hides reads on in it, and a program that is started takes a moment until it can hide. So
    what delivers is not started, when hooks may be waiting for it, but forked from what has been hidden since before the first of them.
    """
    from ..machine.memory import keep_from_others

    keep_from_others()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # they are for the run, which tells how it ends
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    with socket.socket(fileno=os.dup(0)) as control:
        with Path(os.devnull).open("rb") as nothing:
            os.dup2(nothing.fileno(), 0)  # what a plugin starts has no part in this
        control.sendall(HIDDEN)
        while True:
            told, descriptors, _, _ = socket.recv_fds(control, COMMAND.size, 1)
            if len(told) < COMMAND.size:
                os._exit(0)  # what a plugin has left running is waited for by nobody
            command, process = COMMAND.unpack(told)
            control.sendall(
                ANSWER.pack(_forked(control, descriptors[0]) if command == FORK else _end_of(process, command))
            )


def _forked(control: socket.socket, line: int) -> int:
    """A new process that takes orders from *line*."""
    child = os.fork()
    if child:
        os.close(line)
        return child
    try:
        control.close()
        _take_orders(line)
    finally:
        os._exit(1)  # nothing of what its parent does is done here


def _end_of(process: int, command: bytes) -> int:
    """How *process* has ended, which it has to where *command* says so."""
    if command == KILL:
        os.kill(process, signal.SIGKILL)
    ended, status = os.waitpid(process, 0 if command == KILL else os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else AT_WORK


def _take_orders(descriptor: int) -> NoReturn:
    """Take orders from the socket *descriptor* and answer them there, until there are no more."""
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    bound = MEMORY if most == resource.RLIM_INFINITY else min(MEMORY, most)
    resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))
    with socket.socket(fileno=descriptor) as line, line.makefile("rb") as orders:
        for order in map(json.loads, orders):
            signal.setitimer(signal.ITIMER_REAL, order["patience"])  # also where nobody is left who would kill it
            line.sendall(json.dumps(deliver(order["urls"], order["message"])).encode() + b"\n")
            signal.setitimer(signal.ITIMER_REAL, 0)
    os._exit(0)


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
