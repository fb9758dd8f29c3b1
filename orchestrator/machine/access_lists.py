"""Who may write a file by its POSIX access control list, which its mode does not tell: there the group's bits are the list's mask."""

from __future__ import annotations

import errno
import os
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ATTRIBUTE: Final = "system.posix_acl_access"
VERSION: Final = struct.pack("<I", 2)
ENTRY: Final = struct.Struct("<HHI")
"""Whom it is about (one of the tags below), what they may do, and their number: `struct posix_acl_xattr_entry` of Linux."""
USER, OWNING_GROUP, GROUP = 0x02, 0x04, 0x08
WRITE: Final = 0x02
_NONE: Final = (errno.ENODATA, errno.ENOTSUP, errno.EOPNOTSUPP) if sys.platform == "linux" else ()


@dataclass(frozen=True, slots=True)
class Writers:
    """Whom an access control list lets write, beside the owner and everybody."""

    owning_group: bool
    users: tuple[int, ...]
    groups: tuple[int, ...]


def writers(file: Path | int) -> Writers | None:
    """Whom the list of *file*, a path or a descriptor, lets write; None: it has none, so its mode says all.

    Other systems than Linux keep theirs elsewhere, and are not asked.

    Raises:
        OSError: The list cannot be read, or is of a version that nobody knows.
    """
    if sys.platform != "linux":
        return None
    try:
        data = os.getxattr(file, ATTRIBUTE)
    except OSError as error:
        if error.errno in _NONE:
            return None
        raise
    if data[:4] != VERSION or len(data) % ENTRY.size != len(VERSION):
        raise OSError(errno.EINVAL, "its access control list cannot be read", str(file))
    may_write = [(tag, number) for tag, allowed, number in ENTRY.iter_unpack(data[4:]) if allowed & WRITE]
    return Writers(
        owning_group=any(tag == OWNING_GROUP for tag, _ in may_write),
        users=tuple(number for tag, number in may_write if tag == USER),
        groups=tuple(number for tag, number in may_write if tag == GROUP),
    )
