"""Where lines break on a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.text.lines import folded

COMMAND = "`atlas-cutover resume 20261128-000000-3f9a1c --state-dir '/a b'`"
WORDS = st.lists(
    st.one_of(st.text(st.sampled_from("ab:/-"), min_size=1, max_size=14), st.just(COMMAND), st.just("`run --new`")),
    min_size=1,
    max_size=20,
)


@given(WORDS, st.integers(1, 60))
def test_what_is_broken_is_all_there_and_fits(words: list[str], width: int) -> None:
    """Only a word that is wider than the terminal takes more; it has a line of its own, as has a command in backticks."""
    lines = folded(" ".join(words), width, then="")
    assert " ".join(lines) == " ".join(words)
    assert all(len(line) <= width or line in words for line in lines)


@pytest.mark.parametrize("line", ["  $ atlas-cutover pause 'a b c'", "  atlas-cutover run --new /a/b.yaml"])
def test_a_line_that_is_a_command_stays_one(line: str) -> None:
    """It can be copied as it stands."""
    assert folded(f"say:\n{line}", 10) == ["say:", line]


def test_what_follows_is_indented_more_than_its_line() -> None:
    """By two columns; an instant keeps its zone, and backticks that are far apart are no pair."""
    assert folded("one two three\n  four five six", 9) == ["one two", "  three", "  four", "    five", "    six"]
    assert folded("it is 2026-11-28 00:00:00 UTC now", 12) == ["it is", "  2026-11-28 00:00:00 UTC", "  now"]
    assert len(folded(f"a ` {'word ' * 30}` b", 40)) > 3


def test_a_question_keeps_the_space_at_its_end() -> None:
    """What is typed stands apart from it."""
    assert folded("Type the number to go on: ", 14, then="")[-1] == "on: "
    assert folded(" " * 30, 12) == [" " * 30]


def test_where_there_is_no_width_nothing_is_broken() -> None:
    """In a pipe."""
    assert folded("word " * 100, None) == ["word " * 100]
