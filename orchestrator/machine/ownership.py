"""Whose files these are. What somebody else could have put there, or could change, decides nothing here.

A workflow says what is cut over, a journal which hooks run, a lock file where is written: whoever owns one of them, or may write
it, would act with the rights of this process. So each has to belong to this user or to root, and nobody else may write it. Who
shares files on purpose (a Kubernetes `fsGroup`, a deployment user) names those whom to trust in two environment variables.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

from .access_lists import Writers, writers

USERS_VARIABLE: Final = "ATLAS_CUTOVER_TRUST_USERS"
"""Users whose files are taken as one's own: names or numbers, separated by commas or blanks."""
GROUPS_VARIABLE: Final = "ATLAS_CUTOVER_TRUST_GROUPS"
"""Groups whose members may write our files: names or numbers, separated by commas or blanks."""

_MOST_LINKS: Final = 40  # as many as Linux follows


class ForeignFileError(OSError):
    """Somebody else could decide what is in *path*; *why* says who, and what to do about it."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(errno.EPERM, why, str(path))


def refuse_foreign(
    path: Path, status: os.stat_result, *, descriptor: int | None = None, ours_alone: bool = False
) -> None:
    """Return when only this user, root, and those who are trusted can have written what has this *status*.

    Args:
        path: What it is called.
        status: What the system says of it.
        descriptor: It, where it is open: its access control list is read from there.
        ours_alone: A directory whose files are taken for ours by their names: the sticky bit keeps nobody from adding some.

    Raises:
        ForeignFileError: Somebody else can.
    """
    refuse_foreign_owner(path, status)
    if stat.S_ISLNK(status.st_mode):
        return  # whose mode says nothing
    if stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX and not ours_alone:
        return  # others may add to it, but neither move nor remove what is not theirs
    shown = f"mode {stat.S_IMODE(status.st_mode):04o}"
    if status.st_mode & stat.S_IWOTH:
        if ours_alone and status.st_mode & stat.S_ISVTX:
            raise ForeignFileError(
                path,
                f"can be written by everybody ({shown}): chmod o-w {path} if it is yours alone (where others work in it, too, only a "
                "directory of your own in it will do)",
            )
        sticky = (
            f" (or chmod +t {path}, where others work in it, too)"
            if stat.S_ISDIR(status.st_mode) and not ours_alone
            else ""
        )
        raise ForeignFileError(path, f"can be written by everybody ({shown}): chmod o-w {path}{sticky}")
    if status.st_mode & stat.S_IWGRP:  # with an access control list: the most that all whom it names may do
        _refuse_writers(path, status.st_gid, shown, writers(path if descriptor is None else descriptor))


def refuse_foreign_owner(path: Path, status: os.stat_result) -> None:
    """Return when what has this *status* belongs to this user, to root, or to somebody who is trusted, whoever may write it.

    Raises:
        ForeignFileError: It belongs to somebody else.
    """
    if status.st_uid not in (0, os.geteuid()) and status.st_uid not in _trusted(USERS_VARIABLE):
        owner = _user(status.st_uid)
        raise ForeignFileError(
            path,
            f"belongs to user {owner}: use the same user, or give it to yours or to root (`chown`), or trust them with "
            f"{USERS_VARIABLE}={owner} (what is in it is done in your name)",
        )


def _refuse_writers(path: Path, group: int, shown: str, listed: Writers | None) -> None:
    if (listed is None or listed.owning_group) and not _is_harmless(group):
        name = _group(group)
        raise ForeignFileError(
            path,
            f"can be written by the group {name} ({shown}): chmod g-w {path}, or trust its members with {GROUPS_VARIABLE}={name}",
        )
    remedy = f"by its access control list: setfacl -b {path}, or trust them with"
    for user in () if listed is None else listed.users:
        if user not in (0, os.geteuid()) and user not in _trusted(USERS_VARIABLE):
            name = _user(user)
            raise ForeignFileError(path, f"can be written by user {name}, {remedy} {USERS_VARIABLE}={name}")
    for other in () if listed is None else listed.groups:
        if not _is_harmless(other):
            name = _group(other)
            raise ForeignFileError(path, f"can be written by the group {name}, {remedy} {GROUPS_VARIABLE}={name}")


def refuse_foreign_place(path: Path) -> os.stat_result:
    """What lies at *path*, when nobody else can put another file in its place: every directory above it and every link on the way is safe.

    One open directory far above is enough to exchange all that is below it. What lies in a directory with the sticky bit (`/tmp`)
    is its owner's to move, so there the owner of what lies in it counts. What lies at *path* itself is not judged: who has opened it
    before holds its status against this one (`refuse_exchanged`), who opens it afterwards judges this one (`refuse_foreign`).

    Raises:
        ForeignFileError: Somebody else can; also where nothing lies there.
        OSError: A part of the way cannot be seen, or is not there.
    """
    for place, status, end in _way(path.absolute()):
        if end:
            return status
        try:
            refuse_foreign(place, status)
        except ForeignFileError as error:
            if not _is_read_only(place.parent if stat.S_ISLNK(status.st_mode) else place):
                raise _misplaced(path, place, status, error) from None
    raise AssertionError("every way has an end")


def refuse_foreign_directory(path: Path) -> None:
    """Return when nobody else can put another directory in the place of *path*, nor exchange what lies in it.

    Raises:
        ForeignFileError: Somebody else can.
        OSError: A part of the way cannot be seen, or is not there.
    """
    path.stat()  # where it is not there, its own name should be told
    status = refuse_foreign_place(path)
    try:
        refuse_foreign(path, status)
    except ForeignFileError:
        if not _is_read_only(path):
            raise


def refuse_open_vacancy(path: Path, missing: OSError) -> None:
    """Return when nobody else can put anything at *path*, where `refuse_foreign_place` has found nothing (*missing*): the sticky bit keeps nobody from that.

    Raises:
        ForeignFileError: Somebody else can.
        OSError: The last directory that is there cannot be seen.
    """
    last = Path(os.fsdecode(missing.filename)).parent
    try:
        refuse_foreign(last, last.stat(), ours_alone=True)
    except ForeignFileError as error:
        raise ForeignFileError(path, f"would lie in {last}, which {error.strerror}") from None


def refuse_foreign_links(path: Path) -> os.stat_result | None:
    """What lies at *path*, None for nothing, when nobody else has made a link that leads there, as far as the way exists.

    Raises:
        ForeignFileError: Somebody else has.
        OSError: A part of the way cannot be seen.
    """
    with suppress(FileNotFoundError):
        for place, status, end in _way(path.absolute()):
            if end:
                return status
            if stat.S_ISLNK(status.st_mode):
                try:
                    refuse_foreign(place, status)
                except ForeignFileError as error:
                    raise _misplaced(path, place, status, error) from None
    return None


def refuse_exchanged(path: Path, opened: os.stat_result, there: os.stat_result | None) -> None:
    """Return when what was *opened* by the name *path* is what is *there*, where the way to it was looked at.

    Somebody who may put files on the way could show one to the look, and another one to the opening.

    Raises:
        ForeignFileError: It is another file.
    """
    if there is None or not os.path.samestat(opened, there):
        raise ForeignFileError(path, "was exchanged while it was opened: see who may write there, and try again")


def _misplaced(path: Path, place: Path, status: os.stat_result, error: ForeignFileError) -> ForeignFileError:
    if not stat.S_ISLNK(status.st_mode):
        return ForeignFileError(path, f"lies in {place}, which {error.strerror}")
    if place == path.absolute():
        return ForeignFileError(path, f"is a symbolic link that {error.strerror}")
    return ForeignFileError(path, f"is reached by the symbolic link {place}, which {error.strerror}")


def _way(path: Path) -> Iterator[tuple[Path, os.stat_result, bool]]:
    """The directories and links that the system goes through from `/` to *path*, an absolute one, in its order, as they are themselves.

    The last one is what lies at its end (True), which is no link.
    """
    place, links = Path("/"), 0
    left = list(reversed(path.parts[1:]))
    status = place.lstat()
    yield place, status, not left
    while left:
        part = left.pop()
        found = place.parent if part == ".." else place / part
        status = found.lstat()
        if not stat.S_ISLNK(status.st_mode):
            place = found
            if part != ".." or not left:  # what is above is on the way already
                yield place, status, not left
            continue
        yield found, status, False
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        if not left and found.is_relative_to("/proc"):
            yield found, found.stat(), True  # a file that is open already, for which nobody can put another
            return
        target = found.readlink()
        if target.is_absolute():
            place = Path("/")
        left += reversed(target.parts[1:] if target.is_absolute() else target.parts)
        if not left:
            yield place, place.lstat(), True


def _is_read_only(directory: Path) -> bool:
    """Whether *directory* is on a file system where nothing can be written, whatever its mode says (a mounted ConfigMap)."""
    return bool(os.statvfs(directory).f_flag & os.ST_RDONLY)


def _is_harmless(group: int) -> bool:
    """Whether *group* is root's, trusted, or has nobody in it but this user (as many systems make one for each user)."""
    if group == 0 or group in _trusted(GROUPS_VARIABLE):
        return True
    try:
        mine, found = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(group)
    except KeyError:
        return False
    return found.gr_name == mine and set(found.gr_mem) <= {mine} and not _is_primary_of_others(group, os.geteuid())


@cache
def _is_primary_of_others(group: int, user: int) -> bool:
    """Whether another than *user* has *group* as primary group, which its list of members does not name.

    Asked once, as a directory service may take seconds to list everybody; one that lists nobody is believed.
    """
    return any(other.pw_gid == group and other.pw_uid != user for other in pwd.getpwall())


def _trusted(variable: str) -> set[int]:
    """The numbers of those whom *variable* names; a name that the system does not know is nobody's."""
    found = set()
    for word in os.environ.get(variable, "").replace(",", " ").split():
        with suppress(KeyError, OverflowError, ValueError):  # the last of a number of thousands of digits
            if word.isascii() and word.isdigit():
                found.add(int(word))
            else:
                found.add(pwd.getpwnam(word).pw_uid if variable == USERS_VARIABLE else grp.getgrnam(word).gr_gid)
    return found


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
