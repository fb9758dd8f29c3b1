"""Group commit: the events of one run on their way to the journal.

Many migrations commit together, so one sync serves many events. An event that an action waits for (`append`) brings the
sync forward; others (`post`) ride along with the next one. Losing the last posted events in a crash is safe: a
`cutover_requested` is always appended and awaited before its PUT leaves, and whatever happened after it is found out
again by reading the job.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import anyio

from ..core.errors import JournalError, JournalLockedError
from ..core.events import Event
from ..machine.threads import beside
from .ground import Ground
from .journal import Journal

LINGER = 0.04
"""Seconds for which an awaited commit waits for company."""
LAZY = 0.5
"""Seconds after which posted events are written at the latest."""
_BETWEEN_TRIES: Final = 1.0  # seconds, while another program keeps the journal locked


class Writer:
    """Appends the events of one run. `run` has to be running; `close` writes the rest.

    Args:
        journal: Used by nobody else meanwhile.
        run_id: The run.
        ids: Project and live migration by the migration's name; empty for a rehearsal.
        ground: What has to be at its place for a commit to count.
        on_locked: Gets what is wrong at each try of a commit that another program keeps from the journal, and None once it is
            written.

    A journal that another program keeps locked is waited for, as long as the writer is *patient*.
    """

    def __init__(
        self,
        journal: Journal,
        run_id: str,
        ids: dict[str, tuple[str, str]],
        *,
        ground: Ground | None = None,
        on_locked: Callable[[JournalLockedError | None], None] = lambda _: None,
    ) -> None:
        self._ground = ground or Ground(run_id=run_id)
        self._on_locked = on_locked
        self.patient = True
        self._journal = journal
        self._run_id = run_id
        self._ids = ids
        self._pending: list[Event] = []
        self._awaited = anyio.Event()  # somebody waits for the next commit
        self._posted = anyio.Event()
        self._committed = anyio.Event()  # set when the batch being gathered is on disk, or failed
        self._on_its_way: anyio.Event | None = None  # the same of the batch that is being written
        self._closing = False
        self.failure: JournalError | None = None
        self.commits = 0
        self.events = 0

    def post(self, event: Event) -> None:
        """Write *event* with the next commit."""
        self._pending.append(event)
        self._posted.set()

    async def append(self, event: Event) -> None:
        """Write *event* and return when it is on disk.

        Raises:
            JournalError: It could not be written, and nothing will be any more.
        """
        if self.failure is None:
            self.post(event)
        await self.flush()

    async def flush(self) -> None:
        """Return when all that was posted is on disk.

        Raises:
            JournalError: It could not be written.
        """
        if self.failure is None and self._pending:
            committed = self._committed
            self._awaited.set()
            await committed.wait()
        elif self._on_its_way is not None:
            await self._on_its_way.wait()
        if self.failure is not None:
            raise self.failure

    async def run(self) -> None:
        """Write what is posted until `close`."""
        while not (self._closing and not self._pending):
            await self._posted.wait()
            with anyio.move_on_after(LAZY):
                await self._awaited.wait()
                if not self._closing:
                    await anyio.sleep(LINGER)
            await self._flush()

    def close(self) -> None:
        """Write the rest and let `run` return."""
        self._closing = True
        self._posted.set()
        self._awaited.set()

    async def _flush(self) -> None:
        batch, self._pending = self._pending, []
        awaited = self._awaited.is_set()
        committed, self._committed = self._committed, anyio.Event()
        self._on_its_way = committed
        if not self._closing:
            self._posted, self._awaited = anyio.Event(), anyio.Event()
        if batch and self.failure is None:
            try:
                await self._commit_when_free(batch, awaited=awaited)
                self.commits += 1
                self.events += len(batch)
            except JournalError as error:
                self.failure = error
            except Exception as error:  # noqa: BLE001 - no thread, no memory: whoever waits for the commit must hear of it
                self.failure = JournalError(f"{self._journal.path}: {type(error).__name__}: {error}")
        self._on_its_way = None
        committed.set()

    async def _commit_when_free(self, batch: list[Event], *, awaited: bool) -> None:
        locked = False
        while True:
            try:
                await beside(self._commit, batch, awaited)
            except JournalLockedError as error:
                if not self.patient or self._closing:
                    raise
                locked = True
                self._on_locked(error)
                await anyio.sleep(_BETWEEN_TRIES)
            else:
                if locked:
                    self._on_locked(None)
                return

    def _commit(self, batch: list[Event], awaited: bool) -> None:
        self._ground.check()
        self._journal.commit(self._run_id, batch, self._ids, marked=awaited)
        self._ground.check()  # it may have gone in that moment, and what was written with it
