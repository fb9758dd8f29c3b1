"""The files that commands write, and what is said where one cannot be written."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ..core.checkpoints import Checkpoint, unwatched
from ..reports.model import RunReport
from ..reports.render import run_reports, write_all


def write_reports(
    report: RunReport, state_dir: Path, outputs: Iterable[Path] = (), *, checkpoint: Checkpoint = unwatched
) -> list[Path]:
    """Write a run's own reports and *outputs*; the paths. One that cannot be written is a warning, and stops no other."""
    written, failed = write_all(report, [*run_reports(state_dir, report.run_id), *outputs], checkpoint=checkpoint)
    for path, error in failed:
        warn(f"{path}: the report could not be written: {error.strerror or error}")
    return written


def warn(line: str) -> None:
    """Say *line* on stderr, if there is anybody to hear it."""
    with suppress(OSError):
        print(f"warning: {line}", file=sys.stderr)
