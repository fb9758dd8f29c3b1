"""Ends the process groups that its owner leaves behind when it dies.

    python -I -S group_keeper.py GRACE GIVING_UP

Its stdin is a socket whose other end the owner has, and tells it by lines of the groups that begin (`+GROUP`) and have ended (`-GROUP`). The
kernel closes that end when the owner is gone, however it ended. Then what is left gets SIGTERM, GRACE seconds later SIGKILL, and is waited
for GIVING_UP seconds more. Whatever the owner gave it open (a lock) stays open until then. It says one byte when it is there.
"""

from __future__ import annotations

import os
import signal
import sys
import time

LOOK_AGAIN = 0.02  # seconds: the kernel tells nobody that a group is empty


def main() -> None:
    """Keep groups until the owner has gone."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # they are for the owner, whose end is waited for
    grace, giving_up = map(float, sys.argv[1:])
    os.write(0, b"\n")
    left = still_there(groups_left(), signal.SIGTERM)
    left = still_there(wait(left, grace), signal.SIGKILL)
    wait(left, giving_up)
    os._exit(0)


def groups_left() -> set[int]:
    """The groups that were at work when the owner's end of stdin was closed."""
    groups: set[int] = set()
    rest = b""
    while data := read():
        *words, rest = (rest + data).split(b"\n")
        for word in words:
            (groups.add if word.startswith(b"+") else groups.discard)(int(word[1:]))
    return groups


def read() -> bytes:
    """What the owner says next; nothing: it is gone."""
    try:
        return os.read(0, 65536)
    except ConnectionResetError:  # it had not heard what was said here
        return b""


def wait(groups: set[int], seconds: float) -> set[int]:
    """Those of *groups* that are still there when all have gone, or after so many seconds."""
    deadline = time.monotonic() + seconds
    while groups and time.monotonic() < deadline:
        time.sleep(LOOK_AGAIN)
        groups = still_there(groups, 0)
    return groups


def still_there(groups: set[int], number: int) -> set[int]:
    """Send signal *number* to each of *groups*; those that have anybody."""
    there = set()
    for group in groups:
        try:
            os.killpg(group, number)
        except ProcessLookupError:
            continue
        except PermissionError:  # somebody in it has changed their user: there, but not ours to end
            pass
        there.add(group)
    return there


if __name__ == "__main__":
    main()
