"""`status`: what the journal says."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .outputs import tell, tell_whole, warn
from .parser import Commands, add_format

if TYPE_CHECKING:
    from ..operations.status import RunListed, RunStatus

JSON_EVERY = 2.0  # seconds between two documents


def add(commands: Commands) -> None:
    """`status` and its arguments."""
    parser = commands.add(
        "status",
        _status,
        does="the runs of a state directory, or one run's migrations",
        examples=(
            "atlas-cutover status",
            "atlas-cutover status 20261128-000000-3f9a1c --watch",
            "atlas-cutover status 20261128-000000-3f9a1c --all",
        ),
    )
    parser.add_argument(
        "run_id", nargs="?", metavar="RUN_ID", help="default: the list of all runs; with --watch or --all as `report`"
    )
    parser.add_argument(
        "--watch",
        action="store_true",
        help="follow it until it is over, as the status page shows it: who is wanted first, then waves and what moves",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="list every migration, with status and lag as they were last read, how long ago, and the last failed read",
    )
    add_format(parser)


def _status(args: Namespace) -> int:
    from ..operations.status import runs, status
    from .inputs import read_state_dir

    state_dir = read_state_dir(args)
    if args.run_id is None and not (args.watch or args.all):
        listed = runs(state_dir=state_dir)
        for each in listed:
            if each.stale is not None:
                warn(each.stale)
            if each.events_missing is not None:
                warn(f"run {each.row.run_id}: {each.events_missing}")
        _print_runs(args, listed)
        return 0
    run_id = args.run_id
    if args.watch and args.format == "table":
        from .watch import watch

        run_id = watch(args, state_dir)
    found = status(run_id, state_dir=state_dir)
    if found.stale is not None:
        warn(found.stale)
    while True:
        _print_status(args, found)
        if not args.watch or args.format == "table" or found.holder is None:
            return 0
        sys.stdout.flush()
        time.sleep(JSON_EVERY)
        found = status(found.report.run_id, state_dir=state_dir)


def _print_status(args: Namespace, found: RunStatus) -> None:
    from ..core.holds import Held
    from ..reports.summary import print_json, print_summary
    from .inputs import state_options

    if args.format == "json":
        print_json(found.report, file=sys.stdout, reads=found.reads if args.all else None)
        return
    options = state_options(args)
    print_summary(
        found.report, file=sys.stdout, running=found.holder, options=options, reads=found.reads, every=args.all
    )
    for hold in found.holds:
        if hold.held is Held.WINDOW:  # the others need a person, and are told above
            tell(hold.waits)


def _print_runs(args: Namespace, listed: Sequence[RunListed]) -> None:
    import json

    from ..text.instants import iso

    if args.format == "json":
        document = [
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
                "running": each.holder is not None,
                "stands": each.stands,
                "events_missing": each.events_missing,
            }
            for each, row in ((each, each.row) for each in listed)
        ]
        tell_whole(json.dumps(document, indent=2))
        return
    if not listed:
        tell("no run has been started yet")
        return
    real = [each for each in listed if not each.row.rehearsal]
    rehearsals = [each for each in listed if each.row.rehearsal]
    if real:
        _print_listed(real)
    elif rehearsals:
        tell("no real run has been started yet")
    if rehearsals:
        tell("\nrehearsals, which have cut nothing over at Atlas:")
        _print_listed(rehearsals)


def _print_listed(listed: Sequence[RunListed]) -> None:
    from ..text.instants import in_words
    from .tables import print_table

    print_table(
        ("RUN", "WORKFLOW", "STARTED (UTC)", "MIGRATIONS>", "OUTCOME"),
        [
            (
                each.row.run_id,
                f"{each.row.workflow} (rehearsal)" if each.row.rehearsal else each.row.workflow,
                in_words(each.row.started_at).removesuffix(" UTC"),
                str(each.row.migrations),
                _outcome(each),
            )
            for each in listed
        ],
    )


def _outcome(listed: RunListed) -> str:
    row = listed.row
    if listed.holder is not None:
        return listed.stands or "under way"
    if listed.events_missing is not None:
        return "IN_DOUBT, events missing"
    if not row.unfinished:
        return row.outcome or "interrupted"
    return f"{row.outcome or 'interrupted'}, unfinished"
