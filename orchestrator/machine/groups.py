"""Errors that come out of task groups."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def alone() -> Iterator[None]:
    """An error that is the only one of the task groups in here comes out as it was."""
    try:
        yield
    except BaseExceptionGroup as errors:
        one: BaseException = errors
        while isinstance(one, BaseExceptionGroup) and len(one.exceptions) == 1:
            one = one.exceptions[0]
        if isinstance(one, BaseExceptionGroup):
            raise
        raise one from one.__cause__
