"""Typed calls to the Atlas Administration API, both versions, and which of them are tried again.

A read is sent again when that may help (`READ_ATTEMPTS`); the cutover PUT is sent once, and its error says what may be
concluded (`orchestrator.atlas.errors`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from random import Random
from typing import Any

import anyio
from aiohttp import ClientSession

from ..core.events import BudgetWaiting, Event, RequestRetried
from ..text.durations import format_duration
from . import wire
from .account import LOOK
from .budget import Permit, TokenBucket
from .connection import ClientSettings, Departure, most_out
from .errors import (
    AnswerLostError,
    ApiError,
    AtlasError,
    BadAnswerError,
    KeysRefusedError,
    NotSentError,
    RateLimitedError,
    RequestVerdict,
)
from .identity import Identity, identity
from .places import Places
from .refused_keys import KEYS_REFUSED, RefusedKeys
from .shares import Priority
from .statistics import Statistics
from .transport import Transport
from .wire import BucketFigures, Job

READ_ATTEMPTS = 4
FIRST_PAUSE = 0.2  # seconds before the second try of a read, then twice as long each time, and up to as much again
LONGEST_PAUSE = 60.0
"""Seconds that a read waits at most for its next try, whatever a 5xx's `Retry-After` says: an application stands still."""

ROOT_SCOPE = "root"
ROOT_PATIENCE = 180.0
"""Seconds that a read of the root resource, with which a run begins, waits at most for the rate limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """Atlas accepted the PUT with *http_status*; *job* is the document that came with the answer (v1.0), if it is this job's."""

    http_status: int
    job: Job | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What all clients of one session share: places on the wire, budgets by scope, projects' own limits, and what was sent."""

    places: Places
    buckets: dict[str, TokenBucket] = field(default_factory=dict)
    limits: dict[str, BucketFigures] = field(default_factory=dict)  # of projects, as Atlas told them
    statistics: Statistics = field(default_factory=Statistics)

    @classmethod
    def of(cls, session: ClientSession, statistics: Statistics | None = None) -> Common:
        """That of clients over the connections of *session*, who count in *statistics* (None: of their own)."""
        return cls(places=Places(most_out(session)), statistics=statistics or Statistics())


class AtlasClient:
    """Calls to Atlas, with one set of credentials. Use `orchestrator.atlas.clients`.

    Args:
        settings: How much may be sent.
        transport: Sends the requests.
        common: What it shares with the session's other clients.
        name: That of its credentials.
        wall: The wall clock, Unix seconds, for the events.
        on_event: Gets `RequestRetried` and `BudgetWaiting`.
        random: For jitter.
    """

    def __init__(
        self,
        settings: ClientSettings,
        transport: Transport,
        *,
        common: Common,
        name: str | None,
        wall: Callable[[], float],
        on_event: Callable[[Event], None],
        random: Random,
    ) -> None:
        self.statistics = common.statistics
        self.asks_with_token = transport.auth.asks_with_token
        """Whether it asks with a service account, and not with an API key."""
        self._settings = settings
        self._transport = transport
        self._wall = wall
        self._on_event = on_event
        self._random = random
        self._common = common
        self._account = "account" if name is None else f"account {name}"
        self._refused_keys = RefusedKeys(self._read_root, patience=settings.request_timeout)

    # -- calls -------------------------------------------------------------------------------------------------------

    async def check_access(self) -> Identity:
        """Read the root resource, to see that Atlas is there and the keys are good; who it says is asking.

        Raises:
            AtlasError: Atlas is not reachable, or refuses the keys (401, 403).
        """
        try:
            return identity(await self._read_root(), clean=self._transport.clean)
        except KeysRefusedError:
            raise
        except ApiError as error:
            if error.verdict is not RequestVerdict.REFUSED or error.status == 403:
                raise
            return Identity()  # it has no such resource, and takes the keys

    async def heard(self) -> None:
        """Return when Atlas has answered for the first time, whatever it said; a service account has its token then.

        Raises:
            AtlasError: It gave the service account no token.
        """
        await self._transport.auth.heard()

    async def learn_limits(self, group_id: str) -> None:
        """Ask Atlas, once, how fast requests for the project *group_id* may be sent.

        Where it refuses, knows no such resource or does not answer, what was configured holds. It may be asked beside other requests.
        """
        permit = await self.bucket(ROOT_SCOPE).take(Priority.START, deadline=anyio.current_time())
        if permit is None:
            return
        template = f"{self._transport.full_path('')}/groups/{{groupId}}/liveMigrations/{{liveMigrationId}}/cutover"
        try:
            _, document = await self._transport.send(
                "GET",
                "/rateLimits",
                permit,
                query={"groupId": group_id, "endpointPath": template},
                accept=wire.LIMITS_MEDIA_TYPE,
            )
        except AtlasError:
            return
        if (limits := wire.project_limits(document)) is not None:
            self._common.limits[group_id] = limits
            if (bucket := self._common.buckets.get(group_id)) is not None:
                bucket.learn(limits)

    async def job(
        self,
        group_id: str,
        live_migration_id: str,
        *,
        priority: Priority = Priority.POLL,
        deadline: float | None = None,
        may_leave: Callable[[], bool] | None = None,
    ) -> Job:
        """Read a live migration job.

        Args:
            group_id: Its project.
            live_migration_id: Its id.
            priority: What it is read for.
            deadline: By the event loop's clock: it waits no longer for the budget, and is not tried again after it. A job
                that is under way is read at its deadline whatever the budget says.
            may_leave: Asked right before each wire request (`Transport.send`).

        Raises:
            KeysRefusedError: 401 or 403; `everywhere` says what that means. From a project that is known to refuse the
                keys it comes without a request, unless the job is under way.
            NotSentError: The budget had no token by the deadline.
            AtlasError: After some tries there was no answer, or one that makes no sense.
        """
        path = _job_path(group_id, live_migration_id)
        try:
            document = await self._read(path, group_id, priority, deadline=deadline, may_leave=may_leave)
        except KeysRefusedError:  # known before, without a request, or no access token is to be had any more
            raise
        except ApiError as error:
            if error.status in KEYS_REFUSED:
                raise await self._refused_keys.explain(error, group_id) from error
            raise
        try:
            job = wire.job(document, live_migration_id=live_migration_id, clean=self._transport.clean)
        except ValueError as error:
            raise BadAnswerError(str(error), method="GET", path=self._transport.full_path(path)) from None
        self._refused_keys.succeeded(group_id)
        return job

    async def reserve(self, group_id: str, *, deadline: float | None = None, age: float = 0.0) -> Permit:
        """Wait for a token for a PUT, which is taken before it is decided for good that the PUT is sent.

        *age*: seconds since the request left that read its job. Where it has become old, the job is read again beside the permit
        (`Priority.LAST_READ`), for which another token is kept.

        Raises:
            NotSentError: There was none by *deadline* (by the event loop's clock).
        """
        permit = await self.bucket(group_id).take(Priority.CUTOVER, deadline=deadline, since=anyio.current_time() - age)
        if permit is None:
            path = self._transport.full_path(f"/groups/{group_id}")
            raise NotSentError(_nothing_left(self.bucket(group_id)), method="PUT", path=path)
        return permit

    def announce_repeat(self, group_id: str, live_migration_id: str, *, reason: str, attempt: int, wait: float) -> None:
        """Tell that the next PUT for this job is its *attempt*-th, *wait* seconds from now, as *reason* undid the last."""
        self._announce("PUT", _cutover_path(group_id, live_migration_id), reason, attempt=attempt, wait=wait)

    def pause_after(self, error: AtlasError, group_id: str, live_migration_id: str) -> float:
        """Seconds to wait after *error*, with which the one try of a read of this job ended, before it is read again; tells of them.

        A 429 lets its bucket rest, so whoever asks again waits for that anyway.
        """
        pause = self._pause(error, 1)
        if pause is None or isinstance(error, RateLimitedError | NotSentError):
            return 0.0
        self.statistics.retries += 1
        self._announce("GET", _job_path(group_id, live_migration_id), error.message, attempt=2, wait=pause)
        return pause

    async def cutover(
        self,
        group_id: str,
        live_migration_id: str,
        permit: Permit,
        *,
        age: float = 0.0,
        may_leave: Callable[[], bool] | None = None,
        departure: Departure | None = None,
    ) -> Accepted:
        """Send the cutover PUT, once.

        Args:
            group_id: The job's project.
            live_migration_id: Its id.
            permit: From `reserve`.
            age: Seconds since the request left that read the job. Of the PUTs that wait for a place, the oldest goes first.
            may_leave: Asked right before each wire request, when it has all it needs.
            departure: Watches over each.

        Raises:
            KeysRefusedError: 401 or 403, or its project is known to answer 401 and it was not sent.
            AtlasError: What became of it; the class says what may be concluded (`orchestrator.atlas.errors`).
        """
        if permit.over:
            raise RuntimeError("this permit has been used")
        permit.since = anyio.current_time() - age
        path = _cutover_path(group_id, live_migration_id)
        self._raise_if_refused(group_id, "PUT", path)
        try:
            status, document = await self._transport.send("PUT", path, permit, may_leave=may_leave, departure=departure)
        except KeysRefusedError:  # there is no access token to be had any more
            raise
        except ApiError as error:
            if error.status in KEYS_REFUSED:
                raise await self._refused_keys.explain(error, group_id) from error
            raise
        try:
            job = wire.job(document, live_migration_id=live_migration_id, clean=self._transport.clean)
        except ValueError:  # v2 sends no body with its 202; the status alone says that it was accepted
            job = None
        return Accepted(http_status=status, job=job)

    async def give_tokens_back(self) -> None:
        """Nothing more is asked for: give back what it asked with, where that is a token."""
        await self._transport.auth.give_back()

    def bucket(self, group_id: str) -> TokenBucket:
        """The token bucket that requests for *group_id* draw from."""
        settings = self._settings
        scope = group_id if settings.scope == "group" or group_id == ROOT_SCOPE else self._account
        bucket = self._common.buckets.get(scope)
        if bucket is None:
            own = self._common.limits.get(scope)
            bucket = self._common.buckets[scope] = TokenBucket(
                capacity=own.capacity if own else settings.burst,
                refill=own.refill if own else settings.requests,
                per=own.per if own else settings.per,
                interval=settings.read_interval,
                places=self._common.places,
                scope=scope,
                on_long_wait=partial(self._tell_wait, scope),
            )
        return bucket

    def _raise_if_refused(self, group_id: str, method: str, path: str) -> None:
        refusal = self._refused_keys.known(group_id, method=method, path=self._transport.full_path(path))
        if refusal is not None:
            raise refusal

    def _tell_wait(self, scope: str, requests: int, seconds: float) -> None:
        self._on_event(BudgetWaiting(at=self._wall(), scope=scope, requests=requests, wait=round(seconds, 3)))

    # -- trying again -----------------------------------------------------------------------------------------------

    async def _read_root(self) -> dict[str, Any]:
        document = await self._read("", ROOT_SCOPE, Priority.START, deadline=anyio.current_time() + ROOT_PATIENCE)
        if not isinstance(document, dict):
            path = self._transport.full_path("")
            raise BadAnswerError("expected Atlas's root resource, got something else", method="GET", path=path)
        return document

    async def _read(
        self,
        path: str,
        group_id: str,
        priority: Priority,
        *,
        deadline: float | None = None,
        may_leave: Callable[[], bool] | None = None,
    ) -> object:
        """Send a GET, again if need be."""
        bucket = self.bucket(group_id)
        sent = False  # a try that got no token, or no connection, is none that Atlas has heard of
        for attempt in count(1):
            permit = await bucket.take(priority, deadline=deadline)
            if permit is None:
                full_path = self._transport.full_path(path)
                raise NotSentError(_nothing_left(bucket), method="GET", path=full_path)
            try:
                if priority is not Priority.POLL:
                    self._raise_if_refused(group_id, "GET", path)
                answer = await self._transport.send("GET", path, permit, may_leave=may_leave)
                self.statistics.retries += sent
                return answer[1]
            except AtlasError as error:
                if not isinstance(error, NotSentError):
                    self.statistics.retries += sent
                    sent = True
                pause = self._pause(error, attempt)
                if isinstance(error, RateLimitedError) and pause is not None and priority is Priority.POLL:
                    pause = min(pause, LOOK)  # one of those that wait looks whether the rest still stands
                if pause is None or (deadline is not None and anyio.current_time() + pause >= deadline):
                    raise
                self._announce("GET", path, error.message, attempt=attempt + 1, wait=pause)
            finally:
                permit.give_back()
            await anyio.sleep(pause)
        raise AssertionError("unreachable")

    def _pause(self, error: AtlasError, attempt: int) -> float | None:
        """Seconds to wait after *error* of try number *attempt* before the next; None: there is none."""
        if attempt >= READ_ATTEMPTS or not _worth_another_try(error):
            return None
        if isinstance(error, RateLimitedError):
            return error.retry_after
        if isinstance(error, ApiError) and error.retry_after is not None:
            return min(error.retry_after, LONGEST_PAUSE)
        return FIRST_PAUSE * 2.0 ** (attempt - 1) * (1.0 + self._random.random())

    def _announce(self, method: str, path: str, reason: str, *, attempt: int, wait: float) -> None:
        event = RequestRetried(
            at=self._wall(),
            method=method,
            path=self._transport.full_path(path),
            reason=reason,
            attempt=attempt,
            wait=round(wait, 3),
        )
        self._on_event(event)


def _nothing_left(bucket: TokenBucket) -> str:
    """Why *bucket* gave no token in time: Atlas has said for how long nothing may be sent, others went before, or it is the budget itself."""
    account = bucket.account_now()
    if account.rests:
        rest = format_duration(math.ceil(account.due() - anyio.current_time()))
        return f"Atlas answered 429, and asks to send nothing for {rest} more: longer than this could wait"
    if account.spendable() >= 1.0:
        return "its turn did not come for as long as this could wait: reads share the request budget, a part of which is kept for cutovers"
    return "the request budget stayed empty for as long as this could wait"


def _job_path(group_id: str, live_migration_id: str) -> str:
    return f"/groups/{group_id}/liveMigrations/{live_migration_id}"


def _cutover_path(group_id: str, live_migration_id: str) -> str:
    return _job_path(group_id, live_migration_id) + "/cutover"


def _worth_another_try(error: Exception) -> bool:
    if isinstance(error, KeysRefusedError):
        return False
    if isinstance(error, ApiError):
        return error.status >= 400 and not error.lasting
    return isinstance(error, (BadAnswerError, AnswerLostError, NotSentError))
