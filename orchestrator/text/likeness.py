"""What somebody probably meant to type. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LONGEST = 100


def closest(word: str, known: Iterable[str], *, at_least: float = 0.6) -> str | None:
    """The one of *known* that *word* is most like, letter case apart; None: it is like none of them.

    *at_least*: from 0 to 1, as `difflib` reckons likeness.
    """
    spelled = {name.casefold(): name for name in known}
    found = difflib.get_close_matches(word[:_LONGEST].casefold(), spelled, n=1, cutoff=at_least)
    return spelled[found[0]] if found else None
