"""How the window of a workflow file is written: open once, or on days of the week."""

from __future__ import annotations

from datetime import date, datetime
from functools import cache
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import Discriminator, Field, Tag, model_validator

from ..core.window import DAYS
from ..text.durations import format_duration
from ..text.likeness import closest
from .fields import Text, TextModel, Whole, duration, one_of, union_tag
from .scalars import shorten

_FIRST_YEAR, _LAST_YEAR = 2000, 2999  # beyond them no clock can be reckoned with in every time zone

# Of one machine, or of another time scale.
_NO_ZONES = frozenset({"Factory", "localtime", "posix", "posixrules", "right"})
_MISLEADING_ZONES = {
    "EST": ("5h behind UTC", "America/New_York"),
    "MST": ("7h behind UTC", "America/Denver or America/Phoenix"),
    "HST": ("10h behind UTC", "Pacific/Honolulu"),
}


def _parse_moment(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("expected a time with its offset such as 2026-11-28T01:00:00+01:00") from None
    if moment.utcoffset() is None:
        raise ValueError("expected a time with its offset such as 2026-11-28T01:00:00+01:00 (the offset is missing)")
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ValueError(f"expected a time in the years {_FIRST_YEAR} to {_LAST_YEAR}")
    return moment.timestamp()


def _parse_clock(text: str) -> str:
    hours, colon, minutes = text.partition(":")
    digits = len(text) == 5 and text.isascii() and hours.isdigit() and minutes.isdigit()
    if not (colon and digits and int(hours) < 24 and int(minutes) < 60):
        raise ValueError('expected a time of day from "00:00" to "23:59"')
    return text


@cache
def _zones() -> frozenset[str]:
    """The places whose time zones are known here; finding them is a walk over hundreds of files."""
    return frozenset(zone for zone in available_timezones() if zone.partition("/")[0] not in _NO_ZONES)


def _parse_timezone(text: str) -> str:
    try:
        ZoneInfo(text)
        known = text in _zones()
    except (ZoneInfoNotFoundError, ValueError, OSError):
        known = False
    if not known:
        odd = _MISLEADING_ZONES.keys() | {"Etc"}
        places = (zone for zone in _zones() if zone.partition("/")[0] not in odd)
        example = closest(text, places) or "Europe/Berlin"
        raise ValueError(f"expected a time zone such as {example}")
    if (meant := _MISLEADING_ZONES.get(text)) is not None:
        raise ValueError(
            f"{text} is {meant[0]} all year round, without daylight saving time; expected a place such as {meant[1]}"
        )
    if text.startswith("Etc/GMT") and text[7:].strip("+-0"):
        hours = text[8:]
        side, other = ("behind", "ahead of") if text[7] == "+" else ("ahead of", "behind")
        raise ValueError(
            f"{text} is {hours}h {side} UTC, not {other} it (its sign is turned round); expected a place such as Europe/Berlin"
        )
    return text


def _parse_days(value: Any) -> tuple[str, ...]:
    """A list of days of the week, each once."""
    if not isinstance(value, list) or not value:
        raise ValueError(f"expected a list of days of {', '.join(DAYS)}")
    words = [item.lower() if isinstance(item, str) else "" for item in value]
    for word, item in zip(words, value, strict=True):
        if word not in DAYS:
            raise ValueError(f"{shorten(item)} is not a day; allowed: {', '.join(DAYS)}")
        if words.count(word) > 1:
            raise ValueError(f"{word!r} is given twice")
    return tuple(day for day in DAYS if day in words)


def _parse_dates(value: Any) -> tuple[str, ...]:
    """A list of days of the calendar, each once."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise ValueError("expected a list of days such as [2026-12-24, 2026-12-31]")  # noqa: TRY004 - as pydantic wants
    for item in value:
        if not isinstance(item, str) or not _is_date(item):
            raise ValueError(f"{shorten(item)} is not a day; expected such as 2026-12-24")
        if not _FIRST_YEAR <= int(item[:4]) <= _LAST_YEAR:
            raise ValueError(f"{item!r} is too far away; expected a day in the years {_FIRST_YEAR} to {_LAST_YEAR}")
        if value.count(item) > 1:
            raise ValueError(f"{item!r} is given twice")
    return tuple(sorted(value))


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


_SecondsOrNone = Annotated[float, duration(zero=True)]
_Moment = Annotated[float, Text(_parse_moment, {"type": "string", "format": "date-time"}, "expected a time")]
_Clock = Annotated[
    str, Text(_parse_clock, {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"}, "expected a time of day")
]
_Zone = Annotated[str, Text(_parse_timezone, {"type": "string"}, "expected a time zone such as Europe/Berlin or UTC")]
_DayList = Annotated[
    tuple[str, ...],
    Whole(
        _parse_days,
        {
            "type": "array",
            "minItems": 1,
            "items": one_of(*DAYS),
        },
    ),
]
_DateList = Annotated[
    tuple[str, ...],
    Whole(
        _parse_dates, {"anyOf": [{"type": "null"}, {"type": "array", "items": {"type": "string", "format": "date"}}]}
    ),
]


_RESERVE = "No cutover starts in the last so many minutes before it closes. Default 0s."


class AbsoluteWindowSpec(TextModel):
    """Open once."""

    opens: _Moment = Field(description="With its offset: 2026-11-28T01:00:00+01:00")
    closes: _Moment = Field(description="With its offset: 2026-11-28T04:00:00+01:00")
    reserve: _SecondsOrNone | None = Field(None, description=_RESERVE)

    @model_validator(mode="after")
    def _opens_first(self) -> Self:
        if self.opens >= self.closes:
            raise ValueError("it has to open before it closes")
        _check_reserve(self.reserve, self.closes - self.opens)
        return self


class RecurringWindowSpec(TextModel):
    """Open on days of the week."""

    start: _Clock = Field(alias="from", description='Wall-clock time such as "01:00".')
    end: _Clock = Field(alias="to", description="Not after `from`: on the next day.")
    days: _DayList = Field(description="The days it opens on: mon tue wed thu fri sat sun.")
    timezone: _Zone = Field(description="Such as Europe/Berlin.")
    reserve: _SecondsOrNone | None = Field(None, description=_RESERVE)
    except_on: _DateList = Field((), alias="except", description="Days on which it does not open, such as 2026-12-24.")

    @model_validator(mode="after")
    def _leaves_time(self) -> Self:
        opens, closes = (int(text[:2]) * 3600 + int(text[3:]) * 60 for text in (self.start, self.end))
        _check_reserve(self.reserve, float((closes - opens) % 86_400 or 86_400))
        return self


def _check_reserve(reserve: float | None, length: float) -> None:
    if reserve and reserve >= length:
        raise ValueError(
            f"its reserve of {format_duration(reserve)} has to be shorter than the window, which is open for "
            f"{format_duration(length)}"
        )


ABSOLUTE, RECURRING = union_tag("absolute"), union_tag("recurring")


def _kind_of_window(value: Any) -> str:
    recurring = isinstance(value, dict) and not {"opens", "closes"} & set(value) and value
    return RECURRING if recurring else ABSOLUTE


WindowSpec = Annotated[
    Annotated[AbsoluteWindowSpec, Tag(ABSOLUTE)] | Annotated[RecurringWindowSpec, Tag(RECURRING)],
    Discriminator(_kind_of_window),
]
