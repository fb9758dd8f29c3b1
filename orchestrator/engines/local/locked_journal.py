"""A journal that another program keeps locked: what the operator is told meanwhile."""

from __future__ import annotations

import anyio

from ...core.errors import JournalLockedError
from ...core.observer import Say
from ...machine.threads import beside
from ...store.journal import Journal

TRY_EVERY = 1.0
"""Seconds."""
SAY_EVERY = 60.0
"""Seconds between two warnings about the same lock."""


class LockedJournal:
    """Says with *say* that the journal of run *run_id* is kept locked, and that it is free again."""

    def __init__(self, run_id: str, say: Say) -> None:
        self._run_id = run_id
        self._say = say
        self._said_at: float | None = None

    async def wait_until_free(self, journal: Journal) -> None:
        """Return when *journal* can be written.

        Raises:
            JournalError: It cannot, for another reason than a lock.
        """
        waited = False
        while True:
            try:
                await beside(journal.try_to_write)
            except JournalLockedError as error:
                waited = True
                self.tell(error)
                await anyio.sleep(TRY_EVERY)
            else:
                if waited:
                    self.tell(None)
                return

    def tell(self, error: JournalLockedError | None) -> None:
        """Take note of a try to write that met *error*, or of one that succeeded after it (None)."""
        now = anyio.current_time()
        if error is None:
            self._said_at = None
            self._say("journal_free", run_id=self._run_id, detail="the journal can be written again: the run goes on")
        elif self._said_at is None or now - self._said_at >= SAY_EVERY:
            self._said_at = now
            self._say("journal_locked", run_id=self._run_id, detail=f"no cutover starts until it is free: {error}")
