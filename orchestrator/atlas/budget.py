"""The budget of one scope: every request takes a token before it leaves, and its answer settles it.

A bucket mirrors the one that Atlas keeps for the same scope (`Account`), gives its tokens out by kind (`Shares`), and lets
nobody have a token who could not leave: a read gets its place on the wire together with it (`Places`), a PUT, whose
intent has to be on disk before, gets its place later. Within a kind it is first come, first served.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import anyio

from ..core.settings import DEFAULT_POLLING
from .account import SLACK, Account, Token
from .line import Line
from .places import LEAD, Places
from .shares import TICK, Priority, Shares
from .wire import BucketFigures

LONG_WAIT = 5.0
"""Seconds of waiting for tokens that are worth telling."""


class TokenBucket:
    """A token bucket of *capacity* tokens that gains *refill* of them every *per* seconds.

    Args:
        capacity: Tokens at the start and at most.
        refill: Tokens gained every *per* seconds, all at once.
        per: Seconds.
        interval: Seconds between two reads of one job, at least.
        places: The places on the wire, which other buckets share.
        scope: What it is the budget of: a project's id, `account` or `root`.
        on_long_wait: Told how many requests wait, and for how many seconds from now, when these are many.
    """

    def __init__(
        self,
        *,
        capacity: int,
        refill: float,
        per: float,
        interval: float = DEFAULT_POLLING.initial,
        places: Places | None = None,
        scope: str = "account",
        on_long_wait: Callable[[int, float], None] = lambda _number, _seconds: None,
    ) -> None:
        self.scope = scope
        self.account = Account(capacity=capacity, refill=refill, per=per)
        self.shares = Shares(self.account, interval=interval)
        self.places = places or Places(100)
        self._lines: dict[Priority, Line[Permit]] = {kind: Line() for kind in Priority}
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._on_long_wait = on_long_wait
        self._told_until = 0.0

    @property
    def waiting(self) -> int:
        """How many requests wait for a token."""
        return sum(len(line) for line in self._lines.values())

    def account_now(self) -> Account:
        """The account, reckoned up to now."""
        self.account.advance(self._loop.time())
        return self.account

    def tokens(self) -> float:
        """Tokens that may be spent now."""
        return self.account_now().spendable()

    def learn(self, figures: BucketFigures) -> None:
        """Take over what the server has told about its bucket, beside the requests."""
        self.account_now().learn(figures)
        self.pump()

    # -- who reads ---------------------------------------------------------------------------------------------------

    @contextmanager
    def following(self, kind: Priority) -> Iterator[None]:
        """A job is read again and again meanwhile, as it is under way (`POLL`) or waits at its gate (`GATE`)."""
        shares = self.shares
        shares.under_way += kind is Priority.POLL
        shares.at_gate += kind is Priority.GATE
        try:
            yield
        finally:
            shares.under_way -= kind is Priority.POLL
            shares.at_gate -= kind is Priority.GATE

    def budget(self, kind: Priority) -> tuple[int, float, float]:
        """What jobs that are followed as *kind* have to live on: their number, tokens a second, stored tokens."""
        now = self._loop.time()
        self.account.advance(now)
        jobs = self.shares.under_way if kind is Priority.POLL else self.shares.at_gate
        return jobs, *self.shares.budget(kind, now)

    # -- tokens ------------------------------------------------------------------------------------------------------

    async def take(self, kind: Priority, *, deadline: float | None = None, since: float | None = None) -> Permit | None:
        """Wait for a token; the permit to send one request.

        None: there was none by *deadline* (by the event loop's clock). What is under way gets one then all the same: that
        its time is over must not be said on old knowledge. *since* (by the same clock): from when what a PUT goes by is; None: now.
        """
        now = self._loop.time()
        self.account.advance(now)
        rereads = kind is Priority.CUTOVER and since is not None and now - since >= LEAD
        ready = not any(self._lines.values()) and self.shares.ready_at(kind, now, rereads=rereads) <= now
        if ready and self._has_place(kind):
            return self._grant(kind, now, rereads=rereads)
        waiting = self._lines[kind].wait(undo=Permit.give_back, since=since)
        self._schedule(now)  # when it stands in the line
        if deadline is None:
            return await waiting
        with anyio.CancelScope(deadline=deadline):
            return await waiting
        if kind is not Priority.POLL:
            return None
        await self.places.take(kind)
        return self._grant(kind, self._loop.time(), forced=True)

    def _first_rereads(self, kind: Priority) -> bool:
        """Whether the first in line is a PUT that goes by an old read."""
        return kind is Priority.CUTOVER and self._lines[kind].first_waits >= LEAD

    def _has_place(self, kind: Priority) -> bool:
        return _has_place_later(kind) or self.places.has_room(kind)

    def _grant(
        self,
        kind: Priority,
        now: float,
        *,
        others: Iterable[Priority] = (),
        forced: bool = False,
        rereads: bool = False,
    ) -> Permit:
        turn = self.shares.granted(kind, now, others)
        if kind is Priority.START:
            self.shares.starting += 1
        has_place = not _has_place_later(kind)
        if has_place and not forced:
            self.places.enter(kind)
        token = self.account.grant(forced=forced or self.account.rests)
        return Permit(self, kind, token, turn=turn, has_place=has_place, promises=rereads)

    def pump(self) -> None:
        """Hand out what is there, and come back when the next token is due, a place is free, or an answer comes."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not any(self._lines.values()):
            self.places.ask(self.pump, ())
            return
        now = self._loop.time()
        self.account.advance(now)
        while True:
            waiting = [kind for kind in Priority if self._lines[kind]]
            due = {kind: self.shares.ready_at(kind, now, rereads=self._first_rereads(kind)) for kind in waiting}
            ready = [kind for kind in self.shares.order(waiting) if due[kind] <= now]
            may_go = [kind for kind in ready if self._has_place(kind)]
            if not may_go:
                break
            first, *others = may_go
            self._lines[first].call_next(self._grant(first, now, others=others, rereads=self._first_rereads(first)))
        self.places.ask(self.pump, ready)
        later = [at for at in due.values() if at > now]
        if later:
            self._schedule(max(min(later), now + TICK))
            self._tell_long_wait(due, now)

    def _schedule(self, when: float) -> None:
        if self._timer is None or self._timer.when() > when:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(when, self.pump)

    def _tell_long_wait(self, due: dict[Priority, float], now: float) -> None:
        """Tell of a wait that is long. Reads at a gate may have to wait for their share, and a 429 tells of itself."""
        if self.account.rests or now < self._told_until:
            return
        dry = self.account.spendable() < 1.0 - SLACK
        until = max((at for kind, at in due.items() if dry or kind is not Priority.GATE), default=now)
        if until - now > LONG_WAIT:
            self._told_until = until
            self._on_long_wait(self.waiting, until - now)


def _has_place_later(kind: Priority) -> bool:
    """Whether *kind* gets its place on the wire after its token: who waits for it has one already, or an intent to record."""
    return kind.goes_out_as is Priority.CUTOVER


class Permit:
    """A token for one request, and, once it has entered, a place on the wire. `give_back` in any case."""

    __slots__ = ("_bucket", "_challenged", "_has_place", "_over", "_promises", "_token", "_turn", "kind", "since")

    def __init__(
        self, bucket: TokenBucket, kind: Priority, token: Token, *, turn: float, has_place: bool, promises: bool
    ) -> None:
        self.kind = kind
        self.since: float | None = None  # by the event loop's clock: from when what its request goes by is
        self._bucket = bucket
        self._token = token
        self._turn = turn
        self._has_place = has_place
        self._promises = promises  # another token, for the read before its PUT
        self._over = False
        self._challenged = False
        bucket.shares.promised += promises

    @property
    def scope(self) -> str:
        """What its bucket is the budget of."""
        return self._bucket.scope

    @property
    def over(self) -> bool:
        """Whether it has been used, or given back."""
        return self._over or self._token.sent_at is not None

    @property
    def alone(self) -> bool:
        """Whether its bucket never holds another token beside this one: nothing can be read while this one is kept."""
        return self._bucket.account.capacity < 2

    async def enter(self) -> bool:
        """Wait for a place on the wire; whether the token is good then: a 429 meanwhile takes it back."""
        if not self._has_place:
            await self._bucket.places.take(self.kind.goes_out_as, since=self.since)
            self._has_place = True
        account = self._bucket.account_now()
        return account.covers(self._token)

    def sent(self) -> None:
        """The request leaves, or leaves once more, as it was challenged."""
        account = self._bucket.account_now()
        account.sent(self._token)
        self._challenged = False
        if self._promises:
            self._keep_no_other()
            self._bucket.pump()

    def challenged(self) -> None:
        """The answer was a 401, which took no token: the request leaves once more, or is over (`give_back`)."""
        self._challenged = True

    def settle(self, *, limit: int | None = None, remaining: int | None = None) -> None:
        """The last answer has come. *limit*, *remaining*: its RateLimit headers."""
        self._end(limit=limit, remaining=remaining)

    def limited(self, *, retry_after: float | None, figures: BucketFigures | None) -> float:
        """The answer was a 429; the seconds that its bucket rests. *retry_after* and *figures* as it says."""
        account = self._bucket.account_now()
        rest = account.limited(self._token, retry_after=retry_after, figures=figures)
        self._end(spent=False)
        return rest

    def give_back(self) -> None:
        """Give everything back that has not been; a request that left and was not settled has had no answer."""
        self._end(answered=self._challenged, spent=not self._challenged)

    def _end(self, **answer: Any) -> None:
        if self._over:
            return
        self._over = True
        bucket = self._bucket
        account = bucket.account_now()
        if self._token.sent_at is None:
            account.give_back(self._token)
            bucket.shares.unused(self.kind, self._turn)
        else:
            account.settle(self._token, **answer)
        if self.kind is Priority.START:
            bucket.shares.starting -= 1
        self._keep_no_other()
        if self._has_place:
            bucket.places.leave(self.kind.goes_out_as)
        bucket.pump()

    def _keep_no_other(self) -> None:
        self._bucket.shares.promised -= self._promises
        self._promises = False
