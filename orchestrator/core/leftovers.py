"""What is left of requests to a run at Temporal when the process here ends, or is late, that was to pass them on. Pure."""

from __future__ import annotations

from .steered import Command
from .steering import SteeringRequest

FRESH = 10.0
"""Seconds, by the wall clock, within which a request is passed on that lets a run go on; later ones are dropped."""
_HOLDS = frozenset({Command.PAUSE, Command.ABORT, Command.REJECT, Command.SKIP})


def outlives_who_was_asked(request: SteeringRequest) -> bool:
    """Whether *request* is done although the process that it was left for is gone.

    What holds cutovers up is: nothing is lost by it that cannot be said again. What lets them go, or changes what they wait for, was
    meant for the run as it stood then; it has gone on since, and whoever asked has not heard that it was done.
    """
    return request.command in _HOLDS


def is_too_late(request: SteeringRequest, *, at: float, now: float) -> bool:
    """Whether *request*, asked at *at*, is not passed on any more at *now*: it lets the run go on, and may be older than what holds it up.

    Whoever was to pass it on may have been frozen, or cut off, while somebody asked for something else from elsewhere. A time that has
    not come yet says nothing of its age, so it counts as old. Unix seconds.
    """
    return not outlives_who_was_asked(request) and not 0.0 <= now - at <= FRESH
