"""`serve`: the status page of the runs in a state directory."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from ..core.log_choices import DEFAULT_LOG_LEVEL
from .outputs import warn
from .parser import Commands


def add(commands: Commands) -> None:
    """`serve` and its options."""
    parser = commands.add(
        "serve",
        _serve,
        does="the status page of the runs in a state directory",
        examples=("atlas-cutover serve", "atlas-cutover serve --port 8080 --state-dir /var/lib/atlas-cutover"),
    )
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s; others need --token-file")
    parser.add_argument("--port", type=int, default=8642, metavar="N", help="0: any free one (default: %(default)s)")
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="who may open the page: a line NAME ROLE TOKEN each (ROLE: view or steer), or one token alone",
    )


def _serve(args: Namespace) -> int:
    """Serve until SIGINT or SIGTERM, which both end it as it should: with 0.

    Logins, refusals and actions are logged by the log options of all commands.
    """
    from functools import partial

    import structlog

    from ..core.errors import InputError
    from ..engines.local.collector import rare_collections
    from ..machine.loops import run_loop
    from ..observers.log.sink import configure_logging
    from ..operations.own_inputs import refuse_written
    from ..text.hosts import is_loopback
    from ..web.access import others_can_read, read_tokens
    from ..web.server import serve
    from .inputs import read_state_dir, state_options
    from .streams import log_format

    state_dir = read_state_dir(args)
    visitors = read_tokens(args.token_file) if args.token_file is not None else ()
    if args.token_file is not None:
        if others_can_read(args.token_file):
            warn(f"{args.token_file} is open to other users: `chmod 600` it")
    elif not is_loopback(args.host):
        raise InputError(
            f"--host {args.host} lets other machines reach the page: that needs --token-file FILE, tokens of your choice"
        )
    refuse_written([("log file", args.log_file)], state_dir)
    if not is_loopback(args.host):
        warn(
            "the page is not encrypted: whoever can read the traffic can read the token. An SSH tunnel to "
            "127.0.0.1 is safer"
        )
    with configure_logging(
        level=args.log_level or DEFAULT_LOG_LEVEL,
        format=log_format(args.log_format, sys.stderr),
        file=args.log_file,
        secrets=[visitor.token for visitor in visitors],
        stream=sys.stderr,
    ):
        say = structlog.get_logger().info
        serving = partial(
            serve, state_dir, host=args.host, port=args.port, visitors=visitors, options=state_options(args), say=say
        )
        with rare_collections():  # a large run is read as it comes: thousands of facts, and no cycles
            run_loop(serving)
    return 0
