"""Dice that fall the same way each time they are thrown for the same thing."""

from __future__ import annotations

from hashlib import blake2b


def chance(*about: object) -> float:
    """A number from 0 to below 1 that depends on *about* alone, as its parts print."""
    text = ":".join(map(str, about))
    return int.from_bytes(blake2b(text.encode(), digest_size=7).digest(), "big") / (1 << 56)
