"""A report in the format that a file's suffix names."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from pathlib import Path

from ..core.checkpoints import Checkpoint, unwatched
from ..core.errors import InputError
from ..machine.aside import Aside
from ..machine.outlet import PATIENCE
from ..machine.own_files import PRIVATE, make_directory, refuse_irregular, replace_file
from ..machine.trusted_files import is_read
from ..store.state_dir import part_of_path
from .model import RunReport
from .options import with_options

FORMATS = {
    ".json": ("formats.json_", "render_json"),
    ".md": ("formats.markdown", "render_markdown"),
    ".html": ("formats.html", "render_html"),
    ".xml": ("formats.junit", "render_junit"),
    ".csv": ("formats.csv_", "render_csv"),
}
"""Suffix to module and function; imported when asked for, since the templates' engine takes a while."""

LAST_PATIENCE = 20.0
"""Seconds from the first report on after which none is waited for any more; each of them keeps the next one waiting for `PATIENCE` at most."""

FOR_PEOPLE = (".md", ".html")
"""Formats whose commands are copied; programs take the state directory from where they know it."""

ALWAYS = ("report.json", "report.md", "report.html")
"""What is written at every end of a run."""


def check_output_path(path: Path) -> None:
    """See before a run starts that *path* can be written after it.

    Raises:
        InputError: An unknown suffix, a directory that is not there or not writable, or something there that is no file.
    """
    suffix(path)
    try:
        if not path.parent.is_dir():
            raise InputError(f"{path}: there is no directory {path.parent}")
        if path.is_dir():
            raise InputError(f"{path}: is a directory")
        refuse_irregular(path)
        if is_read(path):
            raise InputError(f"{path}: is a file that was read here, and would be written over: name another file")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise InputError(f"{path}: the directory {path.parent} is not writable")


def suffix(path: Path) -> str:
    """The suffix of *path*, in small letters.

    Raises:
        InputError: No format has it.
    """
    found = path.suffix.lower()
    if found not in FORMATS:
        raise InputError(f"{path}: the suffix chooses the format: expected one of {' '.join(FORMATS)}")
    return found


def render(report: RunReport, suffix: str) -> str:
    """*report* in the format of *suffix* (with its dot)."""
    module, function = FORMATS[suffix]
    renderer: Callable[[RunReport], str] = getattr(import_module(f".{module}", __package__), function)
    return renderer(report)


def _rendered(report: RunReport, path: Path) -> bytes:
    # Without a mark, Excel takes UTF-8 for something else.
    return render(report, suffix(path)).encode("utf-8-sig" if suffix(path) == ".csv" else "utf-8")


def _put(path: Path, data: bytes, *, private: bool) -> None:
    if private:
        make_directory(path.parent.parent)
        make_directory(path.parent)
    replace_file(path, data, mode=PRIVATE if private else None)


def write_all(
    report: RunReport,
    paths: Iterable[Path],
    *,
    own: Iterable[Path] = (),
    options: str = "",
    checkpoint: Checkpoint = unwatched,
) -> tuple[list[Path], list[tuple[Path, OSError]]]:
    """Write *report* to each of *paths*, after the run's *own*, whole or not at all; those that were written, and those that could not be, with the reason.

    The directory of the run's *own* is made where it lacks, and all is their owner's alone, as the journal is; of *paths* the umask says.

    *options*: with which a command finds the run's state directory; those that are for people have them behind each command. A file system
    that hangs keeps nobody for longer than `PATIENCE` and `LAST_PATIENCE`, and the other files are written all the same.
    """
    told = with_options(report, options)
    asked = [*((path, True) for path in own), *((path, False) for path in paths)]
    until = time.monotonic() + LAST_PATIENCE
    writing: list[tuple[Path, Aside[None]]] = []
    for path, private in asked:
        data = _rendered(told if suffix(path) in FOR_PEOPLE else report, path)
        writing.append((path, Aside(partial(_put, path, data, private=private))))
        writing[-1][1].wait(PATIENCE)
        checkpoint("reporting")
    written: list[Path] = []
    failed: list[tuple[Path, OSError]] = []
    for path, each in writing:
        try:
            each.result(until - time.monotonic())
        except OSError as error:
            failed.append((path, error))
        else:
            written.append(path)
    return written, failed


def run_reports(state_dir: Path, run_id: str) -> list[Path]:
    """Where the reports are that are written at every end of run *run_id*."""
    return [state_dir / "runs" / part_of_path(run_id) / name for name in ALWAYS]
