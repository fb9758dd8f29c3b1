"""Which hosts are this machine."""

from __future__ import annotations

import pytest

from orchestrator.text.hosts import is_loopback


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1", "[::1]"])
def test_a_loopback_host_is_known_in_every_way_of_writing_it(host: str) -> None:
    """Proxies are not asked for it, plain HTTP is allowed to it, and a page on it needs no token."""
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "127.example.com", "127.0.0.1.example.com", "localhost.example"])  # noqa: S104
def test_what_only_begins_like_one_is_another_host(host: str) -> None:
    """A name is no address because it begins with digits."""
    assert not is_loopback(host)
