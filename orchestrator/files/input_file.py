"""Bytes and text of a file somebody wrote by hand; whatever goes wrong is a mistake in the input, never a traceback."""

from __future__ import annotations

import codecs
from pathlib import Path

from ..core.errors import InputError, Problem
from ..machine.ownership import ForeignFileError
from ..machine.regular_files import SpecialFileError
from ..machine.trusted_files import read_bytes


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
            why = error.strerror or "input/output error"
            return f"cannot be read: {why[:1].lower()}{why[1:]}"
        case _:
            return "is not a usable file name"


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
