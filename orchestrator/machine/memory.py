"""What other processes can see of this one's memory: no more than has to be.

A hook works for the same user, and to the kernel that is reason enough to let it read our environment and memory in `/proc`. On Linux a
process can ask that this be left to root, and that none of its memory be written into a core file. The environment that it was
started with lies in its memory as it was given, whatever is unset later, so it is overwritten there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

_PR_SET_DUMPABLE: Final = 4  # linux/prctl.h
_ENV_START, _ENV_END = 47, 48  # proc_pid_stat(5), fields 50 and 51, counted from behind the command's name


def keep_from_others() -> None:
    """Let no other process of this user read this one's memory or environment, and write no core files. Linux; elsewhere core files alone."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    else:
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


def forget_variables(is_secret: Callable[[str, str], bool]) -> dict[str, str]:
    """Remove the variables whose name and value say that they are *is_secret* from the environment, and from the memory where it was handed over.

    Those that name a proxy stay: hooks need them as well.

    Returns:
        What was removed.
    """
    gone = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy") and is_secret(name, value)
    }
    if gone:
        for name in gone:
            del os.environ[name]
        with suppress(OSError, ValueError, IndexError):
            _overwrite([os.fsencode(name) for name in gone])
    return gone


def forget_environment() -> None:
    """Overwrite all values of the environment that this process was started with: it needs none of them any more."""
    names = [os.fsencode(name) for name in os.environ]
    with suppress(OSError, ValueError, IndexError):
        _overwrite(names)


def _overwrite(names: list[bytes]) -> None:
    """Overwrite the values of *names* in the block of memory that the kernel put them into."""
    if sys.platform != "linux":
        return
    import ctypes

    fields = Path("/proc/self/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    start, end = int(fields[_ENV_START]), int(fields[_ENV_END])
    if not 0 < start < end:
        return
    at = start
    for entry in ctypes.string_at(start, end - start).split(b"\0"):
        name, mark, value = entry.partition(b"=")
        if mark and name in names:
            ctypes.memset(at + len(name) + 1, ord("x"), len(value))
        at += len(entry) + 1
