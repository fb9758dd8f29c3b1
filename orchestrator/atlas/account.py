"""What the server's token bucket certainly has, reckoned from what its answers tell. Pure: the time comes in.

An account never says more than the server has: refill is reckoned from the first *answer* (the server's clock started no
later), and what the server says (`RateLimit-Limit`, `RateLimit-Remaining`, a 429's figures) goes before what was configured.
Atlas's page says that a bucket refills "by refillRate every refillDurationSeconds", and its example of a 429 ("retry after
55 seconds", 5 per 60) shows that this may happen in one step at the end of the interval. So an account finds out which
kind it has to do with (`Refill`) before it counts tokens that only a steady refill could have brought:

* An answer to a request that was alone on the wire shows what is there. If that grew by less than a whole refill, the
  refill is steady; if it did not grow although a steady one would have brought two tokens, it comes in steps. The first
  requests of a client go one at a time (`orchestrator.atlas.auth`), so mostly this is settled before it matters.
* A burst that comes before that spends all tokens but one. The last goes to a request that is alone on the wire, as soon as
  a steady refill would have brought two: its answer shows the kind, and costs no 429.
* Where that is not to be had (a bucket of one token, an answer without the header) one request is sent as a probe on a
  token that only a steady refill can have brought. A stepped bucket answers it with a 429, whose `Retry-After` gives the step.
* Without `RateLimit-Remaining` the refill is taken to be steady until a 429 with figures says otherwise: its wait is
  longer than a steady bucket needs for one token.
"""

from __future__ import annotations

import math
from enum import Enum

from .wire import BucketFigures

SLACK = 1e-9  # tokens; sums of fractions are no exact numbers
_ENOUGH = 2.0  # tokens that a steady refill must have brought before their absence means anything


class Refill(Enum):
    """How the server's bucket fills up."""

    UNKNOWN = "unknown"
    STEADY = "steady"
    STEPPED = "stepped"


class Account:
    """The account of a bucket of *capacity* tokens that gains *refill* tokens every *per* seconds, full at first.

    Times are seconds on any one clock. `advance` comes first, at the time of what is asked or told next.
    """

    def __init__(self, *, capacity: int, refill: float, per: float) -> None:
        self.capacity = capacity
        self.refill = refill
        self.per = per
        self.kind = Refill.UNKNOWN
        self.out = 0  # tokens granted whose request has not been answered
        self.unsent = 0  # of these, whose request has not left
        self.probing = False  # the token granted last may not be there
        self._now = -math.inf
        self._sure = float(capacity)  # tokens the server certainly has, were all that is out already taken
        self._gained = 0.0  # what a steady refill has brought since an answer showed exactly what is there
        self._lost = 0.0  # what of that found the server's bucket full, if the refill is steady
        self._unseen = 0.0  # what a steady refill should have brought since an answer last showed any growth
        self._unseen_before = 0.0  # `_unseen` when the last request left
        self._since: float | None = None  # up to when refill is reckoned; None: full, its clock stands still
        self._credited_at = -math.inf  # when a whole refill was last reckoned
        self._full_until_answer = True
        self._answered = False
        self._reported = False  # answers have `RateLimit-Remaining`
        self._alone = False  # the request on the wire is the only one, since it left
        self._rests_until = -math.inf

    @property
    def rate(self) -> float:
        """Tokens gained in a second."""
        return self.refill / self.per

    @property
    def rests(self) -> bool:
        """Whether nothing may be sent: the server has said how long to wait."""
        return self._now < self._rests_until

    @property
    def held(self) -> float:
        """Tokens that the server has, those included that were granted to requests that have not left."""
        return self._sure + self.unsent

    # -- what happens ------------------------------------------------------------------------------------------------

    def advance(self, now: float) -> None:
        """It is *now*: reckon the refill."""
        self._now = now
        if self._since is None or self._full_until_answer:
            return
        if self.kind is Refill.STEPPED:
            steps = math.floor((now - self._since) / self.per + SLACK)
            if steps >= 1:
                self._since += steps * self.per
                self._credit(steps * self.refill)
        elif now > self._since:
            gain = (now - self._since) * self.rate
            self._since = now
            if self._guesses:
                self._guess(gain)
            else:
                self._sure = min(float(self.capacity), self._sure + gain)
        if self._sure >= self.capacity and self.out == 0:
            self._gained = self._lost = self._unseen = 0.0
            self._full_until_answer = True

    def grant(self) -> None:
        """Somebody gets a token, of which there has to be one."""
        self.probing = self.held < 1.0 - SLACK
        self._sure -= 1.0
        self.out += 1
        self.unsent += 1

    def give_back(self) -> None:
        """A token comes back that was granted and not spent."""
        self.out -= 1
        self.unsent -= 1
        self.probing = False
        self._sure = min(float(self.capacity), self._sure + 1)

    def sent(self) -> None:
        """A request leaves on a token that was granted."""
        self._alone = self.out == self.unsent  # nothing else is on the wire
        self.unsent -= 1
        self._unseen_before = self._unseen

    def settle(self, now: float, sent_at: float, *, limit: int | None, remaining: int | None) -> None:
        """The request that left at *sent_at* is over; *limit*, *remaining*: the answer's RateLimit headers."""
        self.out -= 1
        self._answered = True
        probed, self.probing = self.probing, False
        if self._full_until_answer:
            self._full_until_answer = False
            self._since = now
        self.advance(now)
        if limit is not None and limit >= 1:
            self.capacity = limit
            self._sure = min(self._sure, float(limit))
        if remaining is not None and remaining >= 0:
            self._reported = True
            self._hear(float(remaining), sent_at)
            if probed and self._guesses:  # it could not tell (a tiny bucket), and what it was sent on is spent
                self._unseen = 0.0
            if self._full_until_answer and self._sure < self.capacity:  # not full after all: its clock runs
                self._full_until_answer, self._since = False, now

    def limited(self, now: float, *, retry_after: float, figures: BucketFigures | None) -> None:
        """The server answered 429: rest for *retry_after* seconds, and take over its *figures*."""
        self._now = now
        if figures is not None:
            self.capacity, self.refill, self.per = figures.capacity, float(figures.refill), figures.per
        self._rests_until = max(self._rests_until, now + retry_after)
        if figures is not None and retry_after > self.per / self.refill + 1.0:
            self.kind = Refill.STEPPED
        stepped = self.kind is Refill.STEPPED
        # One token is there when the wait is over; a stepped bucket gets its whole refill at that moment.
        self._sure, self._gained, self._lost = (0.0 if stepped else 1.0) - self.unsent, 0.0, 0.0
        self._unseen = 0.0
        self._since = self._rests_until - self.per if stepped else self._rests_until
        self._full_until_answer = False

    # -- what may be spent -------------------------------------------------------------------------------------------

    def spendable(self) -> float:
        """Tokens that may be spent now."""
        if self.rests:
            return 0.0
        if self._sure >= 2.0 - SLACK:
            return self._sure  # mostly: what follows is about the last token
        if self._keeps_one and self._sure >= 1.0 - SLACK:
            return 1.0 if not self.out and self._unseen >= _ENOUGH - SLACK else 0.0
        if self._guesses and self._sure < 1.0 and not self.out and self._short_of_a_probe <= SLACK:
            return 1.0  # only with nothing out, and then one alone: its answer shows whether the refill is steady
        return max(0.0, self._sure)

    def has_for_challenge(self) -> bool:
        """Whether the second leg of a challenge may leave: on a token that is there, though another holds it, or as a probe."""
        if self.rests:
            return False
        probe = self._guesses and self.out == self.unsent and self._short_of_a_probe <= SLACK
        return self.held >= 1.0 - SLACK or probe

    def due(self) -> float:
        """When the next token can be there, as far as is known now."""
        if self.rests:
            return self._rests_until
        certain = self.refill - self._gained
        if self._sure >= 1.0 - SLACK:
            if not self._keeps_one or self._sure >= 2.0 - SLACK:
                return self._now
            wait = certain if self.out else min(certain, _ENOUGH - self._unseen)
            return self._now + max(SLACK, wait) / self.rate
        if self._full_until_answer:
            return self._now + self.per
        if self.kind is Refill.STEPPED:
            return max(self._now, (self._now if self._since is None else self._since) + self.per)
        if not self._guesses:
            return self._now + (1.0 - self._sure) / self.rate
        probe = self._short_of_a_probe if not self.out else certain
        return self._now + max(SLACK, min(certain, probe) if probe > 0 else certain) / self.rate

    @property
    def _guesses(self) -> bool:
        """Whether what a steady refill would have brought may not be there."""
        return self.kind is Refill.UNKNOWN and self._reported

    @property
    def _keeps_one(self) -> bool:
        """Whether the last token is kept for a request that shows the kind of refill, as long as answers may show it."""
        may_be_told = self.kind is Refill.UNKNOWN and (self._reported or not self._answered)
        return may_be_told and self.refill > _ENOUGH and (self.out > 0 or not self._full_until_answer)

    @property
    def _short_of_a_probe(self) -> float:
        """How much a steady refill has to bring before a probe shows its kind, and meets a token if it is steady."""
        there = self.held + self._gained - self._lost
        return max(_ENOUGH - self._unseen, 1.0 - there)

    # -- what is known -----------------------------------------------------------------------------------------------

    def _guess(self, gain: float) -> None:
        """Reckon *gain* tokens that only a steady refill has brought, and what of them either kind has."""
        room = self.capacity - self._sure - (self._gained - self._lost)
        self._gained += gain
        self._unseen += gain
        self._lost += max(0.0, gain - max(0.0, room))
        steps = math.floor(self._gained / self.refill + SLACK)
        if steps >= 1:  # a whole interval: the server has got what either kind brings at least
            brought = steps * self.refill
            steady = self._gained - self._lost
            certain = min(brought, steady)
            self._gained = max(0.0, self._gained - brought)
            self._lost = max(0.0, self._gained - (steady - certain))
            self._unseen = max(0.0, self._unseen - brought)
            self._credit(certain)

    def _credit(self, tokens: float) -> None:
        self._sure = min(float(self.capacity), self._sure + tokens)
        self._credited_at = self._now

    def _hear(self, remaining: float, sent_at: float) -> None:
        """Correct the account by what the server had left after a request that left at *sent_at*.

        Answers overtake each other, so only that of a request which was alone on the wire shows what is there; any
        other shows what there is at most.
        """
        certain = remaining - self.unsent
        exact = self._alone and self.out == self.unsent
        if self.kind is Refill.STEADY:  # the server rounds down, and has gained since
            most = certain + 1.0 + (self._now - sent_at) * self.rate
            self._sure = min(self._sure, most)
            if exact:
                self._sure = max(self._sure, min(certain, float(self.capacity)))
        elif exact:
            self._learn(remaining, certain)
        elif sent_at >= self._credited_at:
            self._sure = min(self._sure, certain)

    def _learn(self, remaining: float, certain: float) -> None:
        """Take over what an answer shows exactly, and what it says about the kind of refill."""
        grew = certain - self._sure
        if grew >= 1.0 - SLACK:
            if grew < self.refill and remaining < self.capacity - 1:
                self.kind = Refill.STEADY
            self._since, self._unseen = self._now, 0.0  # if it was a step, the next comes within an interval from now
        elif self.kind is Refill.UNKNOWN and self._unseen_before >= _ENOUGH - SLACK and remaining < self.capacity - 1:
            self.kind = Refill.STEPPED
            self._since, self._unseen = self._now - self._unseen / self.rate, 0.0
        self._sure = min(certain, float(self.capacity))
        self._gained = self._lost = 0.0
