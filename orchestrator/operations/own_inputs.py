"""What a command reads is not written over by what it writes: after a slip in an option the list of what is to be cut over would be a report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from ..core.errors import InputError
from ..core.settings import Settings
from ..core.workflow import Workflow
from ..files.workflow_file import load_workflow
from ..machine.trusted_files import is_read
from ..store.schema import files_of
from .missing_here import programs_of


def refuse_overwriting(outputs: Iterable[Path], settings: Settings, workflow: Workflow | None = None) -> None:
    """Return when neither the report's files (*outputs*), nor log and metrics as *settings* have them, are among what is read.

    That is what this process has read so far, the file and hooks of *workflow*, and what the state directory keeps for itself.

    Raises:
        InputError: One of them is.
    """
    refuse_written(
        [
            *(("--output", path) for path in outputs),
            ("log file", settings.logging.file),
            ("metrics.textfile", settings.observers.metrics),
        ],
        settings.state_dir,
        workflow,
    )


def refuse_written(
    written: Iterable[tuple[str, Path | None]], state_dir: Path, workflow: Workflow | None = None
) -> None:
    """The same of the files *written*, each with what it is called.

    Raises:
        InputError: As `refuse_overwriting`.
    """
    named = [(name, path) for name, path in written if path is not None]
    if named and workflow is not None and workflow.file:
        file = Path(workflow.directory, workflow.file)
        if not is_read(file):
            with suppress(InputError):  # what is wrong with it by now is not the matter here
                load_workflow(file)  # by which the CSV files that it names are known
    for name, path in named:
        if (what := _what_it_is(path, state_dir, workflow)) is not None:
            raise InputError(f"{name} {path}: {what}, which would be written over: name another file")


def _what_it_is(path: Path, state_dir: Path, workflow: Workflow | None) -> str | None:
    if is_read(path):
        return "that is a file which this command reads"
    if workflow is not None and any(_is_one(path, each) for each in _files_of(workflow)):
        return f"that is a file of workflow {workflow.name!r}"
    if any(_is_one(path, each) for each in files_of(state_dir)):
        return "that is what the state directory keeps runs in"
    return None


def _files_of(workflow: Workflow) -> Iterator[Path]:
    if workflow.file:
        yield Path(workflow.directory, workflow.file)
    yield from (Path(workflow.directory, program) for program in programs_of(workflow) if "/" in program)


def _is_one(path: Path, other: Path) -> bool:
    """Whether both are the same file, or will be, where there is none yet; or *path* lies in the directory *other*."""
    with suppress(OSError, RuntimeError):
        here, there = path.resolve(), other.resolve()
        return here.is_relative_to(there) or path.samefile(other)
    return False
