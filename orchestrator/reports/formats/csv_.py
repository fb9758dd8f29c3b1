"""`.csv`: one row a migration, for spreadsheets; a column for each of the workflow's variables."""

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
    names = [field.name for field in fields(MigrationReport) if field.name != "vars"]
    variables = report.names_of_vars()
    writer.writerow(["run_id", "workflow", "rehearsal", *names, *(f"vars.{name}" for name in variables)])
    run = [_cell(report.run_id), _cell(report.workflow), str(report.rehearsal).lower()]
    for migration in report.migrations:
        known = migration.vars.as_dict()
        own = (_cell(known.get(name)) for name in variables)
        writer.writerow([*run, *(_cell(getattr(migration, name)) for name in names), *own])
    return out.getvalue()


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = plain(value)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text
