"""A forecast as facts for reports and other programs, beside what became of it."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.forecast import Forecast, WaveForecast
from ..core.forecast_words import in_sentences
from ..core.history import FEW, History, Took, nearest_rank
from ..core.outlook import past_cutovers
from ..core.run import RunState
from ..text.instants import iso

WITHIN_P50, WITHIN_P90, LONGER = "within p50", "within p90", "longer than p90"
"""How long a wave took, held against its forecast."""

TO_A_SECOND = 1.0
"""No end is known more exactly: it is seen when the job is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimesReport:
    """What so many *cutovers* took, in seconds."""

    cutovers: int
    cutover_p50: float | None
    cutover_p90: float | None
    downtime_p50: float | None
    downtime_p90: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KindReport:
    """What migrations of one *kind* (None: all of them) were *expected* to take, and what they took (None: nothing is known)."""

    kind: str | None
    expected: TimesReport | None
    actual: TimesReport | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveForecastReport:
    """When one wave was reckoned to start and to end, how long to take, and what became of that (None: it has not ended).

    *approvals*: how many waves up to this one wait for a person; the times do not have that in them. *seconds*: from its start to its end
    (None, too, where it went on in another session), and *verdict* holds them against the forecast's.
    """

    name: str
    migrations: int
    approvals: int
    starts_p50: str
    starts_p90: str
    last_start_p90: str
    ends_p50: str
    ends_p90: str
    seconds_p50: float
    seconds_p90: float
    fits: bool | None
    ended_at: str | None
    seconds: float | None
    verdict: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastReport:
    """A whole forecast. *few*: it is made of fewer than 10 cutovers. *by*: the variable that tells kinds apart. *sentences*: all of it in words."""

    made_at: str
    begins: str
    cutovers: int
    runs: int
    few: bool
    by: str | None
    approvals: int
    ends_p50: str
    ends_p90: str
    fits: bool | None
    stops_fitting: str | None
    kinds: tuple[KindReport, ...]
    waves: tuple[WaveForecastReport, ...]
    sentences: tuple[str, ...]


def report_forecast(
    forecast: Forecast | None, run: RunState | None = None, *, rehearsal: bool = False
) -> ForecastReport | None:
    """*forecast* with what became of it in *run* (None: that is still to come)."""
    if forecast is None:
        return None
    history = forecast.history
    tonight = History(by=history.by)
    if run is not None:
        tonight = tonight.with_more(past_cutovers(run, history.by))
    kinds = dict.fromkeys((None, *(took.kind for took in (*history.kinds, *tonight.kinds))))
    expected, actual = ({None: every.every, **every.by_kind()} for every in (history, tonight))
    stops = forecast.stops_fitting
    return ForecastReport(
        made_at=iso(forecast.made_at),
        begins=iso(forecast.begins),
        cutovers=history.count,
        runs=history.runs,
        few=history.count < FEW,
        by=history.by,
        approvals=forecast.approvals,
        ends_p50=iso(forecast.ends.p50),
        ends_p90=iso(forecast.ends.p90),
        fits=forecast.fits,
        stops_fitting=None if stops is None else stops.name,
        kinds=tuple(
            KindReport(kind=kind, expected=_times(expected.get(kind)), actual=_times(actual.get(kind)))
            for kind in kinds
        ),
        waves=tuple(_wave(wave, run) for wave in forecast.waves),
        sentences=tuple(in_sentences(forecast, rehearsal=rehearsal)),
    )


def _times(took: Took | None) -> TimesReport | None:
    if took is None:
        return None
    return TimesReport(
        cutovers=took.count,
        cutover_p50=nearest_rank(took.cutovers, 0.5),
        cutover_p90=nearest_rank(took.cutovers, 0.9),
        downtime_p50=nearest_rank(took.downtimes, 0.5),
        downtime_p90=nearest_rank(took.downtimes, 0.9),
    )


def _wave(wave: WaveForecast, run: RunState | None) -> WaveForecastReport:
    known = None if run is None else run.waves.get(wave.name)
    ended = None if known is None else known.ended_at
    started = None if known is None else known.first_started_at
    # What a wave took that was begun in one night and went on in another, no forecast was made of.
    at_once = known is not None and known.first_started_at == known.last_started_at
    seconds = max(0.0, round(ended - started, 3)) if at_once and started is not None and ended is not None else None
    return WaveForecastReport(
        name=wave.name,
        migrations=wave.migrations,
        approvals=wave.approvals,
        starts_p50=iso(wave.starts.p50),
        starts_p90=iso(wave.starts.p90),
        last_start_p90=iso(wave.last_start.p90),
        ends_p50=iso(wave.ends.p50),
        ends_p90=iso(wave.ends.p90),
        seconds_p50=round(wave.took.p50, 3),
        seconds_p90=round(wave.took.p90, 3),
        fits=wave.fits,
        ended_at=None if ended is None else iso(ended),
        seconds=seconds,
        verdict=None if seconds is None else _verdict(seconds, wave),
    )


def _verdict(seconds: float, wave: WaveForecast) -> str:
    if seconds <= wave.took.p50 + TO_A_SECOND:
        return WITHIN_P50
    return WITHIN_P90 if seconds <= wave.took.p90 + TO_A_SECOND else LONGER
