"""The files of a report: a run's own, and those that were asked for besides."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..core.checkpoints import Checkpoint, unwatched
from ..core.outcomes import ExitCode
from ..core.run import RunState
from ..reports.model import RunReport, build
from ..reports.render import run_reports, write_all

Unwritten = tuple[Path, OSError]
"""A report that could not be written, and why not."""


def write_reports(
    report: RunReport,
    state_dir: Path,
    outputs: Iterable[Path] = (),
    *,
    options: str = "",
    checkpoint: Checkpoint = unwatched,
) -> tuple[list[Path], list[Unwritten]]:
    """Write a run's own reports and *outputs*: those that were written, and those that could not be; one stops no other. *options*: as of `write_all`."""
    return write_all(report, outputs, own=run_reports(state_dir, report.run_id), options=options, checkpoint=checkpoint)


def as_recorded(state: RunState, *, now: float, holder: str | None = None, silent: float | None = None) -> RunReport:
    """The report of a run as it is in the journal, as `build` makes it; *now* in Unix seconds."""
    code = state.recorded_exit_code
    return build(state, now=now, exit_code=None if code is None else ExitCode(code), holder=holder, silent=silent)
