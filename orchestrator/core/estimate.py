"""How long the cutovers that are left may take, judged by those that are done; and when a wave ends at its pace. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .history import nearest_rank

FEWEST = 3
"""With fewer cutovers done there is nothing to judge by."""

FEWEST_ENDS = 10
"""With fewer migrations of a wave ended it has no pace yet."""

ROUNDS = 2
"""Nor has it with fewer rounds of its concurrency: what has begun together ends together, and no round is known to follow another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Between *low* and *high* seconds. Waiting for gates, approvals and windows is not in it: nobody knows that."""

    low: float
    high: float


def estimate(durations: Sequence[float], *, concurrency: int, remaining: int) -> Estimate | None:
    """How long *remaining* cutovers take, *concurrency* at once; None when fewer than `FEWEST` are done.

    Low: they keep all places busy and are as quick as the quicker quarter was. High: they go in rounds, each as slow as
    the slowest tenth was.

    Args:
        durations: Seconds that each cutover took that is done, in ascending order.
        concurrency: How many are under way at once, at least 1.
        remaining: How many are left, those under way among them.
    """
    if len(durations) < FEWEST:
        return None
    if remaining <= 0:
        return Estimate(low=0.0, high=0.0)
    quick, slow = nearest_rank(durations, 0.25), nearest_rank(durations, 0.9)
    assert quick is not None
    assert slow is not None
    rounds = remaining / min(concurrency, remaining)
    return Estimate(low=rounds * quick, high=math.ceil(rounds) * slow)


def estimate_waves(durations: Sequence[float], waves: Iterable[tuple[int, int]]) -> Estimate | None:
    """The same for *waves*, one after another, each as (*concurrency*, *remaining*)."""
    low = high = 0.0
    for concurrency, remaining in waves:
        one = estimate(durations, concurrency=concurrency, remaining=remaining)
        if one is None:
            return None
        low, high = low + one.low, high + one.high
    return Estimate(low=low, high=high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """So many *ends* of a wave's migrations came after the one at *since* (Unix seconds), and *left* are left."""

    ends: int
    since: float
    left: int

    def end(self, now: float) -> float:
        """About when the last one ends, all that a migration waits for included; the later, the longer no other ends (Unix seconds)."""
        return now + self.left * (now - self.since) / self.ends


def pace(ended: Sequence[float], *, concurrency: int, left: int) -> Pace | None:
    """The pace of a wave; None where too little has ended to say so, or nothing is left.

    Args:
        ended: When its migrations ended, in ascending order (Unix seconds), since nothing held them up.
        concurrency: How many are under way at once, at least 1.
        left: How many have not ended.
    """
    most = max(FEWEST_ENDS, ROUNDS * concurrency)
    if len(ended) < most or left <= 0:
        return None
    return Pace(ends=most - 1, since=ended[-most], left=left)
