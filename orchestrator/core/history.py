"""What cutovers took before: the facts that a forecast is made of. Pure.

Of many cutovers no more is kept than a hundred points of how their times are spread, so that the history can be recorded with a run
and a run of thousands remembers no more than one of ten.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

FEW = 10
"""A forecast from fewer cutovers says so."""

POINTS = 101
"""How many points of a spread are kept at most."""


class Past(NamedTuple):
    """One cutover that has ended, in seconds: its *cutover* and *downtime* (`core.times`), and for how long it held a *slot* of its wave.

    *kind*: what the variable that forecasts go by says of it (None: nothing).
    """

    cutover: float
    downtime: float | None
    slot: float
    kind: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """What *count* cutovers of one *kind* (None: of every kind) took: points of each spread, in ascending order."""

    kind: str | None
    count: int
    cutovers: tuple[float, ...]
    downtimes: tuple[float, ...]
    slots: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What the cutovers of *runs* earlier runs took, altogether (None: there were none) and by kind.

    *by*: the variable that tells the kinds apart (None: none does). *unreadable*: how many runs could not be read. *own*: how many of
    the cutovers are of the run itself that the history is for.
    """

    by: str | None = None
    runs: int = 0
    unreadable: int = 0
    own: int = 0
    every: Took | None = None
    kinds: tuple[Took, ...] = ()

    @property
    def count(self) -> int:
        """How many cutovers it is made of."""
        return 0 if self.every is None else self.every.count

    def by_kind(self) -> dict[str | None, Took]:
        """The same, to look kinds up."""
        return {took.kind: took for took in self.kinds}

    def only(self, kinds: Iterable[str | None]) -> History:
        """The same, with no other kinds of its own than *kinds*."""
        wanted = set(kinds)
        return replace(self, kinds=tuple(took for took in self.kinds if took.kind in wanted))

    def with_own(self, pasts: Sequence[Past]) -> History:
        """The same with *pasts*, of the run itself."""
        return replace(self.with_more(pasts), own=self.own + len(pasts))

    def with_more(self, pasts: Sequence[Past], *, runs: int = 0, unreadable: int = 0) -> History:
        """The same with *pasts*, from *runs* further runs."""
        new: dict[str, list[Past]] = defaultdict(list)
        for past in pasts:
            if past.kind is not None:
                new[past.kind].append(past)
        known = self.by_kind()
        kinds = [kind for kind in known if kind is not None]
        kinds += [kind for kind in new if kind not in known]
        return History(
            by=self.by,
            runs=self.runs + runs,
            unreadable=self.unreadable + unreadable,
            own=self.own,
            every=_together(None, self.every, pasts),
            kinds=tuple(
                took for kind in kinds if (took := _together(kind, known.get(kind), new.get(kind, ()))) is not None
            ),
        )


def nearest_rank(ordered: Sequence[float], share: float) -> float | None:
    """The smallest value of *ordered* (ascending) that at least *share* of all values do not exceed; None of nothing."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def _together(kind: str | None, known: Took | None, pasts: Sequence[Past]) -> Took | None:
    if not pasts:
        return known
    old = known or Took(kind=kind, count=0, cutovers=(), downtimes=(), slots=())
    return Took(
        kind=kind,
        count=old.count + len(pasts),
        cutovers=_points((*old.cutovers, *(past.cutover for past in pasts))),
        downtimes=_points((*old.downtimes, *(past.downtime for past in pasts if past.downtime is not None))),
        slots=_points((*old.slots, *(past.slot for past in pasts))),
    )


def _points(seconds: Iterable[float]) -> tuple[float, ...]:
    """At most `POINTS` of *seconds*, evenly spread over them."""
    ordered = sorted(round(each, 3) for each in seconds)
    size = len(ordered)
    if size <= POINTS:
        return tuple(ordered)
    return tuple(ordered[math.floor((number + 0.5) * size / POINTS)] for number in range(POINTS))
