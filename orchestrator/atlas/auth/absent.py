"""Credentials that are not there, of a set that a session can do without: whatever asks with them is told so, and nothing is sent."""

from __future__ import annotations

from collections.abc import Callable

import aiohttp

from ..errors import KeysRefusedError


class AbsentAuth:
    """Refuses every request as Atlas refuses keys that are good nowhere, so that the same follows from it."""

    asks_with_token = False

    def clean(self, text: str) -> str:
        """*text* as it is: there is no secret."""
        return text

    async def ready(self) -> Callable[[], None]:
        """Nothing can be signed."""
        raise _absent()

    async def heard(self) -> None:
        """Atlas is not asked."""
        raise _absent()

    async def send(self, *_: object) -> aiohttp.ClientResponse:
        """It is not sent."""
        raise _absent()

    async def give_back(self) -> None:
        """There is nothing."""

    def why_refused(self, _: aiohttp.ClientResponse) -> str | None:
        """Nothing was refused by Atlas."""
        return None

    def misled(self, error: Exception) -> str:
        """Nothing came from the wire."""
        return str(error)


def _absent() -> KeysRefusedError:
    return KeysRefusedError(
        method="GET",
        path="/",
        status=401,
        everywhere=True,
        detail="the config has no such credentials, or not all of them",
        sent=False,
    )
