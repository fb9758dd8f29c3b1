from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from temporalio.client import Client

from .servers import Server, server, the_one_for_all


@pytest.fixture(scope="session")
def one_server(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests, and in it a namespace for those of this process."""
    if (shared := the_one_for_all(pytestconfig)) is not None:
        yield shared
        return
    with server(tmp_path_factory.mktemp("temporal"), durable=False) as started:
        yield started


@pytest.fixture
async def temporal(one_server: Server) -> AsyncIterator[Server]:
    """The server, with nothing open on it: a run that was terminated, or a test that failed, leaves its claims to jobs that others have, too."""
    yield one_server
    await one_server.close_all()


@pytest.fixture
async def client(temporal: Server) -> Client:
    """A connection to it."""
    return await temporal.connect()
