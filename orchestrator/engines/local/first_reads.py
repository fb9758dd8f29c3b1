"""The first reads of jobs leave while the keys are still being proved: at Atlas, one answer in ten takes most of a second.

As soon as Atlas has answered anything, the jobs of the migrations that come first are read, beside the root resource. A job
that is read proves the keys as well as that resource does, so the session begins with whichever comes first. What was read is
the first read of its migration, as old as it is, and so is a refusal. Where there was no answer to go by, the migration reads its
job as ever, when as long has passed as between any two tries of a read, or as Atlas has asked for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice

import anyio
from anyio.abc import TaskGroup

from ...atlas.clients import Clients
from ...atlas.errors import ApiError, AtlasError
from ...atlas.shares import Priority
from ...core.workflow import Migration
from ...machine.groups import alone
from ..reading import EarlyRead

AHEAD = 100
"""Reads that are sent ahead at most: as many as go at once."""


@dataclass(slots=True)
class _Asked:
    """A read that was asked for. It is *over* when it has shown the job (*read*), was refused, or came to nothing (neither)."""

    over: anyio.Event = field(default_factory=anyio.Event)
    read: EarlyRead | None = None
    refusal: ApiError | None = None
    again_at: float = 0.0  # by the event loop's clock: the job is not read again before


class FirstReads:
    """The reads under way.

    Args:
        clients: Ask Atlas.
        group: Where they run.
        now: The session's clock, Unix seconds.
    """

    def __init__(self, clients: Clients, group: TaskGroup, *, now: Callable[[], float]) -> None:
        self._clients = clients
        self._group = group
        self._now = now
        self._asked: dict[str, _Asked] = {}
        self._proved = {name: anyio.Event() for name in clients.all()}

    def begin(self, migrations: Iterable[Migration]) -> None:
        """Read the jobs of *migrations*, each once Atlas has answered its set of credentials for the first time."""
        for migration in islice(migrations, AHEAD):
            asked = self._asked[migration.name] = _Asked()
            self._group.start_soon(self._read, migration, asked)

    async def proved(self, credentials: str | None, check: Callable[[], Awaitable[object]]) -> None:
        """Return when *check* has, or when a job has been read with the set *credentials*, which proves as much.

        Raises:
            AtlasError: From *check*, where no job was read before.
        """
        proved = self._proved[credentials]
        failures: list[AtlasError] = []

        async def carry_out() -> None:
            try:
                await check()
            except AtlasError as error:
                if not proved.is_set():
                    failures.append(error)
            proved.set()

        self._group.start_soon(carry_out)
        await proved.wait()
        if failures:
            raise failures[0]

    async def take(self, migration: str, until: float) -> EarlyRead | None:
        """What was read of the job of *migration*, once; None: nothing was asked for, or there was no answer to go by.

        In that case it returns when the job may be read again, or at *until* (by the event loop's clock).

        Raises:
            ApiError: Atlas refused the read.
        """
        asked = self._asked.pop(migration, None)
        if asked is None:
            return None
        await asked.over.wait()
        if asked.refusal is not None:
            raise asked.refusal
        if asked.read is None:
            await anyio.sleep_until(min(asked.again_at, until))
        return asked.read

    async def _read(self, migration: Migration, asked: _Asked) -> None:
        asked_at = self._now()
        left = anyio.current_time()

        def leaves() -> bool:
            nonlocal asked_at, left
            asked_at, left = self._now(), anyio.current_time()
            return True

        client = self._clients.of(migration.credentials)
        try:
            await client.heard()
            job = await client.job(
                migration.group_id,
                migration.live_migration_id,
                priority=Priority.START,
                deadline=anyio.current_time(),  # at once, and no second time
                may_leave=leaves,
            )
            asked.read = EarlyRead(job=job, asked_at=asked_at, left=left)
            self._proved[migration.credentials].set()
        except AtlasError as error:
            if isinstance(error, ApiError) and error.lasting:
                asked.refusal = error
            else:
                pause = client.pause_after(error, migration.group_id, migration.live_migration_id)
                asked.again_at = anyio.current_time() + pause
        finally:
            asked.over.set()


@asynccontextmanager
async def reading_ahead(clients: Clients, *, now: Callable[[], float]) -> AsyncIterator[FirstReads]:
    """First reads, given up at the end. What the body raises comes out as it is, in no group."""
    with alone():
        async with anyio.create_task_group() as group:
            try:
                yield FirstReads(clients, group, now=now)
            finally:
                group.cancel_scope.cancel()
