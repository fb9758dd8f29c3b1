"""What somebody probably meant to type."""

from __future__ import annotations

import pytest

from orchestrator.text.likeness import closest


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("ordrs", "Orders"),
        ("ORDERS", "Orders"),
        ("custmers", "customers"),
        ("zzz", None),
        ("", None),
        ("o" * 5000, None),
    ],
)
def test_the_closest_name_is_meant_whatever_its_letter_case(word: str, meant: str | None) -> None:
    """As it is spelled; none where nothing is like it."""
    assert closest(word, ["customers", "Orders", "inventory"]) == meant


def test_how_alike_it_has_to_be_may_be_said() -> None:
    """A column called `names` is meant to be `name`, and `host_name` is not."""
    assert closest("names", ["name"], at_least=0.75) == "name"
    assert closest("host_name", ["name"], at_least=0.75) is None
