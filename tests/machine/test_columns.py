"""Text in columns: names in any script fit, and nothing of a command is lost."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from orchestrator.machine.columns import command_lines, packed, shortened, wrapped

NAMES = st.text(st.sampled_from("ab-_ 注文보고서e\u0301\u0308é"), max_size=40)


@given(NAMES, st.integers(1, 50))
def test_a_name_takes_exactly_its_columns(name: str, width: int) -> None:
    """Ideographs take two, combining marks none; what is left over is spaces."""
    assert cell_len(shortened(name, width)) == width


def test_a_long_name_keeps_its_end() -> None:
    """Names of one fleet begin alike."""
    one, other = (shortened(f"eu-central-orders-cluster-{number:02}", 20) for number in (1, 2))
    assert (one, other) == ("eu-central…luster-01", "eu-central…luster-02")
    assert shortened("cafe\u0301" * 9, 9, "~").rstrip().count("~") == 1


@given(st.text(st.sampled_from("ab 注é-"), max_size=120), st.integers(4, 60))
def test_wrapped_text_fits_and_loses_nothing(text: str, width: int) -> None:
    """But for the spaces between words."""
    lines = wrapped(text, width, then="  ")
    assert all(cell_len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


@pytest.mark.parametrize("columns", [79, 59, 40])
def test_a_command_that_is_broken_can_be_copied_as_it_is(columns: int) -> None:
    """A shell reads it as the one line that it was."""
    command = "atlas-cutover approve 20261126-084218-067215 'mittlere Welle 中' --state-dir /var/lib/atlas-cutover"
    lines = command_lines(command, columns)
    assert len(lines) > 1
    assert all(cell_len(line) <= columns for line in lines)
    assert shlex.split("\n".join(lines).removeprefix("  $ ").replace("\\\n", "")) == shlex.split(command)


def test_parts_go_side_by_side_as_far_as_there_is_room() -> None:
    """Each stays whole."""
    parts = [Text(word) for word in ("retail-eu", "paused", "3 of 9 cut over")]
    assert [line.plain for line in packed(parts, 20, then=" ")] == ["retail-eu  paused", " 3 of 9 cut over"]


@given(
    st.lists(st.text(st.sampled_from("ab-'\" $注/"), min_size=1, max_size=40), min_size=1, max_size=6),
    st.integers(20, 80),
)
def test_a_command_is_the_same_for_a_shell_at_any_width(words: list[str], width: int) -> None:
    """Words that are longer than a line included, run ids before all: copied from a narrow terminal it names the same run."""
    lines = command_lines(shlex.join(["atlas-cutover", *words]), width)
    assert lines[0].startswith("  $ ")
    assert all(line.endswith("\\") for line in lines[:-1])
    assert shlex.split("\n".join(lines)[4:].replace("\\\n", "")) == ["atlas-cutover", *words]
    assert max(map(cell_len, lines)) <= width


def test_a_run_id_stays_one_word_on_a_narrow_terminal() -> None:
    """A space in it would make another run of it."""
    lines = command_lines("atlas-cutover approve 20261126-144951-ef5651 rest", 19)
    assert "".join(line.removesuffix("\\") for line in lines).split() == (
        ["$", "atlas-cutover", "approve", "20261126-144951-ef5651", "rest"]
    )


@pytest.mark.parametrize("word", ["注" * 20_000, "a'b" * 10_000, "e\u0301" * 10_000, "\u0301" * 20_000])
def test_a_long_word_is_broken_in_a_time_that_grows_with_its_length(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However wide its characters are; a screen is drawn several times a second."""
    measured = 0

    def counted(text: str) -> int:
        nonlocal measured
        measured += len(text)
        return cell_len(text)

    monkeypatch.setattr("orchestrator.machine.columns.cell_len", counted)
    lines = command_lines(f"atlas-cutover approve {shlex.quote(word)}", 80)
    assert shlex.split("\n".join(lines).removeprefix("  $ ").replace("\\\n", ""))[-1] == word
    assert "".join(wrapped(word, 80)) == word
    assert measured < 100 * len(shlex.quote(word))
