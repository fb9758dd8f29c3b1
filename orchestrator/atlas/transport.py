"""The way of one request to Atlas and back.

    Turn (one challenge at a time) ▸ digest (aiohttp) ▸ budget and translation (`_Leg`) ▸ wire

The token is taken first, then the turn, then digest computes its header: a request that waits minutes for its token
must not carry an `Authorization` made from a nonce of minutes ago. `_Leg` sits innermost, so the second leg of a
challenge takes its own token. It also turns every error of a wire request into this package's own: aiohttp repeats an
idempotent request by itself when a connection breaks, a PUT included, and does so only for its own error types.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import aiohttp
from aiohttp import hdrs
from yarl import URL

from ..events import Event, RateLimited
from ..redact import Redactor
from . import wire
from .auth import Turn, Turns
from .budget import Priority, TokenBucket
from .connection import ClientSettings, Request, most_out
from .errors import AnswerLostError, ApiError, AtlasError, BadAnswerError, NotSentError, RateLimitedError, translate
from .response import Response

HEADERS = {
    "GET": {hdrs.CACHE_CONTROL: "no-cache"},  # what a proxy or a replica remembers of a job is no evidence
    "PUT": {hdrs.CONTENT_TYPE: "application/json"},  # as on the API page, though there is no body
}
DEFAULT_RETRY_AFTER = 10.0  # seconds to rest after a 429 that does not say how long


@dataclass(slots=True)
class Statistics:
    """What was sent: wire requests by HTTP status (`error`: no answer), and how many were repeats."""

    by_status: Counter[str] = field(default_factory=Counter)
    retries: int = 0


class Transport:
    """Sends requests one by one, each once.

    Args:
        settings: Where, and who.
        session: See `orchestrator.atlas.connection.open_session`.
        wall: The wall clock, Unix seconds, for the events.
        on_event: Gets `RateLimited`.
    """

    def __init__(
        self,
        settings: ClientSettings,
        session: aiohttp.ClientSession,
        *,
        wall: Callable[[], float],
        on_event: Callable[[Event], None],
    ) -> None:
        self.statistics = Statistics()
        self.clean = Redactor((settings.public_key, settings.private_key)).text
        """Takes secrets out of texts that come from the other side: a server or proxy may echo headers."""
        self._settings = settings
        flags = {name: "true" for name, on in (("pretty", settings.pretty), ("envelope", settings.envelope)) if on}
        self._base = URL(settings.base_url.rstrip("/")).with_query(flags)
        self._session = session
        self._wall = wall
        self._on_event = on_event
        self.digest = self._new_digest()
        self.most_out = most_out(session)
        self.turns = Turns(limit=self.most_out)

    def full_path(self, path: str) -> str:
        """*path* with that of the base URL before it."""
        return self._base.raw_path + path

    async def send(
        self,
        method: str,
        path: str,
        bucket: TokenBucket,
        priority: Priority,
        *,
        may_leave: Callable[[], bool] | None = None,
    ) -> tuple[int, object]:
        """Send one request whose token has been taken from *bucket*; the status (2xx) and document of its answer.

        Args:
            method: `GET` or `PUT`.
            path: What follows the base URL.
            bucket: Gets its token back if nothing is sent.
            priority: Who goes first.
            may_leave: Asked right before each wire request, which may have waited long for its turn or a token, and once
                more when it has its connection.

        Raises:
            NotSentError: It was not to leave any more.
            AtlasError: There was no answer, or one that is an error or makes no sense.
        """
        leg = _Leg(self, bucket, method=method, path=self.full_path(path), may_leave=may_leave)
        try:
            turn = await self._turn(bucket, priority, leg)
            try:
                response = await self._session.request(
                    method,
                    self._base.with_path(leg.path, encoded=True, keep_query=True),
                    headers=HEADERS[method],
                    allow_redirects=False,
                    middlewares=(leg,),
                )
                await response.read()
            except (aiohttp.ClientError, OSError, ValueError) as error:
                raise self._explained(error, leg) from error
            finally:
                turn.release()
        finally:
            if leg.has_token and not leg.count:
                bucket.give_back()
        assert isinstance(response, Response)
        return self._interpret(response, bucket, method=method, path=leg.path)

    async def _turn(self, bucket: TokenBucket, priority: Priority, leg: _Leg) -> Turn:
        """Wait for a turn for *leg* at whose coming its token is still there. Release it when the request is over."""
        while True:
            leg.turn = turn = await self.turns.take(priority)
            if bucket.covered():
                return turn
            turn.release()
            if priority is Priority.CUTOVER:  # its caller waits for an answer, and can decide anew
                raise NotSentError(
                    "its token was taken back, by a digest challenge or a 429", method=leg.method, path=leg.path
                )
            leg.has_token = False
            bucket.give_back()
            await bucket.take(priority)
            leg.has_token = True

    def _explained(self, error: aiohttp.ClientError | OSError | ValueError, leg: _Leg) -> AtlasError:
        """What aiohttp raised outside of a wire request: the timeout of the whole call, or a senseless challenge."""
        if isinstance(error, TimeoutError):
            if leg.unanswered:
                return translate(error, method=leg.method, path=leg.path, clean=self.clean)
            return NotSentError("no token within the request timeout", method=leg.method, path=leg.path)
        if isinstance(error, OSError):
            return translate(error, method=leg.method, path=leg.path, clean=self.clean)
        if leg.unanswered:  # whatever aiohttp stumbled over came after the request had left
            return AnswerLostError(
                f"the answer made no sense ({self.clean(str(error))})", method=leg.method, path=leg.path
            )
        # Forget the challenge: nothing could be sent any more on its account.
        self.digest = self._new_digest()
        return ApiError(
            method=leg.method, path=leg.path, status=401, detail=f"digest challenge: {self.clean(str(error))}"
        )

    def _new_digest(self) -> aiohttp.DigestAuthMiddleware:
        return aiohttp.DigestAuthMiddleware(self._settings.public_key, self._settings.private_key)

    def _interpret(self, response: Response, bucket: TokenBucket, *, method: str, path: str) -> tuple[int, object]:
        status = response.status
        try:
            document = response.document()
        except ValueError as error:
            if 200 <= status < 300 and method != "PUT":
                raise BadAnswerError(str(error), method=method, path=path) from None
            document = None
        if self._settings.envelope:  # one that was not asked for is not Atlas's
            status, document = wire.unwrap(status, document)
        if 200 <= status < 300:
            return status, document
        problem = wire.error_document(document, clean=self.clean)
        retry_after = _seconds(response.headers.get(hdrs.RETRY_AFTER))
        if status == 429:
            raise self._rate_limited(problem, retry_after, bucket, method=method, path=path)
        detail = problem.detail
        if 300 <= status < 400:
            detail = "redirects are not followed: check `atlas.base_url`"
        elif status == 401:
            detail = self.clean(response.why_unanswered or "") or detail or "the API keys were refused"
        raise ApiError(
            method=method,
            path=path,
            status=status,
            error_code=problem.error_code,
            detail=detail,
            retry_after=retry_after,
        )

    def _rate_limited(
        self, problem: wire.ErrorDocument, retry_after: float | None, bucket: TokenBucket, *, method: str, path: str
    ) -> RateLimitedError:
        figures = wire.bucket_figures(problem)
        if retry_after is None:
            retry_after = figures.retry_after if figures else DEFAULT_RETRY_AFTER
        bucket.limited(retry_after=retry_after, figures=figures)
        event = RateLimited(
            at=self._wall(),
            method=method,
            path=path,
            scope=bucket.scope,
            retry_after=retry_after,
            detail=problem.detail,
        )
        self._on_event(event)
        return RateLimitedError(
            method=method, path=path, retry_after=retry_after, error_code=problem.error_code, detail=problem.detail
        )


class _Leg:
    """Digest, and inside of it what accounts for each wire request of one call and translates its errors.

    One middleware and not two: aiohttp builds a chain of them anew for every request.
    """

    __slots__ = (
        "_bucket",
        "_handler",
        "_may_leave",
        "_transport",
        "count",
        "has_token",
        "method",
        "path",
        "turn",
        "unanswered",
    )

    _handler: aiohttp.ClientHandlerType

    def __init__(
        self,
        transport: Transport,
        bucket: TokenBucket,
        *,
        method: str,
        path: str,
        may_leave: Callable[[], bool] | None,
    ) -> None:
        self._transport = transport
        self._bucket = bucket
        self._may_leave = may_leave
        self.method = method
        self.path = path
        self.turn: Turn | None = None
        self.has_token = True  # for the first wire request
        self.count = 0  # wire requests so far
        self.unanswered = False  # the last of them may have been carried out

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        self._handler = handler
        return await self._transport.digest(request, self._wire)

    def _ask(self) -> None:
        if self._may_leave is not None and not self._may_leave():
            raise NotSentError("it was not to leave any more", method=self.method, path=self.path)

    async def _wire(self, request: aiohttp.ClientRequest) -> aiohttp.ClientResponse:
        if self.count:
            await self._bucket.take(Priority.CHALLENGE)
        try:
            self._ask()
        except NotSentError:
            if self.count:
                self._bucket.give_back()
            raise
        if self._may_leave is not None:
            assert isinstance(request, Request)
            request.may_leave = self._ask
        self.count += 1
        sent_at = self._bucket.sent()
        nonce = _nonce(request.headers.get(hdrs.AUTHORIZATION))
        assert self.turn is not None
        self.turn.sent(nonce)
        limit = remaining = None
        status = "error"
        self.unanswered = True
        try:
            response = await self._handler(request)
            headers = response.headers
            status = str(response.status)
            if response.status != 429:  # which took no token, and says more in its own way
                limit = _integer(headers.get("RateLimit-Limit"))
                remaining = _integer(headers.get("RateLimit-Remaining"))
            await response.read()
        except (aiohttp.ClientError, OSError) as error:
            raise translate(error, method=self.method, path=self.path, clean=self._transport.clean) from error
        finally:
            self._transport.statistics.by_status[status] += 1
            self._bucket.settle(sent_at, limit=limit, remaining=remaining)
        if response.status == 401:
            self.unanswered = False
            self.turn.challenged(nonce)
        else:
            self.turn.accepted(nonce)
        return response


def _nonce(authorization: str | None) -> str | None:
    if authorization is None:
        return None
    return authorization.partition('nonce="')[2].partition('"')[0] or None


def _integer(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else None


def _seconds(text: str | None) -> float | None:
    """The seconds of a `Retry-After` header (Atlas sends no dates there)."""
    if text is None:
        return None
    with suppress(ValueError):
        seconds = float(text)
        if 0 <= seconds <= wire.LONGEST_REST:
            return seconds
    return None
