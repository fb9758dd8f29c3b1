"""The server's token bucket: one per scope, refilled at intervals, as recorded at Atlas, or continuously. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


class Refill(StrEnum):
    """How tokens come back: a fraction at any moment, or all of them at the end of each interval from the first use on."""

    CONTINUOUS = "continuous"
    INTERVAL = "interval"


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """*refill* tokens every *per* real seconds, never more than *capacity* in the bucket.

    *headers* False leaves the ``RateLimit-*`` headers out, as Atlas may.
    """

    capacity: int
    refill: int
    per: float
    mode: Refill = Refill.INTERVAL
    headers: bool = True


_ROUNDING = 1e-9  # who waits exactly as long as `Retry-After` says is not refused for an error of floating point

# Cloud Migration Service, scope GROUP (docs: "Atlas Administration API Rate Limits"), and v1.0's 100 a minute.
V2_LIMIT = RateLimit(capacity=1200, refill=500, per=60.0)
V1_LIMIT = RateLimit(capacity=100, refill=100, per=60.0)


class Bucket:
    """One token bucket, full at *now*. Times in real seconds on any one clock."""

    __slots__ = ("_filled_at", "_tokens", "limit")

    def __init__(self, limit: RateLimit, now: float) -> None:
        self.limit = limit
        self._tokens = float(limit.capacity)
        self._filled_at = now

    def take(self, now: float) -> bool:
        """Take the token of one request at *now*; False when there is none, and then nothing is taken."""
        self._fill(now)
        if self._tokens < 1 - _ROUNDING:
            return False
        self._tokens = max(self._tokens - 1, 0.0)
        return True

    @property
    def remaining(self) -> int:
        """Whole tokens left at the last `take`."""
        return int(self._tokens)

    def retry_after(self, now: float) -> int:
        """Whole seconds from *now* until there is a token again, at least 1."""
        limit = self.limit
        if limit.mode is Refill.INTERVAL:
            wait = self._filled_at + limit.per - now
        else:
            self._fill(now)
            wait = (1 - self._tokens) * limit.per / limit.refill
        return max(1, math.ceil(wait - _ROUNDING))

    def _fill(self, now: float) -> None:
        limit = self.limit
        elapsed = now - self._filled_at
        if limit.mode is Refill.INTERVAL:
            intervals = math.floor(elapsed / limit.per + _ROUNDING)
            if intervals > 0:
                self._tokens = min(float(limit.capacity), self._tokens + intervals * limit.refill)
                self._filled_at += intervals * limit.per
        elif elapsed > 0:
            self._tokens = min(float(limit.capacity), self._tokens + elapsed * limit.refill / limit.per)
            self._filled_at = now


class Buckets:
    """The buckets of all scopes, each made when it is first asked for."""

    __slots__ = ("_buckets",)

    def __init__(self) -> None:
        self._buckets: dict[str, Bucket] = {}

    def of(self, scope: str, limit: RateLimit, now: float) -> Bucket:
        """The bucket of *scope*."""
        bucket = self._buckets.get(scope)
        if bucket is None:
            bucket = self._buckets[scope] = Bucket(limit, now)
        return bucket
