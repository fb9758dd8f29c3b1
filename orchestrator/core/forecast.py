"""When the waves of a night will have ended, by what earlier cutovers took. Pure.

    forecast(loads, history, begins=…, span=…)

A wave goes in rounds of `concurrency`: all of its rounds but the last take what a cutover takes on average, and the last one as long as
the slowest in it. Half of all nights are said to end by *p50*, nine of ten by *p90*; what one wave may take longer than its p50 adds up with
what others may as independent things do (the root of the sum of squares), since not every wave of a night is slow.

It knows nothing of what people and jobs may need: approvals, pauses, gates that stay closed. The costs are those of the number of waves and
kinds, not of migrations.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, pvariance
from typing import Any, NamedTuple

from . import stored
from .history import History, Took
from .window import Span

_P90 = 1.2815515655446004
"""How many standard deviations above the middle of a normal distribution its p90 lies."""


class Spread(NamedTuple):
    """Seconds, or an instant (Unix seconds): not exceeded by half of all nights, and by nine of ten."""

    p50: float
    p90: float

    def then(self, other: Spread) -> Spread:
        """What is reached by this, and *other* after it."""
        middle = self.p50 + other.p50
        return Spread(middle, middle + math.hypot(self.p90 - self.p50, other.p90 - other.p50))

    def later(self, seconds: float) -> Spread:
        """The same, *seconds* later."""
        return Spread(self.p50 + seconds, self.p90 + seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What there is to do in one wave: so many migrations of each of its *kinds*, *concurrency* at once.

    *soak*: seconds after its last cutover before the next wave starts; *verified_late*: its migrations are verified after that. *approval*: somebody
    has to approve it first. *least*: seconds before its last PUT can leave by the request budget alone. *elapsed*: for how long
    those that are under way have been so already, on average.
    """

    name: str
    kinds: Mapping[str | None, int]
    concurrency: int
    soak: float = 0.0
    verified_late: bool = False
    approval: bool = False
    least: float = 0.0
    elapsed: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveForecast:
    """When one wave of *migrations* *starts*, when the last of its cutovers starts, when it *ends*, and what it *took* then, in seconds.

    *approvals*: how many of the waves up to this one wait for a person, for as long as that takes. *fits*: in nine of ten nights its last
    cutover starts in the window, and ends before it closes (None: there is no window).
    """

    name: str
    migrations: int
    approvals: int
    starts: Spread
    last_start: Spread
    ends: Spread
    took: Spread
    fits: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What was reckoned *made_at* then for a night that *begins* then, in the opening *span* of its window (None: it has none).

    *unseen*: the kinds of which no cutover is known, so that they are reckoned like all.
    """

    made_at: float
    begins: float
    span: Span | None
    history: History
    unseen: tuple[str, ...]
    waves: tuple[WaveForecast, ...]

    @property
    def ends(self) -> Spread:
        """When the last wave has ended."""
        return self.waves[-1].ends

    @property
    def approvals(self) -> int:
        """How many waves wait for a person."""
        return self.waves[-1].approvals

    @property
    def fits(self) -> bool | None:
        """Whether the night fits its window in nine of ten nights; None: there is none."""
        return None if self.span is None else all(wave.fits for wave in self.waves)

    @property
    def stops_fitting(self) -> WaveForecast | None:
        """The first wave that does not fit."""
        return next((wave for wave in self.waves if wave.fits is False), None)

    def followed_by(self, later: Forecast) -> Forecast:
        """The forecast of a run whose next session made *later*, of the waves that this one had not started: what was said of others stays."""
        again = {wave.name for wave in later.waves}
        return replace(later, waves=(*(wave for wave in self.waves if wave.name not in again), *later.waves))

    def wave(self, name: str) -> WaveForecast | None:
        """That of wave *name*."""
        return next((wave for wave in self.waves if wave.name == name), None)


def forecast(
    loads: Iterable[Load], history: History, *, made_at: float, begins: float, span: Span | None
) -> Forecast | None:
    """When the waves of *loads* end, one after another; None: there is no *history*, or nothing to do.

    Args:
        loads: What there is to do.
        history: What cutovers took before.
        made_at: Now, Unix seconds.
        begins: When the first wave starts, Unix seconds.
        span: The opening of the window that the night has.
    """
    waves: list[WaveForecast] = []
    unseen: dict[str, None] = {}
    known = history.by_kind()
    at, approvals = Spread(begins, begins), 0
    for load in loads:
        counts = {kind: count for kind, count in load.kinds.items() if count > 0}
        if not counts or history.every is None:
            continue
        approvals += load.approval
        unseen |= dict.fromkeys(kind for kind in counts if kind is not None and kind not in known)
        before_last, took = _reckon([(known.get(kind) or history.every, count) for kind, count in counts.items()], load)
        if load.verified_late:
            took = took.later(load.soak)
        last_start, ends = at.then(before_last), at.then(took)
        waves.append(
            WaveForecast(
                name=load.name,
                migrations=sum(counts.values()),
                approvals=approvals,
                starts=at,
                last_start=last_start,
                ends=ends,
                took=took,
                fits=None if span is None else last_start.p90 < span.last_start and ends.p90 <= span.closes,
            )
        )
        at = ends if load.verified_late else ends.later(load.soak)
    if not waves:
        return None
    return Forecast(
        made_at=made_at, begins=begins, span=span, history=history, unseen=tuple(unseen), waves=tuple(waves)
    )


def _reckon(parts: Sequence[tuple[Took, int]], load: Load) -> tuple[Spread, Spread]:
    """Seconds from the wave's start to its last cutover's, and to the end of them all."""
    size = sum(count for _, count in parts)
    at_once = min(load.concurrency, size)
    rounds = math.ceil(size / at_once) - 1
    mean = sum(fmean(took.slots) * count for took, count in parts) / size
    square = sum((pvariance(took.slots) + fmean(took.slots) ** 2) * count for took, count in parts) / size
    early = rounds * mean
    wide = _P90 * math.sqrt(max(0.0, square - mean**2) * rounds / at_once)
    longest = [(took.slots, at_once * count / size) for took, count in parts]
    middle, late = _slowest(longest, 0.5), _slowest(longest, 0.9)
    # Those under way have a part of it behind them; the budget may hold the last PUT back for longer than all that.
    begin = max(load.least, early - load.elapsed, 0.0)
    end = max(begin, begin + middle - max(0.0, load.elapsed - early))
    return Spread(begin, begin + wide), Spread(end, end + math.hypot(wide, late - middle))


def _slowest(parts: Sequence[tuple[Sequence[float], float]], share: float) -> float:
    """What the slowest of several does not exceed in *share* of all cases: of each part so many, whose times are spread like its points."""
    candidates = sorted({point for points, _ in parts for point in points})

    def chance(seconds: float) -> float:
        return float(math.prod((bisect_right(points, seconds) / len(points)) ** many for points, many in parts))

    low, high = 0, len(candidates) - 1
    while low < high:
        half = (low + high) // 2
        if chance(candidates[half]) >= share - 1e-9:
            high = half
        else:
            low = half + 1
    return candidates[low]


def forecast_to_json(given: Forecast) -> dict[str, Any]:
    """*given* as plain JSON data, to be kept."""
    history, span = given.history, given.span
    return {
        "made_at": given.made_at,
        "begins": given.begins,
        "span": None if span is None else [span.opens, span.closes, span.last_start],
        "history": {
            "by": history.by,
            "runs": history.runs,
            "unreadable": history.unreadable,
            "every": None if history.every is None else _took_to_json(history.every),
            "kinds": [_took_to_json(took) for took in history.kinds],
        },
        "unseen": list(given.unseen),
        "waves": [
            [w.name, w.migrations, w.approvals, *map(list, (w.starts, w.last_start, w.ends, w.took)), w.fits]
            for w in given.waves
        ],
    }


def forecast_from_json(data: dict[str, Any]) -> Forecast:
    """The inverse of `forecast_to_json`.

    Raises:
        KeyError, TypeError, ValueError: *data* is damaged.
    """
    history, span = stored.of(dict, data["history"]), data["span"]
    if not data["waves"]:
        raise ValueError("it is a forecast of no wave")
    opens, closes, last_start = (None, None, None) if span is None else map(stored.moment, span)
    return Forecast(
        made_at=stored.moment(data["made_at"]),
        begins=stored.moment(data["begins"]),
        span=None
        if opens is None or closes is None or last_start is None
        else Span(opens=opens, closes=closes, last_start=last_start),
        history=History(
            by=stored.text_or_none(history["by"]),
            runs=stored.whole(history["runs"]),
            unreadable=stored.whole(history["unreadable"]),
            every=None if history["every"] is None else _took_from_json(history["every"]),
            kinds=tuple(_took_from_json(took) for took in history["kinds"]),
        ),
        unseen=stored.texts(data["unseen"]),
        waves=tuple(_wave_from_json(wave) for wave in data["waves"]),
    )


def _wave_from_json(data: list[Any]) -> WaveForecast:
    name, migrations, approvals, starts, last_start, ends, took, fits = data
    return WaveForecast(
        name=stored.of(str, name),
        migrations=stored.whole(migrations),
        approvals=stored.whole(approvals),
        starts=Spread(*map(stored.moment, starts)),
        last_start=Spread(*map(stored.moment, last_start)),
        ends=Spread(*map(stored.moment, ends)),
        took=Spread(*map(stored.number, took)),
        fits=None if fits is None else stored.of(bool, fits),
    )


def _took_to_json(took: Took) -> list[Any]:
    return [took.kind, took.count, list(took.cutovers), list(took.downtimes), list(took.slots)]


def _took_from_json(data: list[Any]) -> Took:
    kind, count, cutovers, downtimes, slots = data
    return Took(
        kind=stored.text_or_none(kind),
        count=stored.whole(count),
        cutovers=tuple(map(stored.number, cutovers)),
        downtimes=tuple(map(stored.number, downtimes)),
        slots=tuple(map(stored.number, slots)),
    )
