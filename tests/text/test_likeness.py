"""What somebody probably meant to type."""

from __future__ import annotations

import pytest

from orchestrator.text.likeness import closest, composed, skeleton


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


def test_one_accented_letter_is_one_letter_however_it_was_typed() -> None:
    """Composed and decomposed."""
    assert composed("cafe\u0301") == composed("café") == "café"
    assert composed("orders") == "orders"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("orders", "Orders"),
        ("orders", "\u043erders"),
        ("\u0441\u0430\u0440\u0435", "cape"),
        ("db-01", "db-O1"),
        ("db1", "dbl"),
        ("modern", "modem"),
        ("a-b", "a\u2013b"),
        ("\uff4frders", "orders"),
        ("stra\u00dfe", "strasse"),
        ("o\u2019brien", "o'brien"),
        ("a b", "a\u00a0b"),
    ],
)
def test_names_that_look_alike_have_one_skeleton(one: str, other: str) -> None:
    """Case, width, other alphabets, digits, dashes, blanks."""
    assert skeleton(one) == skeleton(other)


@pytest.mark.parametrize(("one", "other"), [("orders", "order"), ("eu-1", "eu-2"), ("caf\u00e9", "cafe"), ("b", "d")])
def test_names_that_differ_have_two(one: str, other: str) -> None:
    """An accent is a difference that is seen."""
    assert skeleton(one) != skeleton(other)
