"""A connection that comes as its server ends is closed, at whatever moment: nobody waits at one that no one has."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from orchestrator.simulator.server import Simulator
from orchestrator.web.server import serve_page

pytestmark = pytest.mark.anyio

ROUNDS = 8
"""Of the loop: more than it takes to accept a connection."""


def a_simulator(_: Path) -> AbstractAsyncContextManager[Any]:
    """An Atlas."""
    return Simulator(workflow=None).serve()


def a_page(state_dir: Path) -> AbstractAsyncContextManager[Any]:
    """A status page."""
    return serve_page(state_dir, host="127.0.0.1", port=0)


@pytest.mark.parametrize("server", [a_simulator, a_page])
@pytest.mark.parametrize("rounds", range(ROUNDS))
async def test_a_connection_that_comes_last_is_closed(
    tmp_path: Path, server: Callable[[Path], AbstractAsyncContextManager[Any]], rounds: int
) -> None:
    """It had stayed open where asyncio was just making a connection of an accepted socket."""
    async with server(tmp_path) as it:
        port = URL(it.origin).port
        assert port is not None
        client = socket.create_connection(("127.0.0.1", port))
        for _ in range(rounds):
            await asyncio.sleep(0)
    with client:
        client.settimeout(5.0)
        try:
            assert client.recv(1) == b""
        except ConnectionResetError:  # it was in the queue still
            assert rounds < ROUNDS - 1
