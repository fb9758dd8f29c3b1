"""What the name of a host says by itself: nothing is looked up."""

from __future__ import annotations

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Whether *host*, a name or an address (of version 6 in brackets or not), means this machine alone."""
    name = host.strip("[]").lower()
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False
