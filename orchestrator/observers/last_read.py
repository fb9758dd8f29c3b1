"""Writes what the last read of each job showed while a session goes on (`store.last_read`).

The file's time is the session's sign of life: a lock says that a process holds the run, not that the process still gets anywhere.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import anyio

from ..core.events import Event, RunFinished, StatusPolled
from ..core.observer import Say
from ..core.run import RunState
from ..machine.own_files import PRIVATE, make_directory, replace_file
from ..store.last_read import LastRead, read_reads, reads_path

INTERVAL = 5.0
"""Seconds between two writes while a run is under way."""


class ReadsFile:
    """Keeps the file of a run up to date: events go to `sink`, `run` writes now and then. A failure is told to *say*, once."""

    def __init__(self, state_dir: Path, say: Say) -> None:
        self._state_dir = state_dir
        self._say = say
        self._path: Path | None = None
        self._reads: dict[str, LastRead] = {}
        self._changed = False
        self._failed = False

    def sink(self, event: Event, state: RunState) -> None:
        """Take *event* in; what is known at the end of the session is written at once."""
        if self._path is None:
            self._path = reads_path(self._state_dir, state.run_id)
            self._reads = read_reads(self._path)  # an earlier session's
            self._show_life()
        if isinstance(event, StatusPolled):
            before = self._reads.get(event.migration, LastRead(at=event.at))
            self._reads[event.migration] = before.after(event)
            self._changed = True
        elif isinstance(event, RunFinished):
            self.write()

    async def run(self) -> None:
        """Write every `INTERVAL` seconds, until cancelled; where there is nothing new, give the file the time of now."""
        while True:
            self._show_life()
            await anyio.sleep(INTERVAL)
            self.write()

    def write(self) -> None:
        """Write now, if there is anything new."""
        if self._path is None or not self._changed:
            return
        self._changed = False
        self._replace(self._path)

    def _show_life(self) -> None:
        if self._path is None:
            return
        try:
            os.utime(self._path)
        except OSError:
            self._replace(self._path)  # it is not there yet, or what is wrong with it is told

    def _replace(self, path: Path) -> None:
        text = json.dumps({name: asdict(read) for name, read in self._reads.items()}, separators=(",", ":"))
        try:
            make_directory(path.parent)
            replace_file(path, text.encode(), mode=PRIVATE)
        except OSError as error:
            if not self._failed:
                self._say("reads_failed", file=str(path), error=error.strerror)
            self._failed = True
