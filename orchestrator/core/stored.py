"""What stands in a stored fact is of its kind, or the fact is damaged: each returns what it was given, or raises ValueError. Pure.

JSON as Python reads it has NaN, Infinity and whole numbers of thousands of digits, with which nothing can be reckoned, and no date be made.
What is allowed here is wider than what can be given, so nothing that was ever recorded is refused.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

from ..text.durations import LONGEST_DAYS
from .arguments import EARLIEST, LATEST, MOST

AMOUNT: Final = 10.0 * LONGEST_DAYS * 86_400
"""The most seconds that anything takes, a hundred years: those of a setting are a tenth of that at most, and what is added up is a few of them."""
FIRST, LAST = EARLIEST + 10 * AMOUNT, LATEST - 10 * AMOUNT
"""Between these, in Unix seconds, things happen: some amounts before and after them, there are dates still."""
LONGEST_SHOWN: Final = 80

K = TypeVar("K")
_TEXT = frozenset({str})


def shown(value: object) -> str:
    """*value* for a message: what stands in a damaged row may be as long as it likes."""
    if isinstance(value, str | float | bool | None):
        found = repr(value if not isinstance(value, str) else value[:LONGEST_SHOWN])
        return found[:LONGEST_SHOWN]
    return f"a {type(value).__name__}"


def of(kind: type[K], value: Any) -> K:
    """*value*, which is of this *kind* as JSON has it."""
    if isinstance(value, kind):
        return value
    raise ValueError(f"expected {kind.__name__}, got {shown(value)}")


def text_or_none(value: Any) -> str | None:
    """*value*, a text or nothing."""
    return None if value is None else of(str, value)


def texts(value: Any) -> tuple[str, ...]:
    """*value*, a list of texts, as a tuple."""
    if not isinstance(value, (list, tuple)) or not (
        _TEXT.issuperset(map(type, value)) or all(isinstance(each, str) for each in value)
    ):
        raise ValueError(f"expected a list of texts, got {shown(value)}")
    return tuple(value)


def texts_or_none(value: Any) -> tuple[str, ...] | None:
    """*value*, a list of texts, as a tuple, or nothing."""
    return None if value is None else texts(value)


def command(value: Any) -> tuple[str, ...]:
    """*value*, a list of texts of which the first is a program, as a tuple."""
    found = texts(value)
    if not found:
        raise ValueError("expected a command, got an empty list")
    return found


def within(value: Any, low: float, high: float) -> float:
    """*value*, a number from *low* to *high*, which NaN is not."""
    if type(value) not in (int, float) or not low <= value <= high:
        raise ValueError(f"expected a number from {low:g} to {high:g}, got {shown(value)}")
    return float(value)


def moment(value: Any) -> float:
    """*value*, Unix seconds of which a date can be made."""
    return within(value, EARLIEST, LATEST - 1)


def seconds(value: Any) -> float:
    """*value*, so many seconds as something can take."""
    return within(value, 0, AMOUNT)


def number(value: Any) -> float:
    """*value*, a number that can be shown."""
    return within(value, -MOST, MOST)


def whole(value: Any, *, least: int = 0) -> int:
    """*value*, a whole number from *least* on."""
    if type(value) is not int or not least <= value <= MOST:
        raise ValueError(f"expected a whole number of at least {least}, got {shown(value)}")
    return value


def whole_or_none(value: Any, *, least: int = 0) -> int | None:
    """*value*, a whole number from *least* on, or nothing."""
    return None if value is None else whole(value, least=least)


def counts(value: Any) -> dict[str, int]:
    """*value*, whole numbers by their names."""
    for each in of(dict, value).values():
        whole(each)
    return dict(value)


def requests(value: Any) -> dict[str, Any]:
    """*value*, what a session sent: numbers, and among them those by status."""
    for key, each in of(dict, value).items():
        if key == "by_status":
            counts(each)
        else:
            whole(each)
    return dict(value)
