"""Files that are files: a pipe waits for its writer, a device may have no end, and neither is what somebody meant."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

LARGEST_BYTES: Final = 64 * 1024 * 1024
"""Nothing that this program reads is larger, unless somebody means it ill."""


class SpecialFileError(OSError):
    """Raised for a pipe, device or socket in a file's place."""


@contextmanager
def open_regular(path: Path) -> Iterator[BinaryIO]:
    """*path*, opened for reading, at once.

    Raises:
        OSError: It is no regular file, or cannot be opened.
        ValueError: Its name is impossible.
    """
    _refuse_special(path, path.stat())  # before it is opened: a pipe would wait for its writer, a tape would rewind
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
        _refuse_special(path, os.fstat(file.fileno()))
        yield file


def whole(file: BinaryIO) -> bytes:
    """What is in *file*, at most 64 MiB.

    Raises:
        OSError: It is more, or cannot be read.
    """
    data: bytes | None = file.read(LARGEST_BYTES + 1)
    if data is None:  # some files of /proc have nothing to give at the moment
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), file.name)
    if len(data) > LARGEST_BYTES:
        raise OSError(0, f"it is larger than {LARGEST_BYTES // 1024 // 1024} MiB")
    return data


def _refuse_special(path: Path, status: os.stat_result) -> None:
    """Raise where *status* is of something that has no end, or no content."""
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(status.st_mode):
        kinds = {stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket"}
        raise SpecialFileError(errno.EINVAL, kinds.get(stat.S_IFMT(status.st_mode), "something else"), str(path))
