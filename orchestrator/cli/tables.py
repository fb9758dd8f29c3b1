"""Tables on stdout in which no cell is ever cut: an id that lost its end helps nobody."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from rich.cells import cell_len

from ..text.escaping import one_line

_GAP = "  "


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print *rows* under *titles*; a title that ends in `>` aligns its column to the right.

    On a terminal that is too narrow for it, each row becomes its first cell and, below it, the others by name.
    """
    shown = [[one_line(cell) for cell in row] for row in rows]
    names = [title.rstrip(">") for title in titles]
    widths = [max(map(cell_len, column)) for column in zip(names, *shown, strict=True)]
    if sys.stdout.isatty() and sum(widths) + len(_GAP) * (len(widths) - 1) > _columns():
        for first, *others in shown:
            print(first)
            for name, cell in zip(names[1:], others, strict=True):
                print(f"{_GAP}{name.lower()}: {cell}")
        return
    for row in (names, *shown):
        cells = (
            " " * (width - cell_len(cell)) + cell if title.endswith(">") else cell + " " * (width - cell_len(cell))
            for title, width, cell in zip(titles, widths, row, strict=True)
        )
        print(_GAP.join(cells).rstrip())


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
