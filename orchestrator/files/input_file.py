"""Bytes and text of a file somebody wrote by hand; whatever goes wrong is a mistake in the input, never a traceback."""

from __future__ import annotations

import codecs
import errno
import os
import stat
from pathlib import Path

from ..core.errors import InputError, Problem
from ..machine.ownership import ForeignFileError, refuse_foreign, refuse_foreign_place

LARGEST_BYTES = 64 * 1024 * 1024


class SpecialFileError(OSError):
    """Raised for a pipe, device or socket in a file's place."""


def why_unreadable(error: OSError | ValueError) -> str:
    """Why a file could not be read, in plain English."""
    match error:
        case FileNotFoundError() | NotADirectoryError():
            return "does not exist"
        case IsADirectoryError():
            return "is a directory, expected a file"
        case SpecialFileError():
            return f"is {error.strerror}, expected a file"
        case ForeignFileError():
            return str(error.strerror)
        case PermissionError():
            return "may not be read: permission denied"
        case OSError():
            return f"cannot be read: {(error.strerror or 'input/output error').lower()}"
        case _:
            return "is not a usable file name"


def read_bytes(path: Path) -> bytes:
    """The bytes of *path*, at most 64 MiB.

    Raises:
        OSError, ValueError: It is no regular file, somebody else's, cannot be read, is too large, or its name is impossible (see
            `why_unreadable`).
    """
    _refuse_special(path, path.stat())  # before it is opened: a pipe would wait for its writer, a tape would rewind
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
        _refuse_special(path, os.fstat(file.fileno()))
        refuse_foreign(path, os.fstat(file.fileno()))
        refuse_foreign_place(path)
        data = file.read(LARGEST_BYTES + 1)
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


def read_input(path: Path) -> bytes:
    """The bytes of *path*.

    Raises:
        InputError: The file is missing, a directory, unreadable or larger than 64 MiB.
    """
    try:
        return read_bytes(path)
    except (OSError, ValueError) as error:
        raise InputError(problems=[Problem(file=str(path), line=0, key="", message=why_unreadable(error))]) from error


def decode(data: bytes, file: str) -> str:
    """*data* as text; a byte order mark is dropped.

    Raises:
        InputError: *data* is not UTF-8; the problem names *file* and the line of the first bad byte.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            message = "is not UTF-8 but UTF-16, as some programs of Windows write it; save the file as UTF-8"
            raise InputError(problems=[Problem(file=file, line=1, key="", message=message)]) from error
        line = data.count(b"\n", 0, error.start) + 1
        message = f"is not UTF-8: byte 0x{data[error.start]:02x} does not belong here; save the file as UTF-8"
        raise InputError(problems=[Problem(file=file, line=line, key="", message=message)]) from error
