"""How long answers take: quantiles, and between them a straight line on a logarithmic scale. Pure."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass

from .chance import chance


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Real seconds from a request to its answer.

    Args:
        quantiles: Shares of all answers, from 0 to 1 and rising, with the seconds within which they come, more than 0
            and never falling.
    """

    quantiles: tuple[tuple[float, float], ...]

    def at(self, share: float) -> float:
        """The seconds within which *share* (0 to 1) of all answers come."""
        above = bisect_right(self.quantiles, share, 1, len(self.quantiles) - 1, key=lambda quantile: quantile[0])
        (low_share, low), (high_share, high) = self.quantiles[above - 1 : above + 1]
        way = (share - low_share) / (high_share - low_share)
        return low * math.exp(way * math.log(high / low))

    def draw(self, seed: int, kind: str, live_migration_id: str, attempt: int) -> float:
        """The seconds that one answer takes: the same for the same request, whatever comes between."""
        return self.at(chance(seed, "latency", kind, live_migration_id, attempt))


ATLAS = Latency(
    quantiles=(
        (0.00, 0.006),
        (0.10, 0.051),
        (0.25, 0.071),
        (0.50, 0.115),
        (0.75, 0.207),
        (0.90, 0.768),
        (0.95, 1.955),
        (0.99, 3.0),
        (1.00, 4.0),
    )
)
"""What Atlas took for 722 recorded answers, the network not counted.

Source: ``X-Envoy-Upstream-Service-Time`` in the end-to-end snapshots of https://github.com/mongodb/mongodb-atlas-cli
(``test/e2e/**/.snapshots``, August 2026).
"""

NAMED = {"atlas": ATLAS}
"""What a scenario file may name."""
