"""What the server's token bucket certainly has, by what was sent and what its answers tell. Pure.

A bucket refills in steps: `refill` tokens at once, every `per` seconds (recorded at Atlas: no growth for 57 s, then all of it
about 60 s after the bucket's first use). Whether its clock goes on while it is full, or starts again with the next use, is
not known, so both are reckoned (`_Steps`), and there is as much as both say.

* An account never says more than the server has. Its clock started between the first request's leaving and its answer: a
  step is reckoned at the latest moment possible, and brings back only what was missing at the earliest.
* What the server says goes before what was configured: `RateLimit-Limit`, `RateLimit-Remaining`, a 429's figures. So where
  a bucket refills evenly after all, answers tell, and nothing is lost.
* A 401 and a 429 take no token (recorded).
* A 429's figures hold until they are refuted: by an answer to a request that left while by them there was nothing.
* After a 429 nothing may be sent for a second at least, for twice as long each time they come in a row. If its wait can
  only be that for the next step, that step is reckoned; otherwise requests go one at a time until an answer tells more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .wire import LONGEST_REST, BucketFigures

SLACK = 1e-9  # tokens; sums of fractions are no exact numbers
SHORTEST_REST = 1.0
"""Seconds that a 429 is waited for at least: Atlas was seen to answer "retry after 0 seconds" for most of a second."""
_WHOLE_SECONDS = 1.0  # by as much a `Retry-After` may be rounded up
LOOK = 60.0  # seconds between two looks at whether a rest still stands
LONGEST_DOUBLING = 64.0  # seconds; as long as a bucket takes to refill. Longer rests only where the server asks for one


@dataclass(slots=True, eq=False)
class Token:
    """The right to send one request. Whoever gets it lets it leave and settles it, or gives it back."""

    epoch: int  # how many 429s had emptied the account when it was granted
    probe: bool = False  # it may not be there
    forced: bool = False  # and leaves all the same
    sent_at: float | None = None  # when its request left last
    ended_before: int = 0  # how many requests had ended then


class Account:
    """The account of a bucket of *capacity* tokens that gains *refill* of them every *per* seconds, full at first.

    Times are seconds on any one clock. `advance` comes first, at the time of what is asked or told next.
    """

    def __init__(self, *, capacity: int, refill: float, per: float) -> None:
        self.capacity = capacity
        self.refill = refill
        self.per = per
        self.out = 0  # tokens granted whose request is not over
        self.unsent = 0  # of these, whose request has not left
        self.rests_until = -math.inf
        self.probing = False  # a 429 has left it open what there is: one request at a time finds out
        self._now = -math.inf
        self._steps = (_Steps(self, restarts=False), _Steps(self, restarts=True))
        self._epoch = 0
        self._sent = self._ended = 0  # requests, ever
        # Capacity, refill and seconds as they were without a 429's figures.
        self._believed_before: tuple[int, float, float] | None = None
        self._told = self._figured = False  # an answer has told how much there is; a 429 has told all of the bucket
        self._in_a_row = 0  # 429s, each to a request that left after the rest before it
        self._probe_out_since = -math.inf  # when the last probe was granted; -inf: it is over
        self._rest_began = -math.inf
        self._looked_at = -math.inf  # when a long rest was begun, or doubted last

    @property
    def rate(self) -> float:
        """Tokens a second that can be spent for ever."""
        return min(self.refill, self.capacity) / self.per

    @property
    def rests(self) -> bool:
        """Whether nothing may be sent: the server has said so."""
        return self._now < self.rests_until

    @property
    def look_at(self) -> float:
        """When one request may leave in spite of a rest, to see whether it still stands; inf: there is none.

        Whatever the 429 says of the interval: one that asks for a day must not hide for a day what is under way.
        """
        return self._looked_at + LOOK if self.rests else math.inf

    @property
    def tokens(self) -> float:
        """Tokens that the server certainly has, once all that was granted is spent."""
        return min(steps.tokens for steps in self._steps)

    # -- what happens ------------------------------------------------------------------------------------------------

    def advance(self, now: float) -> None:
        """It is *now*: reckon the steps."""
        self._now = now
        for steps in self._steps:
            steps.advance(now)
        if self.probing and self.tokens >= 1.0 - SLACK and not self.rests:
            self.probing = False

    def learn(self, figures: BucketFigures) -> None:
        """The bucket has been of these *figures* all along. What an answer has told of it goes before that, and a step cannot be undone."""
        if self._figured or any(steps.stepped for steps in self._steps):
            return
        for steps in self._steps:
            steps.tokens += 0.0 if self._told else figures.capacity - self.capacity
            steps.early += figures.per - self.per
            steps.late += figures.per - self.per
        self.capacity = self.capacity if self._told else figures.capacity
        self.refill, self.per = float(figures.refill), figures.per

    def grant(self, *, forced: bool = False) -> Token:
        """Hand out one token; *forced*: also when none is there, which leaves a debt."""
        probe = self.tokens < 1.0 - SLACK
        if self.rests:
            self._looked_at = self._now
        for steps in self._steps:
            steps.tokens -= 0.0 if probe else 1.0
        if probe:
            self._probe_out_since = self._now
        self.out += 1
        self.unsent += 1
        return Token(epoch=self._epoch, probe=probe, forced=forced)

    def give_back(self, token: Token) -> None:
        """*token* comes back and was not spent."""
        self.out -= 1
        if token.epoch != self._epoch:
            return
        self.unsent -= 1
        self._return(token)

    def covers(self, token: Token) -> bool:
        """Whether the request of *token* may leave: what it was granted for is still there, as far as is known."""
        if token.forced:
            return True
        if token.epoch != self._epoch or self.rests:
            return False
        return token.probe or self.tokens + self.unsent >= 1.0 - SLACK

    def sent(self, token: Token) -> None:
        """The request of *token* leaves, or leaves once more as it was challenged."""
        if token.sent_at is None:
            self._sent += 1
            if token.epoch == self._epoch:
                self.unsent -= 1
            for steps in self._steps:
                steps.used(self._now)
        token.sent_at = self._now
        token.ended_before = self._ended

    def settle(
        self,
        token: Token,
        *,
        answered: bool = True,
        spent: bool = True,
        limit: int | None = None,
        remaining: int | None = None,
    ) -> None:
        """The request of *token*, which was sent, is over. *limit*, *remaining*: its answer's RateLimit headers.

        Not *spent*: it was answered 401 or 429, which takes no token. Not *answered*: it may never have arrived.
        """
        assert token.sent_at is not None
        self.out -= 1
        self._ended += 1
        if token.probe:
            self._probe_out_since = -math.inf
        if not spent:
            if token.epoch == self._epoch:
                self._return(token)
            return
        for steps in self._steps:
            steps.begun(self._now)
        if not answered:
            return
        if self.rests and token.forced and token.sent_at >= self._rest_began:
            # It was let in: there is no rest any more.
            self.rests_until = self._now
            self._disbelieve()
        if token.sent_at >= self.rests_until:
            self._in_a_row = 0
        self._told = self._told or limit is not None or remaining is not None
        if limit is not None and limit >= 1:
            self.capacity = limit
            for steps in self._steps:
                steps.tokens = min(steps.tokens, float(limit))
        if remaining is not None and remaining >= 0 and token.epoch == self._epoch:
            beside = self._sent - token.ended_before - 1  # requests that the server may have met after this one
            for steps in self._steps:
                steps.hear(float(remaining - self.unsent), beside=beside, sent_at=token.sent_at)
        self.advance(self._now)

    def limited(self, token: Token, *, retry_after: float | None, figures: BucketFigures | None) -> float:
        """The request of *token* was answered 429: take its *figures* over, and rest. The seconds from now on.

        *retry_after*: the seconds that it asks for, None if it names no number that makes sense. Settle the token besides.
        """
        assert token.sent_at is not None
        asked = 0.0 if retry_after is None else min(retry_after, LONGEST_REST)
        if token.sent_at < self.rests_until:  # it left before an earlier 429 was known
            if self.rests:
                self.rests_until = max(self.rests_until, self._now + asked)
            return max(0.0, self.rests_until - self._now)
        self._told, self._figured = True, self._figured or figures is not None
        if figures is not None:
            self._believed_before = self._believed_before or (self.capacity, self.refill, self.per)
            self.capacity, self.refill, self.per = figures.capacity, float(figures.refill), figures.per
        self._in_a_row += 1
        doubled = min(SHORTEST_REST * 2.0 ** min(self._in_a_row - 1, 10), LONGEST_DOUBLING)
        self.rests_until = self._now + max(asked, doubled)
        self._rest_began = self._looked_at = self._now
        # For its next token an even refill would have asked for less: then it is the step.
        step = figures is not None and asked > self.per / self.refill + 1.0
        self._epoch += 1
        self.unsent = 0
        self.probing = not step
        self._probe_out_since = -math.inf
        for steps in self._steps:
            steps.emptied(at=self._now, next_at=self.rests_until if step else None)
        return self.rests_until - self._now

    def _disbelieve(self) -> None:
        """There was something when by a 429's figures there was nothing: as if it had none."""
        if self._believed_before is None:
            return
        self.capacity, self.refill, self.per = self._believed_before
        self._believed_before = None
        self._figured = False
        self.probing = True
        for steps in self._steps:
            steps.emptied(at=self._now, next_at=None)

    # -- what may be spent -------------------------------------------------------------------------------------------

    def spendable(self) -> float:
        """Tokens that may be spent now."""
        if self.rests:
            return 0.0
        if self.probing:
            return 1.0 if self._now >= self._next_probe else 0.0
        return max(0.0, self.tokens)

    def step_at(self) -> float:
        """When the next step comes, at the latest; as far as is known where the first answer is still to come."""
        least = self.tokens
        return max(steps.expected(self._now) for steps in self._steps if steps.tokens <= least + SLACK)

    def due(self) -> float:
        """When there can be a token, as far as is known now."""
        if self.rests:
            return self.rests_until
        if self.probing:
            return max(self._now, min(self._next_probe, self.step_at()))
        return self._now if self.tokens >= 1.0 - SLACK else self.step_at()

    @property
    def _next_probe(self) -> float:
        """When another probe may go: the last one is over, or hangs."""
        return self._probe_out_since + SHORTEST_REST

    def _return(self, token: Token) -> None:
        if token.probe:
            self._probe_out_since = -math.inf
            return
        for steps in self._steps:
            steps.tokens = min(float(self.capacity), steps.tokens + 1.0)


class _Steps:
    """One reckoning of the account's steps. *restarts*: a full bucket's clock stands still until its next use."""

    __slots__ = ("_account", "_credited_at", "_heard", "_missing", "_restarts", "early", "late", "tokens")

    def __init__(self, account: Account, *, restarts: bool) -> None:
        self._account = account
        self._restarts = restarts
        self.tokens = float(account.capacity)
        self.early = self.late = math.inf  # between these comes the next step
        self._missing: float | None = None  # what of the capacity was missing at `early`
        self._heard = 0.0  # what answers have told of this interval's refill
        self._credited_at = -math.inf

    @property
    def stepped(self) -> bool:
        """Whether a step has come."""
        return self._credited_at > -math.inf

    def expected(self, now: float) -> float:
        """When the next step comes, at the latest as far as is known at *now*."""
        if self.late < math.inf:
            return self.late
        return max(now, self.early) if self.early < math.inf else now + self._account.per

    def used(self, now: float) -> None:
        """A request leaves: the clock may start."""
        if self.early == math.inf:
            self.early = now + self._account.per

    def begun(self, now: float) -> None:
        """A request is over: the clock has started, or else what was reckoned as taken is still there."""
        if self.late == math.inf and self.early < math.inf:
            self.late = now + self._account.per
            if self.late - self.early > self._account.per:  # somewhere in a whole interval
                self.early, self._missing = now, None

    def emptied(self, *, at: float, next_at: float | None) -> None:
        """There is nothing left. The next step comes at *next_at*, or (None) within an interval."""
        self.tokens = self._heard = 0.0
        if next_at is None:
            self.early, self.late, self._missing = at, at + self._account.per, float(self._account.capacity)
        else:
            self.early, self.late, self._missing = next_at - _WHOLE_SECONDS, next_at, None

    def hear(self, remaining: float, *, beside: int, sent_at: float) -> None:
        """A request that left at *sent_at* left *remaining* tokens; the server may have met *beside* others since."""
        if sent_at >= self._credited_at:
            self.tokens = min(self.tokens, remaining)
        more = min(remaining - beside, float(self._account.capacity)) - self.tokens
        if more > 0:
            self.tokens += more
            self._heard += more

    def advance(self, now: float) -> None:
        """It is *now*."""
        account = self._account
        while now >= self.early - SLACK:
            if self._missing is None:  # those that are out may come after the step
                self._missing = max(0.0, account.capacity - self.tokens - account.out)
            if now < self.late - SLACK:
                return
            brought = min(account.refill, self._missing)
            if self._heard:  # of an even refill, then; the server rounds down what it tells
                brought -= self._heard + 1.0
            self.tokens = min(float(account.capacity), self.tokens + max(0.0, brought))
            self._missing, self._heard = None, 0.0
            self._credited_at = self.late
            self.early += account.per
            self.late += account.per
            if self.tokens >= account.capacity - SLACK and account.out == 0:
                self._filled(now)
                return

    def _filled(self, now: float) -> None:
        if self._restarts:
            self.early = self.late = math.inf
            return
        passed = max(0, math.floor((now - self.late) / self._account.per + SLACK) + 1) * self._account.per
        self.early += passed
        self.late += passed
