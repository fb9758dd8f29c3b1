"""What a piece of text has to look like, key by key, and how a wrong one is shown.

Each `parse_…` takes the text as it stands in the file and returns its value, or raises ValueError with what is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

from ..text.likeness import closest, composed, is_blank
from .odd_characters import first_odd, no_hex_digit
from .references import in_quotes

LONGEST_NAME = 100
LONGEST_VALUE = 1_000
_SHOWN = 60

_TRUE = frozenset({"true", "yes", "on"})
_FALSE = frozenset({"false", "no", "off"})
_OBJECT_ID = re.compile("[0-9a-f]{24}")
_MOST_DIGITS = 9
_COUNT = re.compile(f"[0-9]{{1,{_MOST_DIGITS}}}")
_DIGITS = re.compile("[0-9]+")
_DECIMAL = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_KEY = re.compile("[!-~]{1,200}")
_VARIABLE = re.compile(f"[A-Za-z0-9_]{{1,{LONGEST_NAME}}}")
_HALF = re.compile("[\ud800-\udfff]")  # of a character, which no encoding has
_PLAIN_KEY = re.compile("[A-Za-z0-9_.<-]{1,60}")


def shorten(value: Any) -> str:
    """*value* for a message: one line, control characters escaped, at most about 60 characters."""
    match value:
        case None:
            return "nothing"
        case dict():
            return "a mapping"
        case list():
            return "a list"
    shown = repr(value if isinstance(value, str) and len(value) <= _SHOWN else str(value)[:_SHOWN])
    return shown if len(shown) <= _SHOWN + 2 and len(str(value)) <= _SHOWN else shown[: _SHOWN - 1] + "…" + shown[0]


def format_key(path: tuple[str | int, ...]) -> str:
    """*path* as a person reads it: ``waves[1].migrations[3].live_migration_id``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            shown = step if _PLAIN_KEY.fullmatch(step) else shorten(step)
            text += f".{shown}" if text else shown
    return text


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``did you mean 'name'?`` when one of *known* is close to *word*, otherwise the list of what is allowed."""
    allowed = sorted(known)
    close = closest(word, allowed)
    return f"did you mean {close!r}?" if close else f"allowed: {', '.join(allowed)}"


def parse_name(text: str) -> str:
    """A name: 1 to 100 printable characters, no space around them; in composed form, so that it is one name however it was typed."""
    text = composed(text)
    unseen = not text.isprintable() or is_blank(text)
    if not 1 <= len(text) <= LONGEST_NAME or unseen or text != text.strip():
        odd = first_odd(text) if unseen else None
        raise ValueError(
            f"expected a name of 1 to {LONGEST_NAME} printable characters, no spaces around it{f' ({odd})' if odd else ''}"
        )
    return text


def parse_variable(text: str) -> str:
    """A name that an environment variable may have, whatever its prefix."""
    if not _VARIABLE.fullmatch(text):
        raise ValueError(
            f"cannot be the name of a variable; type {_as_variable(text)} (letters without accents, digits and _)"
        )
    return text


def _as_variable(text: str) -> str:
    plain = re.sub("[^A-Za-z0-9]+", "_", text[:LONGEST_NAME]).strip("_")
    return plain or "a name such as cluster"


def parse_value(text: str) -> str:
    """What a variable may hold: text that an environment takes."""
    if len(text) > LONGEST_VALUE or "\0" in text or _HALF.search(text):
        raise ValueError(f"expected text of at most {LONGEST_VALUE:,} characters, and no NUL in it")
    return text


def parse_object_id(text: str) -> str:
    """An Atlas id: 24 lower-case hexadecimal digits."""
    if _OBJECT_ID.fullmatch(text):
        return text
    if _OBJECT_ID.fullmatch(text.lower()):
        raise ValueError("expected 24 lower-case hexadecimal digits (write its letters in lower case)")
    raise ValueError(
        f"expected 24 lower-case hexadecimal digits ({no_hex_digit(text) or f'{len(text)} characters were given'})"
    )


def parse_boolean(text: str) -> bool:
    """``true yes on`` or ``false no off``, in any letter case."""
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError("expected true or false")


def parse_count(least: int) -> Callable[[str], int]:
    """A parser of whole numbers of at least *least*."""

    def parse(text: str) -> int:
        if _DIGITS.fullmatch(text) and len(text.lstrip("0")) > _MOST_DIGITS:
            raise ValueError(f"expected a whole number of at most {10**_MOST_DIGITS - 1:,}")
        if not _COUNT.fullmatch(text) or int(text) < least:
            raise ValueError(f"expected a whole number of at least {least}")
        return int(text)

    return parse


def parse_decimal(text: str) -> float:
    """A number such as ``1.5``."""
    if not _DECIMAL.fullmatch(text):
        raise ValueError("expected a number such as 1.5")
    return float(text)


def parse_failures(text: str) -> int | Fraction:
    """``3`` (a number of migrations) or ``10%`` (a share of the wave, as a fraction)."""
    if _COUNT.fullmatch(text):
        return int(text)
    if text.endswith("%") and _DECIMAL.fullmatch(text[:-1]) and Fraction(text[:-1]) <= 100:
        return Fraction(text[:-1]) / 100
    raise ValueError("expected a whole number such as 3, or a percentage of the wave such as 10%")


def parse_choice(*words: str) -> Callable[[str], str]:
    """A parser of one of *words*, in any letter case."""

    def parse(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"expected one of {', '.join(words)}")
        return text.lower()

    return parse


def parse_line(text: str) -> str:
    """Any text that is not empty and has no control characters."""
    if not text.strip() or any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ValueError("expected text without control characters")
    return text


def parse_key(text: str) -> str:
    """An API key: printable ASCII without spaces. A line end behind it is that of the file which it came from."""
    key = text.rstrip("\r\n")
    if (wrong := in_quotes(key)) is not None:
        raise ValueError(wrong)
    if not _KEY.fullmatch(key):
        raise ValueError("expected a key of printable ASCII characters without spaces (its value is not shown)")
    return key
