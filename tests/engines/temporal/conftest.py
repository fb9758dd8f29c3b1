from __future__ import annotations

from collections.abc import Iterator

import pytest
from temporalio.client import Client

from .cluster import Server, server


@pytest.fixture(scope="session")
def temporal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the tests of this process, which use workflows of their own."""
    with server(tmp_path_factory.mktemp("temporal")) as started:
        yield started


@pytest.fixture
async def client(temporal: Server) -> Client:
    """A connection to it."""
    return await temporal.connect()
