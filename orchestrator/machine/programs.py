"""Programs that hooks run: found as a hook finds them, and what keeps one from starting."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from .ownership import ForeignFileError, refuse_foreign, refuse_foreign_place

_FIRST_LINE = 512


def trouble_with(program: str, directory: Path, path: str | None) -> str | None:
    """Why *program* would not start; None: nothing is known that keeps it from that.

    Args:
        program: As the hook names it.
        directory: Where hooks run.
        path: `PATH` of what starts it, where a name without a slash is looked for; None: the system's own.
    """
    if (odd := oddity(program, directory, path)) is not None:
        return odd
    with suppress(OSError, ValueError):  # of a name that no file can have
        found = _found(program, directory, path)
        if found is not None and os.access(found, os.X_OK):
            return None
    return "is not there, or cannot be run"


def oddity(program: str, directory: Path, path: str | None) -> str | None:
    """What is odd about *program* that the system's own word would not tell: it is a directory, or its interpreter is not to be had.

    Arguments as for `trouble_with`; None: nothing is, or it cannot be seen.
    """
    try:
        found = _found(program, directory, path)
        if found is None:
            return None
        mode = found.stat().st_mode
        if stat.S_ISDIR(mode):
            return "is a directory, expected a program"
        return _trouble_with_interpreter(found) if stat.S_ISREG(mode) else None
    except (OSError, ValueError):
        return None


def program_to_start(program: str, directory: Path, path: str | None) -> Path:
    """What to execute for *program*, absolute, which this user or root alone can have put there. Arguments as for `trouble_with`.

    The way there is looked at before what lies at its end, so nobody can show one program to this and another one to who starts it.

    Raises:
        ForeignFileError: Somebody else can decide what runs; also where the program is not there at this moment.
        OSError: It is not there, or is no file: nothing may be started then, as it could come into its place meanwhile.
    """
    directory.stat()  # a hook cannot be there either, and that is what should be told
    found = _found(program, directory, path)
    if found is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), program)
    status = refuse_foreign_place(found)
    if not stat.S_ISREG(status.st_mode):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), program)
    refuse_foreign(found, status)
    return found


def refuse_foreign_program(program: str, directory: Path, path: str | None) -> None:
    """Return when nobody else can decide what runs as *program*, whether it is there or not. Arguments as for `trouble_with`.

    Raises:
        ForeignFileError: Somebody else can.
    """
    try:
        program_to_start(program, directory, path)
    except ForeignFileError:
        raise
    except (OSError, ValueError):
        return  # it cannot be started, and would not be


def _found(program: str, directory: Path, path: str | None) -> Path | None:
    """Where *program* is, absolute: the first on *path* that may be run, where its name has no slash.

    As a process finds it that works in *directory*, which is what an empty or a relative entry of *path* begins at; an entry that cannot be
    searched has none. But for one thing: what may be run and cannot be (its interpreter is missing) is not passed over for the next one on
    *path*, which nobody has meant.

    Raises:
        OSError, ValueError: There is no working directory, or the name holds what no name may.
    """
    base = directory.absolute()
    if "/" in program:
        return base / program
    for entry in (os.defpath if path is None else path).split(os.pathsep):
        found = base / entry / program
        with suppress(OSError):
            if found.is_file() and os.access(found, os.X_OK):
                return found
    return None


def _trouble_with_interpreter(script: Path) -> str | None:
    """What is wrong with the first line of *script*, which names its interpreter."""
    try:
        with script.open("rb") as file:
            line = file.read(_FIRST_LINE)
    except OSError:
        return None  # a program may be run that cannot be read
    if line.startswith(b"\xef\xbb\xbf#!"):
        return f"it begins with a byte order mark, so the system does not see its '#!': sed -i '1s/^\\xef\\xbb\\xbf//' {script}"
    if not line.startswith(b"#!"):
        return None if b"\0" in line else "its first line names no interpreter, such as #!/bin/sh"
    line = line.partition(b"\n")[0]
    named = os.fsdecode(line[2:].strip(b" \t").partition(b" ")[0])
    if line.endswith(b"\r"):
        return (
            f"its lines end with CR LF, as Windows writes them, so its interpreter would be {named!r}: "
            f"sed -i 's/\\r$//' {script}"
        )
    if named and not os.access(named, os.X_OK):
        return f"its first line names the interpreter {named}, which is not there, or cannot be run"
    return None
