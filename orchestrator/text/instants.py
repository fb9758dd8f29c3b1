"""Instants (Unix seconds) as text, in UTC, and beside it in another zone where somebody reads it.

One instant is written the same way wherever it is shown, so that a line of the log is found by what a report says.
"""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from functools import lru_cache


def iso(at: float) -> str:
    """*at* as ISO 8601 with milliseconds: `2026-11-28T00:00:00.000Z`."""
    milliseconds = round(at * 1_000_000) // 1000
    return f"{_to_the_second(milliseconds // 1000)}.{milliseconds % 1000:03d}Z"


def from_iso(text: str) -> float:
    """What `iso` has written, in Unix seconds.

    Raises:
        ValueError: *text* is nothing of that kind, or an instant that cannot be written.
    """
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text} has no zone")
    seconds = at.timestamp()
    in_words(seconds)  # the first and the last hours of all years may lie beyond them in UTC
    return seconds


def in_words(at: float) -> str:
    """*at* for a sentence, to the second: `2026-11-28 00:00:00 UTC`."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"


def in_both(at: float, zone: tzinfo | None = None) -> str:
    """The same, and beside it *zone* (None: the machine's own) where that is another, as on the page: `2026-11-28 00:00:00 UTC (01:00:00 CET)`."""
    there = datetime.fromtimestamp(at, UTC).astimezone(zone)
    if not there.utcoffset():
        return in_words(at)
    same_day = there.date() == datetime.fromtimestamp(at, UTC).date()
    return f"{in_words(at)} ({there:{'%H:%M:%S %Z' if same_day else '%Y-%m-%d %H:%M:%S %Z'}})"


@lru_cache(maxsize=16)  # what is logged at one moment is logged in one second
def _to_the_second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()[:19]
