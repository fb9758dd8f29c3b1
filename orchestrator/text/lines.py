"""Where lines break on a terminal: between words, and never inside a command that somebody copies. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

COMMAND = "$ "
"""What a line begins with, when it is indented, that is a command."""

_COMMANDS = (COMMAND, "atlas-cutover ")

# what is in backticks is one word with what stands next to it, as is an instant with its zone; far from each other they are no pair
_QUOTED = r"`(?:(?:atlas-cutover|pip) [^`\n]*|[^`\n]{1,60})`"
_INSTANT = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?: UTC)?"
_WORD = re.compile(rf"(?:[^\s`]*(?:{_QUOTED}|{_INSTANT}))+[^\s`]*|\S+")


def words(line: str) -> list[str]:
    """What of *line* stays whole, in its order."""
    return [word[0] for word in _WORD.finditer(line)]


def spans(line: str, width: int, *, then: int, measure: Callable[[str], int] = len) -> list[tuple[int, int]]:
    """Where the lines begin and end into which *line* breaks, so that each takes at most *width* columns.

    A word that is longer gets a line of its own, whole: a terminal shows it on several rows, and gives it back as one when it is
    copied. A command in backticks is a word, and an indented line that is a command breaks nowhere.

    Args:
        line: The text, without line ends.
        width: Columns.
        then: By how many columns all lines but the first are going to be indented.
        measure: How many columns a text takes.
    """
    if measure(line) <= width or (line.startswith(" ") and line.lstrip().startswith(_COMMANDS)):
        return [(0, len(line))]
    found: list[tuple[int, int]] = []
    begin: int | None = None
    end = 0
    for word in _WORD.finditer(line):
        room = width - then if found else width
        if begin is not None and measure(line[begin : word.end()]) > room:
            found.append((begin, end))
            begin, room = None, width - then
        if begin is None:
            begin = word.start() if found else 0
        end = word.end()
        if measure(line[begin:end]) > room:
            found.append((begin, end))
            begin = None
    if begin is not None:
        found.append((begin, end))
    return (
        [*found[:-1], (found[-1][0], len(line))] if found else [(0, len(line))]
    )  # a prompt keeps the space at its end


def folded(text: str, width: int | None, *, then: str | None = None, measure: Callable[[str], int] = len) -> list[str]:
    """The lines of *text* broken as `spans` says (*width* None: not at all).

    *then*: what all but the first of a line's pieces begin with; None: two spaces more than the line does.
    """
    lines = text.split("\n")
    if width is None:
        return lines
    return [piece for line in lines for piece in _pieces(line, width, then, measure)]


def _pieces(line: str, width: int, then: str | None, measure: Callable[[str], int]) -> list[str]:
    if then is None:
        then = " " * (len(line) - len(line.lstrip()) + 2)
    first, *others = (line[begin:end] for begin, end in spans(line, width, then=measure(then), measure=measure))
    return [first, *(f"{then}{piece}" for piece in others)]
