"""Events as JSON data, and back: the stored form. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields
from operator import attrgetter
from types import NoneType
from typing import Any, NoReturn

from . import stored
from .arguments import EARLIEST, LATEST, MOST
from .events import Event, Evidence, ForecastMade, RunFinished, RunStarted, WindowChanged
from .forecast import forecast_from_json, forecast_to_json
from .outcomes import ExitCode, Outcome, RunOutcome
from .window import window_from_json, window_to_json
from .workflow import HookKind
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
_LONGEST = 200  # characters of what is wrong, in a message
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


_NUMBER: tuple[type, ...] = (int, float)
_KINDS: dict[Any, tuple[type, ...]] = {
    "str": (str,),
    "str | None": (str, NoneType),
    "bool": (bool,),
    "bool | None": (bool, NoneType),
    "int": (int,),
    "int | None": (int, NoneType),
    "float": _NUMBER,
    "float | None": (*_NUMBER, NoneType),
    "tuple[str, ...]": (list, tuple),
    "tuple[str, ...] | None": (list, tuple, NoneType),
    "dict[str, int]": (dict,),
    "dict[str, Any]": (dict,),
    "Evidence": (str,),
    "Outcome": (str,),
    "RunOutcome": (str,),
    "Workflow": (dict,),
    "Forecast": (dict,),
    "Window | None": (dict, NoneType),
}
"""What JSON may have in a field, by the field's type as it is written above."""
_FIELD_KINDS = {name: {f.name: _KINDS[f.type] for f in fields(cls) if f.name != "at"} for name, cls in EVENTS.items()}

_FROM_JSON: dict[Any, Callable[[Any], Any]] = {
    "Outcome": Outcome,
    "RunOutcome": RunOutcome,
    "Workflow": workflow_from_json,
    "Evidence": Evidence,
    "Forecast": forecast_from_json,
    "Window | None": window_from_json,
    "tuple[str, ...]": stored.texts,
    "tuple[str, ...] | None": stored.texts_or_none,
    "dict[str, int]": stored.counts,
    "dict[str, Any]": stored.requests,
}
"""What makes a field's value of what JSON has of it, by the field's type as it is written above; the others are as in JSON."""
_HOOKS, _EXIT_CODES = frozenset(map(str, HookKind)), frozenset(map(int, ExitCode))


def _hook(value: str) -> str:
    if value in _HOOKS:  # some times as fast as the enumeration
        return value
    raise ValueError(f"hook: {stored.shown(value)} is none")


def _exit_code(value: int) -> int:
    if value in _EXIT_CODES:
        return value
    raise ValueError(f"exit_code: {stored.shown(value)} is none")


_OF_FIELD: dict[str, Callable[[Any], Any]] = {"argv": stored.command, "hook": _hook, "exit_code": _exit_code}
"""The same by the field's name, where its type does not say all; the exit code is that of `RunFinished`, as a hook has any."""


def _maker(cls: type[Event], name: str, kind: Any) -> Callable[[Any], Any] | None:
    if name == "exit_code" and cls is not RunFinished:
        return None
    return _OF_FIELD.get(name) or _FROM_JSON.get(kind)


_MADE = {
    name: tuple(
        (f.name, maker, f.default is MISSING and f.default_factory is MISSING)
        for f in fields(cls)
        if (maker := _maker(cls, f.name, f.type)) is not None
    )
    for name, cls in EVENTS.items()
}

_LARGEST = float(MOST)
_WIDE = (-_LARGEST, _LARGEST)
_MOMENT = (float(EARLIEST), float(LATEST - 1))
_AMOUNT = (-stored.AMOUNT, stored.AMOUNT)
_BOUNDS = {
    **dict.fromkeys(("opens", "closes", "last_start", "until"), _MOMENT),
    **dict.fromkeys(("seconds", "settle", "took", "timeout"), _AMOUNT),
}
"""Of the numbers that times are reckoned with; any other is only shown."""

Bounded = tuple[tuple[str, float, float], ...]
_FIRST, _LAST = stored.FIRST, stored.LAST
_MOST_SHAPES = 4096
_shapes: dict[tuple[Any, ...], Bounded] = {}
"""What was found right, by the event's name, its fields and the kinds of what is in them, and which of them are numbers. A journal of a
hundred thousand events has a few dozen such shapes, so each is looked at once; what is left of the check is one look-up."""


def _shape(name: str, data: dict[str, Any]) -> Bounded:
    """The numbers in *data*, and within what each has to be; remembered by its shape.

    Raises:
        ValueError: A field is not known here, or what is in it is of another kind.
    """
    kinds, numbers = _FIELD_KINDS[name], []
    for field, value in data.items():
        expected = kinds.get(field)
        if expected is None:
            raise ValueError(f"it has {stored.shown(field)}, which is not known here")
        if not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected):
            raise ValueError(
                f"{field}: expected {' or '.join(each.__name__ for each in expected)}, got {stored.shown(value)}"
            )
        if isinstance(value, _NUMBER) and not isinstance(value, bool):
            numbers.append((field, *_BOUNDS.get(field, _WIDE)))
    found = tuple(numbers)
    if len(_shapes) < _MOST_SHAPES:  # whoever damages a journal may think of any number of them
        _shapes[(name, *data, *map(type, data.values()))] = found
    return found


def from_json(name: str, at: float, data: Any) -> Event:
    """The event that `to_json` made *data* of.

    Raises:
        ValueError: *name* or a field is not known here (the journal was written by a newer version), or *data* is
            damaged: something else than the field is for, a number that cannot be.
    """
    cls = EVENTS.get(name)
    if cls is None:
        raise ValueError(f"unknown event {stored.shown(name)}")
    if type(data) is not dict:
        raise ValueError(f"event {name!r}: it is no JSON object")  # the journal's readers know one error
    try:
        numbers = _shapes.get((name, *data, *map(type, data.values())))
        if numbers is None:
            numbers = _shape(name, data)
        for field, low, high in numbers:
            if not low <= data[field] <= high:  # which NaN is not
                _refuse_number(field, data[field], low, high)
        if not _FIRST <= at <= _LAST:
            _refuse_moment(at)
        made = _MADE[name]
        if made:
            data = data | {field: make(data[field]) for field, make, needed in made if needed or field in data}
        return cls(at=at, **data)
    except KeyError as error:
        raise ValueError(f"event {name!r}: it has no {stored.shown(error.args[0])}") from None
    except (ArithmeticError, AttributeError, IndexError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"event {name!r}: {str(error)[:_LONGEST]}") from None


def _refuse_number(field: str, value: float, low: float, high: float) -> NoReturn:
    raise ValueError(f"{field}: expected a number from {low:g} to {high:g}, got {stored.shown(value)}")


def _refuse_moment(at: float) -> NoReturn:
    raise ValueError(f"it happened at {stored.shown(at)}, of which no date can be made")
