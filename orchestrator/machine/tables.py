"""Tables in which no cell is ever cut, nor broken inside a word: an id that lost its end helps nobody."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.text import Text

from ..text.lines import words
from .columns import folded_text, longest

GAP = "  "
LEAST = 24
"""Columns that the last column has at least where its text is broken into more than two lines; where there are fewer, rows become lines."""
EMPTY = ("", "-")
"""Cells that say nothing."""


def table(titles: Sequence[str], rows: Iterable[Sequence[Text]], width: int | None) -> list[Text]:
    """The lines of a table of *rows* under *titles*, in *width* columns (None: as many as it takes).

    A title that ends in `>` aligns its column to the right. Where the terminal is too narrow, the last column is broken between words;
    where that is not enough, each row becomes its first cell and, below it, the others by name, those that are empty left out. Columns
    that are empty throughout go before any of that.
    """
    cells = [list(row) for row in rows]
    names = [title.rstrip(">") for title in titles]
    widths = [longest(cell.plain for cell in column) for column in zip(map(Text, names), *cells, strict=True)]
    others = sum(widths[:-1]) + len(GAP) * (len(widths) - 1)
    if width is not None and others + widths[-1] > width:
        told = [n for n in range(len(names)) if not n or any(row[n].plain not in EMPTY for row in cells)]
        if len(told) < len(names):
            return table([titles[n] for n in told], [[row[n] for n in told] for row in cells], width)
        whole = longest(word for row in cells for word in words(row[-1].plain))
        least = max(min(LEAST, -(-widths[-1] // 2)), whole, len(names[-1]))
        if titles[-1].endswith(">") or width - others < least:
            return [line for row in cells for line in _as_lines(names, row, width)]
        widths[-1] = width - others
    head = [Text(name, style="bold") for name in names]
    return [line for row in (head, *cells) for line in _aligned(titles, row, widths)]


def _aligned(titles: Sequence[str], row: Sequence[Text], widths: Sequence[int]) -> list[Text]:
    line = Text()
    for title, cell, width in zip(titles[:-1], row[:-1], widths[:-1], strict=True):
        space = " " * (width - cell_len(cell.plain))
        line.append_text(Text(space) + cell if title.endswith(">") else cell + Text(space)).append(GAP)
    if titles[-1].endswith(">"):
        return [line.append(" " * (widths[-1] - cell_len(row[-1].plain))).append_text(row[-1])]
    indent = cell_len(line.plain)
    first, *more = folded_text(row[-1], widths[-1], then="")
    lines = [line.append_text(first), *(Text(" " * indent).append_text(piece) for piece in more)]
    for each in lines:
        each.rstrip()
    return lines


def _as_lines(names: Sequence[str], row: Sequence[Text], width: int) -> list[Text]:
    first = row[0].copy()
    first.stylize("bold")
    lines = [first]
    room = width - 1  # for the comma
    for name, cell in zip(names[1:], row[1:], strict=True):
        if cell.plain in EMPTY:
            continue
        part = Text(f"{name.lower().replace('(utc)', '(UTC)')} ").append_text(cell)
        last = lines[-1]
        if len(lines) > 1 and cell_len(last.plain) + 2 + cell_len(part.plain) <= room:
            last.append(", ").append_text(part)
        else:
            if len(lines) > 1:
                last.append(",")
            lines += folded_text(Text("  ").append_text(part), room)
    return lines
