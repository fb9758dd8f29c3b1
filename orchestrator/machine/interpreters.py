"""What the first line of a script says: which interpreter is started, and what that looks for in its turn where it is `env`.

Sources: execve(2) of Linux, "Interpreter scripts"; env(1) of coreutils and of FreeBSD.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FIRST_LINE: Final = 512
"""Bytes of a file in which its first line has to end."""

_SPLIT: Final = re.compile(r"(?:-[iv0]*S|--split-string[= ])")
_WITH_VALUE: Final = re.compile(r"(?:-([uCPa])|--(unset|chdir|argv0))(?:=?(.+))?", re.DOTALL)
_ASSIGNMENT: Final = re.compile(r"([^=]+)=(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """Which program *named* starts a script. *looked_for*: what `env` looks for on *path* then (None: on its `PATH`); None: it is not `env`."""

    named: str
    looked_for: str | None = None
    path: str | None = None


def first_line(file: Path) -> bytes:
    """How *file* begins, to the end of its first line.

    Raises:
        OSError: It cannot be read.
    """
    with file.open("rb") as opened:
        return opened.read(FIRST_LINE).partition(b"\n")[0]


def interpreter_in(line: bytes) -> Interpreter | None:
    """The interpreter in *line*, the first one of a file; None: it names none."""
    if not line.startswith(b"#!"):
        return None
    named, *rest = re.split(r"[ \t]+", os.fsdecode(line[2:].strip(b" \t")), maxsplit=1)
    if not named:
        return None
    if rest and os.path.basename(named) == "env":  # noqa: PTH119 - of text
        looked_for, path = _looked_for(rest[0])
        return Interpreter(named=named, looked_for=looked_for, path=path)
    return Interpreter(named=named)


def _looked_for(argument: str) -> tuple[str | None, str | None]:
    """What `env` looks for that is given this one *argument*, and on which path; None where it would not get that far, or only it can tell."""
    split = _SPLIT.match(argument)
    try:
        words = iter(shlex.split(argument[split.end() :], comments=True) if split else [argument])
    except ValueError:
        return None, None
    if "${" in argument:
        return None, None
    path: str | None = None
    for word in words:
        if word in ("-", "-i", "--ignore-environment"):
            path = os.defpath
        elif (option := _WITH_VALUE.fullmatch(word)) is not None:
            path = _after(option, words, path)
        elif (assigned := _ASSIGNMENT.fullmatch(word)) is not None and not word.startswith("-"):
            path = assigned[2] if assigned[1] == "PATH" else path
        elif not word.startswith("-"):
            return word, path
    return None, None


def _after(option: re.Match[str], words: Iterator[str], path: str | None) -> str | None:
    """The path after an *option* of `env` that has a value, in it or as the next of *words*."""
    value = option[3] if option[3] is not None else next(words, "")
    if option[1] == "P":
        return value
    unset = "u" in (option[1], (option[2] or "")[:1])
    return os.defpath if unset and value == "PATH" else path
