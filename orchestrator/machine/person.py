"""Who is at the keyboard."""

from __future__ import annotations

import getpass
import os
import socket


def who_am_i() -> str:
    """`user@host (pid N)`: for lock files, and for events that people cause."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()} (pid {os.getpid()})"
