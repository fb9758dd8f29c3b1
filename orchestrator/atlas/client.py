"""Typed calls to the Atlas Administration API, both versions.

    Turn (one challenge at a time) ▸ digest (aiohttp) ▸ budget and translation (`_Leg`) ▸ wire

The token is taken first, then the turn, then digest computes its header: a request that waits minutes for its token
must not carry an `Authorization` made from a nonce of minutes ago. `_Leg` sits innermost, so the second leg of a
challenge takes its own token. It also turns every error of a wire request into this package's own: aiohttp repeats an
idempotent request by itself when a connection breaks, a PUT included, and does so only for its own error types.
"""

from __future__ import annotations

import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import getproxies, proxy_bypass

import aiohttp
import anyio
import stamina
from aiohttp import hdrs
from yarl import URL

from ..events import Event, RateLimited, RequestRetried
from . import wire
from .auth import Turn, Turns
from .budget import Priority, TokenBucket
from .errors import AnswerLostError, ApiError, AtlasError, BadAnswerError, NotSentError, RateLimitedError, translate
from .wire import ApiVersion, Job

MAX_IN_FLIGHT = 100
"""Requests out at once, and so connections, of one client."""

CONNECT_TIMEOUT = 10.0
KEEPALIVE = 15.0  # seconds; well below what servers and balancers use, so that a PUT does not meet a closing connection
DEFAULT_RETRY_AFTER = 10.0  # seconds to rest after a 429 that does not say how long
READ_ATTEMPTS = 4
ROOT_SCOPE = "root"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """What a client needs to know. Durations in seconds; *scope* is `group` (a bucket per project) or `account`."""

    base_url: str
    public_key: str
    private_key: str = field(repr=False)
    request_timeout: float = 30.0
    ca_file: Path | None = None
    requests: int = 500
    per: float = 60.0
    burst: int = 1200
    scope: str = "group"
    pretty: bool = False
    envelope: bool = False

    @property
    def api(self) -> ApiVersion:
        """The API version, by the last part of the path."""
        return ApiVersion(self.base_url.rstrip("/").rsplit("/", 1)[1])


@dataclass(slots=True)
class Statistics:
    """What was sent: wire requests by HTTP status (`error`: no answer), and how many were repeats."""

    by_status: Counter[str] = field(default_factory=Counter)
    retries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """Atlas took the PUT with *http_status*; *job* is the document that came with the answer (v1.0)."""

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
        settings: Where, who, and how much.
        session: An aiohttp session whose timeouts, TLS and proxy are set.
        wall: The wall clock, Unix seconds, for the events.
        on_event: Gets `RateLimited` and `RequestRetried`.
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
        self.api = settings.api
        self._settings = settings
        self._base = settings.base_url.rstrip("/")
        self._base_path = URL(self._base).path
        self._session = session
        self._wall = wall
        self._on_event = on_event
        self.digest = self._new_digest()
        self._turns = Turns(limit=MAX_IN_FLIGHT)
        self._buckets: dict[str, TokenBucket] = {}
        flags = [name for name, on in (("pretty", settings.pretty), ("envelope", settings.envelope)) if on]
        self._query = "?" + "&".join(f"{flag}=true" for flag in flags) if flags else ""

    # -- calls -------------------------------------------------------------------------------------------------------

    async def check_access(self) -> None:
        """Read the root resource: is Atlas there, and are the keys good?

        Raises:
            AtlasError: Atlas is not reachable, or refuses the keys (401, 403).
        """
        bucket = self.bucket(ROOT_SCOPE)
        try:
            await self._retried("GET", "", bucket, Priority.GATE)
        except ApiError as error:
            if error.status in (401, 403) or error.status >= 500 or error.status == 429 or error.status < 400:
                raise

    async def job(self, group_id: str, live_migration_id: str, *, priority: Priority = Priority.POLL) -> Job:
        """Read a live migration job.

        Raises:
            AtlasError: After some tries there was no answer, or one that makes no sense.
        """
        bucket = self.bucket(group_id)
        document = await self._retried("GET", _job_path(group_id, live_migration_id), bucket, priority)
        try:
            return wire.job(document)
        except ValueError as error:
            path = self._base_path + _job_path(group_id, live_migration_id)
            raise BadAnswerError(str(error), method="GET", path=path) from None

    async def reserve(self, group_id: str) -> Reservation:
        """Wait for a token for a PUT."""
        bucket = self.bucket(group_id)
        await bucket.take(Priority.CUTOVER)
        return Reservation(bucket)

    async def cutover(self, group_id: str, live_migration_id: str, reservation: Reservation) -> Accepted:
        """Send the cutover PUT, once.

        Raises:
            AtlasError: What became of it; the class says what may be concluded (`orchestrator.atlas.errors`).
        """
        path = _job_path(group_id, live_migration_id) + "/cutover"
        status, document = await self._send("PUT", path, reservation.spend(), Priority.CUTOVER)
        try:
            return Accepted(http_status=status, job=wire.job(document))
        except ValueError:  # v2 sends no body with its 202; the status alone says that it was accepted
            return Accepted(http_status=status, job=None)

    def bucket(self, group_id: str) -> TokenBucket:
        """The token bucket that requests for *group_id* draw from."""
        settings = self._settings
        scope = group_id if settings.scope == "group" or group_id == ROOT_SCOPE else "account"
        bucket = self._buckets.get(scope)
        if bucket is None:
            bucket = self._buckets[scope] = TokenBucket(
                capacity=settings.burst, refill=settings.requests, per=settings.per, outstanding=MAX_IN_FLIGHT
            )
        return bucket

    def buckets(self) -> dict[str, TokenBucket]:
        """The token buckets in use, by scope."""
        return dict(self._buckets)

    # -- the way of a request ------------------------------------------------------------------------------------------

    async def _retried(self, method: str, path: str, bucket: TokenBucket, priority: Priority) -> object:
        """Send a read, again if need be. The first try goes without stamina: nearly all succeed."""
        try:
            return await self._read(method, path, bucket, priority)
        except AtlasError as error:
            if not _worth_another_try(error):
                raise
            last, failed_at = error, anyio.current_time()
        async for attempt in stamina.retry_context(on=_backoff, attempts=READ_ATTEMPTS, timeout=None, wait_initial=0.2):
            with attempt:
                if attempt.num == 1:
                    raise last
                self.statistics.retries += 1
                event = RequestRetried(
                    at=self._wall(),
                    method=method,
                    path=self._base_path + path,
                    reason=last.message,
                    attempt=attempt.num,
                    wait=round(anyio.current_time() - failed_at, 3),
                )
                self._on_event(event)
                try:
                    return await self._read(method, path, bucket, priority)
                except AtlasError as error:
                    last, failed_at = error, anyio.current_time()
                    raise
        raise last

    async def _read(self, method: str, path: str, bucket: TokenBucket, priority: Priority) -> object:
        await bucket.take(priority)
        _, document = await self._send(method, path, bucket, priority)
        return document

    async def _send(self, method: str, path: str, bucket: TokenBucket, priority: Priority) -> tuple[int, object]:
        """Send one request whose token has been taken from *bucket*; the status (2xx) and document of its answer."""
        leg = _Leg(self, bucket, method=method, path=self._base_path + path)
        try:
            turn = await self._turn(bucket, priority, leg)
            try:
                response = await self._session.request(
                    method,
                    URL(self._base + path + self._query, encoded=True),
                    allow_redirects=False,
                    middlewares=(leg,),
                )
                body = await response.read()
            except (aiohttp.ClientError, OSError, ValueError) as error:
                raise self._explained(error, leg) from error
            finally:
                turn.release()
        finally:
            if not leg.count:
                bucket.give_back()
        return self._interpret(response, body, bucket, method=method, path=self._base_path + path)

    async def _turn(self, bucket: TokenBucket, priority: Priority, leg: _Leg) -> Turn:
        """Wait for a turn for *leg* at whose coming its token is still there. Release it when the request is over."""
        while True:
            leg.turn = turn = await self._turns.take(priority)
            if bucket.covered():
                return turn
            turn.release()
            if priority is Priority.CUTOVER:  # its caller waits for an answer, and can decide anew
                raise NotSentError("its token went to a digest challenge", method=leg.method, path=leg.path)
            bucket.give_back()
            await bucket.take(priority)

    def _explained(self, error: aiohttp.ClientError | OSError | ValueError, leg: _Leg) -> AtlasError:
        """What aiohttp raised outside of a wire request: the timeout of the whole call, or a senseless challenge."""
        if isinstance(error, TimeoutError):
            if leg.unanswered:
                return translate(error, method=leg.method, path=leg.path)
            return NotSentError("no token within the request timeout", method=leg.method, path=leg.path)
        if isinstance(error, OSError):
            return translate(error, method=leg.method, path=leg.path)
        # Forget the challenge: nothing could be sent any more on its account.
        self.digest = self._new_digest()
        return ApiError(method=leg.method, path=leg.path, status=401, detail=f"digest challenge: {error}")

    def _new_digest(self) -> aiohttp.DigestAuthMiddleware:
        return aiohttp.DigestAuthMiddleware(self._settings.public_key, self._settings.private_key)

    def _interpret(
        self, response: aiohttp.ClientResponse, body: bytes, bucket: TokenBucket, *, method: str, path: str
    ) -> tuple[int, object]:
        status = response.status
        try:
            document = wire.decode(body) if body else None
        except ValueError as error:
            if 200 <= status < 300 and method != "PUT":
                raise BadAnswerError(f"the answer is not JSON ({error})", method=method, path=path) from None
            document = None
        status, document = wire.unwrap(status, document)
        if 200 <= status < 300:
            return status, document
        problem = wire.error_document(document)
        retry_after = _seconds(response.headers.get(hdrs.RETRY_AFTER))
        if status == 429:
            raise self._rate_limited(problem, retry_after, bucket, method=method, path=path)
        detail = problem.detail
        if 300 <= status < 400:
            detail = "redirects are not followed: check `atlas.base_url`"
        elif status == 401 and detail is None:
            detail = "the API keys were refused"
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
        scope = next((name for name, other in self._buckets.items() if other is bucket), "")
        event = RateLimited(
            at=self._wall(), method=method, path=path, scope=scope, retry_after=retry_after, detail=problem.detail
        )
        self._on_event(event)
        return RateLimitedError(
            method=method, path=path, retry_after=retry_after, error_code=problem.error_code, detail=problem.detail
        )


class _Leg:
    """Digest, and inside of it what accounts for each wire request of one call and translates its errors.

    One middleware and not two: aiohttp builds a chain of them anew for every request.
    """

    __slots__ = ("_bucket", "_client", "_handler", "count", "method", "path", "turn", "unanswered")

    _handler: aiohttp.ClientHandlerType

    def __init__(self, client: AtlasClient, bucket: TokenBucket, *, method: str, path: str) -> None:
        self._client = client
        self._bucket = bucket
        self.method = method
        self.path = path
        self.turn: Turn | None = None
        self.count = 0  # wire requests so far
        self.unanswered = False  # the last of them may have been carried out

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        self._handler = handler
        return await self._client.digest(request, self._wire)

    async def _wire(self, request: aiohttp.ClientRequest) -> aiohttp.ClientResponse:
        if self.count:
            await self._bucket.take(Priority.CHALLENGE)
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
            raise translate(error, method=self.method, path=self.path) from error
        finally:
            self._client.statistics.by_status[status] += 1
            self._bucket.settle(sent_at, limit=limit, remaining=remaining)
        if response.status == 401:
            self.unanswered = False
            self.turn.challenged(nonce)
        else:
            self.turn.accepted(nonce)
        return response


@asynccontextmanager
async def open_client(
    settings: ClientSettings, *, wall: Callable[[], float], on_event: Callable[[Event], None] = lambda _: None
) -> AsyncIterator[AtlasClient]:
    """An `AtlasClient` with its own connections, closed at the end.

    TLS is always verified; *ca_file* adds to the system's CAs. Proxies come from the usual environment variables, read
    once (loopback never goes through one). Nothing is kept between runs.
    """
    context = ssl.create_default_context()
    if settings.ca_file is not None:
        context.load_verify_locations(settings.ca_file)
    connector = aiohttp.TCPConnector(limit=MAX_IN_FLIGHT, ssl=context, keepalive_timeout=KEEPALIVE)
    proxy = _proxy_for(URL(settings.base_url))
    connecting = min(CONNECT_TIMEOUT, settings.request_timeout / 2)  # below the total: it shows that nothing was sent
    timeout = aiohttp.ClientTimeout(
        total=settings.request_timeout,  # of connecting, sending and reading together: no read may take longer
        sock_connect=connecting,
        connect=connecting if proxy else None,  # a proxy's CONNECT comes on top; a timer for every request
    )
    session = aiohttp.ClientSession(
        connector=connector,
        timeout=timeout,
        headers={hdrs.ACCEPT: settings.api.accept, hdrs.USER_AGENT: "atlas-cutover"},
        cookie_jar=aiohttp.DummyCookieJar(),
        proxy=proxy,
        trust_env=False,
    )
    try:
        yield AtlasClient(settings, session, wall=wall, on_event=on_event)
    finally:
        with anyio.move_on_after(5, shield=True):
            await session.close()


def _job_path(group_id: str, live_migration_id: str) -> str:
    return f"/groups/{group_id}/liveMigrations/{live_migration_id}"


def _proxy_for(url: URL) -> str | None:
    host = url.host or ""
    if host in ("localhost", "::1") or host.startswith("127.") or proxy_bypass(host):
        return None
    return getproxies().get(url.scheme)


def _worth_another_try(error: Exception) -> bool:
    if isinstance(error, ApiError):
        return error.status >= 500 or error.status in (401, 408, 429)
    return isinstance(error, (BadAnswerError, AnswerLostError, NotSentError))


def _backoff(error: Exception) -> bool | float:
    """stamina's hook: whether to try again, and after how many seconds where Atlas said so."""
    if isinstance(error, RateLimitedError):
        return 0.001  # its bucket rests already
    worth = _worth_another_try(error)
    if worth and isinstance(error, ApiError) and error.retry_after is not None:
        return error.retry_after
    return worth


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
