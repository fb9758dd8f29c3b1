"""Durations as people write them: ``90``, ``90s``, ``1m30s``, ``2h``, ``500ms``, ``PT90S``; always seconds inside.

There are two ways to write one, in the same notation, which a workflow may hold as well: `format_duration` to the millisecond, for
what somebody has set, and `rough_duration` for what was measured or is being waited for. Every log, table, report and page uses these.
"""

from __future__ import annotations

import math
import re

EXPECTED = "expected a duration such as 90s, 1m30s, 2h or PT90S"
LONGEST_DAYS = 3650

_MILLISECONDS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_NO_MILLISECONDS = 2.0**43
_NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
_SECONDS = re.compile(rf"{_NUMBER}")
_UNITS = re.compile(rf"(?:{_NUMBER}d)?(?:{_NUMBER}h)?(?:{_NUMBER}m(?!s))?(?:{_NUMBER}s)?(?:{_NUMBER}ms)?")
_ISO = re.compile(rf"P(?:{_NUMBER}D)?(?:T(?=[0-9])(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?")


def parse_duration(text: str) -> float:
    """The seconds that *text* means.

    Args:
        text: A number of seconds (``90``, ``1.5``), numbers with units from the largest to the smallest (``d h m s ms``,
            as in ``1m30s``), or an ISO 8601 duration of days, hours, minutes and seconds (``PT90S``).

    Raises:
        ValueError: *text* is something else, or longer than 3650 days; the message says what is allowed.
    """
    if _SECONDS.fullmatch(text):
        parts: tuple[str | None, ...] = (None, None, None, text, None)
    elif text and (found := _UNITS.fullmatch(text)):
        parts = found.groups()
    elif found := _ISO.fullmatch(text):
        parts = (*found.groups(), None)
    else:
        raise ValueError(EXPECTED)
    if not any(parts):
        raise ValueError(EXPECTED)
    milliseconds = sum(
        float(part) * unit for part, unit in zip(parts, _MILLISECONDS.values(), strict=True) if part is not None
    )
    if milliseconds > LONGEST_DAYS * _MILLISECONDS["d"]:
        raise ValueError(f"expected a duration of at most {LONGEST_DAYS}d")
    return milliseconds / 1000


def format_duration(seconds: float) -> str:
    """*seconds*, any finite number of them, as `parse_duration` reads it, to the millisecond: ``1m30s``, ``2h``, ``0.5s``, ``0s``."""
    # a float so large knows no single milliseconds any more, and a thousand times the largest ones is infinite
    milliseconds = round(seconds * 1000) if abs(seconds) < _NO_MILLISECONDS else round(seconds) * 1000
    sign = "-" if milliseconds < 0 else ""
    rest = abs(milliseconds)
    parts = []
    for unit in ("d", "h", "m"):
        count, rest = divmod(rest, _MILLISECONDS[unit])
        if count:
            parts.append(f"{count}{unit}")
    whole, milliseconds = divmod(rest, 1000)
    if milliseconds:
        parts.append(f"{whole}.{milliseconds:03d}".rstrip("0") + "s")
    elif whole or not parts:
        parts.append(f"{whole}s")
    return sign + "".join(parts)


def rough_duration(seconds: float) -> str:
    """*seconds* for people: ``8.1s``, ``47s``, ``4m5s``, ``2h3m``, ``3d1h``; less than nothing is nothing.

    Tenths below ten seconds, whole seconds below an hour, then two units at most. `assets/words.js` has the same rule for browsers.
    """
    if seconds < 9.95:
        return format_duration(math.floor(max(0.0, seconds) * 10 + 0.5) / 10)
    whole = math.floor(seconds + 0.5)
    smaller = next((unit for size, unit in ((86_400, 3600), (3600, 60)) if whole >= size), 1)
    return format_duration(whole // smaller * smaller)
