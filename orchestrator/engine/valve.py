"""Whether a new cutover may start now. Every PUT passes here; what is under way does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio


class Valve:
    """Closed until the window opens, closed while paused, and closed for good once stopped."""

    def __init__(self) -> None:
        self.stopped: str | None = None
        self.paused = False
        self._in_window: Callable[[], bool] = lambda: False  # not yet
        self._changed = anyio.Event()
        self._starting: set[anyio.CancelScope] = set()

    @property
    def is_open(self) -> bool:
        """Whether a cutover may start at this moment."""
        return self.why_closed() is None

    def why_closed(self) -> str | None:
        """Why no cutover may start at this moment; None: one may."""
        if self.stopped is not None:
            return self.stopped
        if self.paused:
            return "the run is paused"
        return None if self._in_window() else "the window is not open"

    def open_window(self, in_window: Callable[[], bool] = lambda: True) -> None:
        """The window has opened (or there is none); *in_window* asks the clock whether it is still open.

        A wall clock may be set, and a machine may sleep: whoever waits for the window's end hears of it late.
        """
        self._in_window = in_window
        self._change()

    def pause(self, paused: bool) -> None:
        """Hold new cutovers, or let them go on."""
        self.paused = paused
        self._change()

    def stop(self, reason: str) -> None:
        """No cutover starts any more, for *reason*; those about to start are given up. The first reason stays."""
        if self.stopped is not None:
            return
        self.stopped = reason
        self._change()
        for scope in tuple(self._starting):
            scope.cancel()

    async def passage(self) -> bool:
        """Wait until a cutover may start; False: none may any more."""
        while self.stopped is None and not self.is_open:
            await self._changed.wait()
        return self.stopped is None

    @contextmanager
    def starting(self) -> Iterator[anyio.CancelScope]:
        """Do something on the way to a cutover: it is cancelled when the valve is stopped."""
        with anyio.CancelScope() as scope:
            if self.stopped is not None:
                scope.cancel()
            self._starting.add(scope)
            try:
                yield scope
            finally:
                self._starting.discard(scope)

    def _change(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()
