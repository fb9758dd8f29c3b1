"""Forecasts of whole nights: made from the journal, recorded when a run begins, and held against what became of it."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.core.events import ForecastMade, WaveFinished
from orchestrator.core.outlook import outlook
from orchestrator.core.run import RunState
from orchestrator.core.vars import Vars
from orchestrator.core.workflow import Hooks, Workflow
from orchestrator.operations import forecasting
from orchestrator.operations.plan import plan
from orchestrator.operations.target import Rehearsal
from orchestrator.reports.formats.html import render_html
from orchestrator.reports.formats.json_ import render_json
from orchestrator.reports.formats.markdown import render_markdown
from orchestrator.reports.model import build
from orchestrator.simulator import Scenario
from orchestrator.simulator.scenario import Range, Special
from orchestrator.text.instants import iso

from .house import READY, WALL, AbsoluteWindow, house, migration, outcomes, wall, wave, workflow

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

SMALL, LARGE = Vars(("size",), ("S",)), Vars(("size",), ("XL",))


def night(first: str, **facts: object) -> Workflow:
    """A wave of twelve small ones, four at once, and one large one after it; *first* keeps names apart."""
    small = tuple(migration(f"{first}s{number}", vars=SMALL) for number in range(12))
    return workflow(
        wave("small", *small, concurrency=4),
        wave("large", migration(f"{first}xl", vars=LARGE)),
        forecast_by="size",
        **facts,
    )


def slow(first: str) -> Scenario:
    """Small ones take 10 s, the large one takes 200."""
    return Scenario(jobs=READY, special={f"{first}xl": Special(cutover=Range(low=200.0, high=200.0))})


async def test_without_a_cutover_in_the_journal_plan_says_so_and_what_to_do(tmp_path: Path) -> None:
    """It makes nothing up, and no run records a forecast."""
    async with house(tmp_path, night("a")) as it:
        planned = plan(it.workflow, it.settings, now=wall())
        assert planned.forecast is None
        assert planned.fits_window is None
        assert any("Cut over a small wave first" in note for note in planned.notes)
        await it.start()
        assert it.names(ForecastMade) == []


async def test_a_plan_forecasts_by_what_earlier_cutovers_of_its_kind_took(tmp_path: Path) -> None:
    """Twelve small ones in three rounds, then the large one, each by its own size."""
    async with house(tmp_path, night("b"), slow("b")) as it:
        async with house(tmp_path, night("a"), slow("a")) as before:
            await before.start()
        now = wall()
        made = plan(it.workflow, it.settings, now=now).forecast
        assert made is not None
        assert (made.history.count, made.history.runs, made.history.by) == (13, 1, "size")
        small, large = made.waves
        assert 30.0 <= small.took.p50 <= 45.0
        assert 200.0 <= large.took.p50 <= 215.0
        assert made.begins == now
        assert made.fits is None


async def test_a_night_that_does_not_fit_its_window_is_said_to_and_where(tmp_path: Path) -> None:
    """With the reserve: no cutover of the second wave could start."""
    async with house(tmp_path, night("a"), slow("a")) as it:
        await it.start()
        opens = wall() + 3600.0
        window = AbsoluteWindow(opens=opens, closes=opens + 90.0, reserve=60.0)
        planned = plan(replace(night("b"), window=window), it.settings, now=wall())
        assert planned.fits_window is False
        assert planned.forecast is not None
        assert planned.forecast.begins == opens
        assert planned.forecast.stops_fitting is not None
        assert planned.forecast.stops_fitting.name == "large"
        text = "\n".join(planned.notes)
        assert "the last moment at which a cutover may start: 2026-11-28 02:2" in text
        assert "wave 'large' is the first" in text
        wide = AbsoluteWindow(opens=opens, closes=opens + 9000.0)
        assert plan(replace(night("b"), window=wide), it.settings, now=wall()).fits_window is True


async def test_rehearsals_and_real_runs_are_no_history_for_each_other(tmp_path: Path) -> None:
    """A simulator's cutovers take what its scenario says."""
    async with house(tmp_path, night("a"), slow("a")) as it:
        await it.start(rehearsal=Rehearsal(scenario=slow("a"), speed=1.0))
        assert plan(it.workflow, it.settings, now=wall()).forecast is None
        again = await it.start(rehearsal=Rehearsal(scenario=slow("a"), speed=1.0))
        (made,) = it.names(ForecastMade)
        assert made.forecast.history.count == 13
        report = build(again.state, now=wall())
        assert report.forecast is not None
        assert "13 cutovers of 1 earlier rehearsal" in report.forecast.sentences[0]


async def test_rehearsals_and_runs_without_a_cutover_hide_no_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many of them came since: only so many runs are read, and they are those that have something to tell."""
    monkeypatch.setattr(forecasting, "RUNS_AT_MOST", 1)
    async with house(tmp_path, workflow(wave("w", "a"))) as it:
        await it.start()
        await it.start(rehearsal=Rehearsal(scenario=Scenario(jobs=READY)))
        await it.start()  # reads that the job is complete, and sends nothing
        planned = plan(it.workflow, it.settings, now=wall())
    assert planned.forecast is not None
    assert planned.forecast.history.count == 1


async def test_the_report_holds_the_forecast_against_what_became_of_it(tmp_path: Path) -> None:
    """Recorded when the run begins: with another night's times it is said which wave took longer."""
    async with house(tmp_path, night("a"), slow("a")) as it:
        await it.start()
    slower = Scenario(jobs=READY, special={"bxl": Special(cutover=Range(low=900.0, high=900.0))})
    async with house(tmp_path, night("b"), slower) as it:
        ending = await it.start()
        report = build(ending.state, now=wall())
    assert report.forecast is not None
    assert report.outlook is None
    small, large = report.forecast.waves
    assert (small.verdict, large.verdict) == ("within p50", "longer than p90")
    assert large.seconds is not None
    assert large.seconds >= 900.0
    assert large.seconds_p90 < 300.0
    assert large.ended_at is not None
    whole, *kinds = report.forecast.kinds
    assert whole.expected is not None
    assert whole.actual is not None
    assert (whole.expected.cutovers, whole.actual.cutovers) == (13, 13)
    assert {kind.kind for kind in kinds} == {"S", "XL"}
    document = json.loads(render_json(report))["forecast"]
    assert document["waves"][1]["verdict"] == "longer than p90"
    for text in (render_markdown(report), render_html(report)):
        assert "Forecast and fact" in text
        assert "longer than p90" in text
    assert 'Downtime, expected</th><th scope="col" class="n">Downtime</th>' in render_html(report)


async def test_a_run_under_way_forecasts_what_is_left_from_its_own_cutovers(tmp_path: Path) -> None:
    """After its first wave it knows what a cutover takes tonight, though no run was before it."""
    found = []

    def watch(event: object, state: RunState) -> None:
        if isinstance(event, WaveFinished) and event.wave == "small":
            found.append((wall(), outlook(state, wall())))

    plain = workflow(wave("small", "a", "b"), wave("rest", "c", "d", concurrency=1, soak=60.0), wave("last", "e"))
    async with house(tmp_path, plain) as it:
        it.watchers.append(watch)
        await it.start()
    ((at, made),) = found
    assert made is not None
    assert [each.name for each in made.waves] == ["rest", "last"]
    assert made.history.count == 2
    rest, last = made.waves
    assert rest.starts.p50 == at
    assert 20.0 <= rest.took.p50 <= 30.0
    assert last.starts.p50 == pytest.approx(rest.ends.p50 + 60.0)


async def test_downtime_counts_where_hooks_hold_a_slot(tmp_path: Path) -> None:
    """The next wave's forecast has the hooks in it: a slot is free when they are done."""
    hooks = Hooks(before=(("sleep", "0"),), after_success=(("sleep", "0"),))
    given = workflow(wave("w", migration("a", hooks=hooks)))
    async with house(tmp_path, given) as it:
        ending = await it.start()
        report = build(ending.state, now=wall())
        made = plan(replace(given, name="another"), it.settings, now=wall()).forecast
    assert made is not None
    assert report.migrations[0].downtime_seconds is not None
    assert made.waves[0].took.p50 == pytest.approx(report.migrations[0].downtime_seconds, abs=0.002)


async def test_a_run_that_cannot_be_read_is_left_out_and_counted(tmp_path: Path) -> None:
    """An earlier run that a newer version wrote keeps no other from starting."""
    async with house(tmp_path, workflow(wave("w", "a"))) as it:
        first = await it.start()
    with sqlite3.connect(tmp_path / "journal.db") as db:
        db.execute(
            "UPDATE events SET name = 'unheard_of' WHERE run_id = ? AND name = 'gate_opened'", (first.state.run_id,)
        )
    db.close()
    async with house(tmp_path, workflow(wave("w", "b"))) as it:
        await it.start()
        planned = plan(it.workflow, it.settings, now=WALL + 999.0)
    assert planned.forecast is not None
    assert planned.forecast.history.count == 1
    assert any("1 earlier run is left out" in note for note in planned.notes)


async def test_each_wave_is_forecast_by_the_session_that_is_the_first_to_start_it(tmp_path: Path) -> None:
    """The canary alone, without history; the rest by what the canary took, in the same run."""
    plain = workflow(wave("canary", "a"), wave("rest", "b", "c", concurrency=1))
    async with house(tmp_path, plain) as it:
        first = await it.start(only=("canary",))
        assert build(first.state, now=wall()).forecast is None
        ending = await it.start()
        report = build(ending.state, now=wall())
    (made,) = it.names(ForecastMade)
    assert [each.name for each in made.forecast.waves] == ["rest"]
    assert made.forecast.history.count == 1
    assert report.forecast is not None
    (rest,) = report.forecast.waves
    assert (rest.name, rest.verdict) == ("rest", "within p50")


async def test_what_was_forecast_first_stays(tmp_path: Path) -> None:
    """A run that goes on adds the waves that are new to it, and changes nothing of what it said of others."""
    async with house(tmp_path, workflow(wave("w", "x"))) as it:
        await it.start()
    async with house(tmp_path, workflow(wave("canary", "a"), wave("rest", "b"), wave("last", "c"))) as it:
        await it.start(only=("canary",))
        await it.start(only=("rest",))
        ending = await it.start()
    assert ending.state.forecast is not None
    assert [each.name for each in ending.state.forecast.waves] == ["canary", "rest", "last"]
    assert [each.forecast.waves[0].ends for each in it.names(ForecastMade)] == [
        each.ends for each in ending.state.forecast.waves
    ]


async def test_a_wave_that_came_to_no_start_is_forecast_again_in_its_new_window(tmp_path: Path) -> None:
    """The second night is held against what was said of it, and not of the first."""
    async with house(tmp_path, workflow(wave("w", "x"))) as it:
        await it.start()
        first, second = (AbsoluteWindow(opens=wall() + at, closes=wall() + at + 60.0) for at in (100.0, 4_000.0))
    plain = workflow(wave("canary", "a", soak=90.0), wave("rest", "b"), window=first)
    async with house(tmp_path, plain) as it:
        night = await it.start()
        assert [str(outcome) for outcome in outcomes(night).values()] == ["SUCCESS", "NOT_STARTED"]
        it.workflow = replace(plain, window=second)
        ending = await it.start()
        report = build(ending.state, now=wall())
    assert report.forecast is not None
    canary, rest = report.forecast.waves
    assert ending.state.forecast is not None
    assert ending.state.forecast.begins == second.opens
    assert (canary.verdict, rest.verdict) == ("within p50", "within p50")
    assert canary.ends_p50 < rest.starts_p50 == iso(second.opens)
