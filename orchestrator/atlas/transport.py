"""The way of one request to Atlas and back.

    permit (a token, a place on the wire) ▸ ready ▸ signed (`auth`) ▸ leg: translation, accounts (`_Leg`) ▸ wire

All waiting comes before the request is signed: an `Authorization` must not carry a nonce of minutes ago. `_Leg` sits
innermost and sees every wire request, the second after a 401 too, which leaves on the same token, as a 401 takes none.
It also turns every error of a wire request into this package's own: aiohttp repeats an idempotent request by itself when a
connection breaks, a PUT included, and does so only for its own error types.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import aiohttp
from aiohttp import hdrs
from yarl import URL

from ..core.events import Event, RateLimited
from . import wire
from .auth.protocol import Auth, nothing
from .budget import Permit
from .connection import ClientSettings, Departure, GuardedRequest
from .errors import AnswerLostError, ApiError, AtlasError, BadAnswerError, NotSentError, RateLimitedError, translate
from .response import Response
from .statistics import Statistics

HEADERS = {
    "GET": {hdrs.CACHE_CONTROL: "no-cache"},  # what a proxy or a replica remembers of a job is no evidence
    "PUT": {hdrs.CONTENT_TYPE: "application/json"},  # as on the API page, though there is no body
}


class Transport:
    """Sends requests one by one, each once.

    Args:
        settings: Where.
        auth: Signs them.
        session: See `orchestrator.atlas.connection.open_session`.
        statistics: What was sent is counted there.
        wall: The wall clock, Unix seconds, for the events.
        on_event: Gets `RateLimited`.
    """

    def __init__(
        self,
        settings: ClientSettings,
        auth: Auth,
        session: aiohttp.ClientSession,
        *,
        statistics: Statistics,
        wall: Callable[[], float],
        on_event: Callable[[Event], None],
    ) -> None:
        self.statistics = statistics
        self.auth = auth
        self.clean = auth.clean
        self._settings = settings
        flags = {name: "true" for name, on in (("pretty", settings.pretty), ("envelope", settings.envelope)) if on}
        self._base = URL(settings.base_url.rstrip("/")).with_query(flags)
        self._session = session
        self._wall = wall
        self._on_event = on_event

    def full_path(self, path: str) -> str:
        """*path* with that of the base URL before it."""
        return self._base.raw_path + path

    async def send(
        self,
        method: str,
        path: str,
        permit: Permit,
        *,
        may_leave: Callable[[], bool] | None = None,
        departure: Departure | None = None,
        query: Mapping[str, str] | None = None,
        accept: str | None = None,
    ) -> tuple[int, object]:
        """Send one request on *permit*, which is over then; the status (2xx) and document of its answer.

        Args:
            method: `GET` or `PUT`.
            path: What follows the base URL.
            permit: Its token, and its place on the wire.
            may_leave: Asked right before each wire request, and once more when it has its connection.
            departure: Watches over the moment at which a wire request leaves.
            query: What its address has behind a question mark, beside what all have.
            accept: What its answer is to be; None: as of all.

        Raises:
            NotSentError: It was not to leave any more.
            AtlasError: There was no answer, or one that is an error or makes no sense.
        """
        leg = _Leg(self, permit, method=method, path=self.full_path(path), may_leave=may_leave, departure=departure)
        url = self._base.with_path(leg.path, encoded=True, keep_query=True)
        if query is not None:
            url = url.update_query(query)
        over = nothing
        try:
            over = await self.auth.ready()
            if not await permit.enter():
                raise NotSentError(
                    "its token of the budget is gone: an answer of Atlas's meanwhile, a 429 say, left fewer",
                    method=method,
                    path=leg.path,
                )
            try:
                response = await self._session.request(
                    method,
                    url,
                    headers=HEADERS[method] if accept is None else {**HEADERS[method], hdrs.ACCEPT: accept},
                    allow_redirects=False,
                    middlewares=(leg,),
                )
                await response.read()
            except (aiohttp.ClientError, OSError, ValueError) as error:
                raise self._explained(error, leg) from error
            assert isinstance(response, Response)
            return self._interpret(response, leg)
        finally:
            permit.give_back()
            over()

    def _explained(self, error: aiohttp.ClientError | OSError | ValueError, leg: _Leg) -> AtlasError:
        """What aiohttp raised outside of a wire request: the timeout of the whole call, or a senseless challenge."""
        if isinstance(error, TimeoutError):
            if leg.unanswered:
                return translate(error, method=leg.method, path=leg.path, clean=self.clean)
            return NotSentError("it could not be sent within the request timeout", method=leg.method, path=leg.path)
        if isinstance(error, OSError):
            return translate(error, method=leg.method, path=leg.path, clean=self.clean)
        if leg.unanswered:  # whatever aiohttp stumbled over came after the request had left
            return AnswerLostError(
                f"the answer was not understood ({wire.told(str(error), self.clean)})", method=leg.method, path=leg.path
            )
        return ApiError(method=leg.method, path=leg.path, status=401, detail=self.auth.misled(error))

    def _interpret(self, response: Response, leg: _Leg) -> tuple[int, object]:
        status, method, path = response.status, leg.method, leg.path
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
        asked = wire.retry_after(response.headers.get(hdrs.RETRY_AFTER), now=self._wall())
        if status == 429:
            raise self._rate_limited(problem, asked, leg)
        detail = problem.detail
        if 300 <= status < 400:
            detail = "redirects are not followed: check `atlas.base_url`"
        elif status == 401:
            detail = wire.told(self.auth.why_refused(response), self.clean) or detail or "the credentials were refused"
        raise ApiError(
            method=method, path=path, status=status, error_code=problem.error_code, detail=detail, retry_after=asked
        )

    def _rate_limited(self, problem: wire.ErrorDocument, asked: float | None, leg: _Leg) -> RateLimitedError:
        figures = wire.bucket_figures(problem)
        if asked is None and figures is not None:
            asked = figures.retry_after
        rest = leg.permit.limited(retry_after=asked, figures=figures)
        event = RateLimited(
            at=self._wall(),
            method=leg.method,
            path=leg.path,
            scope=leg.permit.scope,
            retry_after=round(rest, 3),
            detail=problem.detail,
        )
        self._on_event(event)
        return RateLimitedError(
            method=leg.method, path=leg.path, retry_after=rest, error_code=problem.error_code, detail=problem.detail
        )


class _Leg:
    """The signature, and inside of it what accounts for each wire request of one call and translates its errors.

    One middleware and not two: aiohttp builds the chain again for every request.
    """

    __slots__ = (
        "_departure",
        "_handler",
        "_may_leave",
        "_transport",
        "method",
        "path",
        "permit",
        "unanswered",
    )

    _handler: aiohttp.ClientHandlerType

    def __init__(
        self,
        transport: Transport,
        permit: Permit,
        *,
        method: str,
        path: str,
        may_leave: Callable[[], bool] | None,
        departure: Departure | None,
    ) -> None:
        self._transport = transport
        self._may_leave = may_leave
        self._departure = departure
        self.permit = permit
        self.method = method
        self.path = path
        self.unanswered = False  # its last wire request may have been carried out

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        self._handler = handler
        return await self._transport.auth.send(request, self._wire)

    def _raise_if_held(self) -> None:
        if self._may_leave is not None and not self._may_leave():
            raise NotSentError("it must not be sent any more", method=self.method, path=self.path)

    async def _wire(self, request: aiohttp.ClientRequest) -> aiohttp.ClientResponse:
        self._raise_if_held()
        assert isinstance(request, GuardedRequest)
        request.has_left = False
        if self._may_leave is not None:
            request.raise_if_held = self._raise_if_held
            request.departure = self._departure
        transport = self._transport
        self.permit.sent()
        status = "error"
        self.unanswered = True
        try:
            response = await self._handler(request)
            status = str(response.status)
            await response.read()
        except (aiohttp.ClientError, OSError) as error:
            raise translate(
                error, method=self.method, path=self.path, clean=transport.clean, has_left=request.has_left
            ) from error
        finally:
            self.unanswered = request.has_left
            transport.statistics.by_status[status] += 1
        if response.status == 401:
            self.unanswered = False
            self.permit.challenged()
        elif response.status != 429:  # which is settled with what its document says
            headers = response.headers
            self.permit.settle(
                limit=_integer(headers.get("RateLimit-Limit")), remaining=_integer(headers.get("RateLimit-Remaining"))
            )
        return response


def _integer(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else None
