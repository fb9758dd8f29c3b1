"""What of workflow and config cannot be used on this machine. `check` warns of it: it may run on another one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import InputError, Problem
from ..machine.ownership import ForeignFileError
from ..machine.programs import refuse_foreign_program, trouble_with

if TYPE_CHECKING:
    from ..core.settings import Settings
    from ..core.workflow import Workflow


def missing_here(workflow: Workflow, settings: Settings) -> Iterator[str]:
    """Each as a sentence; nothing is made, opened or sent."""
    yield from _missing_extras(settings)
    yield from _useless_proxy(settings.atlas.base_url)
    if settings.logging.file is not None and not _may_write(settings.logging.file.parent):
        yield f"log file {settings.logging.file}: its directory is not there, or cannot be written"
    if not _may_write(_nearest(settings.state_dir)):
        yield f"state directory {settings.state_dir}: it cannot be written, or made"
    for program in programs_of(workflow):
        if (trouble := trouble_with(program, Path(workflow.directory), os.environ.get("PATH"))) is not None:
            yield f"hook program {program}: {trouble}"


def _missing_extras(settings: Settings) -> Iterator[str]:
    required: list[Callable[[], None]] = []
    if settings.observers.metrics is not None:
        from ..observers.metrics import require_metrics

        required.append(require_metrics)
    if settings.observers.notify:
        from ..observers.notify import require_notifications

        required.append(require_notifications)
    for require in required:
        try:
            require()
        except InputError as error:
            yield str(error)


def _useless_proxy(base_url: str) -> Iterator[str]:
    from yarl import URL

    from ..atlas.proxy import proxy_for

    try:
        proxy_for(URL(base_url), os.environ)
    except InputError as error:
        yield str(error)


def _nearest(path: Path) -> Path:
    """*path*, or the first above it that is there."""
    return next((place for place in (path, *path.absolute().parents) if place.exists()), path)


def _may_write(directory: Path) -> bool:
    return directory.is_dir() and os.access(directory, os.W_OK | os.X_OK)


def programs_of(workflow: Workflow) -> list[str]:
    """The programs of all hooks, sorted."""
    groups = [workflow.hooks]
    for wave in workflow.waves:
        groups += [wave.hooks, *(migration.hooks for migration in wave.migrations)]
    return sorted({argv[0] for hooks in set(groups) for argv in hooks.argvs()})


def refuse_foreign_programs(workflow: Workflow) -> None:
    """Return when all hooks of *workflow* run programs that nobody else has put there.

    Raises:
        InputError: Somebody else could decide what runs.
    """
    problems = []
    for program in programs_of(workflow):
        try:
            refuse_foreign_program(program, Path(workflow.directory), os.environ.get("PATH"))
        except ForeignFileError as error:
            problems.append(
                Problem(file=str(error.filename), line=0, key="", message=f"the hook program {error.strerror}")
            )
    if problems:
        raise InputError(problems=problems)
