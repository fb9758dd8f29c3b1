from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.text.durations import LONGEST_DAYS, format_duration, parse_duration


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


@given(st.text())
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    """No text makes the parser fail in any other way."""
    seconds = 0.0
    with suppress(ValueError):
        seconds = parse_duration(text)
    assert 0 <= seconds <= LONGEST_DAYS * 86_400
