"""How long cutovers took: nearest-rank percentiles and sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..core.history import nearest_rank


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Cutover times in seconds, over *count* cutovers that came to an end; *total* is their sum, *downtime* that of the downtimes."""

    count: int
    p50: float | None
    p90: float | None
    p99: float | None
    max: float | None
    total: float
    downtime: float


def statistics_of(seconds: Sequence[float], downtimes: Sequence[float] = ()) -> Statistics:
    """The statistics of the cutover times *seconds* and of *downtimes*; with nothing to count, the percentiles are None."""
    ordered = sorted(seconds)
    return Statistics(
        count=len(ordered),
        p50=nearest_rank(ordered, 0.5),
        p90=nearest_rank(ordered, 0.9),
        p99=nearest_rank(ordered, 0.99),
        max=ordered[-1] if ordered else None,
        total=round(sum(ordered), 3),
        downtime=round(sum(downtimes), 3),
    )
