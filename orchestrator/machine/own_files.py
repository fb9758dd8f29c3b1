"""Files that this program keeps: made for their owner alone, written without following a link that somebody has planted."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from pathlib import Path

from .ownership import ForeignFileError, refuse_foreign
from .regular_files import LARGEST_BYTES

PRIVATE = 0o600
PRIVATE_DIRECTORY = 0o700
_KEPT = 40  # characters of a file's name in that of the one that replaces it: no longer than the system's 255 bytes, whatever it is


def make_directory(path: Path) -> None:
    """Make the directory *path*, for its owner alone, where there is none; one that is there has to be ours.

    Raises:
        ForeignFileError: It is a link, or others can write in it.
        OSError: It cannot be made.
    """
    try:
        make_way(path)
    except FileExistsError:  # it is no directory
        refuse_link(path)
        raise
    refuse_link(path)
    refuse_foreign(path, path.stat(), ours_alone=True)


def make_way(path: Path) -> None:
    """Make the directory *path* and those above it that are not there, each for its owner alone whatever the umask.

    Raises:
        OSError: One cannot be made.
    """
    try:
        _make_one(path)
    except FileNotFoundError:
        if path.parent == path:
            raise
        make_way(path.parent)
        _make_one(path)


def _make_one(path: Path) -> None:
    try:
        path.mkdir(mode=PRIVATE_DIRECTORY)
    except FileExistsError:
        if not path.is_dir():
            raise
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & PRIVATE_DIRECTORY != PRIVATE_DIRECTORY:  # the umask leaves not even its owner's bits
        path.chmod(mode | PRIVATE_DIRECTORY)


def open_own(path: Path, flags: int) -> int:
    """Open *path* as `os.open` does with *flags*; a new file is its owner's alone.

    Raises:
        ForeignFileError: It is a link, has a second name, or somebody else can write it.
        OSError: It cannot be opened.
    """
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, PRIVATE)
    except OSError as error:
        if error.errno == errno.ELOOP:
            refuse_link(path)
        raise
    try:
        _refuse_unusual(path, descriptor)
        if flags & os.O_CREAT:
            let_its_owner(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def let_its_owner(descriptor: int) -> None:
    """Give the owner of *descriptor*, a file of ours that may be new, what the umask has not left them of its mode."""
    mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
    if mode & PRIVATE != PRIVATE:
        os.fchmod(descriptor, mode | PRIVATE)


def read_own(path: Path) -> bytes:
    """The bytes of *path*, a file that this program keeps, at most `LARGEST_BYTES` of them.

    Raises:
        ForeignFileError: It is a link, has a second name, or somebody else can write it.
        OSError: It cannot be read, or is larger.
    """
    with os.fdopen(open_own(path, os.O_RDONLY), "rb") as file:
        data = file.read(LARGEST_BYTES + 1)
    if len(data) > LARGEST_BYTES:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return data


def _refuse_unusual(path: Path, descriptor: int) -> None:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    if status.st_nlink > 1:
        raise ForeignFileError(
            path, "has a second name (a hard link), so another file would be written with it: remove it"
        )
    refuse_foreign(path, status, descriptor=descriptor)


def refuse_link(path: Path) -> None:
    """Return when *path* is no symbolic link.

    Raises:
        ForeignFileError: It is one.
    """
    if path.is_symlink():
        raise ForeignFileError(
            path,
            f"is a symbolic link (to {path.readlink()}), and nothing is written through one here: put what is there in its "
            "place, if that is yours, or remove it",
        )


def refuse_irregular(path: Path) -> None:
    """Return when a file may be put at *path*: nothing is there, or a file, or a link to one or to nowhere.

    Raises:
        OSError: Something else is (a directory, a device, a pipe), or *path* cannot be looked at.
    """
    for look in (path.lstat, path.stat):
        try:
            mode = look().st_mode
        except FileNotFoundError:
            return
        if stat.S_ISDIR(mode) and look == path.lstat:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))


def replace_file(path: Path, data: bytes, *, mode: int | None) -> None:
    """Put *data* at *path*, whole or not at all, synced; a link at *path* is replaced and not followed.

    *mode*: the file's, exactly; None: what the umask leaves of 0666, as for any file that a program makes.

    Raises:
        OSError: It cannot be written, or a device, a pipe or a socket is there, or where a link there leads.
    """
    refuse_irregular(path)
    temporary = path.with_name(f".{path.name[:_KEPT]}.{secrets.token_hex(6)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o666 if mode is None else PRIVATE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
