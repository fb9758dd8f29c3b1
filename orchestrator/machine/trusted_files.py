"""Files that decide what is done: read whole, when this user or root alone can have put them there."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from .ownership import refuse_exchanged, refuse_foreign, refuse_foreign_place
from .regular_files import open_regular, whole

_read: set[Path] = set()
"""The files that were read here, by their whole names."""


def read_bytes(path: Path) -> bytes:
    """The bytes of *path*, at most 64 MiB.

    Raises:
        ForeignFileError: Somebody else can have put it there, or can change it, or exchanged it meanwhile.
        OSError, ValueError: It is no regular file, cannot be read, is too large, or its name is impossible.
    """
    with open_regular(path) as file:
        opened = os.fstat(file.fileno())
        refuse_foreign(path, opened, descriptor=file.fileno())
        refuse_exchanged(path, opened, refuse_foreign_place(path))
        data = whole(file)
    with suppress(OSError):  # the working directory is gone
        _read.add(path.absolute())
    return data


def is_read(path: Path) -> bool:
    """Whether *path* is, under whatever name, a file that was read here: what is written there would be in its place."""
    for each in tuple(_read):
        with suppress(OSError):  # one of them is not there (any more)
            if each.samefile(path):
                return True
    return False
