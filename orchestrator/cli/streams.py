"""Standard output and error of a command: never broken by a character, nor misleading by one."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
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


@contextmanager
def unhindered_streams() -> Iterator[None]:
    """What is printed meanwhile keeps no event loop waiting, whether it is taken or not; at the end it has `outlet.PATIENCE`.

    Two streams to the same terminal, pipe or file are one output, so that what is said on both keeps its order.
    """
    from ..machine.outlet import Outlet, Unhindered  # `--help` does without

    before, outlets = (sys.stdout, sys.stderr), list[tuple[os.stat_result, Outlet]]()

    def unhindered(stream: TextIO) -> TextIO:
        with suppress(OSError):  # what could not be said before cannot be said now
            stream.flush()
        try:
            descriptor = stream.fileno()
            status = os.fstat(descriptor)
        except (OSError, ValueError):  # it is in memory, or closed
            return stream
        found = next((outlet for other, outlet in outlets if os.path.samestat(other, status)), None)
        if found is None:
            found = Outlet(descriptor)
            outlets.append((status, found))
        return cast("TextIO", Legible(cast("TextIO", Unhindered(stream, found))))

    sys.stdout, sys.stderr = map(unhindered, before)
    try:
        yield
    finally:
        for _, outlet in outlets:
            outlet.close()
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
