"""Signals during a session: the first SIGINT or SIGTERM stops it in order, the second ends the process at once."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import anyio

from ..core.outcomes import ExitCode
from ..operations.options import Interruption


@contextmanager
def signalled() -> Iterator[AsyncIterator[Interruption]]:
    """What the session is told of the signals that come while the context lasts."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        yield _interruptions(signals)


async def _interruptions(signals: AsyncIterator[signal.Signals]) -> AsyncIterator[Interruption]:
    heard = False
    async for number in signals:
        if heard:
            os._exit(128 + number)
        heard = True
        yield Interruption(by=number.name, exit_code=ExitCode(128 + number))
