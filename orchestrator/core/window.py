"""When cutovers may start: an absolute window, or one that recurs on days of the week.

Pure: every question takes the time it is asked at, in Unix seconds (UTC). Recurring windows are reckoned in wall-clock
time of their zone, so they stay right across daylight-saving changes and across midnight.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ..text.durations import format_duration, rough_duration
from ..text.instants import in_words
from . import stored

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One opening of a window: from *opens* to *closes*, Unix seconds. Cutovers start before *last_start*, which is *closes* without a reserve."""

    opens: float
    closes: float
    last_start: float

    def holds(self, now: float) -> bool:
        """Whether a cutover may start at *now*."""
        return self.opens <= now < self.last_start

    def begun(self, at: float) -> Span:
        """One as long as this, with as much reserve, that opens *at* once."""
        return Span(opens=at, closes=at + self.closes - self.opens, last_start=at + self.last_start - self.opens)


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsoluteWindow:
    """Open once, from *opens* to *closes* (Unix seconds). No cutover starts in its last *reserve* seconds."""

    opens: float
    closes: float
    reserve: float = 0.0

    def span_at_or_after(self, now: float) -> Span | None:
        """The opening in which a cutover may start at *now*, or the next one; None when there is none any more."""
        span = self._span()
        return span if now < span.last_start else None

    def rehearsed(self, at: float) -> Span:
        """An opening like the real one, wherever that lies, that begins *at* once."""
        return self._span().begun(at)

    def _span(self) -> Span:
        return Span(opens=self.opens, closes=self.closes, last_start=self.closes - self.reserve)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecurringWindow:
    """Open on each of *days* (the day it opens on) from *start* to *end*, wall-clock times ``HH:MM`` in *timezone*.

    An *end* that is not after *start* lies on the next day. A wall-clock time that a daylight-saving change skips means
    the first moment after the gap; one that occurs twice means its first occurrence as *start* and its second as *end*,
    so that the window is never shorter than the clock on the wall says. Openings that touch (`00:00` to `00:00` on Saturday
    and Sunday) are one; a window that never closes is given as one that closes in two weeks. No cutover starts in the last
    *reserve* seconds of an opening. It does not open on the days *except_on* (`2026-12-24`), which are days it opens on like
    *days*: an opening that crosses midnight is left out with the day on which it begins, and with no other.
    """

    start: str
    end: str
    days: tuple[str, ...]
    timezone: str
    reserve: float = 0.0
    except_on: tuple[str, ...] = ()

    def span_at_or_after(self, now: float) -> Span | None:
        """The opening in which a cutover may start at *now*, or the next one."""
        today = datetime.fromtimestamp(now, ZoneInfo(self.timezone)).date()
        return next(
            (span for span in self._around(today) if span.opens < span.last_start and now < span.last_start), None
        )

    def rehearsed(self, at: float) -> Span | None:
        """An opening like the real one at or after *at* that begins *at* once; None: there is none."""
        real = self.span_at_or_after(at)
        return None if real is None else real.begun(at)

    def _around(self, today: date) -> Iterator[Span]:
        """The openings from a week before *today* on, in their order."""
        zone = ZoneInfo(self.timezone)
        start, end = time.fromisoformat(self.start), time.fromisoformat(self.end)
        except_on = {date.fromisoformat(day) for day in self.except_on}
        until_all_are_over = max((day - today).days for day in except_on) if except_on else 0
        edges: tuple[float, float] | None = None
        # A week back, where an opening of touching days may have begun; two ahead, and more than all exceptions, as a
        # daylight-saving change may swallow a whole opening.
        for offset in range(-8, 16 + max(0, until_all_are_over)):
            day = today + timedelta(days=offset)
            if DAYS[day.weekday()] not in self.days or day in except_on:
                continue
            last = day if end > start else day + timedelta(days=1)
            opens, closes = _instant(day, start, zone, fold=0), _instant(last, end, zone, fold=1)
            if opens >= closes:
                continue
            if edges is not None and opens <= edges[1] and offset < 16:
                edges = (edges[0], max(edges[1], closes))
            else:
                if edges is not None:
                    yield self._span(*edges)
                edges = (opens, closes)
        if edges is not None:
            yield self._span(*edges)

    def _span(self, opens: float, closes: float) -> Span:
        return Span(opens=opens, closes=closes, last_start=closes - self.reserve)


Window = AbsoluteWindow | RecurringWindow


def window_in_words(window: Window | None) -> str:
    """*window* as a person says it."""
    match window:
        case None:
            return "none"
        case AbsoluteWindow():
            opens, closes = (datetime.fromtimestamp(at, UTC) for at in (window.opens, window.closes))
            same_day = opens.date() == closes.date()
            until = f"{closes:{'%H:%M:%S' if same_day else '%Y-%m-%d %H:%M:%S'}} UTC"
            return f"{opens:%Y-%m-%d %H:%M:%S} to {until}{_reserve_in_words(window)}"
        case RecurringWindow():
            on = f"{', '.join(window.days)} {window.start} to {window.end} {window.timezone}"
            not_on = f", not on {', '.join(window.except_on)}" if window.except_on else ""
            return f"{on}{not_on}{_reserve_in_words(window)}"


def _reserve_in_words(window: Window) -> str:
    return f", no cutover starts in its last {format_duration(window.reserve)}" if window.reserve else ""


def why_over(window: Window) -> str:
    """Why no cutover starts any more in *window*, which has no opening left."""
    match window:
        case AbsoluteWindow():
            return why_closed(window.rehearsed(window.opens))
        case RecurringWindow():
            return "the window does not open any more"


def why_closed(span: Span) -> str:
    """Why no cutover starts after *span*, in which one could."""
    if span.last_start == span.closes:
        return f"the window closed at {in_words(span.closes)}"
    reserve = format_duration(span.closes - span.last_start)
    return (
        f"the window closes at {in_words(span.closes)}, and no cutover starts in its last {reserve}: the last moment for one "
        f"was {in_words(span.last_start)}"
    )


def doubts_about(window: Window | None, now: float) -> Iterator[str]:
    """What of *window* is probably not meant, as sentences; *now* in Unix seconds."""
    match window:
        case AbsoluteWindow() if window.span_at_or_after(now) is None:
            ago = rough_duration(now - window.closes + window.reserve)
            yield f"{why_over(window)} ({ago} ago), so no cutover would start: give the workflow its next window"
        case RecurringWindow() if window.end <= window.start:
            for text in window.except_on:
                day = date.fromisoformat(text)
                before = DAYS[(day - timedelta(days=1)).weekday()]
                if DAYS[day.weekday()] not in window.days and before in window.days:
                    yield (
                        f"it never opens on a day such as {text} ({DAYS[day.weekday()]}), so leaving that day out changes "
                        f"nothing; the opening of the night before begins on {day - timedelta(days=1)} ({before})"
                    )


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
            data: dict[str, Any] = {"opens": window.opens, "closes": window.closes}
        case _:
            data = {"from": window.start, "to": window.end, "days": list(window.days), "timezone": window.timezone}
            if window.except_on:
                data["except"] = list(window.except_on)
    return data | ({"reserve": window.reserve} if window.reserve else {})


def window_from_json(data: dict[str, Any] | None) -> Window | None:
    """The inverse of `window_to_json`; what an older version wrote has neither reserve nor exceptions.

    Raises:
        ValueError: *data* is damaged, or this machine does not know its time zone.
    """
    if data is None:
        return None
    reserve = stored.seconds(stored.of(dict, data).get("reserve", 0.0))
    if "opens" in data:
        return AbsoluteWindow(opens=stored.moment(data["opens"]), closes=stored.moment(data["closes"]), reserve=reserve)
    window = RecurringWindow(
        start=stored.of(str, data["from"]),
        end=stored.of(str, data["to"]),
        days=stored.texts(data["days"]),
        timezone=stored.of(str, data["timezone"]),
        reserve=reserve,
        except_on=stored.texts(data.get("except", ())),
    )
    for clock in (window.start, window.end):
        if time.fromisoformat(clock).tzinfo is not None:
            raise ValueError(f"{stored.shown(clock)} is no time of day")
    for day in window.except_on:
        date.fromisoformat(day)
    if not set(window.days) <= set(DAYS):
        raise ValueError("its days are none of the week")
    try:
        ZoneInfo(window.timezone)
    except (KeyError, OSError) as error:  # the latter of a name that is a directory's
        raise ValueError(
            f"the time zone {stored.shown(window.timezone)} is not known here ({type(error).__name__})"
        ) from None
    return window
