"""`status --watch`: a run under way on a terminal, looked at again and again until it is over."""

from __future__ import annotations

import os
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

from ..machine.terminal import columns_of, size_of
from ..observers.terminal.board import Known, Size, board
from ..observers.terminal.insight import Insight
from ..observers.terminal.screen import Painter, Screen, ascii_only, can_move
from ..observers.terminal.tally import Tally
from ..operations.watching import Seen, Watching
from .inputs import state_options
from .streams import unhindered_streams

if TYPE_CHECKING:
    from pathlib import Path

    from rich.text import Text

    from ..core.events import Event
    from ..core.run import RunState

LOOK_EVERY = 2.0
"""Seconds between two looks at the journal."""
SAY_EVERY = 10.0
"""Seconds between two reports where nothing can be painted over: into a file, on a dumb terminal."""
_TICK = 0.2  # seconds after which a terminal that has another size is painted anew
_HINT = "Ctrl-C ends this view, and not the run."
_ROOM_FOR_A_HINT = 12  # rows
_ENDLESS = 10_000  # columns where there is no terminal: lines are not broken, so that they can be searched
_ROWS = (
    50  # of one report where there is no terminal: as much as somebody reads of it; `status --all` has every migration
)


class _View:
    """What is shown of one run."""

    def __init__(self, args: Namespace, state_dir: Path) -> None:
        self._tally = Tally()
        self._insight = Insight()
        self._options = state_options(args)
        self._watching = Watching(args.run_id, state_dir=state_dir, observers=(self._take,))
        self.seen = self._watching.look()

    def _take(self, event: Event, state: RunState) -> None:
        self._tally.take(event, state)
        self._insight.take(event)

    def look(self) -> Seen:
        """Look again."""
        self.seen = self._watching.look()
        return self.seen

    def lines(self, size: Size, *, at_once: bool = False) -> list[Text]:
        """How it stands, by the last look. *at_once*: all of it, also where that takes a while."""
        seen = self.seen
        self._insight.reckon(seen.state, seen.as_of, holder=seen.holder, silent=seen.silent, at_once=at_once)
        known = Known(
            needs=self._insight.needs,
            sentences=self._insight.sentences,
            reads=seen.reads,
            last_start=self._insight.last_start,
            silent=seen.silent is not None,
            as_of=seen.as_of,
            no_news=seen.no_news,
            options=self._options,
        )
        return board(self._tally, seen.state, now=seen.as_of, size=size, known=known)


def watch(args: Namespace, state_dir: Path, *, sleep: Callable[[float], None] = time.sleep) -> str:
    """Show the run until nobody works on it any more; the run's id. *sleep* lets so many seconds pass.

    Raises:
        InputError: There is no such run.
        JournalError: The journal cannot be read.
    """
    view = _View(args, state_dir)
    if view.seen.holder is not None:
        if can_move(sys.stdout, os.environ):
            with unhindered_streams():  # else no signal ends it where the terminal takes nothing more
                _painted(view, sleep)
        else:
            _said(view, sleep)
    return view.seen.state.run_id


def _painted(view: _View, sleep: Callable[[float], None]) -> None:
    """Over and over on the terminal's second screen; what was seen last stays on the first one, where somebody ends it."""
    screen = Screen(sys.stdout, os.environ)
    try:
        with _ended_by_signals(), screen:
            while view.seen.holder is not None:
                _shown(view, screen, sleep)
                view.look()
    except (KeyboardInterrupt, SystemExit):
        with suppress(BlockingIOError, TimeoutError):
            _print(view, screen.size, colour=True)
        raise


def _shown(view: _View, screen: Screen, sleep: Callable[[float], None]) -> None:
    """Show what was seen last for `LOOK_EVERY` seconds, in whatever size the terminal has."""
    size = None
    for _ in range(round(LOOK_EVERY / _TICK)):
        if screen.size != size:
            size = screen.size
            screen.paint(_with_hint(view, size))
        sleep(_TICK)


def _with_hint(view: _View, size: Size) -> list[Text]:
    from rich.text import Text

    from ..machine.columns import wrapped

    if size.rows < _ROOM_FOR_A_HINT:
        return view.lines(size)
    hint = wrapped(_HINT, size.width)
    smaller = Size(columns=size.columns, rows=size.rows - len(hint), ascii_only=size.ascii_only)
    return [*view.lines(smaller), *(Text(line, style="dim") for line in hint)]


def _said(view: _View, sleep: Callable[[float], None]) -> None:
    """One report below the other, when something has happened or is not known any more; none is longer than what it is read on."""
    asciis = ascii_only(sys.stdout)
    told: str | None = None
    waited, fresh = SAY_EVERY, True
    while view.seen.holder is not None:
        if (fresh and waited >= SAY_EVERY) or view.seen.no_news != told:
            columns = columns_of(sys.stdout)
            rows = _ROWS if columns is None else size_of(sys.stdout).lines - 1
            columns = columns or _ENDLESS
            _print(view, Size(columns=columns, rows=rows, ascii_only=asciis), colour=False)
            told, waited, fresh = view.seen.no_news, 0.0, False
        sleep(LOOK_EVERY)
        waited += LOOK_EVERY
        fresh = view.look().new or fresh


def _print(view: _View, size: Size, *, colour: bool) -> None:
    painter = Painter(os.environ, plain=not colour)
    encoding = sys.stdout.encoding or "ascii"
    text = "".join(f"{painter.painted(line).rstrip()}\n" for line in view.lines(size, at_once=True))
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    sys.stdout.flush()


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """While the block runs SIGTERM ends it like Ctrl-C does, so that the terminal is as it was."""

    def end(number: int, _frame: object) -> NoReturn:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
