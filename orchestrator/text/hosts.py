"""What the name of a host says by itself: nothing is looked up."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

_USUAL_PORTS = {"https": 443, "http": 80}


def is_loopback(host: str) -> bool:
    """Whether *host*, a name or an address (of version 6 in brackets or not), means this machine alone."""
    name = host.strip("[]").lower()
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def with_port(host: str, port: int | None) -> str:
    """*host* and *port* as an address has them, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def same_server(one: str, other: str) -> bool:
    """Whether two addresses are one server's, as far as they say so by themselves (`server_of`)."""
    return server_of(one) == server_of(other)


def server_of(address: str) -> str:
    """Which server *address* means, however it is spelled: scheme, host and port. Its path says which API of that is meant.

    Two names may be one server's all the same: whoever goes by this keeps to the safe side.
    """
    try:
        parts = urlsplit(address)
        host = (parts.hostname or "").rstrip(".")
        return f"{parts.scheme}://{host}:{parts.port or _USUAL_PORTS.get(parts.scheme)}"
    except ValueError:  # it is none, and the like of itself alone
        return address
