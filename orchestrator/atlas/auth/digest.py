"""API keys: HTTP digest authentication, by aiohttp's `DigestAuthMiddleware`.

What is added to it: the first challenge is fetched by one request alone (`first_answer`), it is shown no challenge that
it cannot answer (`challenge`, in `orchestrator.atlas.response`), and a nonce that others used up on the way is replaced.
"""

from __future__ import annotations

from collections.abc import Callable

import aiohttp
from aiohttp import hdrs

from ...core.settings import ApiKey
from ...text.redaction import Redactor
from ..response import Response
from .first_answer import FirstAnswer
from .protocol import nothing

MOST_LEGS = 6
"""Wire requests of one call at most. More than two only where a server says each time that the nonce was stale, which
somebody else may have used up on the way."""


class DigestAuth:
    """Signs with an API key: *key*, which *redactor* is told."""

    asks_with_token = False

    def __init__(self, key: ApiKey, redactor: Redactor) -> None:
        redactor.add(key.public_key.reveal(), key.private_key.reveal())
        self.clean = redactor.text
        self._key = key
        self._middleware = self._new_middleware()
        self._first_answer = FirstAnswer()

    async def ready(self) -> Callable[[], None]:
        """See `Auth`: without any challenge in hand, one request goes ahead and the others wait for its answer."""
        return self._first_answer.failed if await self._first_answer.wait() else nothing

    async def heard(self) -> None:
        """See `Auth`: with a challenge, as a rule."""
        await self._first_answer.heard()

    async def send(self, request: aiohttp.ClientRequest, wire: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        """See `Auth`: a 401 is answered with its challenge, and again for as long as it says that the nonce is stale."""
        legs = 0

        async def leg(request: aiohttp.ClientRequest) -> aiohttp.ClientResponse:
            nonlocal legs
            legs += 1
            response = await wire(request)
            self._first_answer.came()
            return response

        while True:
            response = await self._middleware(request, leg)
            if response.status != 401 or not _is_stale(response) or legs >= MOST_LEGS:
                return response

    async def give_back(self) -> None:
        """See `Auth`: there is nothing to give back."""

    def why_refused(self, response: aiohttp.ClientResponse) -> str | None:
        """See `Auth`: there may be no challenge that can be answered."""
        assert isinstance(response, Response)
        return response.why_unanswered

    def misled(self, error: Exception) -> str:
        """See `Auth`: a challenge made no sense, and nothing could be sent any more on its account."""
        self._middleware = self._new_middleware()
        return f"digest challenge: {self.clean(str(error))}"

    def _new_middleware(self) -> aiohttp.DigestAuthMiddleware:
        return aiohttp.DigestAuthMiddleware(self._key.public_key.reveal(), self._key.private_key.reveal())


def _is_stale(response: aiohttp.ClientResponse) -> bool:
    """Whether a 401 says that the digest was right and its nonce too old (RFC 7616, section 3.3)."""
    return "stale=true" in response.headers.get(hdrs.WWW_AUTHENTICATE, "").replace('"', "").lower()
