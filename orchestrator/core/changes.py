"""What is different between the workflow a run was started with and the file as it is now. Pure.

A run that goes on does what was recorded when it began, so a file that says something else must not start it. Its window
alone is another matter: the run goes on in that of the file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from ..text.counts import names_listed
from .workflow import Migration, Wave, Workflow

_NOT_COMPARED = frozenset({"name", "waves", "migrations", "window", "sha256", "directory", "file", "forecast_by"})
"""Told by lines of their own, or without effect: a comment changes the hash."""


def differences(recorded: Workflow, given: Workflow) -> list[str]:
    """What a run of *recorded* would do otherwise than *given* says, its window apart: in words, one thing a line."""
    before = {m.name: (wave, m) for wave, m in recorded.migrations()}
    after = {m.name: (wave, m) for wave, m in given.migrations()}
    lines = [
        *_named("migrations added", [name for name in after if name not in before]),
        *_named("migrations removed", [name for name in before if name not in after]),
        *_changed_migrations(before, after),
    ]
    old = {wave.name: wave for wave in recorded.waves}
    for wave in given.waves:
        if wave.name in old:
            lines += _changed_wave(old[wave.name], wave)
    if [wave.name for wave in recorded.waves] != [wave.name for wave in given.waves]:
        lines.append("the waves, or their order, differ")
    if changed := _keys(recorded, given):
        lines.append(f"the run's {', '.join(changed)}")
    if recorded.directory != given.directory and _has_hooks(recorded):
        lines.append(f"the hooks' directory: {recorded.directory}, now {given.directory}")
    return lines


def _named(label: str, names: list[str]) -> Iterable[str]:
    if names:
        yield f"{label}: {names_listed(names)}"


def _changed_migrations(
    before: dict[str, tuple[Wave, Migration]], after: dict[str, tuple[Wave, Migration]]
) -> Iterable[str]:
    """Those that are in both, those that changed alike on one line: `migrations changed (gate): a, b`."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, (wave, migration) in after.items():
        if name in before:
            was_in, was = before[name]
            changed = (*(("wave",) if was_in.name != wave.name else ()), *_keys(was, migration))
            if changed:
                groups.setdefault(changed, []).append(name)
    for changed, names in groups.items():
        yield from _named(f"migrations changed ({', '.join(changed)})", names)


def _changed_wave(recorded: Wave, given: Wave) -> Iterable[str]:
    changed = [
        key
        if isinstance(getattr(given, key), tuple) or key in ("hooks", "vars")
        else f"{key} {_shown(recorded, given, key)}"
        for key in _keys(recorded, given)
    ]
    was, now = ([m.name for m in wave.migrations] for wave in (recorded, given))
    if was != now and sorted(was) == sorted(now):
        changed.append("the order of its migrations")
    if changed:
        yield f"wave {given.name}: {', '.join(changed)}"


def _shown(recorded: Wave, given: Wave, key: str) -> str:
    return f"{_word(getattr(recorded, key))}, now {_word(getattr(given, key))}"


def _word(value: Any) -> str:
    return "unset" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _keys(recorded: Any, given: Any) -> list[str]:
    """The fields in which two things of one kind differ."""
    names = (field.name for field in fields(given) if field.name not in _NOT_COMPARED)
    return [name for name in names if getattr(recorded, name) != getattr(given, name)]


def _has_hooks(workflow: Workflow) -> bool:
    return bool(
        workflow.hooks or any(wave.hooks for wave in workflow.waves) or any(m.hooks for _, m in workflow.migrations())
    )
