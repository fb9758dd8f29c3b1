"""What of workflow and config cannot be used on this machine. `check` warns of it: it may run on another one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..settings import Settings
    from ..workflow import Workflow


def missing_here(workflow: Workflow, settings: Settings) -> Iterator[str]:
    """Each as a sentence; nothing is made, opened or sent."""
    if settings.observers.metrics is not None and find_spec("prometheus_client") is None:
        yield "metrics need prometheus-client: pip install 'atlas-cutover[metrics]'"
    if settings.observers.notify and find_spec("apprise") is None:
        yield "notifications need apprise: pip install 'atlas-cutover[notify]'"
    if settings.logging.file is not None and not _may_write(settings.logging.file.parent):
        yield f"log file {settings.logging.file}: its directory is not there, or cannot be written"
    if not _may_write(_nearest(settings.state_dir)):
        yield f"state directory {settings.state_dir}: it cannot be written, or made"
    yield from (f"hook program {program}: is not there, or cannot be run" for program in _absent_programs(workflow))


def _nearest(path: Path) -> Path:
    """*path*, or the first above it that is there."""
    return next((place for place in (path, *path.absolute().parents) if place.exists()), path)


def _may_write(directory: Path) -> bool:
    return directory.is_dir() and os.access(directory, os.W_OK | os.X_OK)


def _absent_programs(workflow: Workflow) -> list[str]:
    groups = [workflow.hooks]
    for wave in workflow.waves:
        groups += [wave.hooks, *(migration.hooks for migration in wave.migrations)]
    argvs = {argv for hooks in set(groups) for argv in (*hooks.before, *hooks.after_success, *hooks.after_failure)}
    programs = sorted({argv[0] for argv in argvs})
    return [program for program in programs if not _can_run(program, Path(workflow.directory))]


def _can_run(program: str, directory: Path) -> bool:
    """As a hook is started: without a slash by PATH, else from the workflow's *directory*."""
    if "/" not in program:
        return shutil.which(program) is not None
    return os.access(directory / program, os.X_OK)
