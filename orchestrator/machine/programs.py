"""Programs that hooks run: found as a hook finds them, and what keeps one from starting."""

from __future__ import annotations

import errno
import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .encoding import as_given
from .interpreters import Search, first_line, interpreter_in
from .ownership import ForeignFileError, refuse_foreign, refuse_foreign_place, refuse_open_vacancy

_MOST_INTERPRETERS = 5
"""Scripts that are each other's interpreter, as many as Linux follows."""


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
        if found is not None and found.is_file():
            return f"may not be run: chmod +x {shlex.quote(str(found))}"
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
        return _trouble_with_interpreter(found, directory, path) if stat.S_ISREG(mode) else None
    except (OSError, ValueError):
        return None


def program_to_start(program: str, directory: Path, path: str | None) -> Path:
    """What to execute for *program*, absolute, which this user or root alone can have put there, as its interpreter. Arguments as for `trouble_with`.

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
    _refuse_foreign_interpreter(found, directory, path)
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
    base, program = Path(as_given(str(directory))).absolute(), as_given(program)
    if "/" in program:
        return base / program
    for entry in (os.defpath if path is None else path).split(os.pathsep):
        found = base / entry / program
        with suppress(OSError):
            if found.is_file() and os.access(found, os.X_OK):
                return found
    return None


def _refuse_foreign_interpreter(
    script: Path, directory: Path, path: str | None, *, most: int = _MOST_INTERPRETERS
) -> None:
    """Return when nobody else can decide what starts *script*: the program in its first line, and that which `env` looks for there.

    `env` looks on *path* anew when the hook starts. So what it passes over before it finds something must not be somebody else's to fill.

    Raises:
        ForeignFileError: Somebody else can; also where there is nothing yet.
    """
    try:
        interpreter = interpreter_in(first_line(script))
    except OSError:
        return  # an interpreter could not read it either
    if interpreter is None or not most:
        return
    if interpreter.unclear is not None:
        raise ForeignFileError(script, f"has a first line that {interpreter.unclear}")
    base = directory.absolute()
    named = base / interpreter.named
    try:
        if _is_ours(named):
            _refuse_foreign_interpreter(named, directory, path, most=most - 1)
    except ForeignFileError as error:
        raise ForeignFileError(script, f"names the interpreter {named}, which {error.strerror}") from None
    if interpreter.search is None:
        return
    base /= interpreter.search.directory
    for place in _looked_at(interpreter.search, base, path):
        try:
            if _is_ours(place):
                _refuse_foreign_interpreter(place, base, path, most=most - 1)
                return
        except ForeignFileError as error:
            on_path = "" if "/" in interpreter.search.program else " on PATH"
            why = (
                f"has env look for {interpreter.search.program}{on_path} by its first line, and there {place} {error.strerror}; or "
                f"{f'take {place.parent} off PATH, or ' if on_path else ''}name the interpreter's whole path in that line"
            )
            raise ForeignFileError(script, why) from None


def _looked_at(search: Search, base: Path, path: str | None) -> Iterator[Path]:
    """Where `env` looks for what *search* says, in its order, from *base* on, the directory that it works in by then."""
    path = path if search.path is None else search.path
    entries = [""] if "/" in search.program else (os.defpath if path is None else path).split(os.pathsep)
    for entry in entries:
        yield base / entry / search.program


def _is_ours(place: Path) -> bool:
    """Whether at *place* lies what may be run; nobody else can have put that there, nor can put anything else there.

    Raises:
        ForeignFileError: Somebody else can.
    """
    try:
        status = refuse_foreign_place(place)
        refuse_foreign(place, status)
    except ForeignFileError:
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        refuse_open_vacancy(place, error)
        return False
    except (OSError, ValueError):
        return False  # what we cannot get to is passed over by what we start
    return stat.S_ISREG(status.st_mode) and os.access(place, os.X_OK)


def _trouble_with_interpreter(script: Path, directory: Path, path: str | None) -> str | None:
    """What is wrong with the first line of *script*, which names its interpreter."""
    try:
        line = first_line(script)
    except OSError:
        return None  # a program may be run that cannot be read
    if line.startswith(b"\xef\xbb\xbf#!"):
        return f"it begins with a byte order mark, so the system does not see its '#!': sed -i '1s/^\\xef\\xbb\\xbf//' {script}"
    if not line.startswith(b"#!"):
        return None if b"\0" in line else "its first line names no interpreter, such as #!/bin/sh"
    interpreter = interpreter_in(line)
    if interpreter is None:
        return None
    named, search = interpreter.named, interpreter.search
    program = named if search is None else search.program
    if line.endswith(b"\r"):
        return (
            f"its lines end with CR LF, as Windows writes them, so its interpreter would be {program!r}: "
            f"sed -i 's/\\r$//' {script}"
        )
    if not os.access(directory.absolute() / named, os.X_OK):
        return f"its first line names the interpreter {named}, which is not there, or cannot be run"
    if interpreter.unclear is not None:
        return f"its first line {interpreter.unclear}"
    if search is None:
        return None
    places = _looked_at(search, directory.absolute() / search.directory, path)
    if not any(os.access(place, os.X_OK) for place in places):
        return f"its first line has env look for {search.program}, which is not on PATH"
    return None
