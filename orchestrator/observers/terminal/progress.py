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
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self, TextIO, cast

import anyio
from rich.cells import cell_len
from rich.text import Text

from ...core.events import Event
from ...core.run import RunState
from ...machine.terminal import size_of
from .board import Known, Size, board
from .insight import Insight
from .screen import Painter, ascii_only
from .tally import Tally

FRAME = 0.25
"""Seconds between two frames."""

MOST_HELD = 2000
"""So many log lines wait for the next frame; one more and they are written at once, or the oldest is lost where the terminal takes nothing."""

_ERASE_BELOW = "\x1b[J"


class Progress:
    """The live display of one run on *stream*. Log lines go to `stream`, events to `sink`; `run` draws.

    Args:
        stream: The terminal.
        environ: Asked for ``NO_COLOR``.
        wall: Unix seconds.
        size: The terminal's size, asked for before every frame.
        options: What is added to commands that are shown, a space before each option.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        environ: Mapping[str, str] = os.environ,
        wall: Callable[[], float] = time.time,
        size: Callable[[], os.terminal_size] | None = None,
        options: str = "",
    ) -> None:
        self._terminal = stream
        self._wall = wall
        self._size = size or (lambda: size_of(stream))
        self._painter = Painter(environ)
        self._ascii_only = ascii_only(stream)
        self._tally = Tally()
        self._insight = Insight()
        self._options = options
        self._state: RunState | None = None
        self._held: deque[str] = deque()
        self._lost = 0  # of these, as the terminal took nothing
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
        self._insight.take(event)

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
        """Draw one frame: the log lines that came since the last one, and below them how things stand now.

        A terminal that has not taken the last one yet (Ctrl-S, an ssh connection that hangs) gets none before it has.
        """
        if getattr(self._terminal, "behind", False):
            return
        if self._state is None:
            self._draw([])
            return
        columns, rows = self._size()
        size = Size(columns=max(1, columns), rows=max(2, rows), ascii_only=self._ascii_only)
        now, insight = self._wall(), self._insight
        insight.reckon(self._state, now, holder=self._state.who)
        known = Known(
            needs=insight.needs,
            sentences=insight.sentences,
            last_start=insight.last_start,
            options=self._options,
        )
        self._draw(board(self._tally, self._state, now=now, size=size, known=known))

    def line_typed(self) -> None:
        """The operator typed Enter, and the terminal's echo has moved the cursor below the display."""
        if self._widths:
            self._typed += 1

    def write_above(self, text: str) -> None:
        """Write *text*, whole lines, above the display: with the next frame, or at once where there is none."""
        self._held.append(text)
        if not self._running or (len(self._held) > MOST_HELD and not self._lost):
            self._draw([])
        while len(self._held) > MOST_HELD:
            self._held.popleft()
            self._lost += 1

    def _draw(self, lines: list[Text]) -> None:
        if not (self._held or lines or self._widths):
            return
        shown = [self._painter.painted(line) for line in lines]
        lost = f"({self._lost} log lines are missing here: this terminal took nothing more)\n" if self._lost else ""
        frame = self._erase() + lost + "".join(self._held) + "\n".join(shown)
        encoding = self._terminal.encoding or "utf-8"
        try:
            self._terminal.write(frame.encode(encoding, "backslashreplace").decode(encoding))
            self._terminal.flush()
        except BlockingIOError:
            return  # it takes nothing more: what is on it is the last frame still, and what is held may be for the next one
        except (OSError, ValueError):
            pass  # the terminal is gone: nobody looks any more, and the run goes on
        self._held.clear()
        self._lost = 0
        self._widths = [cell_len(line.plain) for line in lines]
        self._typed = 0

    def _erase(self) -> str:
        """What takes the last frame off: up by as many rows as its lines take at the width of now."""
        if not self._widths:
            return ""
        columns = max(1, self._size()[0])
        rows = sum(max(1, -(-width // columns)) for width in self._widths) + self._typed
        return "\r" + (f"\x1b[{rows - 1}A" if rows > 1 else "") + _ERASE_BELOW


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
