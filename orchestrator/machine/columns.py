"""Text fitted into columns of a terminal, measured as it shows them: two for an ideograph, none for a combining mark."""

from __future__ import annotations

import re
import shlex
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from ..text.lines import spans

ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


def shortened(text: str, width: int, ellipsis: str = ELLIPSIS) -> str:
    """*text* in exactly *width* columns; where it is longer its middle is left out, as names differ at their ends."""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    behind = max(0, (width - 1) // 2)
    end = len(text)
    while end > 0 and cell_len(text[end - 1 :]) <= behind:
        end -= 1
    tail = text[end:]
    while tail and cell_len(tail[0]) == 0:  # a mark that would go with the ellipsis
        tail = tail[1:]
    head = set_cell_size(text, max(0, width - 1 - cell_len(tail)))
    return set_cell_size(f"{head}{ellipsis}{tail}", width)


def longest(texts: Iterable[str]) -> int:
    """How many columns the longest of *texts* takes."""
    return max(map(cell_len, texts), default=0)


def wrapped(text: str, width: int, *, first: str = "", then: str = "") -> list[str]:
    """*text* in lines of at most *width* columns, broken at words; a word that is longer than a line is broken where it ends.

    *first*, *then*: what the first line, and each other one, begins with.
    """
    return _filled(text.split(), width, first, then)


def folded_text(text: Text, width: int, *, then: str | None = None) -> list[Text]:
    """One line of *text*, in lines of at most *width* columns, as `text.lines` breaks them; its colours stay.

    *then*: what all but the first begin with; None: two spaces more than *text* does.
    """
    plain = text.plain
    if then is None:
        then = " " * (len(plain) - len(plain.lstrip()) + 2)
    found = spans(plain, width, then=cell_len(then), measure=cell_len)
    if len(found) == 1:
        return [text]
    pieces = [text[begin:end] for begin, end in found]
    return [pieces[0], *(Text(then).append_text(piece) for piece in pieces[1:])]


def command_lines(command: str, width: int) -> list[str]:
    r"""*command* for a shell, its lines broken by ``\`` between its words, so that it can be copied as it is shown.

    A word that is longer than a line is broken by ``\`` too: what follows begins at the edge, as a shell puts it right behind.
    """
    lines: list[str] = []
    line = "  $"
    for word in _SHELL_WORD.findall(command):
        if cell_len(f"{line} {word}") + 2 > width and line.strip() not in ("", "$"):
            lines.append(f"{line} \\")
            line = "   "
        if cell_len(f"{line} {word}") + 2 <= width:
            line = f"{line} {word}"
            continue
        first, *others = _shell_pieces(word, width - cell_len(line) - 3, width - 3)
        pieces = [f"{line} {first}", *others]
        lines += (f"{piece}\\" for piece in pieces[:-1])
        line = pieces[-1]
    return [*lines, line]


def _shell_pieces(word: str, first: int, others: int) -> list[str]:
    """*word* in pieces that a shell puts together again, the first of them and the *others* so many columns wide at most."""
    (whole,) = shlex.split(word) or [""]
    pieces: list[str] = []
    begin = 0
    while begin < len(whole):
        room = others if pieces else first
        piece = _fitting(whole, begin, room, lambda text: cell_len(shlex.quote(text)))
        pieces.append(shlex.quote(piece))
        begin += len(piece)
    return pieces or [word]


def _fitting(text: str, begin: int, room: int, measure: Callable[[str], int]) -> str:
    """As much of *text* from *begin* on as *measure* finds to fit into *room* columns; one character at least, and not without end."""
    most = text[begin : begin + _MOST_IN_A_COLUMN * max(1, room)]
    # What is longer takes no less room, so it is found in a few steps, whatever the length of the text.
    found = bisect_right(range(1, len(most) + 1), room, key=lambda end: measure(most[:end]))
    return most[: max(1, found)]


_MOST_IN_A_COLUMN = 4
"""Characters, most of which take no room."""


_SHELL_WORD = re.compile(r"""(?:'[^']*'|"[^"]*"|[^\s'"]|['"])+""")


def _filled(words: Iterable[str], width: int, first: str, then: str) -> list[str]:
    room = max(1, width - max(cell_len(first), cell_len(then)))
    lines: list[str] = []
    line = ""
    for word in words:
        for number, piece in enumerate(_pieces(word, room)):
            if line and (number or cell_len(line) + 1 + cell_len(piece) > room):
                lines.append(line)
                line = piece
            else:
                line = f"{line} {piece}" if line else piece
    return [f"{then if number else first}{line}" for number, line in enumerate([*lines, line])]


def packed(parts: Iterable[Text], width: int, *, then: str = "", between: str = "  ") -> list[Text]:
    """*parts* side by side, as many as go on a line of *width* columns; *then*: what each line but the first begins with."""
    lines: list[Text] = []
    for part in parts:
        if lines and cell_len(lines[-1].plain) + len(between) + cell_len(part.plain) <= width:
            lines[-1].append(between).append_text(part)
        else:
            lines.append(Text(then if lines else "").append_text(part))
    return lines


def _pieces(word: str, room: int) -> Iterator[str]:
    begin = 0
    while True:
        piece = _fitting(word, begin, room, cell_len)
        yield piece
        begin += len(piece)
        if begin >= len(word):
            return
