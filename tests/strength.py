"""How long the tests look for the odd: briefly while somebody waits for them, thoroughly where `.ci/run` asks for it.

`HYPOTHESIS_PROFILE=thorough` is what it sets. A brief run draws other examples each time, so many of them see as much;
`tests.cases` does the same with the cases of a test.
"""

from __future__ import annotations

import os

THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
BRIEF = 4
"""What a brief run does, a thorough one does this many times."""


def examples(thorough: int) -> int:
    """How many examples, or how much of a thing, this run takes where a thorough one takes *thorough*."""
    return thorough if THOROUGH else -(-thorough // BRIEF)
