"""Who is told of what happens."""

from __future__ import annotations

from collections.abc import Callable

from .events import Event
from .run import RunState

Observer = Callable[[Event, RunState], None]
"""Gets each event once the state has taken it in (and the journal has it, or will have it soon). It is quick and never raises."""
