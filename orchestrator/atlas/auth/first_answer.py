"""The first challenge is fetched by one request alone; then all go side by side.

aiohttp's `DigestAuthMiddleware` answers challenges, and the newest one's nonce serves every request after it. Without any in
hand, a wave's requests would each fetch one of their own. A nonce that has run out costs each request that meets it a
401 leg, which takes no token at Atlas, and no time of anybody else's.
"""

from __future__ import annotations

import anyio

FIRST_ANSWER = 1.0
"""Seconds that a client's other requests wait for the answer to its first: one that hangs holds nobody up."""


class FirstAnswer:
    """Lets one request go ahead until something has been answered, or `FIRST_ANSWER` seconds are over."""

    def __init__(self) -> None:
        self._shut = True
        self._ahead = False  # somebody has gone ahead
        self._until = 0.0
        self._changed = anyio.Event()
        self._heard = anyio.Event()

    async def heard(self) -> None:
        """Return when there has been an answer, which no time limit stands in for."""
        await self._heard.wait()

    async def wait(self) -> bool:
        """Return when a request may leave; whether it is the one that goes ahead."""
        while self._shut and self._ahead:
            with anyio.CancelScope(deadline=self._until) as scope:
                await self._changed.wait()
            if scope.cancelled_caught:
                self._open()
        if not self._shut:
            return False
        self._ahead = True
        self._until = self._until or anyio.current_time() + FIRST_ANSWER
        return True

    def came(self) -> None:
        """There has been an answer, of whatever kind."""
        self._heard.set()
        self._open()

    def failed(self) -> None:
        """The request that went ahead has ended without an answer: another does."""
        if self._shut:
            self._ahead = False
            self._changed.set()
            self._changed = anyio.Event()

    def _open(self) -> None:
        if self._shut:
            self._shut = False
            self._changed.set()
