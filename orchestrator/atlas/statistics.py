"""What was sent to Atlas, counted where it leaves: requests of the API, and those for access tokens."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Statistics:
    """What was sent: wire requests by HTTP status (`error`: no answer), and how many were repeats."""

    by_status: Counter[str] = field(default_factory=Counter)
    retries: int = 0
