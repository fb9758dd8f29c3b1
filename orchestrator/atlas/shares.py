"""Who gets a bucket's tokens, and how fast: kinds of requests, their order, and what each leaves for the others. Pure.

The order is that of `Priority`. A bucket fills up once a minute, so order alone does not keep a kind alive: 400 reads at
gates would spend a whole refill in seconds, and whoever comes next waits for the next one. So, with T tokens there and S
seconds until the next step:

* PUTs, and reads that a PUT may follow at once (`START`), take what is there, but for a tenth of the refill where other reads
  go on. A read like that waits until there is a token for its PUT too: what was read a minute ago is read again.
* A PUT that goes by an old read keeps its token while its job is read again (`LAST_READ`), so it waits until there are two: a
  refill that went to PUTs alone would leave each of them waiting for a token that another holds, for good.
* Reads of what is under way (`POLL`) spend what is more than the refill lasts for until the step; else evenly: one
  every S / T seconds.
* Reads that wait at a gate (`GATE`) do so with what the reads of what is under way leave, but for a tenth of the refill.
* Whoever could go and was passed over nine times goes next.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import IntEnum

from .account import SLACK, Account

SHARE = 0.1
"""Of a refill, what reads get at least while others could take all."""

EARLY = 0.25
"""Seconds by which an even pace may be run ahead of: a timer for every request would cost more than it is worth."""

TICK = 0.001  # seconds; what may change in less is looked at no sooner

PASSED_OVER = 9
"""So often in a row others may go before a kind that could go, too."""


class Priority(IntEnum):
    """What a request is for: who goes first."""

    LAST_READ = 0  # a read for which a PUT that has its token already waits
    CUTOVER = 1  # a PUT, or a read before it while its application stands still
    POLL = 2  # a read of what is under way, or in doubt
    START = 3  # a read that a PUT may follow at once: a job's first, or the last before its PUT
    GATE = 4  # a read of a job that was not ready

    @property
    def goes_out_as(self) -> Priority:
        """Whose places on the wire it takes: the read before a PUT goes out as the PUT does."""
        return Priority.CUTOVER if self is Priority.LAST_READ else self


class Shares:
    """What of *account* each kind of request may take. *interval*: seconds between two reads of one job, at least."""

    def __init__(self, account: Account, *, interval: float) -> None:
        self._interval = max(interval, TICK)
        self.under_way = 0  # jobs that are read as they are under way
        self.at_gate = 0  # jobs that are read at their gate
        self.starting = 0  # reads on the wire that a PUT may follow
        self.promised = 0  # tokens kept for the reads of PUTs that have theirs and have not left
        self._account = account
        self._next = dict.fromkeys(Priority, -math.inf)  # when each kind's next token is due at an even pace
        self._passed_over = dict.fromkeys(Priority, 0)

    def ready_at(self, kind: Priority, now: float, *, rereads: bool = False) -> float:
        """When a request of *kind* may have a token, as far as is known: *now*, or later.

        *rereads*: it is a PUT whose job is read again before it leaves.
        """
        account = self._account
        if account.spendable() < 1.0 - SLACK:
            if kind is not Priority.POLL:
                return max(account.due(), now + TICK)
            return now if account.look_at <= now else max(min(account.due(), account.look_at), now + TICK)
        if account.probing or kind is Priority.LAST_READ:
            return now
        tokens, step = account.tokens - self.promised, account.step_at()
        if kind is Priority.START:
            tokens -= self.starting
        if tokens < min(2 if rereads or kind is Priority.START else 1, account.capacity) - SLACK:
            return step
        if kind in (Priority.CUTOVER, Priority.START):
            return self._beyond_share(tokens, step, now)
        spare_at = step - (tokens - 1.0) / account.rate
        return max(now, min(spare_at, self._next[kind] - EARLY, step))

    def order(self, waiting: Iterable[Priority]) -> list[Priority]:
        """The kinds *waiting*, in the order in which they are asked whether they may go."""
        return sorted(waiting, key=lambda kind: (self._passed_over[kind] < PASSED_OVER, kind))

    def granted(self, kind: Priority, now: float, others: Iterable[Priority]) -> float:
        """A request of *kind* got a token at *now*, before *others* that wait and could have had it.

        The seconds after which *kind*'s next one is due, for `unused`.
        """
        since = max(self._next[kind], now)
        turn = 1.0 / self._pace(kind, now)
        self._next[kind] = since + turn
        self._passed_over[kind] = 0
        for other in others:
            self._passed_over[other] += 1
        return turn

    def unused(self, kind: Priority, turn: float) -> None:
        """A token of *kind* has come back."""
        self._next[kind] -= turn

    def budget(self, kind: Priority, now: float) -> tuple[float, float]:
        """What reads of *kind* (POLL or GATE) can live on: tokens a second until the next step, and stored ones."""
        account = self._account
        left = account.step_at() - now
        return min(account.rate, self._pace(kind, now)), max(0.0, account.spendable() - account.rate * left)

    def _pace(self, kind: Priority, now: float) -> float:
        """Tokens a second that last until the next step, when they are spent evenly by *kind*; some in any case."""
        account = self._account
        even = max(0.0, account.tokens) / max(account.step_at() - now, SLACK)
        if kind is Priority.GATE:
            even -= self._demand
        return max(even, SHARE * account.rate)

    @property
    def _demand(self) -> float:
        """Tokens a second that reads of what is under way would use."""
        return min(self._account.rate, self.under_way / self._interval)

    def _beyond_share(self, tokens: float, step: float, now: float) -> float:
        """When *tokens* are one more than the share of other reads until the *step*, a share that melts away."""
        if not self.under_way and not self.at_gate:
            return now
        share = SHARE * self._account.rate
        if math.floor(share * (step - now)) <= tokens - 1.0 + SLACK:
            return now
        return min(step, step - math.floor(tokens) / share + TICK)
