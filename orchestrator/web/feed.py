"""What viewers are sent: one feed a run, shared by all who watch it, and one for the list of runs.

A feed looks at the journal twice a second while somebody watches. It numbers its versions and remembers at which version
each migration's row and each log line came, so any viewer, however far behind, gets exactly what he lacks: `since`. A
slow viewer gets several versions in one message, and one who comes back says where he was (``Last-Event-ID``).
"""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from logging import WARNING
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import TaskGroup

from ..core.listing import RunStanding
from ..machine.threads import beside
from ..reports.shape import COLUMNS
from . import view
from .look import Changes, OutOfReachError, RunLook, look_at_runs
from .news import LOG_LINES
from .troubles import Troubles

LOOK_EVERY = 0.5
"""Seconds between two looks at the journal."""
REST_AFTER = 0.1
"""Seconds from a look that left something for the next one to that: the interpreter is busy then, and first rows are to be on their way before."""
LOOK_AGAIN = 5.0
"""Seconds between two looks for a run that is not there: a viewer may invent as many as they like, and others want to be served."""
KEPT_FEEDS = 16
"""How many feeds that nobody watches are kept, so that a viewer who comes back need not be sent everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A server-sent event: *id* is the viewer's new position, *data* a JSON document in UTF-8."""

    event: str
    id: str
    data: bytes


class Feed(ABC):
    """Looks while it is watched, and wakes its viewers when something has changed."""

    def __init__(self) -> None:
        self._epoch = secrets.token_hex(4)
        self._version = 0
        self._changed = anyio.Event()
        self._viewers = 0
        self._looking = False
        self._every = LOOK_EVERY
        self._owing = False  # the last look left something for the next, which comes soon
        self._looked_at = float("-inf")
        self._first_look = anyio.Event()

    @property
    def looked_at(self) -> float:
        """When the last look was done, on the event loop's clock."""
        return self._looked_at

    @property
    def viewers(self) -> int:
        """How many watch."""
        return self._viewers

    @contextmanager
    def watched(self, tasks: TaskGroup) -> Iterator[None]:
        """Count a viewer; the looking is done in *tasks*."""
        self._viewers += 1
        if not self._looking:
            self._looking = True
            self._first_look = anyio.Event()
            tasks.start_soon(self._keep_looking)
        try:
            yield
        finally:
            self._viewers -= 1

    async def looked(self) -> None:
        """Wait until it has looked since it is watched."""
        await self._first_look.wait()

    async def next(self, position: str) -> Message:
        """What a viewer at *position* lacks; waits until there is something. An unknown position gets everything.

        What was seen before the feed was last left alone is not told as if it were so now.
        """
        await self.looked()
        while True:
            changed = self._changed
            version = self._version_at(position)
            if self._version and version != self._version:
                return self._message(version)
            await changed.wait()

    async def _keep_looking(self) -> None:
        try:
            while self._viewers or self._owing:
                with suppress(OutOfReachError):  # no beat is sent then, by which viewers know it
                    if await self._look():
                        self._version += 1
                        self._changed.set()
                        self._changed = anyio.Event()
                    self._looked_at = anyio.current_time()
                    self._first_look.set()
                await anyio.sleep(REST_AFTER if self._owing else self._every)
        finally:
            self._looking = False

    def _version_at(self, position: str) -> int:
        epoch, _, number = position.partition("-")
        digits = len(str(self._version))  # Python reads no number of thousands of digits
        known = epoch == self._epoch and number.isdecimal() and len(number) <= digits and int(number) <= self._version
        return int(number) if known else 0

    def _position(self) -> str:
        return f"{self._epoch}-{self._version}"

    def _new_epoch(self) -> None:
        self._epoch = secrets.token_hex(4)

    @abstractmethod
    async def _look(self) -> bool:
        """Look at the journal; True when something has changed. The version is counted on afterwards.

        Raises:
            OutOfReachError: It is not there any more.
        """

    @abstractmethod
    def _message(self, version: int) -> Message:
        """What a viewer who is at *version* lacks; 0: everything."""


class RunsFeed(Feed):
    """The list of runs, sent whole: it is short."""

    def __init__(self, state_dir: Path) -> None:
        super().__init__()
        self._state_dir = state_dir
        self._runs: dict[str, Any] | None = None
        self._standings: dict[str, RunStanding] = {}
        self._troubles = Troubles()

    async def _look(self) -> bool:
        runs = await beside(look_at_runs, self._state_dir, self._standings, self._troubles)
        if self._runs and self._runs["runs"] and not runs["journal"]:
            raise OutOfReachError
        changed = runs != self._runs
        self._runs = runs
        return changed

    def _message(self, version: int) -> Message:  # noqa: ARG002 - it is sent whole
        return Message(event="runs", id=self._position(), data=view.compact(self._runs).encode())


class RunFeed(Feed):
    """One run: a `snapshot` of everything, then a `delta` of what has changed.

    The first of a large run has the rows alone that are seen first, and one of everything comes next.
    """

    def __init__(self, state_dir: Path, run_id: str, *, options: str = "") -> None:
        super().__init__()
        self._run_look = RunLook(state_dir, run_id, options=options)
        self._head: dict[str, Any] = {}
        self._points_since = 0  # the version at which those of the head came
        self._needs: tuple[int, list[dict[str, Any]]] = (0, [])  # with the version at which they came
        self._decisions: tuple[int, dict[str, Any]] = (0, view.NO_DECISIONS)  # the same
        self._jobs = "[]"
        self._numbers: dict[str, int] = {}
        self._rows: dict[int, str] = {}
        self._came: dict[int, int] = {}  # by row: the version at which it came; the last to come goes last
        self._log: deque[tuple[int, dict[str, Any]]] = deque(maxlen=LOG_LINES)
        self._problems: deque[tuple[int, dict[str, Any]]] = deque(maxlen=LOG_LINES)
        self._said: tuple[int, int, Message] | None = None

    async def _look(self) -> bool:
        changes = await beside(self._run_look.look)
        if changes is None:
            return False
        self._owing = not changes.whole
        self._take_in(changes, self._version + 1)
        return True

    def _take_in(self, changes: Changes, version: int) -> None:
        if changes.head.get("points") != self._head.get("points"):
            self._points_since = version
        self._head = changes.head
        self._every = LOOK_AGAIN if "missing" in changes.head and not changes.head["error"] else LOOK_EVERY
        if changes.needs is not None:
            self._needs = version, changes.needs
        if changes.decisions is not None:
            self._decisions = version, changes.decisions
        if changes.fresh:
            self._new_epoch()
            self._jobs = f"[{','.join(job.text for job in changes.jobs.values())}]"
            self._numbers = {name: job.number for name, job in changes.jobs.items()}
            self._rows = {number: changes.rows[name].text for name, number in self._numbers.items()}
            self._came = dict.fromkeys(self._rows, version)
            if "missing" in changes.head:
                self._log.clear()
                self._problems.clear()
        else:
            for name, row in changes.rows.items():
                number = self._numbers[name]
                self._rows[number] = row.text
                self._came.pop(number)
                self._came[number] = version
        self._log.extend((version, line) for line in changes.log)
        self._problems.extend((version, line) for line in changes.log if line["level"] >= WARNING)

    def _message(self, version: int) -> Message:
        if self._said is not None and self._said[:2] == (version, self._version):
            return self._said[2]  # most viewers are at the same position
        head = {
            name: value
            for name, value in self._head.items()
            if name != "points" or not version or self._points_since > version
        }  # texts that differ only once the run is left, or goes on
        document = {"head": view.compact(head)}
        if not version:
            document["columns"] = view.compact(COLUMNS)
            document["jobs"] = self._jobs
        if not version or self._needs[0] > version:
            document["needs"] = view.compact(self._needs[1])
        if not version or self._decisions[0] > version:
            document["decisions"] = view.compact(self._decisions[1])
        document["rows"] = (
            f"[{','.join(f'[{number},{self._rows[number][1:]}' for number in self._rows_since(version))}]"
        )
        lines = {line["seq"]: line for since, line in (*self._problems, *self._log) if since > version}
        document["log"] = view.compact([lines[seq] for seq in sorted(lines)])
        data = f"{{{','.join(f'{view.compact(name)}:{text}' for name, text in document.items())}}}".encode()
        message = Message(event="delta" if version else "snapshot", id=self._position(), data=data)
        self._said = (version, self._version, message)
        return message

    def _rows_since(self, version: int) -> list[int]:
        """The numbers of the rows that came after *version*."""
        numbers = []
        for number, since in reversed(self._came.items()):
            if since <= version:
                break
            numbers.append(number)
        return sorted(numbers)


class Feeds:
    """The feeds of one state directory; their looking is done in *tasks*. *options*: with which a command finds that, a space before each."""

    def __init__(self, state_dir: Path, tasks: TaskGroup, *, options: str = "") -> None:
        self.runs = RunsFeed(state_dir)
        self._state_dir = state_dir
        self._options = options
        self._tasks = tasks
        self._by_run: dict[str, RunFeed] = {}

    async def read_ahead(self) -> None:
        """Look at the run that will most likely be asked for, before anybody does: a large one takes seconds to read."""
        listed = (await beside(look_at_runs, self._state_dir))["runs"]
        if not listed:
            return
        run = next((each for each in listed if each["running"]), listed[0])
        with self.watch(run["run_id"]) as feed:
            await feed.looked()

    @contextmanager
    def watch_runs(self) -> Iterator[Feed]:
        """The feed of the list of runs, while somebody watches it."""
        with self.runs.watched(self._tasks):
            yield self.runs

    @contextmanager
    def watch(self, run_id: str) -> Iterator[Feed]:
        """The feed of run *run_id*, while somebody watches it."""
        feed = self._by_run.pop(run_id, None) or RunFeed(self._state_dir, run_id, options=self._options)
        self._by_run[run_id] = feed  # the last to be asked for goes last
        self._drop_unwatched()
        with feed.watched(self._tasks):
            yield feed

    def _drop_unwatched(self) -> None:
        spare = len(self._by_run) - KEPT_FEEDS
        for run_id, feed in list(self._by_run.items())[: max(0, spare)]:
            if not feed.viewers:
                del self._by_run[run_id]
