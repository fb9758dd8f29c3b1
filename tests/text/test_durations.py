from __future__ import annotations

import re
from contextlib import suppress
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.text.durations import LONGEST_DAYS, format_duration, parse_duration, rough_duration

ROUGH = [
    (-3.0, "0s"), (0.0, "0s"), (0.04, "0s"), (0.05, "0.1s"), (0.25, "0.3s"), (1.0, "1s"), (8.14, "8.1s"), (9.94, "9.9s"),
    (9.95, "10s"), (12.5, "13s"), (59.4, "59s"), (59.5, "1m"), (61.0, "1m1s"), (245.0, "4m5s"), (3599.4, "59m59s"),
    (3599.5, "1h"), (7384.0, "2h3m"), (86_399.4, "23h59m"), (86_399.5, "1d"), (90_000.0, "1d1h"), (264_000.0, "3d1h"),
]  # fmt: skip
"""Seconds, and how people are told them; browsers tell them alike (`tests/reports/test_assets.py`)."""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("0", 0),
        ("0.5", 0.5),
        ("90s", 90),
        ("1m30s", 90),
        ("2h", 7200),
        ("1.5h", 5400),
        ("1d2h3m4s5ms", 93784.005),
        ("500ms", 0.5),
        ("5m", 300),
        ("PT90S", 90),
        ("PT1H30M", 5400),
        ("P1D", 86400),
        ("P1DT0.5S", 86400.5),
        ("010", 10),
    ],
)
def test_every_allowed_form_is_read(text: str, seconds: float) -> None:
    """Plain seconds, units from large to small, and ISO 8601 all mean seconds."""
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "-1",
        "1 h",
        "s",
        "1x",
        "30s1m",
        "1m1m",
        "P",
        "PT",
        "P1DT",
        "PT1",
        "1e3",
        "nan",
        "inf",
        "٣s",
        "1_0",
        "1:30",
    ],
)
def test_anything_else_is_refused_with_what_is_allowed(text: str) -> None:
    """A wrong duration is answered by examples of right ones."""
    with pytest.raises(ValueError, match="expected a duration such as 90s, 1m30s, 2h or PT90S"):
        parse_duration(text)


@pytest.mark.parametrize("text", [f"{LONGEST_DAYS + 1}d", "9" * 400 + "h"])
def test_endless_durations_are_refused(text: str) -> None:
    """Nothing waits for more than ten years, and no number is too long to be told so."""
    with pytest.raises(ValueError, match="at most 3650d"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (90, "1m30s"),
        (7200, "2h"),
        (0.5, "0.5s"),
        (0, "0s"),
        (0.0004, "0s"),
        (59.9996, "1m"),
        (90000, "1d1h"),
        (1.25, "1.25s"),
        (-90, "-1m30s"),
    ],
)
def test_durations_are_shown_short(seconds: float, text: str) -> None:
    """Only the units that count are shown, rounded to the millisecond."""
    assert format_duration(seconds) == text


@given(st.integers(min_value=0, max_value=LONGEST_DAYS * 86_400_000))
def test_what_is_shown_reads_back(milliseconds: int) -> None:
    """Every duration survives being written and read, to the millisecond."""
    assert round(parse_duration(format_duration(milliseconds / 1000)) * 1000) == milliseconds


FINITE = st.floats(allow_nan=False, allow_infinity=False)
UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}


def meant(text: str) -> Fraction:
    """The seconds that *text* says, exactly and however many they are, which `parse_duration` refuses."""
    assert re.fullmatch(r"-?(?:\d+d)?(?:\d+h)?(?:\d+m)?(?:\d+(?:\.\d{1,3})?s)?", text)
    seconds = sum(Fraction(count) * UNITS[unit] for count, unit in re.findall(r"([\d.]+)([dhms])", text))
    return -Fraction(seconds) if text.startswith("-") else Fraction(seconds)


@given(FINITE)
@example(1e306)
@example(-1e306)
@example(1.7976931348623157e308)
def test_any_finite_number_of_seconds_is_shown(seconds: float) -> None:
    """To the millisecond, and where a float knows no milliseconds any more to the second: none is too large to be told."""
    assert abs(meant(format_duration(seconds)) - Fraction(seconds)) <= (
        1 if abs(seconds) >= 2**43 else Fraction(1, 1000)
    )


@given(FINITE)
@example(1e306)
@example(-1e308)
def test_any_finite_number_is_told_as_a_measured_time(seconds: float) -> None:
    """Within an hour, or nothing where it is less than that."""
    told = meant(rough_duration(seconds))
    assert abs(told - max(Fraction(0), Fraction(seconds))) <= 3600


@given(st.text())
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    """No text makes the parser fail in any other way."""
    seconds = 0.0
    with suppress(ValueError):
        seconds = parse_duration(text)
    assert 0 <= seconds <= LONGEST_DAYS * 86_400


@pytest.mark.parametrize(("seconds", "text"), ROUGH)
def test_measured_times_are_told_in_two_units_at_most(seconds: float, text: str) -> None:
    """Tenths below ten seconds, whole seconds below an hour."""
    assert rough_duration(seconds) == text


@given(st.floats(0, 86_400 * 1000))
def test_a_measured_time_is_not_told_wrong(seconds: float) -> None:
    """What is left out is less than the smallest unit that is shown, and the text is a duration that a workflow may hold."""
    told = parse_duration(rough_duration(seconds))
    unit = 0.1 if seconds < 9.9 else 1 if seconds < 3599 else 60 if seconds < 86_399 else 3600
    assert abs(told - seconds) <= unit
