"""`.csv`: one row a migration, for spreadsheets."""

from __future__ import annotations

import csv
import io
from dataclasses import fields

from ..model import MigrationReport, RunReport
from ..words import plain

_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # noqa: RUF001 - spreadsheets in Asia take the wide ones too


def render_csv(report: RunReport) -> str:
    """*report*'s migrations as CSV (RFC 4180); text that a spreadsheet would take for a formula gets a `'` before it."""
    out = io.StringIO()
    writer = csv.writer(out)
    names = [field.name for field in fields(MigrationReport)]
    writer.writerow(["run_id", "workflow", "rehearsal", *names])
    run = [_cell(report.run_id), _cell(report.workflow), str(report.rehearsal).lower()]
    for migration in report.migrations:
        writer.writerow([*run, *(_cell(getattr(migration, name)) for name in names)])
    return out.getvalue()


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = plain(value)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text
