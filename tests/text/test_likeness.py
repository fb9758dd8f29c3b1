"""What somebody probably meant to type."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.text.likeness import as_it_looks, closest, composed, lookalike, skeletons

UNSEEN = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u3164\ufe0e\ufe0f\uffa0\U000e0100"
"""What takes no room where it is shown (`Default_Ignorable_Code_Point`), and yet counts as printable."""


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
        ("\u0421\u0410\u0420\u0415", "cape"),
        ("\u041a\u041e\u0422", "\u043a\u043e\u0442"),
        ("\u043a\u043e\u0442", "kot"),
        ("\u0412\u0418\u0413", "\u0432\u0438\u0433"),
        ("\u0392IG", "big"),
        ("\u13a0\u13da\u13d9", "DSV"),
        ("\ua4e0-eu", "N-eu"),
        ("s\u0251les", "sales"),
        ("\U00010404", "o"),
        ("\u05d0", "\u2135"),
        ("db-01", "db-O1"),
        ("db-\u09e6", "db-o"),
        ("db1", "dbl"),
        ("db1", "dbI"),
        ("modern", "modem"),
        ("a-b", "a\u2013b"),
        ("a-b", "a\u2014b"),
        ("a-b", "a\u02d7b"),
        ("a_b", "a-b"),
        ("\uff4frders", "orders"),
        ("\U0001d428rders", "orders"),
        ("stra\u00dfe", "strasse"),
        ("o\u2019brien", "o'brien"),
        ("a b", "a\u00a0b"),
        ("caf\u00e9", "cafe\u0301"),
        ("eu:1", "eu\u0589" + "1"),
        *((f"or{unseen}ders", "orders") for unseen in UNSEEN),
        *((f"orders{unseen}", "Orders") for unseen in UNSEEN),
        ("a\u2800b", "a b"),
        ("orders\u2800", "orders"),
    ],
)
def test_names_that_look_alike_have_a_skeleton_in_common(one: str, other: str) -> None:
    """Case, width, all alphabets that Unicode knows lookalikes of, digits, dashes, blanks."""
    assert skeletons(one) & skeletons(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("orders", "order"), ("eu-1", "eu-2"), ("caf\u00e9", "cafe"), ("b", "d"), ("\u03bd", "n"), ("\u4eac", "\u6771")],
)
def test_names_that_differ_have_none_in_common(one: str, other: str) -> None:
    """An accent is a difference that is seen; a small nu looks like v, and not like n because its capital does."""
    assert not skeletons(one) & skeletons(other)


@given(st.text(max_size=20))
def test_what_a_name_looks_like_looks_like_it(name: str) -> None:
    """In any alphabet, and the same the second time."""
    assert skeletons(name)
    assert as_it_looks(as_it_looks(name)) == as_it_looks(name)


@pytest.mark.parametrize(
    ("character", "meant"),
    [
        ("\u0430", "a"),
        ("\u0410", "A"),
        ("\u0456", "i"),
        ("\u0406", "I"),
        ("\u041c", "M"),
        ("\u043c", "m"),
        ("\u2014", "-"),
        ("\uff41", "a"),
        ("\u00a0", " "),
        ("\u200b", ""),
        ("\u3164", ""),
        ("\u2800", " "),
        ("\u4eac", None),
        ("a", None),
    ],
)
def test_the_character_that_is_meant_has_the_same_letter_case(character: str, meant: str | None) -> None:
    """So that what a message says to type is right."""
    assert lookalike(character) == meant


def test_a_host_is_shown_as_it_looks() -> None:
    """And not as its skeleton, in which an m is two letters."""
    assert as_it_looks("m\u043engodb.c\u043em") == "mongodb.com"
