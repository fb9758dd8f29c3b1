"""Events as JSON data, and back: the stored form. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields
from operator import attrgetter
from typing import Any

from .events import Event, Evidence, ForecastMade, RunStarted, WindowChanged
from .forecast import forecast_from_json, forecast_to_json
from .outcomes import Outcome, RunOutcome
from .window import window_from_json, window_to_json
from .workflow import from_json as workflow_from_json
from .workflow import to_json as workflow_to_json


def _leaves(cls: type[Event]) -> list[type[Event]]:
    found = [cls] if cls.name else []
    for sub in cls.__subclasses__():
        found += _leaves(sub)
    return found


EVENTS: dict[str, type[Event]] = {cls.name: cls for cls in _leaves(Event)}
_FIELDS: dict[str, tuple[str, ...]] = {
    name: tuple(f.name for f in fields(cls) if f.name != "at") for name, cls in EVENTS.items()
}
_GETTERS = {name: attrgetter(*names) if len(names) > 1 else None for name, names in _FIELDS.items()}


def details(event: Event) -> dict[str, Any]:
    """The fields of *event* other than `at` and its name."""
    names = _FIELDS[event.name]
    getter = _GETTERS[event.name]
    if getter is None:
        return {name: getattr(event, name) for name in names}
    return dict(zip(names, getter(event), strict=True))


def to_json(event: Event) -> dict[str, Any]:
    """`details` as JSON data (tuples become lists when dumped)."""
    data = details(event)
    if event.__class__ is RunStarted:
        data["workflow"] = workflow_to_json(data["workflow"])
    if event.__class__ is ForecastMade:
        data["forecast"] = forecast_to_json(data["forecast"])
    if event.__class__ is WindowChanged:
        data["window"] = window_to_json(data["window"])
    return data


def _deep_tuple(value: Any) -> Any:
    return tuple(_deep_tuple(item) for item in value) if isinstance(value, (list, tuple)) else value


_FROM_JSON: dict[Any, Callable[[Any], Any]] = {
    "Outcome": Outcome,
    "RunOutcome": RunOutcome,
    "Workflow": workflow_from_json,
    "Evidence": Evidence,
    "Forecast": forecast_from_json,
    "Window | None": window_from_json,
    "tuple[str, ...]": _deep_tuple,
    "tuple[str, ...] | None": lambda value: None if value is None else _deep_tuple(value),
}
"""What makes a field's value of what JSON has of it, by the field's type as it is written above; the others are as in JSON."""
_MADE = {
    name: tuple((f.name, _FROM_JSON[f.type], f.default is MISSING) for f in fields(cls) if f.type in _FROM_JSON)
    for name, cls in EVENTS.items()
}


def from_json(name: str, at: float, data: Any) -> Event:
    """The event that `to_json` made *data* of.

    Raises:
        ValueError: *name* or a field is not known here (the journal was written by a newer version), or *data* is
            damaged.
    """
    cls = EVENTS.get(name)
    if cls is None:
        raise ValueError(f"unknown event {name!r}")
    if not isinstance(data, dict):
        raise ValueError(f"event {name!r}: it is no JSON object")  # noqa: TRY004 - the journal's readers know one error
    try:
        made = _MADE[name]
        if made:
            data = data | {field: make(data[field]) for field, make, needed in made if needed or field in data}
        return cls(at=at, **data)
    except KeyError as error:
        raise ValueError(f"event {name!r}: it has no {error}") from None
    except (AttributeError, IndexError, OverflowError, TypeError) as error:
        raise ValueError(f"event {name!r}: {error}") from None
