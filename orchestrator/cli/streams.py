"""Standard output and error of a command: never broken by a character, nor misleading by one."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, TextIO, cast


def log_format(wanted: str | None, stream: TextIO) -> Literal["console", "json"]:
    """In which format a log goes to *stream*: as *wanted*, else for people where it is a terminal."""
    if wanted is None:
        return "console" if stream.isatty() else "json"
    return "console" if wanted == "console" else "json"


@contextmanager
def legible_streams() -> Iterator[None]:
    """What is printed meanwhile shows marks that turn the direction of writing, C1 codes, and what the terminal's encoding lacks, as escapes."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast("TextIO", Legible(stream)) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


class Legible:
    """*stream*, with what is written to it made `visible`."""

    def __init__(self, stream: TextIO) -> None:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
        self._stream = stream

    def write(self, text: str) -> int:
        """Write *text*; how many characters of it were written."""
        from ..text.escaping import visible  # `--help` does without

        return self._stream.write(visible(text))

    def writelines(self, lines: Iterable[str]) -> None:
        """Write *lines*."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
