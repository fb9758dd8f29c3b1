"""A page on a real socket, those who visit it, and the browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from orchestrator.web.server import RunningPage, serve_page

from ..builders import NOW
from .nights import Night
from .visitors import Visitor


@pytest.fixture
def night(tmp_path: Path) -> Night:
    """An empty state directory."""
    return Night(state_dir=tmp_path / "state")


@pytest.fixture
async def page(night: Night) -> AsyncIterator[RunningPage]:
    """A page of `night` on any free port."""
    async with serve_page(night.state_dir, wall=lambda: NOW) as running:
        yield running


@pytest.fixture
async def stranger(page: RunningPage) -> AsyncIterator[Visitor]:
    """Somebody without the token."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), read_bufsize=2**22) as session:
        yield Visitor(page=page, session=session)


@pytest.fixture
async def visitor(stranger: Visitor) -> Visitor:
    """Somebody who has signed in."""
    await stranger.enter()
    return stranger
