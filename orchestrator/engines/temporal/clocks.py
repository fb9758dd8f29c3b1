"""The Temporal server's clock, as a worker knows it: machines whose clocks differ agree on how old a read is.

The server tells when it has handed out each activity, a moment before that is known here. The quickest of the last ones
says best what its clock shows: never ahead of it, and behind by no more than the way took.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime

from ..clock import steady_time

_SAMPLES = 64


class ServerClock:
    """Unix seconds by the server's clock. *steady*: a clock of this machine that nobody sets."""

    def __init__(self, steady: Callable[[], float] = steady_time) -> None:
        self.steady = steady
        self._ahead: deque[float] = deque(maxlen=_SAMPLES)

    def hear(self, handed_out: datetime) -> None:
        """The server handed something out then, which is here now."""
        self._ahead.append(self.steady() - handed_out.timestamp())

    def now(self) -> float:
        """What its clock shows. Something has to have been heard."""
        return self.steady() - min(self._ahead)
