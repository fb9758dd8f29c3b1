"""Values of Python that say what a file could: taken apart, or refused, as nothing promises that they are what they should be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..core.errors import InputError, Problem
from .scalars import format_key
from .yaml_file import KeyPath

TOO_DEEP = "is nested too deeply, or holds itself"


def leaves(given: Mapping[str, Any], *, name: str) -> dict[KeyPath, Any]:
    """Every value of *given*, which messages call *name*, by its path, as the text that would stand in a file.

    Raises:
        InputError: One of them is nothing that could stand there.
    """
    try:
        return dict(_leaves(given, (), name))
    except RecursionError:
        raise wrong(name, (), TOO_DEEP) from None


def wrong(name: str, path: KeyPath, message: str) -> InputError:
    """The mistake *message* at *path* of what messages call *name*."""
    return InputError(problems=[Problem(file=name, line=0, key=format_key(path), message=message)])


def _leaves(given: Mapping[Any, Any], above: KeyPath, name: str) -> Iterator[tuple[KeyPath, Any]]:
    for key, value in given.items():
        path = (*above, _key(key, above, name))
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, path, name)
        elif value is not None:
            yield path, _as_text(value, path, name)


def _key(key: object, above: KeyPath, name: str) -> str:
    if isinstance(key, str | int | float | None):
        return str(_as_text(key, above, name))
    raise wrong(name, above, f"holds a key that is a {type(key).__name__}")


def _as_text(value: Any, path: KeyPath, name: str) -> Any:
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case str() | int() | float() | Path():
            try:
                return str(value)
            except ValueError:  # of thousands of digits
                raise wrong(name, path, "is too large a number") from None
        case list() | tuple():
            return [_as_text(item, (*path, number), name) for number, item in enumerate(value)]
        case Mapping():
            return {(text := _key(key, path, name)): _as_text(item, (*path, text), name) for key, item in value.items()}
    raise wrong(name, path, f"cannot be a {type(value).__name__}")
