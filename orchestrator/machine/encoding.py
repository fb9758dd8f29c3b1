"""Text on its way to the system, whose calls take bytes."""

from __future__ import annotations

import os
from contextlib import suppress


def as_given(text: str) -> str:
    """*text* as the system's calls take it: in the locale's encoding, and what that lacks in UTF-8, as workflows and configs are written in it."""
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        with suppress(UnicodeEncodeError):  # of halves of characters, which no call takes
            return os.fsdecode(text.encode("utf-8", "surrogateescape"))
    return text
