"""What happened in a run, without the secrets that somebody knows who is told of it by others. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .event_json import details
from .events import Event
from .steering import SteeringRequest

_NAMES = frozenset(
    {
        "base_url",
        "credentials",
        "elsewhere",
        "hook",
        "lag_gone",
        "method",
        "migration",
        "migrations",
        "reported_lag",
        "scope",
        "selected",
        "successor",
        "version",
        "was_ready",
        "wave",
    }
)
"""Fields that name something of the workflow or of this program: what they mean hangs on every letter. A workflow that holds a secret is not run."""


def cleared(event: Event, clean: Callable[[str], str]) -> Event:
    """*event* with *clean* applied to all that was said in it: output, commands, errors, reasons. Names stay as they are."""
    found = {key: _clear(value, clean) for key, value in details(event).items() if key not in _NAMES}
    changed = {key: value for key, value in found.items() if value != getattr(event, key)}
    return replace(event, **changed) if changed else event


def cleared_request(request: SteeringRequest, clean: Callable[[str], str]) -> SteeringRequest:
    """*request* with *clean* applied to what somebody has typed, or pasted."""
    return replace(request, who=clean(request.who), reason=clean(request.reason))


def _clear(value: Any, clean: Callable[[str], str]) -> Any:
    if value.__class__ is str:  # and no word of an enumeration
        return clean(value)
    if value.__class__ is tuple:
        return tuple(_clear(each, clean) for each in value)
    return value
