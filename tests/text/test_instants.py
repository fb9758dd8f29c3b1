"""Instants as text."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.text.instants import from_iso, in_words, iso


@given(st.integers(min_value=0, max_value=4_000_000_000_000))
def test_every_millisecond_is_written_as_it_is(milliseconds: int) -> None:
    """Also where a float cannot hold it exactly."""
    assert datetime.fromisoformat(iso(milliseconds / 1000)) == datetime.fromtimestamp(milliseconds / 1000, UTC)
    assert round(from_iso(iso(milliseconds / 1000)) * 1000) == milliseconds


def test_the_two_forms() -> None:
    """One for machines, one for sentences."""
    assert iso(1795824000.0579) == "2026-11-28T00:00:00.057Z"
    assert in_words(1795824000.9) == "2026-11-28 00:00:00 UTC"
