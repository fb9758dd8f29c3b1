"""What the transport needs of every kind of credentials, and nothing more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import aiohttp


class Auth(Protocol):
    """Proves who asks, for all requests of one set of credentials.

    The transport asks `ready` before a request takes a place on the wire, and `send` when it has all else that it needs:
    what a request is signed with must not grow old while it waits.
    """

    asks_with_token: bool
    """Whether requests carry an access token."""

    def clean(self, text: str) -> str:
        """*text*, which came from the other side, without what is secret in it: a server or proxy may echo headers."""
        ...

    async def ready(self) -> Callable[[], None]:
        """Return when a request can be signed; what is to be called when it is over, however it ended.

        Raises:
            AtlasError: It cannot be, and was not sent.
        """
        ...

    async def heard(self) -> None:
        """Return when Atlas has answered these credentials for the first time: with a challenge, or with a token.

        Raises:
            AtlasError: It gave no token.
        """
        ...

    async def send(self, request: aiohttp.ClientRequest, wire: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        """Sign *request* and send it by *wire*; once more, where the answer is a 401 that another signature may cure.

        Raises:
            AtlasError: From *wire*, or it could not be signed and was not sent.
        """
        ...

    async def give_back(self) -> None:
        """Nothing more is asked for: tell Atlas, where there is something to give back."""
        ...

    def why_refused(self, response: aiohttp.ClientResponse) -> str | None:
        """What is to be said of *response*, a 401, beyond its own words; None: nothing."""
        ...

    def misled(self, error: Exception) -> str:
        """What *error* means, which came up between the wire requests of one call; what it came from is forgotten."""
        ...


def nothing() -> None:
    """What `Auth.ready` gives where nothing is to be done when the request is over."""
