"""When cutovers may start: an absolute window, or one that recurs on days of the week.

Pure: every question takes the time it is asked at, in Unix seconds (UTC). Recurring windows are reckoned in wall-clock
time of their zone, so they stay right across daylight-saving changes and across midnight.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One opening of a window: from *opens* to *closes*, Unix seconds; *closes* itself is outside."""

    opens: float
    closes: float

    def holds(self, now: float) -> bool:
        """Whether it is open at *now*."""
        return self.opens <= now < self.closes


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsoluteWindow:
    """Open once, from *opens* to *closes* (Unix seconds)."""

    opens: float
    closes: float

    def span_at_or_after(self, now: float) -> Span | None:
        """The opening that holds *now*, or the next one; None when there is none any more."""
        return Span(opens=self.opens, closes=self.closes) if now < self.closes else None

    def rehearsed(self, at: float) -> Span:
        """An opening as long as the real one that begins *at* once."""
        return Span(opens=at, closes=at + self.closes - self.opens)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecurringWindow:
    """Open on each of *days* (the day it opens on) from *start* to *end*, wall-clock times ``HH:MM`` in *timezone*.

    An *end* that is not after *start* lies on the next day. A wall-clock time that a daylight-saving change skips means
    the first moment after the gap; one that occurs twice means its first occurrence as *start* and its second as *end*,
    so that the window is never shorter than the clock on the wall says. Openings that touch (`00:00` to `00:00` on Saturday
    and Sunday) are one; a window that never closes is given as one that closes in two weeks.
    """

    start: str
    end: str
    days: tuple[str, ...]
    timezone: str

    def span_at_or_after(self, now: float) -> Span | None:
        """The opening that holds *now*, or the next one."""
        zone = ZoneInfo(self.timezone)
        start, end = time.fromisoformat(self.start), time.fromisoformat(self.end)
        today = datetime.fromtimestamp(now, zone).date()
        found: Span | None = None
        # A week back, where an opening of touching days may have begun; two ahead, as a daylight-saving change may
        # swallow a whole opening.
        for offset in range(-8, 16):
            day = today + timedelta(days=offset)
            if DAYS[day.weekday()] not in self.days:
                continue
            last = day if end > start else day + timedelta(days=1)
            span = Span(opens=_instant(day, start, zone, fold=0), closes=_instant(last, end, zone, fold=1))
            if span.opens >= span.closes:
                continue
            if found is not None and span.opens <= found.closes:
                found = Span(opens=found.opens, closes=max(found.closes, span.closes))
            elif found is not None and now < found.closes:
                return found
            else:
                found = span
        return found if found is not None and now < found.closes else None

    def rehearsed(self, at: float) -> Span | None:
        """An opening as long as the real one at or after *at* that begins *at* once; None: there is none."""
        real = self.span_at_or_after(at)
        return None if real is None else Span(opens=at, closes=at + real.closes - real.opens)


Window = AbsoluteWindow | RecurringWindow


def window_in_words(window: Window | None) -> str:
    """*window* as a person says it."""
    match window:
        case None:
            return "none"
        case AbsoluteWindow():
            opens, closes = (datetime.fromtimestamp(at, UTC) for at in (window.opens, window.closes))
            same_day = opens.date() == closes.date()
            return f"{opens:%Y-%m-%d %H:%M:%S} to {closes:{'%H:%M:%S' if same_day else '%Y-%m-%d %H:%M:%S'}} UTC"
        case RecurringWindow():
            return f"{', '.join(window.days)} {window.start} to {window.end} {window.timezone}"


def _instant(day: date, clock: time, zone: ZoneInfo, *, fold: int) -> float:
    local = datetime.combine(day, clock, zone).replace(fold=fold)
    instant = local.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return instant.timestamp()
    # The wall clock skips this time: the moment of the change is where the two readings of the offset meet.
    before = local.replace(fold=0).utcoffset()
    after = local.replace(fold=1).utcoffset()
    assert before is not None and after is not None
    low = (local.replace(tzinfo=UTC) - max(before, after)).timestamp()
    high = (local.replace(tzinfo=UTC) - min(before, after)).timestamp()
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return float(round(high))


def window_to_json(window: Window | None) -> dict[str, Any] | None:
    """*window* as plain JSON data."""
    match window:
        case None:
            return None
        case AbsoluteWindow():
            return {"opens": window.opens, "closes": window.closes}
        case RecurringWindow():
            return {"from": window.start, "to": window.end, "days": list(window.days), "timezone": window.timezone}


def window_from_json(data: dict[str, Any] | None) -> Window | None:
    """The inverse of `window_to_json`."""
    if data is None:
        return None
    if "opens" in data:
        return AbsoluteWindow(opens=data["opens"], closes=data["closes"])
    return RecurringWindow(start=data["from"], end=data["to"], days=tuple(data["days"]), timezone=data["timezone"])
