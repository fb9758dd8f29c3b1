"""Tables: aligned where they fit, and rows of lines where they do not; no cell is cut or broken inside a word."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from orchestrator.machine.tables import table

TITLES = ("RUN", "COUNT>", "STARTED (UTC)", "SAID")
CELLS = st.tuples(
    st.text(st.sampled_from("ab注"), min_size=1, max_size=12),
    st.integers(0, 10**6).map(str),
    st.sampled_from(["-", "2026-11-28 00:00:00"]),
    st.lists(st.text(st.sampled_from("xyz"), min_size=1, max_size=12), max_size=12).map(" ".join),
)


def laid_out(rows: Sequence[tuple[str, ...]], width: int | None) -> list[str]:
    """The table as text."""
    return [line.plain for line in table(TITLES, [[Text(cell) for cell in row] for row in rows], width)]


@given(st.lists(CELLS, min_size=1, max_size=6), st.integers(16, 100))
def test_every_word_is_there_at_any_width(rows: Sequence[tuple[str, ...]], width: int) -> None:
    """And none is broken; a line that is wider holds one word, or one instant."""
    lines = laid_out(rows, width)
    there = [word.strip(",") for line in lines for word in line.split()]
    for row in rows:
        for word in " ".join(cell for cell in row if cell != "-").split():
            assert word in there
    assert all(cell_len(line) <= width or len(line.split()) <= 3 for line in lines)


def test_a_last_column_of_text_is_broken_before_the_table_is() -> None:
    """Under its own title."""
    rows = [("one", "7", "2026-11-28 00:00:00", "the oplog window was exceeded, as nobody looked")]
    assert laid_out(rows, 60) == [
        "RUN  COUNT  STARTED (UTC)        SAID",
        "one      7  2026-11-28 00:00:00  the oplog window was",
        "                                 exceeded, as nobody looked",
    ]


def test_columns_that_say_nothing_go_first() -> None:
    """Where that makes it fit."""
    rows = [("one", "7", "-", "said")]
    assert laid_out(rows, 20) == ["RUN  COUNT  SAID", "one      7  said"]
    assert laid_out(rows, None)[0] == "RUN  COUNT  STARTED (UTC)  SAID"


def test_a_row_that_does_not_fit_becomes_lines() -> None:
    """Its first cell, and the others by name, zones as they are."""
    rows = [("20261128-000000-3f9a1c", "7", "2026-11-28 00:00:00", "-"), ("b", "1", "-", "all is well")]
    assert laid_out(rows, 40) == [
        "20261128-000000-3f9a1c",
        "  count 7,",
        "  started (UTC) 2026-11-28 00:00:00",
        "b",
        "  count 1, said all is well",
    ]
