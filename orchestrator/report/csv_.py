"""`.csv`: one row a migration, for spreadsheets."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, fields

from .model import MigrationReport, RunReport
from .words import plain

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def render_csv(report: RunReport) -> str:
    """*report*'s migrations as CSV (RFC 4180); text that a spreadsheet would take for a formula gets a `'` before it."""
    out = io.StringIO()
    writer = csv.writer(out)
    names = [field.name for field in fields(MigrationReport)]
    writer.writerow(["run_id", *names])
    for migration in report.migrations:
        row = asdict(migration)
        writer.writerow([report.run_id, *(_cell(row[name]) for name in names)])
    return out.getvalue()


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = plain(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
