"""`serve`: the status page of the runs in a state directory."""

from __future__ import annotations

import sys
from argparse import Namespace

import anyio

from ..core.errors import InputError
from .inputs import read_state_dir


def execute(args: Namespace) -> int:
    """Serve until SIGINT or SIGTERM, which both end it as it should: with 0."""
    from ..web.access import is_loopback, others_can_read, read_token
    from ..web.server import serve

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
        await serve(state_dir, host=args.host, port=args.port, token=token)

    anyio.run(run)
    return 0
