"""The garbage collector, out of the way of a session, and of the page."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_YOUNG, _MIDDLE, _OLD = 100_000, 50, 100


@contextmanager
def rare_collections() -> Iterator[None]:
    """Let the collector look for cycles seldom while the block runs.

    A session keeps thousands of tasks alive and makes hardly any cycles; looking through all of them again and again,
    as the usual thresholds have it, took a tenth of its CPU time (docs/performance.md).
    """
    before = gc.get_threshold()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
    try:
        yield
    finally:
        gc.set_threshold(*before)
