"""Counts and lists as a person says them. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

_A_WAVE = re.compile(r"wave\b|wave\d", re.ASCII | re.IGNORECASE)


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """*count* with *noun*, or its plural (with an `s`, unless *nouns* says otherwise): `1 wave`, `2 waves`."""
    return f"{count} {noun if count == 1 else nouns or f'{noun}s'}"


def names_listed(names: Sequence[str], at_most: int = 5) -> str:
    """*names*, with the number of those that are not shown."""
    if len(names) <= at_most + 1:
        return ", ".join(names)
    return f"{', '.join(names[:at_most])} and {len(names) - at_most} more"


def wave_named(name: str) -> str:
    """The wave called *name*, with that word before it unless it has it (`assets/words.js` does the same)."""
    return name if _A_WAVE.match(name) else f"wave {name}"
