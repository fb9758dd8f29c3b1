"""`resume`: goes on with an unfinished run."""

from __future__ import annotations

from argparse import Namespace

from ..core.speeds import REHEARSAL_SPEED
from .parser import Commands, add_simulator_options
from .run import add_session_options


def add(commands: Commands) -> None:
    """`resume` and its arguments."""
    parser = commands.add(
        "resume",
        _resume,
        does="continue an unfinished run (default: the newest real one) without the workflow file",
        examples=("atlas-cutover resume", "atlas-cutover resume 20261128-000000-3f9a1c --retry-failed"),
    )
    parser.add_argument(
        "run_id", nargs="?", metavar="RUN_ID", help="default: the newest unfinished run, real ones first"
    )
    add_session_options(
        parser,
        yes="do not ask, also where cutovers may still start and there is a terminal. A rehearsal: approve every wave",
    )
    add_simulator_options(parser, default_speed=REHEARSAL_SPEED, only="of a rehearsal: ")


def _resume(args: Namespace) -> int:
    from .session import execute

    return execute(args)
