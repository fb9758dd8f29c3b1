"""The log file, opened for adding to it: nobody else may have put it there, nor get to hold what is written."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from ...core.errors import InputError
from ...machine.own_files import PRIVATE, let_its_owner
from ...machine.ownership import (
    refuse_exchanged,
    refuse_foreign,
    refuse_foreign_links,
    refuse_foreign_owner,
    refuse_foreign_place,
)

_STANDARD = (0, 1, 2)


def open_log_file(file: Path) -> int:
    """A descriptor of *file*, which is made, for its owner alone, where it is not there.

    Raises:
        InputError: It cannot be opened, or is somebody else's, or others could write it.
    """
    try:
        # One that somebody has planted leads to a file of ours, which the log would be added to.
        refuse_foreign_links(file)
        descriptor = _opened(file)
    except OSError as error:
        why = "it is a pipe that nobody reads, or a socket" if error.errno == errno.ENXIO else error.strerror
        raise InputError(f"log file {file}: cannot be opened: {why}") from error
    try:
        status = os.fstat(descriptor)
        refuse_exchanged(file, status, refuse_foreign_links(file))  # or by one that was put there for the opening alone
        _refuse_theirs(file, status, descriptor)
    except OSError as error:
        os.close(descriptor)
        raise InputError(f"log file {file}: {error.strerror}") from error
    os.set_blocking(descriptor, True)
    return descriptor


def _opened(file: Path) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        descriptor = os.open(file, flags | os.O_CREAT | os.O_EXCL, PRIVATE)
    except FileExistsError:
        return os.open(file, flags | os.O_CREAT, PRIVATE)  # also a link that leads to nothing yet
    let_its_owner(descriptor)
    return descriptor


def _refuse_theirs(file: Path, status: os.stat_result, descriptor: int) -> None:
    """Return when what was opened is this user's to log to.

    Raises:
        OSError: It is not.
    """
    if stat.S_ISBLK(status.st_mode):
        raise OSError(errno.EINVAL, "it is a disk, which would be overwritten")
    if _is_given(status):
        return
    if stat.S_ISCHR(status.st_mode):
        # Everybody may write to /dev/null and /dev/tty. But who owns a terminal reads what comes there.
        refuse_foreign_owner(file, status)
        return
    refuse_foreign(file, status, descriptor=descriptor)  # who made a pipe has the log, as far as he likes to read
    if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
        refuse_foreign_place(file)  # where others may add names, this may be theirs for another file of ours


def _is_given(status: os.stat_result) -> bool:
    """Whether it is a pipe or a terminal that this process was started with (`/dev/stderr`), which may be somebody else's: `sudo` leaves it so."""
    if stat.S_ISREG(status.st_mode):
        return False
    for number in _STANDARD:
        with suppress(OSError):
            if os.path.samestat(status, os.fstat(number)):
                return True
    return False
