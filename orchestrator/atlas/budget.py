"""Token buckets: every wire request takes a token before it leaves, the 401 leg of digest too.

A bucket mirrors the one that Atlas keeps for the same scope (`Account`). At most *outstanding* requests are out at once.
Waiting is by priority (PUT, gate read, poll), then first come, first served.
"""

from __future__ import annotations

import asyncio
from enum import IntEnum

from ..waiting import Line
from .account import SLACK, Account
from .wire import BucketFigures


class Priority(IntEnum):
    """Who goes first."""

    CHALLENGE = 0  # the second leg of a request that has already been sent once
    CUTOVER = 1
    GATE = 2
    POLL = 3


class TokenBucket:
    """A token bucket of *capacity* tokens that gains *refill* tokens every *per* seconds.

    Args:
        capacity: Tokens at the start and at most.
        refill: Tokens gained in *per* seconds.
        per: Seconds.
        outstanding: How many requests may be out at once.
        scope: What it is the budget of: a project's id, `account` or `root`.
    """

    def __init__(
        self, *, capacity: int, refill: float, per: float, outstanding: int = 100, scope: str = "account"
    ) -> None:
        self.scope = scope
        self.account = Account(capacity=capacity, refill=refill, per=per)
        self.followers = 0  # jobs that are being read again and again on this bucket's tokens
        self._outstanding = outstanding
        self._line = Line()
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def waiting(self) -> int:
        """How many requests wait for a token."""
        return len(self._line)

    def tokens(self) -> float:
        """Tokens that may be spent now."""
        self.account.advance(self._loop.time())
        return self.account.spendable()

    def try_take(self, priority: Priority = Priority.POLL) -> bool:
        """Take a token if there is one and nobody waits who goes first."""
        self.account.advance(self._loop.time())
        if (self._line and self._line.first <= priority) or not self._available(priority):
            return False
        self.account.grant()
        return True

    async def take(self, priority: Priority) -> None:
        """Wait for a token and take it. Every token is either spent (`sent`, then `settle`) or given back.

        A challenge does not wait while others hold tokens for requests that wait for its end to leave: it takes one of
        theirs, and whoever finds no token left when it is about to leave (`covered`) gives its own back.
        """
        if self.try_take(priority):
            return
        waiting = self._line.wait(priority, undo=self.give_back)
        self._schedule()
        await waiting

    def covered(self) -> bool:
        """Whether a request that holds a token may leave: the token may have gone to a challenge, or to a 429."""
        account = self.account
        account.advance(self._loop.time())
        return not account.rests and (account.probing or account.held >= 1.0 - SLACK)

    def sent(self) -> float:
        """A request leaves on a token that was taken; when it did, for `settle`."""
        now = self._loop.time()
        self.account.advance(now)
        self.account.sent()
        return now

    def give_back(self) -> None:
        """Return a token that was not spent."""
        self.account.give_back()
        self._pump()

    def settle(self, sent_at: float, *, limit: int | None = None, remaining: int | None = None) -> None:
        """The request that left at *sent_at* is over; *limit*, *remaining*: the answer's RateLimit headers."""
        self.account.settle(self._loop.time(), sent_at, limit=limit, remaining=remaining)
        self._pump()

    def limited(self, *, retry_after: float, figures: BucketFigures | None = None) -> None:
        """The server answered 429: rest for *retry_after* seconds, and take over its *figures*."""
        self.account.limited(self._loop.time(), retry_after=retry_after, figures=figures)
        self._pump()

    def _available(self, priority: int) -> bool:
        if priority == Priority.CHALLENGE and self.account.has_for_challenge():
            return True
        may_go = priority == Priority.CHALLENGE or self.account.out < self._outstanding
        return may_go and self.account.spendable() >= 1.0 - SLACK

    def _pump(self) -> None:
        """Hand out what is there, and come back when the next token is due."""
        if not self._line:
            return
        self.account.advance(self._loop.time())
        while self._line and self._available(self._line.first):
            self.account.grant()
            self._line.call_next()
        if self._line:
            self._schedule()

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self.account.due()
        if due > self._loop.time() or self.account.out < self._outstanding:  # otherwise not before an answer
            self._timer = self._loop.call_at(due, self._pump)
