"""What a terminal shows."""

from __future__ import annotations

import re


def screen(text: str, columns: int = 80) -> list[str]:
    """What a terminal shows after *text*: knows line ends, moves up and erasure, as the display uses them."""
    rows, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[[0-9;]*[A-Za-z]|\n|\r|[^\x1b\n\r]+", text):
        if part == "\n":
            row, column = row + 1, 0
        elif part == "\r":
            column = 0
        elif part.endswith("A") and part.startswith("\x1b"):
            row -= int(part[2:-1])
        elif part == "\x1b[J":
            rows[row] = rows[row][:column]
            del rows[row + 1 :]
        elif not part.startswith("\x1b"):
            for start in range(0, len(part), columns):
                if start:
                    row, column = row + 1, 0
                rows += [""] * (row + 1 - len(rows))
                piece = part[start : start + columns]
                rows[row] = rows[row][:column] + piece
                column += len(piece)
        rows += [""] * (row + 1 - len(rows))
    return rows
