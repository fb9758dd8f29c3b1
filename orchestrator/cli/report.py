"""`report`: the report of a run, again."""

from __future__ import annotations

import sys
from argparse import Namespace

from .outputs import tell, warn
from .parser import Commands, add_format, add_output


def add(commands: Commands) -> None:
    """`report` and its arguments."""
    parser = commands.add(
        "report",
        _report,
        does="the report of a run, again, in any format",
        examples=("atlas-cutover report 20261128-000000-3f9a1c --output report.html --output report.csv",),
    )
    parser.add_argument(
        "run_id",
        nargs="?",
        metavar="RUN_ID",
        help="default: the newest run, those under way first, then real ones before rehearsals",
    )
    add_output(parser)
    add_format(parser)


def _report(args: Namespace) -> int:
    from ..core.errors import InputError
    from ..operations.report import report
    from ..reports.summary import print_json, print_summary
    from .inputs import read_state_dir, state_options

    state_dir = read_state_dir(args)
    found = report(args.run_id, outputs=args.output, state_dir=state_dir, state_options=state_options(args))
    if found.stale is not None:
        warn(found.stale)
    if found.holder is not None:
        tell(f"run {found.report.run_id} is under way ({found.holder}): this is how it stands now", file=sys.stderr)
    if args.format == "json":
        print_json(found.report, file=sys.stdout)
    else:
        print_summary(
            found.report, file=sys.stdout, paths=found.written, running=found.holder, options=state_options(args)
        )
    if found.unwritten:
        raise InputError("\n".join(f"--output {path}: {error.strerror or error}" for path, error in found.unwritten))
    return 0
