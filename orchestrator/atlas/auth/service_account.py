"""Service accounts: each request carries the account's access token (RFC 6750)."""

from __future__ import annotations

from collections.abc import Callable

import aiohttp
from aiohttp import hdrs

from .protocol import nothing
from .tokens import Tokens


class ServiceAccountAuth:
    """Signs with the access token of *tokens*.

    A 401 may mean that the token was withdrawn, or that another organisation hosts the project. So the request is sent once
    more with another token; where that one is refused as well, the token is not what is wrong there, and further 401s of that project
    get no other.
    """

    asks_with_token = True

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._refusing: set[str] = set()  # projects that refuse fresh tokens

    def clean(self, text: str) -> str:
        """See `Auth`."""
        return self._tokens.clean(text)

    async def ready(self) -> Callable[[], None]:
        """See `Auth`: there is a token."""
        await self._tokens.current()
        return nothing

    async def heard(self) -> None:
        """See `Auth`: with a token."""
        await self._tokens.current()

    async def send(self, request: aiohttp.ClientRequest, wire: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        """See `Auth`: a 401 is answered with another token, once."""
        token = await self._tokens.current()
        response = await _signed(request, token, wire)
        project = _project(request)
        if response.status != 401:
            self._refusing.discard(project)
            return response
        if project in self._refusing:
            return response
        other = await self._tokens.instead_of(token)
        if other is None:
            return response
        response = await _signed(request, other, wire)
        if response.status == 401:
            self._refusing.add(project)
        return response

    async def give_back(self) -> None:
        """See `Auth`: its tokens."""
        await self._tokens.give_back()

    def why_refused(self, _: aiohttp.ClientResponse) -> str | None:
        """See `Auth`: the answer's own words say all."""
        return None

    def misled(self, error: Exception) -> str:
        """See `Auth`."""
        return self.clean(str(error))


async def _signed(
    request: aiohttp.ClientRequest, token: str, wire: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    request.headers[hdrs.AUTHORIZATION] = f"Bearer {token}"
    return await wire(request)


def _project(request: aiohttp.ClientRequest) -> str:
    """The project that *request* is about; empty for the root resource."""
    return request.url.raw_path.partition("/groups/")[2].partition("/")[0] or request.url.query.get("groupId", "")
