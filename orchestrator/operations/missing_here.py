"""What of workflow and config cannot be used on this machine. `check` warns of it: it may run on another one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import InputError, Problem
from ..machine.own_files import refuse_irregular
from ..machine.ownership import ForeignFileError, refuse_foreign_directory
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
    metrics = settings.observers.metrics
    if metrics is not None and not _may_replace(metrics):
        yield f"metrics.textfile {metrics}: its directory is not there, or cannot be written, or it is no regular file"
    if not _may_make(settings.state_dir):
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


def _may_make(directory: Path) -> bool:
    """Whether *directory* may be written, or made in the first one above it that is there."""
    for place in (directory, *directory.absolute().parents):
        try:
            place.lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:  # a name that is too long
            return False
        return _may_write(place)
    return False


def _may_write(directory: Path) -> bool:
    with suppress(OSError):  # a name that is too long, a directory above that may not be searched
        return directory.is_dir() and os.access(directory, os.W_OK | os.X_OK)
    return False


def _may_replace(file: Path) -> bool:
    with suppress(OSError):
        refuse_irregular(file)
        return _may_write(file.parent)
    return False


def programs_of(workflow: Workflow) -> list[str]:
    """The programs of all hooks, sorted."""
    groups = [workflow.hooks]
    for wave in workflow.waves:
        groups += [wave.hooks, *(migration.hooks for migration in wave.migrations)]
    return sorted({argv[0] for hooks in set(groups) for argv in hooks.argvs()})


def refuse_foreign_programs(workflow: Workflow) -> None:
    """Return when all hooks of *workflow* run programs that nobody else has put there, in a directory that nobody else can exchange.

    Raises:
        InputError: Somebody else could decide what runs.
    """
    problems = []
    programs = programs_of(workflow)
    try:
        if programs:
            refuse_foreign_directory(Path(workflow.directory))
    except ForeignFileError as error:
        message = f"hooks run in this directory, which {error.strerror}"
        raise InputError(problems=[Problem(file=str(error.filename), line=0, key="", message=message)]) from None
    except (OSError, ValueError):
        pass  # no hook can be started there, which its own error says
    for program in programs:
        try:
            refuse_foreign_program(program, Path(workflow.directory), os.environ.get("PATH"))
        except ForeignFileError as error:
            problems.append(
                Problem(file=str(error.filename), line=0, key="", message=f"the hook program {error.strerror}")
            )
    if problems:
        raise InputError(problems=problems)
