from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.text.escaping import lines_of_text, one_line, visible, without_joiners_of_emoji

MISLEADING = "\x85\x9b\u061c\u200e\u202e\u2066\u2069\u2028"


@given(st.text())
def test_what_is_shown_has_no_character_that_misleads(text: str) -> None:
    """Neither on one line nor in a text with lines; and as JSON it means what it meant."""
    assert not set(one_line(text)) & set(MISLEADING)
    assert not set(visible(text)) & set(MISLEADING)
    document = json.dumps([text], ensure_ascii=False)
    assert json.loads(visible(document)) == [text]


def test_own_lines_and_colours_stay() -> None:
    """As do letters of any script, and what joins them."""
    text = "\x1b[32mcafé\x1b[0m\n\tключ 👩\u200d🚀\n"
    assert visible(text) == text
    assert visible("a\u202eb\x9b") == "a\\u202eb\\u009b"


def test_a_joiner_is_part_of_an_emoji_between_two_of_them_alone() -> None:
    """Elsewhere it is what nobody sees."""
    family, firewoman, on_fire, pirate = (
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "\U0001f469\U0001f3fd\u200d\U0001f692",
        "\u2764\ufe0f\u200d\U0001f525",
        "\U0001f3f4\u200d\u2620\ufe0f",
    )
    for joined in (family, firewoman, on_fire, pirate):
        assert without_joiners_of_emoji(f"a {joined} b") == f"a {joined} b".replace("\u200d", "")
    for hidden in (
        "\u200d",
        "a\u200db",
        "\U0001f468\u200d",
        "\u200d\U0001f468",
        "\U0001f468\u200d\u200d\U0001f468",
        "1\u200d\U0001f468",
    ):
        assert without_joiners_of_emoji(hidden) == hidden


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("\x1b[31mred\x1b(B\x1b[m", "red"),  # `tput setaf 1`, `tput sgr0`
        ("\x1b7a\x1b8b\x1bc", "ab"),
        ("\x1bP1;2qABC\x1b\\d", "d"),
        ("\x1b_hidden\x07x", "x"),
        ("\x1b]0;title\x07ok", "ok"),
        ("\x1b]0;no end\nok", "\nok"),
        ("\x1bPno end\nok", "\nok"),
        ("a\x1b", "a\ufffd"),
    ],
)
def test_what_a_terminal_would_obey_is_left_out(printed: str, shown: str) -> None:
    """Of whatever kind of ECMA-48's; one without its end takes the rest of its line at most."""
    assert lines_of_text(printed) == shown
