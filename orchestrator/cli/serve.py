"""`serve`: the status page of the runs in a state directory."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

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
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="take the page's token from FILE")


def _serve(args: Namespace) -> int:
    """Serve until SIGINT or SIGTERM, which both end it as it should: with 0."""
    import anyio

    from ..core.errors import InputError
    from ..web.access import is_loopback, others_can_read, read_token
    from ..web.server import serve
    from .inputs import read_state_dir, same_place

    state_dir = read_state_dir(args)
    token = None
    if args.token_file is not None:
        token = read_token(args.token_file)
        if others_can_read(args.token_file):
            print(f"warning: {args.token_file} is open to other users: `chmod 600` it", file=sys.stderr)
    elif not is_loopback(args.host):
        raise InputError(
            f"--host {args.host} lets other machines reach the page: that needs --token-file FILE, a token of your choice"
        )
    if not is_loopback(args.host):
        print(
            "warning: the page is not encrypted: whoever can read the traffic can read the token. An SSH tunnel to "
            "127.0.0.1 is safer",
            file=sys.stderr,
        )

    async def run() -> None:
        await serve(state_dir, host=args.host, port=args.port, token=token, options=same_place(args))

    anyio.run(run)
    return 0
