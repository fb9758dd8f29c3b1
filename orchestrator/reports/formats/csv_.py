"""`.csv`: one row a migration, for spreadsheets; a column for each of the workflow's variables."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import fields

from ..model import MigrationReport, RunReport
from ..words import plain

# Spreadsheets in Asia take the wide signs, too; where the decimal sign is a comma, a `;` begins a cell, whatever is quoted,
# and a quote behind it, which is doubled in the file, is an empty text there.
_FORMULA = re.compile(r"(?:^|(?<=;))(?=[\s\"]*[=+\-@＝＋－＠])")  # noqa: RUF001


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
    return _FORMULA.sub("'", plain(value))
