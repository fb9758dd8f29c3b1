"""What the first line of a script says: which interpreter is started, and what that looks for in its turn where it is `env`.

Sources: execve(2) of Linux, "Interpreter scripts"; env(1) of coreutils and of FreeBSD.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FIRST_LINE: Final = 512
"""Bytes of a file in which its first line has to end."""

_ENV: Final = frozenset({"env", "genv"})
_SEEN: Final = 250
"""Bytes of a first line that every system sees: Linux cuts it off behind 255."""
_SPLIT: Final = re.compile(r"-(?P<flags>[iv]*)S|--split-string=")
_BLANKS: Final = " \t\n\v\f\r"
_MEANS_MORE: Final = frozenset("\"'\\$#")
"""What `env -S` reads as more than itself."""
_WITH_VALUE: Final = re.compile(
    r"-(?P<letter>[uCPa])(?P<joined>.*)|--(?P<name>unset|chdir|argv0)(?:=(?P<value>.*))?", re.DOTALL
)
_WITHOUT_EFFECT: Final = re.compile(
    r"--debug|--(?:block|default|ignore)-signal(?:=.*)?|--list-signal-handling", re.DOTALL
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What `env` looks for: the *program*, on *path* (None: on its `PATH`), from *directory* on, where it goes first (empty: it stays)."""

    program: str
    path: str | None = None
    directory: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """Which program *named* starts a script. *search*: what that looks for in its turn, where it is `env`.

    *unclear*: why that cannot be told, so that the script is not to be trusted; None: it can.
    """

    named: str
    search: Search | None = None
    unclear: str | None = None


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
    if b"\0" in line or (rest and len(line) > _SEEN):
        return Interpreter(named=named, unclear=_unclear(named, rest[0] if rest else named))
    if not rest or not _is_env(named):
        return Interpreter(named=named)
    search = _search(rest[0])
    return Interpreter(named=named, search=search, unclear=None if search else _unclear(named, rest[0]))


def _is_env(named: str) -> bool:
    """Whether the program *named* is `env`, also by what a link of another name leads to (GNU's is `genv` beside another one)."""
    return any(os.path.basename(each) in _ENV for each in (named, os.path.realpath(named)))  # noqa: PTH119 - of text


def _unclear(named: str, argument: str) -> str:
    return (
        f"tells {named} what to start in a way that cannot be judged beforehand ({argument!r}): give the interpreter's whole path "
        "(#!/usr/bin/python3), or `env NAME`, or `env -S` and before NAME only options in their whole form and NAME=VALUE, "
        "without quotes, backslashes, # and $"
    )


def _search(argument: str) -> Search | None:
    """What `env` looks for that is given this one *argument*; None where that is not sure: nothing is guessed here."""
    path: str | None = None
    split = _SPLIT.match(argument)
    if split:
        words = iter(re.split(f"[{_BLANKS}]+", argument[split.end() :].strip(_BLANKS)))
        path = os.defpath if "i" in (split["flags"] or "") else None
    elif " " in argument or "\t" in argument:
        return None  # one name with a blank in it to Linux, several words to other systems
    else:
        words = iter([argument])
    directory, instead, options = "", None, True
    for word in words:
        name, assigned, value = word.partition("=")
        if not word or _MEANS_MORE & set(word):
            return None
        if options and (word in ("-", "--ignore-environment") or re.fullmatch("-v*i[iv]*", word)):
            path, options = os.defpath, word != "-"
        elif options and (re.fullmatch("-v+", word) or _WITHOUT_EFFECT.fullmatch(word)):
            continue
        elif options and (option := _WITH_VALUE.fullmatch(word)) is not None:
            given = option["joined"] or option["value"] or next(words, "")
            if not given or _MEANS_MORE & set(given):
                return None
            if option["letter"] == "P":
                instead = given
            elif option["letter"] == "C" or option["name"] == "chdir":
                directory = given
            elif given == "PATH" and (option["letter"] == "u" or option["name"] == "unset"):
                path = os.defpath
        elif word.startswith("-") or (assigned and not name) or (not assigned and _is_env(word)):
            return None  # the last has words of its own behind it
        elif assigned:
            path, options = value if name == "PATH" else path, False
        else:
            return Search(program=word, path=path if instead is None else instead, directory=directory)
    return None
