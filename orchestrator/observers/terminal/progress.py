"""The live display on a terminal: redrawn a few times a second by a task, with log lines above it.

    with Progress(sys.stderr) as progress:
        log = configure_logging(..., stream=progress.stream)
        sinks = [progress.sink, log.sink()]
        task_group.start_soon(progress.run)

The display is drawn by this module and not by rich's `Live`: log lines and display leave in one write per frame
however many lines there are, it is all done in the event loop's thread, where the state changes, and when the terminal
became narrower the rows that its lines now take are what is erased.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self, TextIO, cast

import anyio
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from ...core.events import Event
from ...core.run import RunState
from .board import Size, board
from .tally import Tally

FRAME = 0.25
"""Seconds between two frames."""

MOST_HELD = 2000
"""So many log lines wait for the next frame; one more and they are written at once."""

_ERASE_BELOW = "\x1b[J"
_FALLBACK = os.terminal_size((80, 24))


def wanted(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether a live display makes sense on *stream*: a terminal, and one that can move its cursor."""
    if stream.closed or not stream.isatty():
        return False
    return environ.get("TERM", "") not in ("", "dumb", "unknown")


class Progress:
    """The live display of one run on *stream*. Log lines go to `stream`, events to `sink`; `run` draws.

    Args:
        stream: The terminal.
        environ: Asked for ``NO_COLOR``.
        wall: Unix seconds.
        size: The terminal's size, asked for before every frame.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        environ: Mapping[str, str] = os.environ,
        wall: Callable[[], float] = time.time,
        size: Callable[[], os.terminal_size] | None = None,
    ) -> None:
        self._terminal = stream
        self._wall = wall
        self._size = size or (lambda: _size_of(stream))
        self._console = Console(
            file=io.StringIO(), force_terminal=True, no_color=bool(environ.get("NO_COLOR")), _environ=environ
        )
        self._ascii_only = not _can_encode(stream, "\N{FULL BLOCK}\N{LIGHT SHADE}\N{HORIZONTAL ELLIPSIS}")
        self._tally = Tally()
        self._state: RunState | None = None
        self._held: list[str] = []
        self._widths: list[int] = []  # of the lines now on the screen, in cells
        self._typed = 0  # rows by which Enter has moved the cursor below them
        self._running = False
        self._above = _Above(self, stream)
        self.stream = cast("TextIO", self._above)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the display off the screen; the log lines above it stay."""
        self._running = False
        self._above.finish()
        self._draw([])

    def sink(self, event: Event, state: RunState) -> None:
        """Take *event* in; nothing is drawn."""
        self._state = state
        self._tally.take(event, state)

    async def run(self) -> None:
        """Draw, `FRAME` seconds apart, until cancelled."""
        self._running = True
        try:
            while True:
                self.draw()
                await anyio.sleep(FRAME)
        finally:
            self._running = False
            self._draw([])

    def draw(self) -> None:
        """Draw one frame: the log lines that came since the last one, and below them how things stand now."""
        if self._state is None:
            self._draw([])
            return
        columns, rows = self._size()
        size = Size(columns=max(1, columns), rows=max(2, rows), ascii_only=self._ascii_only)
        self._draw(board(self._tally, self._state, now=self._wall(), size=size))

    def line_typed(self) -> None:
        """The operator typed Enter, and the terminal's echo has moved the cursor below the display."""
        if self._widths:
            self._typed += 1

    def write_above(self, text: str) -> None:
        """Write *text*, whole lines, above the display: with the next frame, or at once where there is none."""
        self._held.append(text)
        if not self._running or len(self._held) > MOST_HELD:
            self._draw([])

    def _draw(self, lines: list[Text]) -> None:
        if not (self._held or lines or self._widths):
            return
        shown = [self._render(line) for line in lines]
        frame = self._erase() + "".join(self._held) + "\n".join(shown)
        self._held.clear()
        self._widths = [cell_len(line.plain) for line in lines]
        self._typed = 0
        encoding = self._terminal.encoding or "utf-8"
        with suppress(OSError, ValueError):  # the terminal is gone: nobody looks any more, and the run goes on
            self._terminal.write(frame.encode(encoding, "backslashreplace").decode(encoding))
            self._terminal.flush()

    def _erase(self) -> str:
        """What takes the last frame off: up by as many rows as its lines take at the width of now."""
        if not self._widths:
            return ""
        columns = max(1, self._size()[0])
        rows = sum(max(1, -(-width // columns)) for width in self._widths) + self._typed
        return "\r" + (f"\x1b[{rows - 1}A" if rows > 1 else "") + _ERASE_BELOW

    def _render(self, line: Text) -> str:
        with self._console.capture() as capture:
            self._console.print(line, end="", no_wrap=True, crop=False, overflow="ignore", soft_wrap=True)
        return capture.get()


class _Above(io.TextIOBase):
    """A text stream whose lines appear above the display."""

    def __init__(self, progress: Progress, terminal: TextIO) -> None:
        super().__init__()
        self._progress = progress
        self._terminal = terminal
        self._begun = ""

    @property
    def encoding(self) -> str:  # type: ignore[override] # typeshed has a plain attribute
        return self._terminal.encoding

    def isatty(self) -> bool:
        return self._terminal.isatty()

    def fileno(self) -> int:
        return self._terminal.fileno()  # so that its width can be asked for

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        whole, end, self._begun = (self._begun + text).rpartition("\n")
        if end:
            self._progress.write_above(whole + end)
        return len(text)

    def finish(self) -> None:
        """Write a line that was begun and not ended."""
        if self._begun:
            self.write("\n")


def _size_of(stream: TextIO) -> os.terminal_size:
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return _FALLBACK
    return size if size.columns > 0 and size.lines > 0 else _FALLBACK


def _can_encode(stream: TextIO, text: str) -> bool:
    try:
        text.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
