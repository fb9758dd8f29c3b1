"""Programs that hooks run: found as a hook finds them, and what keeps one from starting."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from .ownership import refuse_foreign, refuse_foreign_place

_FIRST_LINE = 512


def trouble_with(program: str, directory: Path, path: str | None) -> str | None:
    """Why *program* would not start; None: nothing is known that keeps it from that.

    Args:
        program: As the hook names it.
        directory: Where hooks run.
        path: `PATH`, where a name without a slash is looked for.
    """
    found = _found(program, directory, path)
    if found is None or not os.access(found, os.F_OK):
        return "is not there, or cannot be run"
    if (odd := oddity(program, directory, path)) is not None:
        return odd
    return None if os.access(found, os.X_OK) else "is not there, or cannot be run"


def oddity(program: str, directory: Path, path: str | None) -> str | None:
    """What is odd about *program* that the system's own word would not tell: it is a directory, or its interpreter is not to be had.

    Arguments as for `trouble_with`; None: nothing is.
    """
    found = _found(program, directory, path)
    try:
        mode = None if found is None else found.stat().st_mode
    except (OSError, ValueError):
        return None
    if found is None or mode is None:
        return None
    if stat.S_ISDIR(mode):
        return "is a directory, expected a program"
    return _trouble_with_interpreter(found) if stat.S_ISREG(mode) else None


def refuse_foreign_program(program: str, directory: Path, path: str | None) -> None:
    """Return when *program* is not there, or this user or root alone can have put it there. Arguments as for `trouble_with`.

    Raises:
        ForeignFileError: Somebody else can decide what runs.
    """
    found = _found(program, directory, path)
    if found is not None and found.is_file():
        refuse_foreign(found, found.stat())
        refuse_foreign_place(found)


def _found(program: str, directory: Path, path: str | None) -> Path | None:
    if "/" in program:
        return directory / program
    named = shutil.which(program, path=path)
    return None if named is None else Path(directory, named)


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
