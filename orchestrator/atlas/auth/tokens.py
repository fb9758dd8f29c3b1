"""The access token of one service account: one for all requests, fetched by one request at a time.

It is renewed ahead of its end, beside the requests that it still serves. Nobody renews it while nobody asks for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random

import anyio
from anyio.abc import TaskGroup

from ...core.events import Event, RateLimited, RequestRetried
from ...text.durations import format_duration
from ..errors import ApiError, AtlasError, KeysRefusedError, NotSentError, RateLimitedError
from .token_endpoint import TOKEN_PATH, AccessToken, TokenEndpoint

AHEAD = 0.1
"""The share of its life before its end at which a token is renewed, and in seconds:"""
AHEAD_AT_MOST = 600.0

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds between two requests for a token that came to nothing: from the first, twice as long each time, to the longest, and
up to a quarter less by chance. A 429 may ask for more."""

LONGEST_REST = 120.0
"""Seconds that a 429's or 503's `Retry-After` is heeded for; the endpoint counts requests by the minute."""

AFTER_401 = 20
"""Tokens that are asked for within an hour because a request was answered 401: Atlas lets an account have 100 that are live."""
_HOUR = 3600.0


class Tokens:
    """Gives the token to sign with.

    Args:
        endpoint: Where tokens come from.
        group: Renewals run in it; none raises.
        patience: Seconds that a request waits for a token at most.
        wall: The wall clock, Unix seconds, for the events.
        on_event: Gets `RequestRetried` and `RateLimited`.
        random: For jitter.
    """

    def __init__(
        self,
        endpoint: TokenEndpoint,
        group: TaskGroup,
        *,
        patience: float,
        wall: Callable[[], float],
        on_event: Callable[[Event], None],
        random: Random,
    ) -> None:
        self._endpoint = endpoint
        self._group = group
        self._patience = patience
        self._wall = wall
        self._on_event = on_event
        self._random = random
        self._token: AccessToken | None = None
        self._renew_at = 0.0
        self._older: list[AccessToken] = []
        self._renewal: _Renewal | None = None  # the one under way
        self._failures = 0  # in a row
        self._not_before = 0.0
        self._after_401: deque[float] = deque()
        self.clean = endpoint.redactor.text
        """Takes secret and tokens out of texts."""

    async def current(self) -> str:
        """The token that is good now; where there is none, the next one, when it comes.

        Raises:
            KeysRefusedError: Atlas refuses the account.
            NotSentError: There is none to be had now.
        """
        now = anyio.current_time()
        token = self._token
        if token is not None and now < self._renew_at:
            return token.value
        renewal = self._renewed()
        if token is not None and now < token.ends:
            return token.value
        return await self._outcome(renewal)

    async def instead_of(self, refused: str) -> str | None:
        """Another token than *refused*, to which the answer was 401; None: so many were had that it cannot be the token.

        Raises:
            KeysRefusedError: Atlas refuses the account.
            NotSentError: There is none to be had now.
        """
        if self._token is not None and self._token.value != refused:
            return await self.current()
        if self._renewal is None:
            now = anyio.current_time()
            while self._after_401 and self._after_401[0] <= now - _HOUR:
                self._after_401.popleft()
            if len(self._after_401) >= AFTER_401:
                return None
            self._after_401.append(now)
        return await self._outcome(self._renewed())

    async def give_back(self) -> None:
        """Give all tokens back that are still good. What Atlas does not take ends by itself in time."""
        now = anyio.current_time()
        tokens = [token for token in (*self._older, self._token) if token is not None and now < token.ends]
        self._older, self._token = [], None
        async with anyio.create_task_group() as group:
            for token in tokens:
                group.start_soon(self._give_back, token)

    async def _give_back(self, token: AccessToken) -> None:
        try:
            await self._endpoint.give_back(token)
        except AtlasError:  # nobody can do anything about it, and nothing depends on it
            return

    # -- renewal -----------------------------------------------------------------------------------------------------

    def _renewed(self) -> _Renewal:
        """The renewal under way, which is begun if there is none."""
        if self._renewal is None:
            self._renewal = _Renewal()
            self._group.start_soon(self._renew, self._renewal)
        return self._renewal

    async def _renew(self, renewal: _Renewal) -> None:
        """Ask for a token once, when the last failure is long enough ago."""
        try:
            await anyio.sleep(max(0.0, self._not_before - anyio.current_time()))
            if self._failures:
                self._endpoint.statistics.retries += 1
            try:
                self._take(await self._endpoint.fetch())
            except AtlasError as error:
                renewal.error = error
                self._failed(error)
        finally:
            self._renewal = None
            renewal.over.set()

    def _take(self, token: AccessToken) -> None:
        now = anyio.current_time()
        if self._token is not None:
            self._older.append(self._token)
        self._endpoint.redactor.forget(*(old.value for old in self._older if now >= old.ends))
        self._endpoint.redactor.add(token.value)
        self._older = [old for old in self._older if now < old.ends]
        self._token = token
        self._renew_at = token.ends - min(AHEAD_AT_MOST, AHEAD * (token.ends - token.begins))
        self._failures, self._not_before = 0, 0.0

    def _failed(self, error: AtlasError) -> None:
        """Wait before the next try, and say so."""
        self._failures += 1
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self._failures - 1, 10))
        pause *= 1.0 - self._random.random() / 4
        if isinstance(error, ApiError) and error.retry_after is not None:
            pause = max(pause, min(error.retry_after, LONGEST_REST))
        now = anyio.current_time()
        self._not_before = now + pause
        if isinstance(error, RateLimitedError):
            limited = RateLimited(
                at=self._wall(),
                method="POST",
                path=TOKEN_PATH,
                scope="token",
                retry_after=round(pause, 3),
                detail=error.detail,
            )
            self._on_event(limited)
        self._on_event(
            RequestRetried(
                at=self._wall(),
                method="POST",
                path=TOKEN_PATH,
                reason=f"{error.message}; {self._consequence(now)}",
                attempt=self._failures + 1,
                wait=round(pause, 3),
            )
        )

    def _consequence(self, now: float) -> str:
        """What it means that there is no new token at the moment."""
        rest = 0 if self._token is None else int(self._token.ends - now)
        if rest <= 0:
            return f"without an access token nothing can be sent to Atlas as {self._endpoint.client_id}"
        return (
            f"the access token lasts {format_duration(rest)} more, after which nothing can be sent to Atlas as "
            f"{self._endpoint.client_id} without another"
        )

    async def _outcome(self, renewal: _Renewal) -> str:
        """The token of *renewal*."""
        with anyio.move_on_after(self._patience) as scope:
            await renewal.over.wait()
        if scope.cancelled_caught:
            raise self._none("the token endpoint has given none within the request timeout")
        if isinstance(renewal.error, KeysRefusedError):
            raise self._refusal(renewal.error)
        if renewal.error is not None:
            raise self._none(renewal.error.message) from renewal.error
        if self._token is None:
            raise self._none("the renewal of the token was given up")
        return self._token.value

    @staticmethod
    def _refusal(error: KeysRefusedError) -> KeysRefusedError:
        return KeysRefusedError(
            method=error.method,
            path=error.path,
            status=error.status,
            everywhere=True,
            error_code=error.error_code,
            detail=error.detail,
            sent=False,
        )

    @staticmethod
    def _none(why: str) -> NotSentError:
        return NotSentError(f"no access token: {why}", method="POST", path=TOKEN_PATH)


class _Renewal:
    """One request for a token: *error* if it came to nothing, once it is *over*."""

    __slots__ = ("error", "over")

    def __init__(self) -> None:
        self.over = anyio.Event()
        self.error: AtlasError | None = None
