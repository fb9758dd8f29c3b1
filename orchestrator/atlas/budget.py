"""Token buckets: every wire request takes a token before it leaves, the 401 leg of digest too.

A bucket mirrors the one that Atlas keeps for the same scope. It never believes to have more than the server has:
refill is reckoned from the first *answer* (the server's clock started no later), at most `outstanding` requests are out
at once, and what the server says (`RateLimit-Limit`, `RateLimit-Remaining`, a 429's figures) goes before what was
configured. Atlas's page says that a bucket refills "by refillRate every refillDurationSeconds", and its example of a 429
("retry after 55 seconds", 5 per 60) shows that this may happen in one step at the end of the interval. So a bucket
finds out which kind it has to do with (`Refill`) before it spends tokens that only a steady refill could have brought:

* An answer to a request that was alone on the wire shows what is there. If that grew by less than a whole refill, the
  refill is steady; if it did not grow although a steady one would have brought two tokens, it comes in steps. The first
  requests of a client go one at a time (`orchestrator.atlas.auth`), so mostly this is settled before it matters.
* A burst that comes before that spends all tokens but one. The last goes to a request that is alone on the wire, as soon as
  a steady refill would have brought two: its answer shows the kind, and costs no 429.
* Where that is not to be had (a bucket of one token, an answer without the header) one request is sent as a probe on a
  token that only a steady refill can have brought. A stepped bucket answers it with a 429, whose `Retry-After` gives the step.
* Without `RateLimit-Remaining` the refill is taken to be steady until a 429 with figures says otherwise: its wait is
  longer than a steady bucket needs for one token.

Waiting is by priority (PUT, gate read, poll), then first come, first served.
"""

from __future__ import annotations

import asyncio
import math
from enum import Enum, IntEnum

from ..waiting import Line
from .wire import BucketFigures

_ENOUGH = 2.0  # tokens that a steady refill must have brought before their absence means anything
_SLACK = 1e-9


class Priority(IntEnum):
    """Who goes first."""

    CHALLENGE = 0  # the second leg of a request that has already been sent once
    CUTOVER = 1
    GATE = 2
    POLL = 3


class Refill(Enum):
    """How the server's bucket fills up."""

    UNKNOWN = "unknown"
    STEADY = "steady"
    STEPPED = "stepped"


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
        self.capacity = capacity
        self.refill = refill
        self.per = per
        self.kind = Refill.UNKNOWN
        self.followers = 0  # jobs that are being read again and again on this bucket's tokens
        self._outstanding_limit = outstanding
        self._out = 0  # tokens granted whose request has not been answered
        self._unsent = 0  # of these, whose request has not left
        self._probing = False  # the token granted last may not be there
        self._alone = False  # the request on the wire is the only one, since it left
        self._unseen_before = 0.0  # `_unseen` when the last request left
        self._credited_at = -math.inf  # when a whole refill was last reckoned
        self._sure = float(capacity)  # tokens the server certainly has, were all that is out already taken
        self._gained = 0.0  # what a steady refill has brought since an answer showed exactly what is there
        self._lost = 0.0  # what of that found the server's bucket full, if the refill is steady
        self._unseen = 0.0  # what a steady refill should have brought since an answer last showed any growth
        self._since: float | None = None  # up to when refill is reckoned; None: full, its clock stands still
        self._answered = False
        self._reported = False
        self._full_until_answer = True
        self._blocked_until = -math.inf
        self._line = Line()
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def rate(self) -> float:
        """Tokens gained in a second."""
        return self.refill / self.per

    @property
    def waiting(self) -> int:
        """How many requests wait for a token."""
        return len(self._line)

    def tokens(self) -> float:
        """Tokens that may be spent now."""
        self._advance()
        if self._loop.time() < self._blocked_until:
            return 0.0
        return max(0.0, self._spendable())

    def try_take(self, priority: Priority = Priority.POLL) -> bool:
        """Take a token if there is one and nobody waits who goes first."""
        self._advance()
        if (self._line and self._line.first <= priority) or not self._available(priority):
            return False
        self._grant()
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
        self._advance()
        if self._loop.time() < self._blocked_until:
            return False
        return self._probing or self._held() >= 1.0 - _SLACK

    def sent(self) -> float:
        """A request leaves on a token that was taken; when it did, for `settle`."""
        self._advance()
        self._alone = self._out == self._unsent  # nothing else is on the wire
        self._unsent -= 1
        self._unseen_before = self._unseen
        return self._loop.time()

    def give_back(self) -> None:
        """Return a token that was not spent."""
        self._out -= 1
        self._unsent -= 1
        self._probing = False
        self._sure = min(float(self.capacity), self._sure + 1)
        self._pump()

    def settle(self, sent_at: float, *, limit: int | None = None, remaining: int | None = None) -> None:
        """The request that left at *sent_at* is over; *limit*, *remaining*: the answer's RateLimit headers."""
        self._out -= 1
        self._answered = True
        probed, self._probing = self._probing, False
        if self._full_until_answer:
            self._full_until_answer = False
            self._since = self._loop.time()
        self._advance()
        if limit is not None and limit >= 1:
            self.capacity = limit
            self._sure = min(self._sure, float(limit))
        if remaining is not None and remaining >= 0:
            self._reported = True
            self._hear(float(remaining), sent_at)
            if probed and self._guesses:  # it could not tell (a tiny bucket), and what it was sent on is spent
                self._unseen = 0.0
            if self._full_until_answer and self._sure < self.capacity:  # not full after all: its clock runs
                self._full_until_answer, self._since = False, self._loop.time()
        self._pump()

    def limited(self, *, retry_after: float, figures: BucketFigures | None = None) -> None:
        """The server answered 429: rest for *retry_after* seconds, and take over its *figures*."""
        now = self._loop.time()
        if figures is not None:
            self.capacity, self.refill, self.per = figures.capacity, float(figures.refill), figures.per
        self._blocked_until = max(self._blocked_until, now + retry_after)
        if figures is not None and retry_after > self.per / self.refill + 1.0:
            self.kind = Refill.STEPPED
        stepped = self.kind is Refill.STEPPED
        # One token is there when the wait is over; a stepped bucket gets its whole refill at that moment.
        self._sure, self._gained, self._lost = (0.0 if stepped else 1.0) - self._unsent, 0.0, 0.0
        self._unseen = 0.0
        self._since = self._blocked_until - self.per if stepped else self._blocked_until
        self._full_until_answer = False
        self._pump()

    # -- the account -------------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Reckon the refill up to now."""
        if self._since is None or self._full_until_answer:
            return
        now = self._loop.time()
        if self.kind is Refill.STEPPED:
            steps = math.floor((now - self._since) / self.per + _SLACK)
            if steps >= 1:
                self._since += steps * self.per
                self._credit(steps * self.refill)
        elif now > self._since:
            gain = (now - self._since) * self.rate
            self._since = now
            if not self._guesses:
                self._sure = min(float(self.capacity), self._sure + gain)
            else:
                room = self.capacity - self._sure - (self._gained - self._lost)
                self._gained += gain
                self._unseen += gain
                self._lost += max(0.0, gain - max(0.0, room))
                steps = math.floor(self._gained / self.refill + _SLACK)
                if steps >= 1:  # a whole interval: the server has got what either kind brings at least
                    brought = steps * self.refill
                    steady = self._gained - self._lost
                    certain = min(brought, steady)
                    self._gained = max(0.0, self._gained - brought)
                    self._lost = max(0.0, self._gained - (steady - certain))
                    self._unseen = max(0.0, self._unseen - brought)
                    self._credit(certain)
        if self._sure >= self.capacity and self._out == 0:
            self._gained = self._lost = self._unseen = 0.0
            self._full_until_answer = True

    def _credit(self, tokens: float) -> None:
        self._sure = min(float(self.capacity), self._sure + tokens)
        self._credited_at = self._loop.time()

    def _hear(self, remaining: float, sent_at: float) -> None:
        """Correct the account by what the server had left after a request that left at *sent_at*.

        Answers overtake each other, so only that of a request which was alone on the wire shows what is there; any
        other shows what there is at most.
        """
        certain = remaining - self._unsent
        exact = self._alone and self._out == self._unsent
        if self.kind is Refill.STEADY:  # the server rounds down, and has gained since
            most = certain + 1.0 + (self._loop.time() - sent_at) * self.rate
            self._sure = min(self._sure, most)
            if exact:
                self._sure = max(self._sure, min(certain, float(self.capacity)))
        elif exact:
            self._learn(remaining, certain)
        elif sent_at >= self._credited_at:
            self._sure = min(self._sure, certain)

    def _learn(self, remaining: float, certain: float) -> None:
        """Take over what an answer shows exactly, and what it says about the kind of refill."""
        now = self._loop.time()
        grew = certain - self._sure
        if grew >= 1.0 - _SLACK:
            if grew < self.refill and remaining < self.capacity - 1:
                self.kind = Refill.STEADY
            self._since, self._unseen = now, 0.0  # if it was a step, the next comes within an interval from now
        elif self.kind is Refill.UNKNOWN and self._unseen_before >= _ENOUGH - _SLACK and remaining < self.capacity - 1:
            self.kind = Refill.STEPPED
            self._since, self._unseen = now - self._unseen / self.rate, 0.0
        self._sure = min(certain, float(self.capacity))
        self._gained = self._lost = 0.0

    @property
    def _guesses(self) -> bool:
        """Whether what a steady refill would have brought may not be there."""
        return self.kind is Refill.UNKNOWN and self._reported

    @property
    def _short_of_a_probe(self) -> float:
        """How much a steady refill has to bring before a probe shows its kind, and meets a token if it is steady."""
        there = self._held() + self._gained - self._lost
        return max(_ENOUGH - self._unseen, 1.0 - there)

    def _held(self) -> float:
        """Tokens that the server has, those included that are held for requests that have not left."""
        return self._sure + self._unsent

    @property
    def _keeps_one(self) -> bool:
        """Whether the last token is kept for a request that shows the kind of refill, as long as answers may show it."""
        may_be_told = self.kind is Refill.UNKNOWN and (self._reported or not self._answered)
        return may_be_told and self.refill > _ENOUGH and (self._out > 0 or not self._full_until_answer)

    def _spendable(self) -> float:
        if self._keeps_one and 1.0 - _SLACK <= self._sure < 2.0 - _SLACK:
            return 1.0 if not self._out and self._unseen >= _ENOUGH - _SLACK else 0.0
        if self._guesses and self._sure < 1.0 and not self._out and self._short_of_a_probe <= _SLACK:
            return 1.0  # only with nothing out, and then one alone: its answer shows whether the refill is steady
        return self._sure

    def _available(self, priority: int) -> bool:
        if self._loop.time() < self._blocked_until:
            return False
        if priority == Priority.CHALLENGE:
            if self._held() >= 1.0 - _SLACK:
                return True
            if self._guesses and self._out == self._unsent and self._short_of_a_probe <= _SLACK:
                return True
        elif self._out >= self._outstanding_limit:
            return False
        return self._spendable() >= 1.0 - _SLACK

    def _grant(self) -> None:
        self._probing = self._held() < 1.0 - _SLACK
        self._sure -= 1.0
        self._out += 1
        self._unsent += 1

    # -- waiting -----------------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Hand out what is there, and come back when the next token is due."""
        self._advance()
        while self._line and self._available(self._line.first):
            self._grant()
            self._line.call_next()
        if self._line:
            self._schedule()

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._due()
        if due is not None:
            self._timer = self._loop.call_at(due, self._pump)

    def _due(self) -> float | None:
        """When the next token can be there, as far as is known now; None: not before an answer."""
        now = self._loop.time()
        if now < self._blocked_until:
            return self._blocked_until
        certain = self.refill - self._gained
        if self._sure >= 1.0 - _SLACK:  # the number of requests that are out can be in the way of it, or it is the last
            if self._out >= self._outstanding_limit:
                return None
            if not self._keeps_one or self._sure >= 2.0 - _SLACK:
                return now
            wait = certain if self._out else min(certain, _ENOUGH - self._unseen)
            return now + max(_SLACK, wait) / self.rate
        if self._full_until_answer:
            return now + self.per
        if self.kind is Refill.STEPPED:
            return max(now, (self._since if self._since is not None else now) + self.per)
        if not self._guesses:
            return now + (1.0 - self._sure) / self.rate
        probe = self._short_of_a_probe if not self._out else certain
        return now + max(_SLACK, min(certain, probe) if probe > 0 else certain) / self.rate
