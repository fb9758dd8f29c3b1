"""Text that a workflow has about its migrations, for hooks, reports and the page: `vars`, and further columns of a CSV file. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

HOOK_PREFIX = "CUTOVER_VAR_"
"""The prefix of the name, in capitals, in a hook's environment."""


@dataclass(frozen=True, slots=True)
class Vars:
    """Names and their values, side by side: migrations that have the same names share the one tuple of them."""

    names: tuple[str, ...] = ()
    values: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.names)

    def items(self) -> Iterator[tuple[str, str]]:
        """Each name with its value."""
        return zip(self.names, self.values, strict=True)

    def as_dict(self) -> dict[str, str]:
        """The same as a dictionary."""
        return dict(self.items())


NO_VARS = Vars()


def variable_key(name: str) -> str:
    """What two names have in common that are one variable to a hook, which has them in capitals."""
    return name.upper()


def merged(levels: Iterable[Mapping[str, str]]) -> Vars:
    """What holds where several *levels* say something, the nearest last: each variable's nearest value, its name as it is first spelled."""
    names: dict[str, str] = {}
    values: dict[str, str] = {}
    for level in levels:
        for name, value in level.items():
            names.setdefault(variable_key(name), name)
            values[variable_key(name)] = value
    return Vars(tuple(names.values()), tuple(values.values())) if names else NO_VARS
