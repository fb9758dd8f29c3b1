"""What a forecast says to a person, in sentences. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ..text.counts import names_listed, plural
from ..text.durations import rough_duration
from ..text.instants import in_words
from .forecast import Forecast, Spread, WaveForecast
from .history import FEW, History


def no_history(state_dir: str) -> str:
    """Why there is no forecast where the journal in *state_dir* knows of no cutover, and how to come by one."""
    return (
        f"no forecast: the journal in {state_dir} knows of no real cutover that has succeeded. Cut over a small wave first (`run --only WAVE`), "
        "then plan again: the forecast is made from what that took"
    )


def in_sentences(forecast: Forecast, *, rehearsal: bool = False) -> Iterator[str]:
    """What *forecast* is made from, when the night ends, whether it fits its window and where it stops to, and what it does not know."""
    yield f"forecast from {basis(forecast.history, rehearsal=rehearsal)}, for jobs that are ready when their turn comes"
    yield f"forecast: the last wave has ended by {between(forecast.ends)}{_until_approved(forecast)}"
    if forecast.span is not None:
        yield f"forecast: {_fit(forecast)}"
    yield from _doubts(forecast)


def basis(history: History, *, rehearsal: bool = False) -> str:
    """From how many cutovers, of how many runs; fewer than `FEW` are called few."""
    earlier = [plural(history.runs, "earlier rehearsal" if rehearsal else "earlier run")] if history.runs else []
    runs = " and ".join((*earlier, *(("this one" if earlier else "this run",) if history.own else ())))
    few = f" (fewer than {FEW} cutovers: it may be far off)" if history.count < FEW else ""
    by = f", by {history.by}" if history.by is not None and len(history.kinds) > 1 else ""
    return f"{plural(history.count, 'cutover')} of {runs}{by}{few}"


def between(spread: Spread) -> str:
    """Two instants, as p50 and p90."""
    return f"{in_words(spread.p50)} (p50), {in_words(spread.p90)} (p90)"


def _until_approved(forecast: Forecast) -> str:
    waves = forecast.approvals
    return f", plus the time until {plural(waves, 'wave is', 'waves are')} approved" if waves else ""


def _fit(forecast: Forecast) -> str:
    span, stops = forecast.span, forecast.stops_fitting
    assert span is not None
    if stops is None:
        spare = min(span.last_start - wave.last_start.p90 for wave in forecast.waves)
        spare = min(spare, *(span.closes - wave.ends.p90 for wave in forecast.waves))
        return f"the night fits its window, with {rough_duration(spare)} to spare (p90)"
    return f"the night does NOT fit its window: wave {stops.name!r} is the first that does not, {_why(forecast, stops)}"


def _why(forecast: Forecast, wave: WaveForecast) -> str:
    span = forecast.span
    assert span is not None
    if wave.last_start.p90 >= span.last_start:
        half = " and even by the p50" if wave.last_start.p50 >= span.last_start else ""
        return f"as its last cutover would start at {in_words(wave.last_start.p90)} (p90), and none may start from {in_words(span.last_start)} on{half}"
    return f"as its last cutover would end at {in_words(wave.ends.p90)} (p90), and the window closes at {in_words(span.closes)}"


def _doubts(forecast: Forecast) -> Iterator[str]:
    history = forecast.history
    if history.unreadable:
        yield f"forecast: {plural(history.unreadable, 'earlier run is', 'earlier runs are')} left out, whose events cannot be read"
    few = [f"{took.kind} ({took.count})" for took in history.kinds if took.count < FEW]
    if few and history.count >= FEW:
        yield f"forecast: there are fewer than {FEW} cutovers with {history.by} {names_listed(few)}"
    if forecast.unseen:
        yield f"forecast: there is no cutover with {history.by} {names_listed(forecast.unseen)}: reckoned like all the others"
