"""Those who watch a run: log, progress, metrics, notifications. Each is a `Sink` of its events."""

from __future__ import annotations

from collections.abc import Callable

from ..events import Event
from ..run import RunState

Sink = Callable[[Event, RunState], None]
"""Called with each event after it was folded into the state (and journaled). It is quick and never raises."""

__all__ = ["Sink"]
