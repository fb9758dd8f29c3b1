"""Counts as a person says them. Pure."""

from __future__ import annotations


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """*count* with *noun*, or its plural (with an `s`, unless *nouns* says otherwise): `1 wave`, `2 waves`."""
    return f"{count} {noun if count == 1 else nouns or f'{noun}s'}"
