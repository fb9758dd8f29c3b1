"""What of workflow and config cannot be used on this machine. `check` warns of it: it may run on another one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import InputError

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
    yield from (f"hook program {program}: is not there, or cannot be run" for program in _absent_programs(workflow))


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


def _absent_programs(workflow: Workflow) -> list[str]:
    groups = [workflow.hooks]
    for wave in workflow.waves:
        groups += [wave.hooks, *(migration.hooks for migration in wave.migrations)]
    programs = {argv[0] for hooks in set(groups) for argv in hooks.argvs()}
    return [program for program in sorted(programs) if not _can_run(program, Path(workflow.directory))]


def _can_run(program: str, directory: Path) -> bool:
    """As a hook is started: without a slash by PATH, else from the workflow's *directory*."""
    if "/" not in program:
        return shutil.which(program) is not None
    return os.access(directory / program, os.X_OK)
