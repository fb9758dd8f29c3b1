"""Digest without a storm of challenges: who may send now, so that a nonce is fetched once, one at a time.

aiohttp's `DigestAuthMiddleware` answers challenges and reuses the last one, but 2,000 requests that start together
without a challenge in hand, or with a stale one, cost 2,000 extra 401 legs. `Turns` lets requests out so that:

* without a nonce in hand, one request goes alone and brings it;
* a new server's nonce is on trial: requests go one at a time until it has served more than `TRIAL` of them, then a
  growing number at once. Some servers let a nonce serve only so many requests (RFC 7616, section 5.4, leaves that to
  them); the first one that runs out tells how many, at the cost of one 401 leg;
* from then on the request that is expected to meet the stale nonce goes alone, and the others wait for the new one.

A nonce that ends by age costs a 401 leg for each request that is out at that moment, so at most *limit* of them: when
it will end cannot be known. `Turns` also bounds how many requests are out at once, by priority.
"""

from __future__ import annotations

from ..waiting import Line
from .budget import Priority

TRIAL = 50
"""How many requests a server's first nonce must serve, one at a time, before several go at once."""


class Turn:
    """The right to send one request. Its wire legs say what they carry and how it went."""

    __slots__ = ("_sent", "_turns")

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._sent = False

    def sent(self, nonce: str | None) -> None:
        """A wire request leaves with *nonce* in its `Authorization` (None: without one)."""
        self._turns.sent(nonce, first=not self._sent)
        self._sent = True

    def accepted(self, nonce: str | None) -> None:
        """The wire request that left with *nonce* was answered with anything but a challenge."""
        self._turns.accepted(nonce)

    def challenged(self, nonce: str | None) -> None:
        """The wire request that left with *nonce* was answered 401."""
        self._turns.challenged(nonce)

    def release(self) -> None:
        """The request is over."""
        self._turns.released(sent=self._sent)


class Turns:
    """Who may send now. At most *limit* requests are out at once."""

    def __init__(self, *, limit: int = 100) -> None:
        self._limit = limit
        self._out = 0  # turns taken and not released
        self._unsent = 0  # of these, how many have not sent anything yet
        self._line = Line()
        self._nonce: str | None = None
        self._uses = 0  # how often the nonce in hand was sent
        self._served = 0  # how often it was accepted
        self._lifetime: int | None = None  # how many requests a nonce of this server serves, as far as is known

    async def take(self, priority: Priority) -> Turn:
        """Wait until a request may be sent. Release the turn when the request is over."""
        if self._line or not self._open():
            await self._line.wait(priority, undo=lambda: Turn(self).release())
            return Turn(self)
        return self._grant()

    def sent(self, nonce: str | None, *, first: bool) -> None:
        """A wire request leaves with *nonce*; *first*: the first of its turn."""
        if first:
            self._unsent -= 1
        if nonce is None:
            return
        if nonce != self._nonce:
            self._nonce, self._uses, self._served = nonce, 0, 0
        self._uses += 1

    def accepted(self, nonce: str | None) -> None:
        """The server took *nonce*."""
        if nonce is None or nonce != self._nonce:
            return
        self._served += 1
        if self._lifetime is not None and self._served > self._lifetime:
            self._lifetime = None  # it serves more than the one before: age, not use, ended that one

    def challenged(self, nonce: str | None) -> None:
        """The server did not take *nonce*."""
        if nonce is not None and nonce == self._nonce and self._served:
            self._lifetime = self._served
            self._nonce = None

    def released(self, *, sent: bool) -> None:
        """A turn is over; *sent*: something was sent in it."""
        if not sent:
            self._unsent -= 1
        self._out -= 1
        self._pump()

    def _grant(self) -> Turn:
        self._out += 1
        self._unsent += 1
        return Turn(self)

    def _open(self) -> bool:
        if self._out == 0:
            return True
        if self._nonce is None or self._out >= self._limit:
            return False
        if self._lifetime is not None:
            return self._uses + self._unsent < self._lifetime
        return self._out < (self._served - TRIAL) // 4

    def _pump(self) -> None:
        while self._line and self._open():
            self._grant()
            self._line.call_next()
