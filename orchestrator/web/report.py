"""The report of a run for whoever looks at its page: made from the journal when it is asked for, so that it is never an older one."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import JournalError
from ..operations.reporting import as_recorded
from ..reports.formats.html import render_html
from ..reports.options import with_options
from ..store.journal import open_journal, worked_on_by


def report_of(state_dir: Path, run_id: str, now: float, options: str = "") -> str | None:
    """report.html of run *run_id* as it would be at *now* (Unix seconds), *options* in its commands; None: there is no such run, or it cannot be read."""
    try:
        with open_journal(state_dir, readonly=True) as journal:
            row = journal.find(run_id)
            if row is None:
                return None
            report = as_recorded(journal.told_state(run_id), now=now, holder=worked_on_by(state_dir, row))
    except JournalError:
        return None
    return render_html(with_options(report, options))
