"""`${NAME}` in values, and what people write in its place or around a value."""

from __future__ import annotations

import re

REFERENCE = re.compile(r"\$\$|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}|\$[{(]|\$(?P<bare>[A-Za-z_][A-Za-z0-9_]*)")
"""What stands for something else in a config file: `$$`, `${NAME}`, and three that are mistakes."""
_QUOTES = "\"'"


def meant_by(found: re.Match[str]) -> str:
    """What is to be said of a match of `REFERENCE` that is a mistake."""
    if (bare := found.group("bare")) is not None:
        return f"${bare} is not replaced: write ${{{bare}}}, or $${bare} where a dollar sign is meant"
    if found.group() == "$(":
        return (
            "$( is not replaced, as no shell reads this: write what it stands for, or $$( where a dollar sign is meant"
        )
    return "expected ${NAME}, or $$ for a dollar sign"


def unreplaced(value: str) -> str | None:
    """What is wrong with *value*, in which nothing is replaced, if it was written as if; None: nothing is."""
    found = next((each for each in REFERENCE.finditer(value) if each.group() != "$$"), None)
    if found is None:
        return None
    return f"{found.group()} is not replaced here, neither by this program nor, in quotes or in a file, by a shell: give the value itself"


def in_quotes(value: str) -> str | None:
    """What is wrong with *value* if it is wrapped in quotes, as `docker --env-file` and others leave them; None: it is not."""
    if len(value) > 1 and value[0] == value[-1] and value[0] in _QUOTES:
        return "its value is wrapped in quotes, which are a part of it here (`docker --env-file` keeps them): take them away"
    return None
