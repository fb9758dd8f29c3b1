"""How commands say something: no name of a file, nor anything in one, moves a cursor, colours or forges a line."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TextIO


def warn_of_unwritten(unwritten: Iterable[tuple[Path, OSError]]) -> None:
    """Say of each report that could not be written why not."""
    for path, error in unwritten:
        warn(f"{path}: the report could not be written: {error.strerror or error}")


def warn(line: str) -> None:
    """Say *line* on stderr, if there is anybody to hear it."""
    from ..text.escaping import one_line  # `--help` does without

    with suppress(OSError):
        tell(f"warning: {one_line(line)}", file=sys.stderr)


def tell(text: str, *, file: TextIO | None = None, end: str = "\n", flush: bool = False) -> None:
    """Print *text*, which may have several lines, to *file* (stdout); no other control character in it is obeyed by a terminal.

    On a terminal its lines break between words, and in no command to copy (`text.lines`); elsewhere they do not.
    """
    from ..machine.terminal import columns_of
    from ..text.escaping import shown_lines
    from ..text.lines import folded

    shown, width = shown_lines(text), columns_of(file or sys.stdout)
    if width is not None:
        from rich.cells import cell_len

        shown = "\n".join(folded(shown, width, measure=cell_len))
    print(shown, file=file, end=end, flush=flush)


def tell_whole(text: str, *, file: TextIO | None = None, end: str = "\n") -> None:
    """The same of a *text* whose lines are never broken: a JSON document, a traceback."""
    from ..text.escaping import shown_lines

    print(shown_lines(text), file=file, end=end)
