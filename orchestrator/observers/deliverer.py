"""The process that takes messages to their receivers, with bounds for its memory and its time (`delivery`)."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

MEMORY: Final = 128 * 1024 * 1024
"""Bytes of memory (RLIMIT_DATA) that a process may use; apprise itself needs a third. Linux; elsewhere the time is the only bound."""

NOT_ACCEPTED: Final = "was not accepted"
NOT_KNOWN: Final = "apprise does not know such an address"

HIDDEN = b"\n"  # what the process says when nobody else can read its memory any more, and it may be told secrets


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
        line.sendall(HIDDEN)
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
