"""`runs prune`: removes runs that are over."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError, Namespace
from typing import TYPE_CHECKING

from .outputs import tell
from .parser import Commands

if TYPE_CHECKING:
    from ..operations.prune import Prunable
    from ..store.journal import RunRow


def add(commands: Commands) -> None:
    """`runs` and its arguments."""
    parser = commands.add(
        "runs",
        _runs,
        does="remove runs that are over, with their events and reports; never an unfinished one",
        examples=(
            "atlas-cutover runs prune --rehearsals",
            "atlas-cutover runs prune --older-than 90d",
            "atlas-cutover runs prune --rehearsals --older-than 7d --yes   # from cron",
        ),
    )
    parser.add_argument("what", choices=("prune",), metavar="prune", help="what is done with them")
    parser.add_argument(
        "--older-than", type=_duration, metavar="D", help="only those that ended longer ago than that (90d, 12h)"
    )
    parser.add_argument("--rehearsals", action="store_true", help="only rehearsals")
    parser.add_argument("--yes", action="store_true", help="do not ask; needed where there is no terminal to ask on")


def _duration(text: str) -> float:
    from ..text.durations import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def _runs(args: Namespace) -> int:
    from ..core.errors import InputError
    from ..operations.prune import prunable, prune
    from ..text.counts import plural
    from .inputs import read_state_dir

    if args.older_than is None and not args.rehearsals:
        raise InputError("runs prune: say which: --older-than 90d, --rehearsals, or both")
    state_dir = read_state_dir(args)
    found = prunable(older_than=args.older_than, rehearsals=args.rehearsals, state_dir=state_dir)
    _print_kept(found)
    if not found.removed:
        tell("there is nothing to remove")
        return 0
    if not args.yes:
        _ask(found.removed)
    done = prune([row.run_id for row in found.removed], state_dir=state_dir)
    _print_kept(done)
    tell(f"removed {plural(len(done.removed), 'run')}")
    return 0


def _print_kept(found: Prunable) -> None:
    for kept in found.kept:
        tell(f"kept: {kept.run.run_id} ({kept.run.workflow}): {kept.why}")


def _ask(rows: tuple[RunRow, ...]) -> None:
    """Have it confirmed that *rows* are to be removed.

    Raises:
        InputError: It is not, or there is no terminal to ask on.
    """
    from ..core.errors import InputError
    from ..text.counts import plural
    from ..text.instants import in_words
    from .tables import print_table

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InputError(
            f"{plural(len(rows), 'run')} would be removed: there is no terminal to confirm on, so --yes is needed"
        )
    print_table(
        ("RUN", "WORKFLOW", "STARTED (UTC)", "MIGRATIONS>", "OUTCOME"),
        [
            (
                row.run_id,
                f"{row.workflow} (rehearsal)" if row.rehearsal else row.workflow,
                in_words(row.started_at).removesuffix(" UTC"),
                str(row.migrations),
                row.outcome or "-",
            )
            for row in rows
        ],
    )
    sys.stdout.flush()
    tell(
        f"Their events and reports are removed for good. Type their number ({len(rows)}) to go on: ",
        end="",
        file=sys.stderr,
        flush=True,
    )
    if sys.stdin.readline().strip() != str(len(rows)):
        raise InputError("not confirmed; nothing was removed")
