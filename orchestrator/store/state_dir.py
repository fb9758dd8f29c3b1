"""A state directory that the system does not let us use: what to say about it."""

from __future__ import annotations

import errno
import os
import pwd
import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from ..core.errors import JournalError
from ..machine.own_files import refuse_link
from ..machine.ownership import ForeignFileError, refuse_foreign, refuse_foreign_place

RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What a run is called, as files are called after it."""

_AS_MEANT = "or see whether `state_dir` (`--state-dir`) names the one that was meant"
_LOOK_AT_THE_DISK = "look at the disk or mount (`dmesg`, `findmnt -T`)"
_MAKE_ROOM = "make room"
_PUT_BACK = f"see what is there and put it back as it was, {_AS_MEANT}"
_NO_LOCKS = "its file system gives no locks: mount it with them, or move the whole directory to a local disk while nothing works in it"
_REMEDIES: Final = {
    errno.ENOSPC: _MAKE_ROOM,
    errno.EDQUOT: _MAKE_ROOM,
    errno.EMFILE: "this process may have no more files open: raise `ulimit -n` (`LimitNOFILE=` of systemd)",
    errno.ENFILE: "this machine may have no more files open: raise `fs.file-max`, or end what has so many",
    errno.ENOMEM: "this machine has no memory left: end what takes so much",
    errno.EROFS: "its file system is mounted read-only: see why (`dmesg`), and mount it as it was",
    errno.ENOLCK: _NO_LOCKS,
    errno.EOPNOTSUPP: _NO_LOCKS,
    **dict.fromkeys(
        (errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EINVAL, errno.ENAMETOOLONG),
        _PUT_BACK,
    ),
}
"""What is to be done, by what the system says. What has no line here is the disk's or the mount's (EIO, ESTALE and their like)."""


def part_of_path(run_id: str) -> str:
    """*run_id*, after which a file or directory may be called.

    Raises:
        JournalError: It is no run's, and would lead elsewhere. Whoever hands somebody a journal chooses what is in it.
    """
    if RUN_ID.fullmatch(run_id) is None:
        raise JournalError(
            f"the journal has a run {run_id[:64]!r}, and no run is called so: the file is damaged, or not this program's; restore a copy"
        )
    return run_id


def unusable(path: Path, error: OSError) -> JournalError:
    """*error*, met at *path* in a state directory, in the words of an operator.

    Whatever it is, nobody is sent to another directory: what is there may belong to somebody's runs, and another one would know
    nothing of their PUTs. That they may all be over, or that there were none, cannot be told from here.
    """
    reason = error.strerror or str(error)
    if isinstance(error, ForeignFileError):
        return JournalError(f"{error.filename}: {reason}")
    if not isinstance(error, PermissionError):
        try:
            refuse_link(path)
        except ForeignFileError as link:
            return unusable(path, link)
        except OSError:  # what is there cannot be seen: what the system has said of it stands
            pass
        return JournalError(f"{error.filename or path}: {reason}: {_REMEDIES.get(error.errno or 0, _LOOK_AT_THE_DISK)}")
    if _is_missing(path.parent):
        return JournalError(
            f"{path.parent}: {reason}: it cannot be made: make it and give it to your user, {_AS_MEANT}"
        )
    owner = _other_owner(path)
    if owner is not None:
        return JournalError(
            f"{path}: {reason}: the state directory belongs to {owner}: use the same user as the runs in it "
            "(another directory knows nothing of them)"
        )
    return JournalError(f"{path}: {reason}: check the permissions, also of the directories above")


def refuse_foreign_state(journal: Path, *beside: str, written: bool = False) -> None:
    """Return when nobody else has a hand in the state directory of *journal*, what lies above it, this file and those *beside* it.

    *written*: they will be written, so none may have a second name. Copies that are only read may: backups share what did not change.

    Raises:
        ForeignFileError: Somebody has.
        OSError: It cannot be seen, or is no regular file.
    """
    state_dir = journal.parent
    with suppress(FileNotFoundError):  # what is there of the way has been looked at then
        refuse_foreign(state_dir, refuse_foreign_place(state_dir), ours_alone=True)
    for file in (journal, *(journal.with_name(journal.name + end) for end in beside)):
        refuse_link(file)
        # The last of other processes that closes the journal takes those beside it away.
        with suppress(FileNotFoundError):
            status = file.stat()
            refuse_foreign(file, status)
            if not stat.S_ISREG(status.st_mode):  # SQLite would wait for a pipe's writer, and no signal would end that
                raise OSError(errno.EINVAL, "is no regular file", str(file))
            if written and status.st_nlink > 1:
                raise ForeignFileError(
                    file,
                    "has a second name (a hard link), and whoever reads or writes there reads or writes the runs: "
                    f"remove that other name, not this file (find / -xdev -samefile {file} shows it)",
                )


def _is_missing(directory: Path) -> bool:
    try:
        directory.stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def _other_owner(path: Path) -> str | None:
    """Who owns *path*, or the state directory that hides it; None where we do, or where neither can be seen."""
    for place in (path, *path.parents[:2]):
        with suppress(OSError):
            uid = place.stat().st_uid
            if uid != os.geteuid():
                with suppress(KeyError):
                    return f"user {pwd.getpwuid(uid).pw_name}"
                return f"user {uid}"
    return None
