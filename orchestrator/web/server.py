"""The page's server, from its socket to its end."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
from aiohttp import web

from ..core.errors import InputError
from ..core.observer import Say, silent
from ..machine.loops import accept_no_more
from ..text.hosts import is_loopback, with_port
from .access import Access, Code, Visitor, new_token
from .app import App
from .door import IDLE_SECONDS, Door, Guests, quiet_logger
from .feed import Feeds

_GOODBYE_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningPage:
    """A page that answers at *origin*, such as ``http://127.0.0.1:8642``."""

    origin: str
    access: Access
    feeds: Feeds

    code: Code | None

    @property
    def address(self) -> str:
        """What to open in a browser. With a token that was made here it opens the page once, without typing."""
        return f"{self.origin}/?code={self.code.text}" if self.code is not None else f"{self.origin}/"


@asynccontextmanager
async def serve_page(
    state_dir: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    visitors: tuple[Visitor, ...] = (),
    options: str = "",
    say: Say = silent,
    wall: Callable[[], float] = time.time,
) -> AsyncIterator[RunningPage]:
    """Serve the runs in *state_dir* at *host* and *port* (0: any free one) while the block runs.

    Args:
        state_dir: Where the journal is, or will be.
        host: A loopback address; any other only with *visitors* whose tokens were chosen on purpose.
        port: The TCP port.
        visitors: Who is let in; none: one, with a new token, and an address that opens the page once.
        say: Told of each login, refusal and action.
        options: What a command needs to find the same state directory, a space before each option.
        wall: Unix seconds, for control requests.

    Raises:
        InputError: *host* is open to other machines and there are no *visitors*, or *host* and *port* cannot be had.
    """
    if not visitors and not is_loopback(host):
        raise InputError(
            f"--host {host}: other machines could reach the page there, without encryption. Choose its tokens yourself "
            "with --token-file FILE, or stay on 127.0.0.1 and use an SSH tunnel"
        )
    listening = _listen(host, port)
    address, bound = listening.getsockname()[:2]
    code = None if visitors else Code(time.monotonic)
    known = visitors or (Visitor(token=new_token()),)
    access = Access(visitors=known, host=address, port=bound, name=host, machine=socket.gethostname())
    closing = anyio.Event()
    async with anyio.create_task_group() as tasks:
        feeds = Feeds(state_dir, tasks, options=options)
        tasks.start_soon(feeds.read_ahead)
        guests = Guests()
        app = App(
            access=access,
            feeds=feeds,
            state_dir=state_dir,
            wall=wall,
            closing=closing,
            code=code,
            options=options,
            say=say,
        )
        runner = web.AppRunner(
            app.application(guests.add),
            access_log=None,
            logger=quiet_logger(say),
            keepalive_timeout=IDLE_SECONDS,  # also until a new connection has sent its first request's headers
            shutdown_timeout=_GOODBYE_SECONDS,
            auto_decompress=False,  # a form is small: what strangers pack small would cost much to unpack
            handler_cancellation=True,  # who has hung up is not worked for: so connections count all that there is to do
        )
        await runner.setup()
        assert runner.server is not None
        door = Door(runner.server, guests, say)
        server = await asyncio.get_running_loop().create_server(door, sock=listening, backlog=128)
        try:
            yield RunningPage(origin=_origin(address, bound), access=access, feeds=feeds, code=code)
        finally:
            closing.set()
            with anyio.CancelScope(shield=True):
                await accept_no_more(listening)
                server.close()
                await runner.cleanup()
            tasks.cancel_scope.cancel()


async def serve(
    state_dir: Path,
    *,
    host: str,
    port: int,
    visitors: tuple[Visitor, ...] = (),
    options: str = "",
    say: Say = silent,
) -> None:
    """Print the page's address as one line on stdout and serve until SIGINT or SIGTERM. See `serve_page`.

    Where the token was made here, the line after it has it: the address opens the page once, and the form takes the token after that.

    Raises:
        InputError: As `serve_page`.
    """
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with serve_page(state_dir, host=host, port=port, visitors=visitors, options=options, say=say) as page:
            sys.stdout.write(f"{page.address}\n")
            if page.code is not None:
                token = page.access.visitors[0].token
                sys.stdout.write(f"It opens the page once, in the next 10 minutes. To sign in after that: {token}\n")
            sys.stdout.flush()
            async for _ in signals:
                break


def _listen(host: str, port: int) -> socket.socket:
    address = "127.0.0.1" if host == "localhost" else host
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, port))
    except (OSError, OverflowError) as error:
        listening.close()
        why = (error.strerror or str(error)) if isinstance(error, OSError) else "no such port"
        raise InputError(f"cannot listen on {host}:{port}: {why}; --port 0 takes any free one") from None
    return listening


def _origin(address: str, port: int) -> str:
    """Where a browser on this machine finds a page that listens on *address*: in numbers, as a name may lead to somebody else first.

    `localhost` is two addresses, of which browsers try the one that is not listened on before the other.
    """
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104 - shown, nothing is bound to it
    return f"http://{with_port(shown, port)}"
