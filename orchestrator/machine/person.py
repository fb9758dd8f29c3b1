"""Who is at the keyboard, and where they live."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping
from pathlib import Path


def who_am_i() -> str:
    """`user@host (pid N)`: for lock files, and for events that people cause."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()} (pid {os.getpid()})"


def home_of(environ: Mapping[str, str]) -> Path | None:
    """The home directory that *environ* names, else that of this user; None: there is none (a container's user without a name)."""
    if environ.get("HOME"):
        return Path(environ["HOME"])
    try:
        return Path.home()
    except RuntimeError:
        return None
