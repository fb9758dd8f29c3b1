"""A terminal: how large it is, what it can show, and a screen of it that is painted over and over."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.text import Text

from ...machine.terminal import size_of
from .board import Size

_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\r\n\x1b[?25h\x1b[?1049l"
_HOME, _ERASE_LINE, _ERASE_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"


def can_move(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether *stream* is a terminal, and one that can move its cursor."""
    if stream.closed or not stream.isatty():
        return False
    return environ.get("TERM", "") not in ("", "dumb", "unknown")


def ascii_only(stream: TextIO) -> bool:
    """Whether the encoding of *stream* lacks what bars are made of."""
    try:
        "\N{FULL BLOCK}\N{LIGHT SHADE}\N{HORIZONTAL ELLIPSIS}".encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return True
    return False


class Painter:
    """Turns lines into what a terminal is sent; without colour where *environ* has NO_COLOR or the terminal is a dumb one."""

    def __init__(self, environ: Mapping[str, str], *, plain: bool = False) -> None:
        self._plain = plain
        self._console = Console(
            file=io.StringIO(), force_terminal=True, no_color=bool(environ.get("NO_COLOR")), _environ=environ
        )

    def painted(self, line: Text) -> str:
        """*line* with its colours."""
        if self._plain:
            return line.plain
        with self._console.capture() as capture:
            self._console.print(line, end="", no_wrap=True, crop=False, overflow="ignore", soft_wrap=True)
        return capture.get()


class Screen:
    """The terminal's second screen while the block runs; what was on the first one is there again afterwards."""

    def __init__(self, stream: TextIO, environ: Mapping[str, str]) -> None:
        self._stream = stream
        self._painter = Painter(environ)
        self._ascii_only = ascii_only(stream)

    def __enter__(self) -> Self:
        self._write(_ENTER)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError, ValueError):  # the terminal is gone
            self._write(_LEAVE)

    @property
    def size(self) -> Size:
        """How large it is now."""
        columns, rows = size_of(self._stream)
        return Size(columns=columns, rows=rows, ascii_only=self._ascii_only)

    def paint(self, lines: Sequence[Text]) -> None:
        """Show *lines* and nothing else, once the terminal has taken what was shown before."""
        if getattr(self._stream, "behind", False):
            return
        shown = f"{_ERASE_LINE}\r\n".join(self._painter.painted(line) for line in lines)
        self._write(f"{_HOME}{shown}{_ERASE_LINE}{_ERASE_BELOW}")

    def _write(self, text: str) -> None:
        encoding = self._stream.encoding or "utf-8"
        with suppress(BlockingIOError, TimeoutError):  # it takes nothing for now
            self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            self._stream.flush()
