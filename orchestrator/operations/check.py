"""`check`: whether workflow and config are right, and fit this machine. Nothing is sent or written."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..core.arguments import environment, mapping, path
from ..core.errors import InputError, Problem
from ..core.settings import Settings
from ..core.window import doubts_about
from ..core.workflow import Workflow
from ..files.config import load_settings
from ..files.workflow_file import load_workflow
from ..text.likeness import skeletons
from .missing_here import missing_here, refuse_foreign_programs
from .secrets_in import refuse_secrets


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was read, and is right.

    *missing*: what it needs and this machine lacks; *doubts*: what is odd about its window; *alike*: names that are easily taken for each other.
    """

    workflow: Workflow
    settings: Settings
    missing: tuple[str, ...]
    doubts: tuple[str, ...]
    alike: tuple[str, ...] = ()


def check(
    workflow: Path | str,
    config: Path | str | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Checked:
    """Read a workflow and the settings that it would run with.

    Args:
        workflow: The workflow file.
        config: The config file; None: there is none.
        environ: As for `load_settings`.
        overrides: As for `load_settings`.

    Raises:
        InputError: Anything is wrong with any of the files; `problems` has all of it.
    """
    path("workflow", workflow)
    if config is not None:
        path("config", config)
    if environ is not None:
        environment("environ", environ)
    if overrides is not None:
        mapping("overrides", overrides)
    problems: list[Problem] = []
    of_config: tuple[Problem, ...] = ()
    read = settings = None
    try:
        settings = load_settings(config, environ=environ, overrides=overrides)
    except InputError as error:
        of_config = error.problems
    try:
        read = load_workflow(workflow, credentials=None if settings is None else settings.credentials)
    except InputError as error:
        problems += error.problems
    if read is not None:
        try:
            if settings is not None:
                refuse_secrets(read, settings)
            refuse_foreign_programs(read)
        except InputError as error:
            problems += error.problems
    if read is None or settings is None or problems:
        clean = settings.redactor.text if settings is not None else str  # what is wrong may be a key in a wrong place
        told = [replace(problem, message=clean(problem.message)) for problem in problems]
        raise InputError(problems=[*told, *of_config])
    return Checked(
        workflow=read,
        settings=settings,
        missing=tuple(missing_here(read, settings)),
        doubts=tuple(doubts_about(read.window, time.time())),
        alike=tuple(
            names_alike([name for wave in read.waves for name in (wave.name, *(m.name for m in wave.migrations))])
        ),
    )


_MOST_ALIKE = 5


def names_alike(names: Iterable[str]) -> Iterator[str]:
    """Those of *names* that differ by letter case or by characters that look alike, each group as a sentence, a few of them."""
    groups: dict[str, list[str]] = {}
    alike: list[list[str]] = []
    for name in names:
        forms = sorted(skeletons(name))
        group = next((groups[form] for form in forms if form in groups), [])
        group.append(name)
        if len(group) == 2:
            alike.append(group)
        groups.update((form, group) for form in forms if form not in groups)
    for group in alike[:_MOST_ALIKE]:
        shown = ", ".join(f"{name!r}{_strange(name)}" for name in group[:_MOST_ALIKE])
        yield f"these names are easily taken for each other: {shown}"
    if len(alike) > _MOST_ALIKE:
        yield f"{len(alike) - _MOST_ALIKE} more groups of names are easily taken for each other"


def _strange(name: str) -> str:
    """Which characters of *name* are none of ASCII, since nobody sees that."""
    found = dict.fromkeys(character for character in name if not character.isascii())
    said = (
        f"{character} is U+{ord(character):04X} {unicodedata.name(character, 'without a name').lower()}"
        for character in found
    )
    return f" ({', '.join(said)})" if found else ""
