"""Typed calls to the Atlas Administration API, both versions, and which of them are tried again.

A read is sent again when that may help (`READ_ATTEMPTS`); the cutover PUT is sent once, and its error says what may be
concluded (`orchestrator.atlas.errors`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import stamina

from ..events import Event, RequestRetried
from . import wire
from .budget import Priority, TokenBucket
from .connection import ClientSettings, open_session
from .errors import (
    AnswerLostError,
    ApiError,
    AtlasError,
    BadAnswerError,
    NotSentError,
    RateLimitedError,
    Verdict,
)
from .refusals import REFUSALS, Refusals
from .transport import Transport
from .wire import Job

READ_ATTEMPTS = 4
LONGEST_PAUSE = 60.0
"""Seconds that a read waits at most for its next try, whatever a 5xx's `Retry-After` says: an application stands still."""

ROOT_SCOPE = "root"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """Atlas took the PUT with *http_status*; *job* is the document that came with the answer (v1.0), if it is this job's."""

    http_status: int
    job: Job | None


class Reservation:
    """A token for one PUT, taken before it is decided for good that the PUT is sent."""

    __slots__ = ("_bucket",)

    def __init__(self, bucket: TokenBucket) -> None:
        self._bucket: TokenBucket | None = bucket

    def spend(self) -> TokenBucket:
        """The bucket, to send the request with; only once."""
        bucket, self._bucket = self._bucket, None
        if bucket is None:
            raise RuntimeError("this reservation has been used")
        return bucket

    def give_back(self) -> None:
        """Return the token if it has not been spent."""
        if self._bucket is not None:
            self._bucket.give_back()
            self._bucket = None


class AtlasClient:
    """Calls to Atlas. Use `open_client`.

    Args:
        settings: How much may be sent.
        transport: Sends the requests.
        wall: The wall clock, Unix seconds, for the events.
        on_event: Gets `RequestRetried`.
    """

    def __init__(
        self,
        settings: ClientSettings,
        transport: Transport,
        *,
        wall: Callable[[], float],
        on_event: Callable[[Event], None],
    ) -> None:
        self.api = settings.api
        self.statistics = transport.statistics
        self._settings = settings
        self._transport = transport
        self._wall = wall
        self._on_event = on_event
        self._buckets: dict[str, TokenBucket] = {}
        self._refusals = Refusals(self._read_root, patience=settings.request_timeout)

    # -- calls -------------------------------------------------------------------------------------------------------

    async def check_access(self) -> None:
        """Read the root resource: is Atlas there, and are the keys good?

        Raises:
            AtlasError: Atlas is not reachable, or refuses the keys (401, 403).
        """
        try:
            await self._read_root()
        except ApiError as error:
            if error.verdict is not Verdict.REFUSED or error.status == 403:
                raise

    async def job(
        self,
        group_id: str,
        live_migration_id: str,
        *,
        priority: Priority = Priority.POLL,
        may_leave: Callable[[], bool] | None = None,
    ) -> Job:
        """Read a live migration job; *may_leave* is asked right before each request (`Transport.send`).

        Raises:
            KeysRefusedError: 401 or 403; `everywhere` says what that means. From a project that is known to refuse the
                keys it comes without a request, unless the job is under way.
            AtlasError: After some tries there was no answer, or one that makes no sense.
        """
        bucket = self.bucket(group_id)
        await bucket.take(priority)  # here and no deeper: thousands may wait, each with all its frames
        path = _job_path(group_id, live_migration_id)
        if priority is not Priority.POLL:
            self._raise_if_refused(group_id, bucket, "GET", path)
        try:
            document = await self._read(path, bucket, priority, may_leave)
        except ApiError as error:
            if error.status in REFUSALS:
                raise await self._refusals.explain(error, group_id) from error
            raise
        try:
            job = wire.job(document, live_migration_id=live_migration_id, clean=self._transport.clean)
        except ValueError as error:
            raise BadAnswerError(str(error), method="GET", path=self._transport.full_path(path)) from None
        self._refusals.succeeded(group_id)
        return job

    async def reserve(self, group_id: str) -> Reservation:
        """Wait for a token for a PUT."""
        bucket = self.bucket(group_id)
        await bucket.take(Priority.CUTOVER)
        return Reservation(bucket)

    def repeats_cutover(
        self, group_id: str, live_migration_id: str, *, reason: str, attempt: int, waited: float
    ) -> None:
        """Take note that the next PUT for this job is its *attempt*-th, *waited* seconds after *reason* undid the last."""
        path = _cutover_path(group_id, live_migration_id)
        self._retrying("PUT", path, reason, attempt=attempt, waited=waited)

    async def cutover(
        self,
        group_id: str,
        live_migration_id: str,
        reservation: Reservation,
        *,
        may_leave: Callable[[], bool] | None = None,
    ) -> Accepted:
        """Send the cutover PUT, once; *may_leave* is asked right before, when it has waited for all it needs.

        Raises:
            KeysRefusedError: 401 or 403, or its project is known to answer 401; it was not carried out.
            AtlasError: What became of it; the class says what may be concluded (`orchestrator.atlas.errors`).
        """
        path = _cutover_path(group_id, live_migration_id)
        bucket = reservation.spend()
        self._raise_if_refused(group_id, bucket, "PUT", path)
        try:
            status, document = await self._transport.send("PUT", path, bucket, Priority.CUTOVER, may_leave=may_leave)
        except ApiError as error:
            if error.status in REFUSALS:
                raise await self._refusals.explain(error, group_id) from error
            raise
        try:
            job = wire.job(document, live_migration_id=live_migration_id, clean=self._transport.clean)
        except ValueError:  # v2 sends no body with its 202; the status alone says that it was accepted
            job = None
        return Accepted(http_status=status, job=job)

    def bucket(self, group_id: str) -> TokenBucket:
        """The token bucket that requests for *group_id* draw from."""
        settings = self._settings
        scope = group_id if settings.scope == "group" or group_id == ROOT_SCOPE else "account"
        bucket = self._buckets.get(scope)
        if bucket is None:
            bucket = self._buckets[scope] = TokenBucket(
                capacity=settings.burst,
                refill=settings.requests,
                per=settings.per,
                outstanding=self._transport.most_out,
                scope=scope,
            )
        return bucket

    def buckets(self) -> dict[str, TokenBucket]:
        """The token buckets in use, by scope."""
        return dict(self._buckets)

    def _raise_if_refused(self, group_id: str, bucket: TokenBucket, method: str, path: str) -> None:
        refusal = self._refusals.known(group_id, method=method, path=self._transport.full_path(path))
        if refusal is not None:
            bucket.give_back()
            raise refusal

    async def _read_root(self) -> None:
        bucket = self.bucket(ROOT_SCOPE)
        await bucket.take(Priority.GATE)
        document = await self._read("", bucket, Priority.GATE)
        if not isinstance(document, dict):
            path = self._transport.full_path("")
            raise BadAnswerError("expected Atlas's root resource, got something else", method="GET", path=path)

    # -- trying again -----------------------------------------------------------------------------------------------

    async def _read(
        self, path: str, bucket: TokenBucket, priority: Priority, may_leave: Callable[[], bool] | None = None
    ) -> object:
        """Send a GET whose token has been taken, again if need be. The first try needs no stamina: most succeed."""
        try:
            _, document = await self._transport.send("GET", path, bucket, priority, may_leave=may_leave)
        except AtlasError as error:
            if not _worth_another_try(error):
                raise
            return await self._read_again(error, path, bucket, priority, may_leave)
        return document

    async def _read_again(
        self,
        last: AtlasError,
        path: str,
        bucket: TokenBucket,
        priority: Priority,
        may_leave: Callable[[], bool] | None,
    ) -> object:
        failed_at = anyio.current_time()
        async for attempt in stamina.retry_context(on=_backoff, attempts=READ_ATTEMPTS, timeout=None, wait_initial=0.2):
            with attempt:
                if attempt.num == 1:
                    raise last
                await bucket.take(priority)
                waited = anyio.current_time() - failed_at
                self._retrying("GET", path, last.message, attempt=attempt.num, waited=waited)
                try:
                    _, document = await self._transport.send("GET", path, bucket, priority, may_leave=may_leave)
                except AtlasError as error:
                    last, failed_at = error, anyio.current_time()
                    raise
                return document
        raise last

    def _retrying(self, method: str, path: str, reason: str, *, attempt: int, waited: float) -> None:
        self.statistics.retries += 1
        event = RequestRetried(
            at=self._wall(),
            method=method,
            path=self._transport.full_path(path),
            reason=reason,
            attempt=attempt,
            wait=round(waited, 3),
        )
        self._on_event(event)


@asynccontextmanager
async def open_client(
    settings: ClientSettings, *, wall: Callable[[], float], on_event: Callable[[Event], None] = lambda _: None
) -> AsyncIterator[AtlasClient]:
    """An `AtlasClient` with its own connections, closed at the end."""
    async with open_session(settings) as session:
        transport = Transport(settings, session, wall=wall, on_event=on_event)
        yield AtlasClient(settings, transport, wall=wall, on_event=on_event)


def _job_path(group_id: str, live_migration_id: str) -> str:
    return f"/groups/{group_id}/liveMigrations/{live_migration_id}"


def _cutover_path(group_id: str, live_migration_id: str) -> str:
    return _job_path(group_id, live_migration_id) + "/cutover"


def _worth_another_try(error: Exception) -> bool:
    if isinstance(error, ApiError):
        return error.status >= 400 and not error.refused
    return isinstance(error, (BadAnswerError, AnswerLostError, NotSentError))


def _backoff(error: Exception) -> bool | float:
    """stamina's hook: whether to try again, and after how many seconds where Atlas said so."""
    if isinstance(error, RateLimitedError):
        return 0.001  # its bucket rests already
    worth = _worth_another_try(error)
    if worth and isinstance(error, ApiError) and error.retry_after is not None:
        return min(error.retry_after, LONGEST_PAUSE)
    return worth
