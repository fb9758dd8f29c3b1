"""`status` and `report`: what the journal says."""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from datetime import UTC, datetime

from ..journal import Journal, open_journal
from ..locks import holder_of, run_lock
from ..outcomes import ExitCode
from ..report.model import RunReport, build
from ..report.render import check_output_path, write_report
from ..report.summary import print_json, print_summary
from ..settings import Settings
from .inputs import find_run, read_settings

WATCH_EVERY = 2.0  # seconds


def execute(args: Namespace) -> int:
    """Carry out `status` or `report`."""
    settings = read_settings(args)
    with open_journal(settings.state_dir, readonly=True) as journal:
        if args.command == "report":
            return _report(args, journal)
        if args.run_id is None and not args.watch:
            return _runs(args, journal, settings)
        return _status(args, journal, settings)


def _report(args: Namespace, journal: Journal) -> int:
    for path in args.output:
        check_output_path(path)
    report = _build(journal, find_run(journal, args.run_id).run_id)
    for path in args.output:
        write_report(report, path)
    if args.format == "json":
        print_json(report, file=sys.stdout)
    else:
        print_summary(report, file=sys.stdout, paths=args.output)
    return 0


def _status(args: Namespace, journal: Journal, settings: Settings) -> int:
    run_id = find_run(journal, args.run_id).run_id
    while True:
        report = _build(journal, run_id)
        holder = holder_of(run_lock(settings.state_dir, run_id))
        if args.watch and sys.stdout.isatty():
            sys.stdout.write("\x1b[H\x1b[2J")
        if args.format == "json":
            print_json(report, file=sys.stdout)
        else:
            print_summary(report, file=sys.stdout, running=holder)
        if not args.watch or holder is None:
            return 0
        sys.stdout.flush()
        time.sleep(WATCH_EVERY)


def _build(journal: Journal, run_id: str) -> RunReport:
    state = journal.state(run_id)
    code = state.recorded_exit_code
    return build(state, now=time.time(), exit_code=None if code is None else ExitCode(code))


def _runs(args: Namespace, journal: Journal, settings: Settings) -> int:
    rows = journal.runs()
    if args.format == "json":
        listed = [
            {
                "run_id": row.run_id,
                "workflow": row.workflow,
                "rehearsal": row.rehearsal,
                "migrations": row.migrations,
                "started_at": _utc(row.started_at),
                "finished_at": _utc(row.finished_at) if row.finished_at else None,
                "outcome": row.outcome,
                "exit_code": row.exit_code,
                "unfinished": row.unfinished,
                "running": holder_of(run_lock(settings.state_dir, row.run_id)) is not None,
            }
            for row in rows
        ]
        print(json.dumps(listed, indent=2))
        return 0
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for title in ("RUN", "WORKFLOW", "STARTED", "MIGRATIONS", "OUTCOME"):
        table.add_column(title, justify="right" if title == "MIGRATIONS" else "left", overflow="fold")
    for row in rows:
        running = holder_of(run_lock(settings.state_dir, row.run_id)) is not None
        outcome = "under way" if running else row.outcome or "interrupted"
        if row.unfinished and not running:
            outcome += " (resume continues it)"
        name = f"{row.workflow} (rehearsal)" if row.rehearsal else row.workflow
        table.add_row(
            row.run_id, Text(name), _utc(row.started_at)[:19].replace("T", " "), str(row.migrations), Text(outcome)
        )
    Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 120).print(table)
    return 0


def _utc(instant: float) -> str:
    return datetime.fromtimestamp(instant, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
