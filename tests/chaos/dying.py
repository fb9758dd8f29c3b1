"""The program, made to die: `python -m tests.chaos.dying COMMAND ...` with ATLAS_CUTOVER_CRASH_AT=name:count.

It kills itself with SIGKILL at the *count*-th passage of the checkpoint *name*: no handler runs, nothing is flushed, as when
the machine dies. Unset, it is the program as it is.
"""

from __future__ import annotations

import os
import signal
from typing import Final

from orchestrator.__main__ import main
from orchestrator.core.checkpoints import CHECKPOINTS, Checkpoint, unwatched

VARIABLE: Final = "ATLAS_CUTOVER_CRASH_AT"


class Countdown:
    """Dies at the *left*-th passage of *name*."""

    __slots__ = ("_left", "_name")

    def __init__(self, name: str, left: int) -> None:
        self._name = name
        self._left = left

    def __call__(self, name: str) -> None:
        """Pass the checkpoint *name*."""
        if name == self._name:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def parse_crash_at(text: str) -> tuple[str, int]:
    """The name and count in `name:count`.

    Raises:
        ValueError: It is not of that form, or there is no such checkpoint.
    """
    name, _, count = text.partition(":")
    if name not in CHECKPOINTS or not count.isascii() or not count.isdigit() or int(count) < 1:
        raise ValueError(f"{VARIABLE}={text}: expected name:count, the name one of {' '.join(CHECKPOINTS)}")
    return name, int(count)


def checkpoint_of(text: str | None) -> Checkpoint:
    """What to do at each checkpoint, as *text* has it."""
    return Countdown(*parse_crash_at(text)) if text else unwatched


if __name__ == "__main__":
    main(checkpoint_of(os.environ.get(VARIABLE)))
