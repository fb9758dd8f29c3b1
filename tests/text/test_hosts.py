"""Which hosts are this machine."""

from __future__ import annotations

import pytest

from orchestrator.text.hosts import is_loopback, same_server


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1", "[::1]"])
def test_a_loopback_host_is_known_in_every_way_of_writing_it(host: str) -> None:
    """Proxies are not asked for it, plain HTTP is allowed to it, and a page on it needs no token."""
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "127.example.com", "127.0.0.1.example.com", "localhost.example"])  # noqa: S104
def test_what_only_begins_like_one_is_another_host(host: str) -> None:
    """A name is no address because it begins with digits."""
    assert not is_loopback(host)


@pytest.mark.parametrize(
    "other",
    [
        "https://cloud.mongodb.com/api/atlas/v2",
        "https://cloud.mongodb.com/api/atlas/v1.0",
        "https://Cloud.MongoDB.com/api/atlas/v2/",
        "https://cloud.mongodb.com:443/api/atlas/v2",
        "https://cloud.mongodb.com.",
    ],
)
def test_an_address_that_is_spelled_otherwise_means_the_same_server(other: str) -> None:
    """Case, a slash or dot at the end, the port that is meant anyway, and the API make no other one of it."""
    assert same_server("https://cloud.mongodb.com/api/atlas/v2", other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://cloud.mongodb.com/api/atlas/v2", "https://cloud.mongodbgov.com/api/atlas/v2"),
        ("http://127.0.0.1:8080/api/atlas/v2", "http://127.0.0.1:8081/api/atlas/v2"),
        ("http://127.0.0.1:8080/api/atlas/v2", "https://127.0.0.1:8080/api/atlas/v2"),
        ("https://[::1", "https://cloud.mongodb.com"),
        ("https://a:99999", "https://a"),
    ],
)
def test_another_host_or_port_means_another_server(one: str, other: str) -> None:
    """So does what is no address, and whatever else may be one server in truth."""
    assert not same_server(one, other)
    assert same_server(one, one)
