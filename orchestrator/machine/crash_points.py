"""Where a process may die: named boundaries at which the chaos suite kills it. For tests only.

`ATLAS_CUTOVER_CRASH_AT=name:count` in the environment makes the process kill itself with SIGKILL at the *count*-th passage
of the boundary *name*: no handler runs, nothing is flushed, as when the machine dies. Unset, a passage costs one look at a
module's variable. What the boundaries are for: `docs/guarantees.md`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from typing import Final

VARIABLE: Final = "ATLAS_CUTOVER_CRASH_AT"

POINTS: Final = (
    "run_begun",  # the run, or its continuation, is recorded; nothing has been sent
    "before_intent",  # a PUT is decided, and the journal does not know
    "after_intent",  # `cutover_requested` is on disk, the PUT has not left
    "put_answered",  # the PUT's answer is here, and recorded nowhere
    "answer_posted",  # it is recorded in memory, and not yet on disk
    "committing",  # inside the journal's transaction, before its COMMIT
    "committed",  # right after it
    "polling",  # about to read a job
    "finishing",  # all is over but `run_finished` is not written
    "finished",  # `run_finished` is on disk, no report is written
    "reporting",  # between two report files
)


class _Countdown:
    """Dies at the *left*-th passage of *name*."""

    __slots__ = ("left", "name")

    def __init__(self, name: str, left: int) -> None:
        self.name = name
        self.left = left

    def passes(self, name: str) -> None:
        if name == self.name:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def parse_crash_at(text: str) -> tuple[str, int]:
    """The name and count in `name:count`.

    Raises:
        ValueError: It is not of that form, or there is no such boundary.
    """
    name, _, count = text.partition(":")
    if name not in POINTS or not count.isascii() or not count.isdigit() or int(count) < 1:
        raise ValueError(f"{VARIABLE}={text}: expected name:count, the name one of {' '.join(POINTS)}")
    return name, int(count)


def _armed(environ: Mapping[str, str]) -> _Countdown | None:
    text = environ.get(VARIABLE)
    return _Countdown(*parse_crash_at(text)) if text else None


_countdown: _Countdown | None = _armed(os.environ)


def crash_point(name: str) -> None:
    """Pass the boundary *name*, one of `POINTS`; a process that is to die here does."""
    if _countdown is not None:
        _countdown.passes(name)
