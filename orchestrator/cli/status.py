"""`status` and `report`: what the journal says."""

from __future__ import annotations

import json
import shlex
import sys
import time
from argparse import Namespace
from pathlib import Path

from ..core.errors import InputError
from ..core.outcomes import ExitCode
from ..core.run import RunState
from ..reports.model import RunReport, build
from ..reports.render import check_output_path, write_all
from ..reports.summary import print_json, print_summary
from ..store.journal import Journal, RunRow, open_journal
from ..store.last_read import LastReads, read_reads, reads_path
from ..store.locks import holder_of, run_lock
from ..text.instants import in_words, iso
from .inputs import find_run, read_state_dir, same_place
from .tables import print_table

WATCH_EVERY = 2.0  # seconds


def execute(args: Namespace) -> int:
    """Carry out `status` or `report`."""
    with open_journal(read_state_dir(args), readonly=True) as journal:
        if args.command == "report":
            return _report(args, journal)
        if args.run_id is None and not (args.watch or args.all):
            return _runs(args, journal)
        return _status(args, journal)


def _report(args: Namespace, journal: Journal) -> int:
    for path in args.output:
        check_output_path(path)
    run_id = find_run(journal, args.run_id).run_id
    holder = holder_of(run_lock(journal.state_dir, run_id))
    report = _build(journal.state(run_id))
    if holder is not None:
        print(f"run {run_id} is under way ({holder}): this is how it stands now", file=sys.stderr)
    written, failed = write_all(report, args.output)
    if args.format == "json":
        print_json(report, file=sys.stdout)
    else:
        print_summary(report, file=sys.stdout, paths=written, running=holder, options=same_place(args))
    if failed:
        raise InputError("\n".join(f"--output {path}: {error.strerror or error}" for path, error in failed))
    return 0


def _status(args: Namespace, journal: Journal) -> int:
    run_id = find_run(journal, args.run_id).run_id
    options = same_place(args)
    while True:
        state = journal.state(run_id)
        report = _build(state)
        holder = holder_of(run_lock(journal.state_dir, run_id))
        if args.watch and sys.stdout.isatty():
            sys.stdout.write("\x1b[H\x1b[2J")
        path = reads_path(journal.state_dir, run_id)
        reads = LastReads(by_name=read_reads(path), now=time.time()) if args.all else None
        if args.format == "json":
            print_json(report, file=sys.stdout, reads=reads)
        else:
            print_summary(report, file=sys.stdout, running=holder, options=options, reads=reads)
            for line in _holds(state, options) if holder else ():
                print(line)
        if not args.watch or holder is None:
            return 0
        sys.stdout.flush()
        time.sleep(WATCH_EVERY)


def _build(state: RunState) -> RunReport:
    code = state.recorded_exit_code
    return build(state, now=time.time(), exit_code=None if code is None else ExitCode(code))


def _runs(args: Namespace, journal: Journal) -> int:
    rows = journal.runs()
    if args.format == "json":
        listed = [
            {
                "run_id": row.run_id,
                "workflow": row.workflow,
                "rehearsal": row.rehearsal,
                "migrations": row.migrations,
                "started_at": iso(row.started_at),
                "finished_at": iso(row.finished_at) if row.finished_at else None,
                "outcome": row.outcome,
                "exit_code": row.exit_code,
                "unfinished": row.unfinished,
                "running": holder_of(run_lock(journal.state_dir, row.run_id)) is not None,
            }
            for row in rows
        ]
        print(json.dumps(listed, indent=2))
        return 0
    if not rows:
        print("no run has been started yet")
        return 0
    print_table(
        ("RUN", "WORKFLOW", "STARTED (UTC)", "MIGRATIONS>", "OUTCOME"),
        [
            (
                row.run_id,
                f"{row.workflow} (rehearsal)" if row.rehearsal else row.workflow,
                in_words(row.started_at).removesuffix(" UTC"),
                str(row.migrations),
                _outcome(row, journal.state_dir),
            )
            for row in rows
        ],
    )
    return 0


def _outcome(row: RunRow, state_dir: Path) -> str:
    if holder_of(run_lock(state_dir, row.run_id)) is not None:
        return "under way"
    if not row.unfinished:
        return row.outcome or "interrupted"
    ended = row.exit_code in (
        ExitCode.FAILED,
        ExitCode.INCOMPLETE,
    )  # its window may be over, which only its events tell
    way_on = f"unfinished: see status {row.run_id}" if ended else "resume continues it"
    return f"{row.outcome or 'interrupted'} ({way_on})"


def _holds(state: RunState, options: str) -> list[str]:
    """What keeps a run that is under way from going on, and how to let it; *options* are added to commands."""
    run_id = state.run_id
    holds = []
    if state.paused_by is not None:
        since = f" since {in_words(state.paused_at)}" if state.paused_at else ""
        holds.append(f"paused by {state.paused_by}{since}: `atlas-cutover unpause {run_id}{options}` lets it go on")
    if state.unconfirmed_since is not None:
        since = in_words(state.unconfirmed_since)
        holds.append(f"starts nothing before it is confirmed on the terminal of {state.who}, since {since}")
    if state.window_opens is not None:
        last = "" if state.opening is None else f"; cutovers may start until {in_words(state.opening.last_start)}"
        holds.append(f"waits for the window, which opens at {in_words(state.window_opens)}{last}")
    for name, wave in state.waves.items():
        if wave.approval_since is not None and wave.approved_by is None:
            since = f"{in_words(wave.approval_since)}"
            holds.append(
                f"wave {name} waits for approval since {since}: `atlas-cutover approve {run_id} {shlex.quote(name)}{options}`"
            )
    return holds
