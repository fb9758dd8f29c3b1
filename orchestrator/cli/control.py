"""`pause`, `unpause`, `approve`, `abort`: steer a run from another shell."""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import TYPE_CHECKING

from .parser import Commands

if TYPE_CHECKING:
    from ..operations.steering import Steered


def add(commands: Commands) -> None:
    """The four of them, and their arguments."""
    pause = commands.add(
        "pause",
        _pause,
        does="hold a run that is under way: no new cutover starts",
        examples=("atlas-cutover pause", "atlas-cutover pause 20261128-000000-3f9a1c"),
    )
    unpause = commands.add(
        "unpause",
        _unpause,
        does="let a paused run go on",
        examples=("atlas-cutover unpause", "atlas-cutover unpause 20261128-000000-3f9a1c"),
    )
    approve = commands.add(
        "approve",
        _approve,
        does="let a wave start that waits for approval",
        examples=("atlas-cutover approve 20261128-000000-3f9a1c rest",),
    )
    abort = commands.add(
        "abort",
        _abort,
        does="end a run: no new cutover starts, now or later; those under way are followed to their end",
        examples=("atlas-cutover abort 20261128-000000-3f9a1c",),
    )
    for parser in (pause, unpause):
        parser.add_argument("run_id", nargs="?", metavar="RUN_ID", help="default: the run that is under way")
    for parser in (approve, abort):
        parser.add_argument("run_id", metavar="RUN_ID", help="the run, or how its id begins")
    approve.add_argument("wave", metavar="WAVE", help="the name of the wave")


def _pause(args: Namespace) -> int:
    from ..operations.pause import pause
    from .inputs import read_state_dir

    return _told(args, pause(args.run_id, state_dir=read_state_dir(args)))


def _unpause(args: Namespace) -> int:
    from ..operations.unpause import unpause
    from .inputs import read_state_dir

    return _told(args, unpause(args.run_id, state_dir=read_state_dir(args)))


def _approve(args: Namespace) -> int:
    from ..operations.approve import approve
    from .inputs import read_state_dir

    return _told(args, approve(args.run_id, args.wave, state_dir=read_state_dir(args)))


def _abort(args: Namespace) -> int:
    from ..operations.abort import abort
    from .inputs import read_state_dir

    return _told(args, abort(args.run_id, state_dir=read_state_dir(args)))


def _told(args: Namespace, steered: Steered) -> int:
    """Say what came of the request."""
    from ..operations.steering import Taken
    from ..text.counts import plural
    from .outputs import warn_of_unwritten

    run_id = steered.run_id
    match steered.taken:
        case Taken.ASKED:
            print(f"{args.command}: asked of run {run_id}", file=sys.stderr)
        case Taken.KEPT:
            print(
                f"{args.command}: kept for run {run_id}; no process works on it now: `resume` continues it",
                file=sys.stderr,
            )
        case Taken.ENDED:
            warn_of_unwritten(steered.unwritten)
            print(f"{args.command}: run {run_id} is over", file=sys.stderr)
    if unwatched := len(steered.unwatched):
        are = "is" if unwatched == 1 else "are"
        print(
            f"{plural(unwatched, 'cutover')} {are} under way or in doubt, and no longer watched: look at Atlas "
            f"(`atlas-cutover report {run_id}` names {'it' if unwatched == 1 else 'them'})",
            file=sys.stderr,
        )
    return 0
