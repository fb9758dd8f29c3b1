"""What is left of requests to a run at Temporal when the process here ends that was to pass them on. Pure."""

from __future__ import annotations

from .steered import Command
from .steering import SteeringRequest

_HOLDS = frozenset({Command.PAUSE, Command.ABORT, Command.REJECT, Command.SKIP})


def outlives_who_was_asked(request: SteeringRequest) -> bool:
    """Whether *request* is done although the process that it was left for is gone.

    What holds cutovers up is: nothing is lost by it that cannot be said again. What lets them go, or changes what they wait for, was
    meant for the run as it stood then; it has gone on since, and whoever asked has not heard that it was done.
    """
    return request.command in _HOLDS
