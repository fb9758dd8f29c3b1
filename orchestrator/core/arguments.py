"""What the arguments of the verbs may be, the same for the command line, the page and a program that embeds the package.

Whatever is wrong raises `InputError`, which names the argument, before anything is read, written or sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from ..text.durations import LONGEST_DAYS, parse_duration
from .errors import InputError

T = TypeVar("T")
W = TypeVar("W", bound=StrEnum)

EARLIEST, LATEST = -62_135_596_800, 253_402_300_800
"""The years 1 to 9999 in Unix seconds, which is what a date can be of."""
MOST = 2**63 - 1
"""The largest whole number that the journal can hold."""
_LONGEST = 200  # characters of what was given, in a message


def expect(argument: str, value: object, kind: type[T], *, way_on: str = "") -> T:
    """*value*, where it is of this *kind*.

    Args:
        argument: What the caller calls it.
        value: What was given.
        kind: What it has to be.
        way_on: What makes one, for the message.

    Raises:
        InputError: It is something else.
    """
    if isinstance(value, kind):
        return value
    raise InputError(f"{argument}: expected a {kind.__name__}, got {_shown(value)}{way_on and f': {way_on}'}")


def text(argument: str, value: object) -> str:
    """*value*, where it is a text.

    Raises:
        InputError: It is none, or has bytes in it that are none (a command line may), which nothing could write down.
    """
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InputError(f"{argument}: holds bytes that are no UTF-8 text: {value!r}") from None
        return value
    raise InputError(f"{argument}: expected a text, got {_shown(value)}")


def text_or_none(argument: str, value: object) -> str | None:
    """*value*, where it is a text or nothing.

    Raises:
        InputError: It is neither.
    """
    return None if value is None else text(argument, value)


def several(argument: str, values: object, each: Callable[[str, object], T]) -> tuple[T, ...]:
    """*values*, each of them checked by *each*. A text alone is not taken for the list of its characters.

    Raises:
        InputError: They are no list, or one of them is wrong.
    """
    if isinstance(values, str | bytes | Path):
        raise InputError(f"{argument}: expected a list, got {_shown(values)}: write [{_shown(values)}]")
    if not isinstance(values, Iterable):
        raise InputError(f"{argument}: expected a list, got {_shown(values)}")
    return tuple(each(argument, value) for value in values)


def mapping(argument: str, value: object) -> Mapping[Any, Any]:
    """*value*, where it is a mapping.

    Raises:
        InputError: It is none.
    """
    if isinstance(value, Mapping):
        return value
    raise InputError(f"{argument}: expected a mapping, got {_shown(value)}")


def path(argument: str, value: object) -> Path:
    """*value* as a path.

    Raises:
        InputError: It is neither a path nor a text, or no file can have that name.
    """
    if isinstance(value, str | Path):
        if not _fits_the_system(str(value)):
            raise InputError(f"{argument}: no file can have the name {_shown(value)}")
        return Path(value)
    raise InputError(f"{argument}: expected a path, got {_shown(value)}")


def environment(argument: str, value: object) -> Mapping[str, str]:
    """*value*, where it is an environment: variables and their values, as a process could have them.

    Raises:
        InputError: It is none; no message shows a value.
    """
    for name, content in mapping(argument, value).items():
        if not isinstance(name, str):
            raise InputError(f"{argument}: expected names of variables, got {_shown(name)}")
        if not name or "=" in name or not _fits_the_system(name):
            raise InputError(f"{argument}: no variable can have the name {_shown(name)}")
        if not isinstance(content, str):
            raise InputError(f"{argument}: {name}: expected a text, got a {type(content).__name__}")
        if not _fits_the_system(content):
            raise InputError(
                f"{argument}: {name}: no variable can hold this text: it has a NUL or half of a character in it"
            )
    return mapping(argument, value)


def _fits_the_system(name: str) -> bool:
    """Whether the system can be given *name*, of a file or a variable, or what is in one. Bytes that are no UTF-8 are none of its concern."""
    try:
        return b"\0" not in name.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return False


def word(argument: str, value: object, kind: type[W]) -> W:
    """The word of *kind* that *value* is, or is the text of.

    Raises:
        InputError: It is none of them.
    """
    if isinstance(value, str) and value in list(kind):
        return kind(value)
    raise InputError(f"{argument}: expected {' or '.join(kind)}, got {_shown(value)}")


def called(argument: str, value: object) -> Any:
    """*value*, where it can be called.

    Raises:
        InputError: It cannot.
    """
    if callable(value):
        return value
    raise InputError(f"{argument}: expected something that can be called, got {_shown(value)}")


def seconds(argument: str, value: object) -> float:
    """The seconds that *value* means: a number of them, or a duration as in a workflow (`90s`, `1m30s`, `PT90S`).

    Raises:
        InputError: It is neither, less than nothing, or longer than a duration may be.
    """
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except ValueError as error:
            raise InputError(f"{argument}: {error}, got {_shown(value)}") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{argument}: expected seconds, or a duration such as '90s', got {_shown(value)}")
    if not 0 <= value <= LONGEST_DAYS * 86_400:  # which NaN is not, either
        raise InputError(f"{argument}: expected 0 to {LONGEST_DAYS} days in seconds, got {_shown(value)}")
    return float(value)


def number(argument: str, value: object, *, over: float, most: float) -> float:
    """*value*, where it is a number above *over*, and *most* at most.

    Raises:
        InputError: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not over < value <= most:
        raise InputError(f"{argument}: expected a number above {over:g}, at most {most:g}, got {_shown(value)}")
    return value


def moment(argument: str, value: object) -> float:
    """*value*, where it is a moment in Unix seconds.

    Raises:
        InputError: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not EARLIEST <= value < LATEST:
        raise InputError(f"{argument}: expected Unix seconds, got {_shown(value)}")
    return value


def count(argument: str, value: object) -> int:
    """*value*, where it is a whole number of at least 1, and no larger than any file could count.

    Raises:
        InputError: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST:
        raise InputError(f"{argument}: expected a whole number of at least 1, at most {MOST:,}, got {_shown(value)}")
    return value


def _shown(value: object) -> str:
    """*value* for a message; of what may hold a secret, the kind alone, and of what is long its beginning."""
    if not isinstance(value, str | int | float | Path | None):
        return f"a {type(value).__name__}"
    if isinstance(value, int) and abs(value) > MOST:
        return "a far larger number" if value > 0 else "a far smaller number"
    shown = repr(value)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"
