"""When a `verify` hook is run again. Pure.

It proves that what was cut over is good: the migration, its wave, or the run. With 0 it is verified, with 75 not yet, and
anything else, or too many of the latter, is *unverified*: cut over, but not proven good.
"""

from __future__ import annotations

import math

from .workflow import Hooks


def next_verification(hooks: Hooks, *, since: float | None, last: float | None) -> float | None:
    """When the `verify` hook that comes next may be run (Unix seconds; -inf: at once); None: its time is over.

    Args:
        hooks: Whose it is.
        since: When the first one was begun; None: none has been.
        last: When it said "not yet" last; None: it has not been run, or the one before it succeeded.
    """
    if last is None or since is None:
        return -math.inf
    again = last + hooks.verify_every
    return again if again < since + hooks.verify_timeout else None
