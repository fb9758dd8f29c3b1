from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from orchestrator.core.window import (
    DAYS,
    AbsoluteWindow,
    RecurringWindow,
    Span,
    Window,
    doubts_about,
    why_over,
    window_from_json,
    window_in_words,
    window_to_json,
)

from ..strength import examples

BERLIN = "Europe/Berlin"


def instant(text: str) -> float:
    """Unix seconds of an ISO time with offset."""
    return datetime.fromisoformat(text).timestamp()


def span(window: RecurringWindow, at: str) -> tuple[str, str] | None:
    """The opening at or after *at*, in UTC."""
    found = window.span_at_or_after(instant(at))
    if found is None:
        return None
    opens, closes = (datetime.fromtimestamp(edge, UTC).strftime("%m-%d %H:%M") for edge in (found.opens, found.closes))
    return opens, closes


def recurring(start: str, end: str, *days: str, zone: str = BERLIN) -> RecurringWindow:
    """On *days*; without any, on all."""
    return RecurringWindow(start=start, end=end, days=days or DAYS, timezone=zone)


@pytest.mark.parametrize(("now", "inside"), [(0.0, True), (100.0, True), (199.9, True), (200.0, False), (300.0, False)])
def test_an_absolute_window_is_gone_once_it_has_closed(now: float, inside: bool) -> None:
    """Its closing moment is outside."""
    found = AbsoluteWindow(opens=100.0, closes=200.0).span_at_or_after(now)
    assert (found is not None) is inside
    assert found is None or (found.opens, found.closes) == (100.0, 200.0)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-11-27T12:00+01:00", ("11-28 00:00", "11-28 03:00")),  # Friday: Saturday's
        ("2026-11-28T01:00+01:00", ("11-28 00:00", "11-28 03:00")),  # the opening moment is inside
        ("2026-11-28T03:59+01:00", ("11-28 00:00", "11-28 03:00")),
        ("2026-11-28T04:00+01:00", ("11-29 00:00", "11-29 03:00")),  # the closing moment is not: Sunday's
        ("2026-11-29T04:00+01:00", ("12-05 00:00", "12-05 03:00")),  # the next weekend's
    ],
)
def test_a_recurring_window_opens_on_its_days(at: str, expected: tuple[str, str]) -> None:
    """In wall-clock time of its zone."""
    assert span(recurring("01:00", "04:00", "sat", "sun"), at) == expected


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-11-28T12:00+01:00", ("11-28 21:00", "11-29 05:00")),
        ("2026-11-29T02:00+01:00", ("11-28 21:00", "11-29 05:00")),  # Sunday night belongs to Saturday's opening
        ("2026-11-29T22:30+01:00", ("12-05 21:00", "12-06 05:00")),  # Sunday evening does not open
    ],
)
def test_a_window_across_midnight_belongs_to_the_day_it_opens_on(at: str, expected: tuple[str, str]) -> None:
    """An end before the start lies on the next day."""
    assert span(recurring("22:00", "06:00", "sat"), at) == expected


def test_equal_times_mean_a_whole_day() -> None:
    """From two o'clock to two o'clock."""
    assert span(recurring("02:00", "02:00", "mon"), "2026-11-24T01:59+01:00") == ("11-23 01:00", "11-24 01:00")
    assert span(recurring("02:00", "02:00", "mon"), "2026-11-24T02:00+01:00") == ("11-30 01:00", "12-01 01:00")


@pytest.mark.parametrize("at", ["2026-11-28T12:00+01:00", "2026-11-29T00:00+01:00", "2026-11-29T12:00+01:00"])
def test_openings_that_touch_are_one(at: str) -> None:
    """A weekend from midnight to midnight does not close in its middle; neither do three days."""
    assert span(recurring("00:00", "00:00", "sat", "sun"), at) == ("11-27 23:00", "11-29 23:00")
    assert span(recurring("00:00", "00:00", "fri", "sat", "sun"), at) == ("11-26 23:00", "11-29 23:00")


def test_a_window_that_is_open_every_day_closes_far_ahead() -> None:
    """Whoever asks again then hears that it goes on."""
    window = recurring("00:00", "00:00")
    now = instant("2026-11-28T12:00+01:00")
    found = window.span_at_or_after(now)
    assert found is not None
    assert found.holds(now)
    assert found.closes > now + 14 * 86_400
    following = window.span_at_or_after(found.closes)
    assert following is not None
    assert following.opens <= found.closes


@pytest.mark.parametrize(("now", "open_"), [(99.9, False), (100.0, True), (199.9, True), (200.0, False)])
def test_a_span_holds_its_opening_and_not_its_closing_moment(now: float, open_: bool) -> None:
    """`opens <= now < last_start`."""
    assert Span(opens=100.0, closes=200.0, last_start=200.0).holds(now) is open_


def test_a_window_without_days_never_opens() -> None:
    """The loader refuses it; the reckoning ends all the same."""
    assert RecurringWindow(start="01:00", end="02:00", days=(), timezone=BERLIN).span_at_or_after(0.0) is None


@pytest.mark.parametrize(
    ("window", "at", "expected"),
    [
        # Berlin, 2026-03-29: 02:00 becomes 03:00 at 01:00 UTC.
        (recurring("01:00", "04:00"), "2026-03-29T00:30+01:00", ("03-29 00:00", "03-29 02:00")),
        (recurring("02:30", "04:00"), "2026-03-29T00:30+01:00", ("03-29 01:00", "03-29 02:00")),
        (recurring("01:00", "02:30"), "2026-03-29T00:30+01:00", ("03-29 00:00", "03-29 01:00")),
        (recurring("22:00", "02:30"), "2026-03-28T22:30+01:00", ("03-28 21:00", "03-29 01:00")),
        # Berlin, 2026-10-25: 03:00 becomes 02:00 at 01:00 UTC.
        (recurring("01:00", "04:00"), "2026-10-25T00:30+02:00", ("10-24 23:00", "10-25 03:00")),
        (recurring("02:30", "04:00"), "2026-10-25T00:30+02:00", ("10-25 00:30", "10-25 03:00")),
        (recurring("01:00", "02:30"), "2026-10-25T00:30+02:00", ("10-24 23:00", "10-25 01:30")),
        (recurring("02:00", "02:30"), "2026-10-25T02:15+01:00", ("10-25 00:00", "10-25 01:30")),
        # New York, 2026-03-08 and 2026-11-01: at 07:00 and 06:00 UTC.
        (
            recurring("01:00", "04:00", zone="America/New_York"),
            "2026-03-08T00:30-05:00",
            ("03-08 06:00", "03-08 08:00"),
        ),
        (
            recurring("02:30", "04:00", zone="America/New_York"),
            "2026-03-08T00:30-05:00",
            ("03-08 07:00", "03-08 08:00"),
        ),
        (
            recurring("00:00", "01:30", zone="America/New_York"),
            "2026-11-01T00:10-04:00",
            ("11-01 04:00", "11-01 06:30"),
        ),
        # Lord Howe, 2026-10-04: 02:00 becomes 02:30 at 15:30 UTC of the day before; 2026-04-05: 02:00 becomes 01:30.
        (
            recurring("02:10", "03:00", zone="Australia/Lord_Howe"),
            "2026-10-04T01:00+10:30",
            ("10-03 15:30", "10-03 16:00"),
        ),
        (
            recurring("01:00", "01:45", zone="Australia/Lord_Howe"),
            "2026-04-05T00:30+11:00",
            ("04-04 14:00", "04-04 15:15"),
        ),
    ],
)
def test_daylight_saving_changes_are_reckoned_with(window: RecurringWindow, at: str, expected: tuple[str, str]) -> None:
    """A skipped time means the end of the gap; one that occurs twice opens at its first and closes at its second."""
    assert span(window, at) == expected


def test_an_opening_that_the_clock_skips_altogether_waits_for_the_next() -> None:
    """A week later, also when it is asked for from days before."""
    window = recurring("02:15", "02:45", "sun")
    expected = ("04-05 00:15", "04-05 00:45")
    assert span(window, "2026-03-29T00:00+01:00") == expected
    assert span(window, "2026-03-22T12:00+01:00") == expected
    assert span(window, "2026-03-23T12:00+01:00") == expected


clock = st.times().map(lambda time: f"{time:%H:%M}")
windows = st.builds(
    RecurringWindow,
    start=clock,
    end=clock,
    days=st.sets(st.sampled_from(DAYS), min_size=1).map(lambda days: tuple(d for d in DAYS if d in days)),
    timezone=st.sampled_from(
        [
            BERLIN,
            "America/New_York",
            "America/St_Johns",
            "Africa/Casablanca",
            "Asia/Kathmandu",
            "Australia/Lord_Howe",
            "Pacific/Auckland",
            "Pacific/Kiritimati",
            "UTC",
        ]
    ),
)
moments = st.floats(instant("2026-01-01T00:00+00:00"), instant("2028-01-01T00:00+00:00"))


@settings(max_examples=examples(200), deadline=None)
@given(window=windows, now=moments)
def test_the_next_opening_always_lies_ahead(window: RecurringWindow, now: float) -> None:
    """It closes after now, opens before it closes, on one of its days, and its own opening moment leads back to it."""
    found = window.span_at_or_after(now)
    assert found is not None
    assert now < found.closes
    assert found.opens < found.closes
    assert DAYS[datetime.fromtimestamp(found.opens, ZoneInfo(window.timezone)).weekday()] in window.days
    if window.start != window.end or len(window.days) < 7:
        assert window.span_at_or_after(found.opens) == found
    if window.start != window.end:
        assert found.closes <= found.opens + timedelta(hours=25).total_seconds()
    following = window.span_at_or_after(found.closes)
    assert following is not None
    assert following.opens > found.opens
    assert following.closes > found.closes


@settings(max_examples=examples(200), deadline=None)
@given(window=windows, now=moments, later=st.floats(0.0, 20 * 86_400.0))
def test_openings_follow_each_other(window: RecurringWindow, now: float, later: float) -> None:
    """Who asks later never hears of an earlier opening."""
    first, second = window.span_at_or_after(now), window.span_at_or_after(now + later)
    assert first is not None
    assert second is not None
    assert second.opens >= first.opens


@settings(max_examples=examples(100), deadline=None)
@given(window=windows, now=moments)
def test_an_opening_lasts_as_long_as_the_clock_on_the_wall_says(window: RecurringWindow, now: float) -> None:
    """Away from daylight-saving changes."""
    assume(window.start != window.end)  # openings that touch are one
    zone = ZoneInfo(window.timezone)
    found = window.span_at_or_after(now)
    assert found is not None
    opens, closes = (datetime.fromtimestamp(edge, zone) for edge in (found.opens, found.closes))
    assume(opens.utcoffset() == closes.utcoffset())
    assume((closes + timedelta(hours=3)).utcoffset() == (opens - timedelta(hours=3)).utcoffset())
    assert (f"{opens:%H:%M}", f"{closes:%H:%M}") == (window.start, window.end)


@pytest.mark.parametrize(
    "window",
    [
        None,
        AbsoluteWindow(opens=1.5, closes=2.5),
        AbsoluteWindow(opens=1.5, closes=9.5, reserve=3.0),
        recurring("22:00", "06:00", "sat", "sun"),
        replace(recurring("22:00", "06:00"), reserve=1800.0, except_on=("2026-12-24", "2026-12-31")),
    ],
)
def test_windows_keep_their_json_form(window: Window | None) -> None:
    """As the journal stores them."""
    assert window_from_json(json.loads(json.dumps(window_to_json(window)))) == window


@pytest.mark.parametrize(
    "data",
    [
        {"opens": 1.0, "closes": 2.0},
        {"from": "22:00", "to": "06:00", "days": ["sat"], "timezone": BERLIN},
    ],
)
def test_what_an_older_version_wrote_has_no_reserve_and_no_exceptions(data: dict[str, object]) -> None:
    """Its journals are still read, and a window without them is stored as it was."""
    window = window_from_json(data)
    assert window is not None
    assert window.reserve == 0.0
    assert window_to_json(window) == data


# -- reserve -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("now", "open_"), [(100.0, True), (169.9, True), (170.0, False), (199.0, False)])
def test_no_cutover_starts_in_the_reserve(now: float, open_: bool) -> None:
    """Its last seconds before it closes; after that there is no opening left."""
    found = AbsoluteWindow(opens=100.0, closes=200.0, reserve=30.0).span_at_or_after(now)
    assert (found is not None and found.holds(now)) is open_
    assert found is None or (found.closes, found.last_start) == (200.0, 170.0)


def test_in_its_reserve_a_recurring_window_waits_for_its_next_opening() -> None:
    """As after its close."""
    window = replace(recurring("01:00", "04:00", "sat", "sun"), reserve=1800.0)
    assert span(window, "2026-11-28T03:29+01:00") == ("11-28 00:00", "11-28 03:00")
    assert span(window, "2026-11-28T03:30+01:00") == ("11-29 00:00", "11-29 03:00")


def test_openings_that_touch_have_one_reserve() -> None:
    """Cutovers start over midnight between them."""
    window = replace(recurring("00:00", "00:00", "sat", "sun"), reserve=3600.0)
    assert span(window, "2026-11-28T23:30+01:00") == ("11-27 23:00", "11-29 23:00")
    assert span(window, "2026-11-29T23:30+01:00") == ("12-04 23:00", "12-06 23:00")


def test_a_window_that_never_closes_has_no_last_moment() -> None:
    """Whoever asks at what was said to be the last moment hears that it goes on."""
    window = replace(recurring("00:00", "00:00"), reserve=3600.0)
    found = window.span_at_or_after(instant("2026-11-28T12:00+01:00"))
    assert found is not None
    following = window.span_at_or_after(found.last_start)
    assert following is not None
    assert following.opens <= found.closes
    assert following.holds(found.last_start)


def test_an_opening_that_is_no_longer_than_its_reserve_is_none() -> None:
    """The clock is put forward in it."""
    window = replace(recurring("01:30", "03:30", "sun"), reserve=3600.0)
    assert span(window, "2026-03-28T12:00+01:00") == ("04-04 23:30", "04-05 01:30")


# -- days on which it does not open --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-12-18T12:00+01:00", ("12-19 00:00", "12-19 03:00")),
        ("2026-12-19T12:00+01:00", ("12-20 00:00", "12-20 03:00")),
        ("2026-12-20T12:00+01:00", ("12-27 00:00", "12-27 03:00")),  # not on the 26th
        ("2026-12-26T02:00+01:00", ("12-27 00:00", "12-27 03:00")),
    ],
)
def test_it_does_not_open_on_its_exceptions(at: str, expected: tuple[str, str]) -> None:
    """The other days are as they were."""
    assert span(replace(recurring("01:00", "04:00", "sat", "sun"), except_on=("2026-12-26",)), at) == expected


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-12-26T23:00+01:00", ("12-27 21:00", "12-28 05:00")),  # the night of the 26th is left out, whole
        ("2026-12-27T02:00+01:00", ("12-27 21:00", "12-28 05:00")),
        ("2026-12-25T23:00+01:00", ("12-25 21:00", "12-26 05:00")),  # the night before reaches into the 26th
        ("2026-12-26T05:00+01:00", ("12-25 21:00", "12-26 05:00")),
    ],
)
def test_an_opening_across_midnight_is_left_out_with_the_day_it_opens_on(at: str, expected: tuple[str, str]) -> None:
    """What began the day before goes on."""
    assert span(replace(recurring("22:00", "06:00"), except_on=("2026-12-26",)), at) == expected


def test_exceptions_are_days_of_the_windows_own_zone() -> None:
    """In Kiritimati the 26th begins fourteen hours before it does in UTC."""
    window = replace(recurring("01:00", "04:00", zone="Pacific/Kiritimati"), except_on=("2026-12-26",))
    assert span(window, "2026-12-25T11:30+00:00") == ("12-26 11:00", "12-26 14:00")


def test_months_of_exceptions_are_waited_out() -> None:
    """A freeze from December to March is no window that has closed."""
    first = date(2026, 12, 1)
    freeze = tuple((first + timedelta(days=day)).isoformat() for day in range(120))
    window = replace(recurring("01:00", "04:00", "sat"), except_on=freeze)
    assert span(window, "2026-12-01T12:00+01:00") == ("04-02 23:00", "04-03 02:00")


def test_an_exception_ends_what_is_open_all_the_time() -> None:
    """It closes when that day begins, and opens when it is over."""
    window = replace(recurring("00:00", "00:00"), except_on=("2026-12-24",))
    found = window.span_at_or_after(instant("2026-12-20T12:00+01:00"))
    assert found is not None
    assert found.closes == instant("2026-12-24T00:00+01:00")
    following = window.span_at_or_after(found.closes)
    assert following is not None
    assert following.opens == instant("2026-12-25T00:00+01:00")


dates = st.dates(date(2026, 1, 1), date(2028, 2, 1)).map(date.isoformat)
limited = st.builds(
    lambda window, reserve, days: replace(window, reserve=reserve, except_on=tuple(sorted(days))),
    windows,
    st.sampled_from([0.0, 1.0, 1800.0, 5400.0]),
    st.sets(dates, max_size=60),
)


@settings(max_examples=examples(300), deadline=None)
@given(window=limited, now=moments)
def test_reserve_and_exceptions_only_take_away(window: RecurringWindow, now: float) -> None:
    """Whenever a cutover may start, it might without them; on no day that is left out, and not in the reserve."""
    found = window.span_at_or_after(now)
    plain = replace(window, reserve=0.0, except_on=())
    if found is None:
        assert window.reserve > 0  # every opening is shorter than that
        return
    assert now < found.last_start == found.closes - window.reserve
    day = datetime.fromtimestamp(found.opens, ZoneInfo(window.timezone)).date()
    assert day.isoformat() not in window.except_on
    assert DAYS[day.weekday()] in window.days
    for moment in (found.opens, found.last_start - 0.5):
        if found.holds(moment):
            without = plain.span_at_or_after(moment)
            assert without is not None
            assert without.holds(moment)


@settings(max_examples=examples(300), deadline=None)
@given(window=limited, now=moments)
def test_nothing_else_is_taken_away(window: RecurringWindow, now: float) -> None:
    """Where it would be open without exceptions, on a day that is none, it is open until its reserve."""
    plain = replace(window, reserve=0.0, except_on=()).span_at_or_after(now)
    assert plain is not None
    assume(window.start != window.end)  # openings that touch are one, of more days than one
    opens_on = datetime.fromtimestamp(plain.opens, ZoneInfo(window.timezone)).date().isoformat()
    assume(opens_on not in window.except_on and now < plain.closes - window.reserve)
    assume(plain.opens < plain.closes - window.reserve)
    found = window.span_at_or_after(now)
    assert found is not None
    assert (found.opens, found.closes) == (plain.opens, plain.closes)


# -- what is said --------------------------------------------------------------------------------------------------------


def test_a_window_says_its_reserve_and_its_exceptions() -> None:
    """And why nothing starts any more."""
    window = AbsoluteWindow(
        opens=instant("2026-11-28T01:00+01:00"), closes=instant("2026-11-28T04:00+01:00"), reserve=1800.0
    )
    assert window_in_words(window) == ("2026-11-28 00:00:00 to 03:00:00 UTC, no cutover starts in its last 30m")
    assert why_over(window) == (
        "the window closes at 2026-11-28 03:00:00 UTC, and no cutover starts in its last 30m: the last moment for one was "
        "2026-11-28 02:30:00 UTC"
    )
    again = replace(recurring("22:00", "06:00", "sat"), except_on=("2026-12-26",), reserve=90.0)
    assert window_in_words(again) == (
        "sat 22:00 to 06:00 Europe/Berlin, not on 2026-12-26, no cutover starts in its last 1m30s"
    )


def test_a_window_that_has_closed_is_doubtful() -> None:
    """`check` says how long ago that was."""
    window = AbsoluteWindow(opens=100.0, closes=200.0)
    (doubt,) = doubts_about(window, 200.0 + 3 * 86_400)
    assert doubt.startswith("the window closed at 1970-01-01 00:03:20 UTC (3d ago), so no cutover would start")
    assert list(doubts_about(window, 150.0)) == list(doubts_about(None, 0.0)) == []


def test_an_exception_on_the_morning_after_is_doubtful() -> None:
    """Who writes the day on which a night ends leaves nothing out."""
    window = replace(recurring("22:00", "06:00", "sat"), except_on=("2026-12-24", "2026-12-26", "2026-12-27"))
    (doubt,) = doubts_about(window, 0.0)
    assert "2026-12-27 (sun)" in doubt
    assert "begins on 2026-12-26 (sat)" in doubt
    assert list(doubts_about(replace(window, end="23:00"), 0.0)) == []
