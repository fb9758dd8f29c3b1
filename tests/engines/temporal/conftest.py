from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from temporalio.client import Client

from .cluster import Server, server


@pytest.fixture(scope="session")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of this process."""
    with server(tmp_path_factory.mktemp("temporal")) as started:
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
