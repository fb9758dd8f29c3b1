"""What each activity sends, counted apart: many share one client, and each tells its own run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from ...atlas.statistics import Statistics
from ...core.events import Event


@dataclass(slots=True)
class Count:
    """What one activity has sent, and what the client has told meanwhile."""

    sent: Statistics = field(default_factory=Statistics)
    told: list[Event] = field(default_factory=list)


_current: ContextVar[Count | None] = ContextVar("count", default=None)


@contextmanager
def counted() -> Iterator[Count]:
    """Count apart what is sent in here."""
    count = Count()
    token = _current.set(count)
    try:
        yield count
    finally:
        _current.reset(token)


def tell(event: Event) -> None:
    """Take *event* of the client in, for the activity that it happened to."""
    count = _current.get()
    if count is not None:
        count.told.append(event)


class PerActivity(Statistics):
    """Counts for whoever sends: the activity, or nobody."""

    def __init__(self) -> None:
        self._nobodys = Statistics()

    def _own(self) -> Statistics:
        count = _current.get()
        return self._nobodys if count is None else count.sent

    @property
    def by_status(self) -> Counter[str]:  # type: ignore[override]
        """Of the activity that asks."""
        return self._own().by_status

    @property
    def retries(self) -> int:
        """Of the activity that asks."""
        return self._own().retries

    @retries.setter
    def retries(self, number: int) -> None:
        self._own().retries = number
