"""What is forecast of a night, and from what; the rules alone, without a clock."""

from __future__ import annotations

import heapq
import json
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core.events import (
    CutoverAccepted,
    CutoverInDoubt,
    CutoverRequested,
    WaveSoaking,
    WaveStarted,
)
from orchestrator.core.forecast import Forecast, Load, Spread, forecast, forecast_from_json, forecast_to_json
from orchestrator.core.forecast_words import in_sentences
from orchestrator.core.history import POINTS, History, Past, nearest_rank
from orchestrator.core.outcomes import Outcome
from orchestrator.core.outlook import outlook
from orchestrator.core.run import fold
from orchestrator.core.window import Span
from orchestrator.core.workflow import Wave, Workflow
from orchestrator.operations.reporting import as_recorded

from ..builders import NOW, WHO, finished, migration, run_resumed, run_started
from ..strength import examples


def history(*seconds: float, kind: str | None = None, by: str | None = None) -> History:
    """One earlier run, whose cutovers took so long."""
    return History(by=by).with_more([Past(each, each, each, kind) for each in seconds], runs=1)


def load(size: int, at_once: int = 1, *, kind: str | None = None, name: str = "w", **more: float) -> Load:
    """A wave of so many."""
    return Load(name=name, kinds={kind: size}, concurrency=at_once, **more)  # type: ignore[arg-type]


def made(*loads: Load, known: History, span: Span | None = None) -> Forecast:
    """The forecast of a night that begins now."""
    found = forecast(loads, known, made_at=NOW, begins=NOW, span=span)
    assert found is not None
    return found


def ends(*loads: Load, known: History) -> Spread:
    """Seconds from now to the night's end."""
    p50, p90 = made(*loads, known=known).ends
    return Spread(p50 - NOW, p90 - NOW)


def window(last_start: float, closes: float) -> Span:
    """An opening that ends so many seconds from now."""
    return Span(opens=NOW, closes=NOW + closes, last_start=NOW + last_start)


def test_one_cutover_takes_what_cutovers_took() -> None:
    """Its p50 and p90 are those of the history, by nearest rank."""
    seconds = [float(each) for each in range(10, 110, 10)]
    assert ends(load(1), known=history(*seconds)) == (50.0, 90.0)


def test_many_at_once_take_as_long_as_the_slowest_of_them() -> None:
    """With forty at once it is the slow one that counts, not the usual one."""
    p50, p90 = ends(load(40, 40), known=history(*[60.0] * 95, *[600.0] * 5))
    assert (p50, p90) == (600.0, 600.0)


def test_a_wave_goes_in_rounds_of_its_concurrency() -> None:
    """Ten that all take a minute, four at once: three rounds."""
    assert ends(load(10, 4), known=history(60.0, 60.0)) == (180.0, 180.0)


def test_waves_follow_each_other_after_their_soak() -> None:
    """The second starts when the first has ended and soaked; the last wave's soak delays nothing."""
    found = made(load(1, soak=900.0, name="a"), load(1, soak=900.0, name="b"), known=history(60.0))
    assert [wave.starts.p50 - NOW for wave in found.waves] == [0.0, 960.0]
    assert found.ends.p50 - NOW == 1020.0


def test_a_wave_whose_doubt_is_open_again_soaks_after_it_once_more() -> None:
    """The soak that an earlier session had begun is none of what is left."""
    first = Wave(name="w", migrations=(migration("a"), migration("b", 2)), soak=900.0)
    then = Wave(name="v", migrations=(migration("c", 3),))
    run = fold(
        "r",
        [
            run_started(Workflow(name="night", waves=(first, then))),
            WaveStarted(at=NOW, wave="w", migrations=2, concurrency=2),
            CutoverRequested(at=NOW, migration="a"),
            CutoverAccepted(at=NOW, migration="a", http_status=202, status=None),
            CutoverRequested(at=NOW, migration="b"),
            CutoverInDoubt(at=NOW, migration="b", reason="reset", settle=4.0),
            finished("a", Outcome.SUCCESS, at=NOW + 60),
            finished("b", Outcome.IN_DOUBT, at=NOW + 60),
            WaveSoaking(at=NOW + 60, wave="w", until=NOW + 960),
            run_resumed(("a", "b", "c"), at=NOW + 7200),
        ],
    )
    found = outlook(run, NOW + 7200)
    assert found is not None
    wave = found.wave("v")
    assert wave is not None
    assert wave.starts.p50 >= NOW + 7200 + 900


def test_a_run_without_a_sign_of_life_is_not_said_to_end() -> None:
    """Nobody may be at work on what is left of it, so no time is promised."""
    waves = (Wave(name="w", migrations=(migration("a"),)), Wave(name="v", migrations=(migration("b", 2),)))
    run = fold("r", [run_started(Workflow(name="night", waves=waves))])
    for event in (
        WaveStarted(at=NOW, wave="w", migrations=1, concurrency=1),
        CutoverRequested(at=NOW, migration="a"),
        CutoverAccepted(at=NOW, migration="a", http_status=202, status=None),
        finished("a", Outcome.SUCCESS, at=NOW + 30),
    ):
        run.apply(event)
    assert as_recorded(run, now=NOW + 60, holder=WHO).outlook is not None
    assert as_recorded(run, now=NOW + 60, holder=WHO, silent=NOW + 10).outlook is None


def test_what_is_verified_after_the_soak_ends_after_it() -> None:
    """The wave has ended once its migrations are verified."""
    assert ends(load(1, soak=900.0, verified_late=True), load(1), known=history(60.0)).p50 == 1020.0
    assert ends(load(1, soak=900.0, verified_late=True), known=history(60.0)).p50 == 960.0


def test_what_one_wave_takes_longer_and_another_does_not_evens_out() -> None:
    """The p90 of a night is less than the sum of its waves' p90, and more than any of its p50."""
    known = history(*[60.0] * 8, *[120.0] * 2)
    p50, p90 = ends(*[load(1, name=f"w{number}") for number in range(9)], known=known)
    assert p50 == 9 * 60.0
    assert p90 == pytest.approx(9 * 60.0 + 3 * 60.0, abs=0.001)


def test_the_budget_holds_a_wave_back_that_would_be_done_sooner() -> None:
    """Its last PUT leaves no earlier, and takes as long as any."""
    assert ends(load(2, 2, least=300.0), known=history(60.0)) == (360.0, 360.0)


def test_those_under_way_have_a_part_behind_them() -> None:
    """A cutover of four minutes that began three minutes ago has one left; one that takes longer than ever may end now."""
    assert ends(load(1, elapsed=180.0), known=history(240.0)).p50 == 60.0
    assert ends(load(3, 1, elapsed=180.0), known=history(240.0)).p50 == 540.0
    assert ends(load(1, elapsed=9000.0), known=history(240.0)).p50 == 0.0


def test_a_kind_is_reckoned_by_its_own_cutovers() -> None:
    """Large ones take what large ones took; a kind of which nothing is known takes what all took, and the forecast says so."""
    known = history(*[60.0] * 10, kind="S", by="size").with_more([Past(600.0, 600.0, 600.0, "XL")], runs=1)
    assert ends(load(1, kind="S"), known=known).p50 == 60.0
    assert ends(load(1, kind="XL"), known=known).p50 == 600.0
    strange = made(load(1, kind="M"), known=known)
    assert strange.ends.p50 - NOW == 60.0
    assert strange.unseen == ("M",)
    said = "\n".join(in_sentences(strange))
    assert "no cutover with size M: reckoned like all the others" in said
    assert "fewer than 10 cutovers with size XL (1)" in said


def test_cutovers_of_the_run_itself_are_said_to_be_so() -> None:
    """Who reads it knows what it is made of."""
    tonight = [Past(70.0, 70.0, 70.0, None)] * 4
    both = made(load(1), known=history(*[60.0] * 8).with_own(tonight))
    assert "from 12 cutovers of 1 earlier run and this one," in next(in_sentences(both))
    assert "from 4 cutovers of this run (fewer" in next(in_sentences(made(load(1), known=History().with_own(tonight))))


def test_a_kind_for_each_migration_costs_no_more_than_one_for_all() -> None:
    """Thousands of values of the variable, each looked up once."""
    kinds: dict[str | None, int] = {str(number): 1 for number in range(3000)}
    known = History(by="x").with_more([Past(60.0, 60.0, 60.0, kind) for kind in kinds], runs=1)
    found = made(Load(name="w", kinds=kinds, concurrency=3000), known=known)
    assert found.ends.p50 - NOW == 60.0


def test_without_history_or_work_there_is_no_forecast() -> None:
    """Nothing is made up."""
    assert forecast([load(3)], History(), made_at=NOW, begins=NOW, span=None) is None
    assert forecast([load(0)], history(60.0), made_at=NOW, begins=NOW, span=None) is None


@pytest.mark.parametrize(
    ("last_start", "closes", "stops"),
    [
        (1000.0, 1000.0, None),
        (240.0, 300.0, None),  # the last one starts at 180 and ends at 240
        (180.0, 300.0, "c"),  # it would start when none may any more
        (121.0, 1000.0, "c"),
        (110.0, 1000.0, "b"),
        (60.0, 1000.0, "b"),
        (1000.0, 239.0, "c"),  # it starts in time, and ends when the window is closed
        (1000.0, 59.0, "a"),
    ],
)
def test_a_night_fits_when_its_last_cutover_starts_and_ends_in_time(
    last_start: float, closes: float, stops: str | None
) -> None:
    """With the reserve; and the first wave that does not fit is named."""
    loads = [load(1, name="a"), load(2, 1, name="b"), load(1, name="c")]
    found = made(*loads, known=history(*[60.0] * 10), span=window(min(last_start, closes), closes))
    assert (found.stops_fitting.name if found.stops_fitting else None) == stops
    assert found.fits is (stops is None)
    said = "\n".join(in_sentences(found))
    assert ("does NOT fit" in said) is (stops is not None)
    assert stops is None or f"wave '{stops}' is the first" in said


def test_without_a_window_a_night_neither_fits_nor_does_not() -> None:
    """There is nothing to fit into."""
    found = made(load(1), known=history(60.0))
    assert found.fits is None
    assert "window" not in "\n".join(in_sentences(found))


def test_few_cutovers_are_called_few() -> None:
    """Fewer than ten, that is."""
    few = "fewer than 10 cutovers: it may be far off"
    assert few in next(in_sentences(made(load(1), known=history(*[60.0] * 9))))
    assert few not in next(in_sentences(made(load(1), known=history(*[60.0] * 10))))


def test_approvals_come_on_top() -> None:
    """How long people need nobody knows."""
    found = made(load(1, name="a"), load(1, name="b", approval=True), load(1, name="c"), known=history(60.0))
    assert [wave.approvals for wave in found.waves] == [0, 1, 1]
    assert "plus the time until 1 wave is approved" in "\n".join(in_sentences(found))


spreads = st.lists(st.floats(1.0, 5000.0), min_size=1, max_size=400)


@given(spreads, spreads)
def test_a_history_keeps_a_hundred_points_and_its_percentiles(first: list[float], second: list[float]) -> None:
    """However many cutovers there were; what was left out lies between what was kept."""
    known = history(*first).with_more([Past(each, None, each, None) for each in second], runs=1)
    assert known.every is not None
    assert known.count == len(first) + len(second)
    assert known.runs == 2
    for points, whole in ((known.every.cutovers, first + second), (known.every.downtimes, first)):
        assert len(points) <= POINTS
        assert list(points) == sorted(points)
        assert min(whole) - 0.001 <= points[0] <= points[-1] <= max(whole) + 0.001


@given(st.data())
def test_a_forecast_survives_being_kept(data: st.DataObject) -> None:
    """What was recorded is what was made."""
    known = history(*data.draw(spreads), kind="S", by="size").with_more([Past(1.0, None, 1.0, None)])
    sizes = data.draw(st.lists(st.integers(1, 50), min_size=1, max_size=4))
    span = data.draw(st.none() | st.just(window(500.0, 900.0)))
    found = made(*[load(size, 3, name=f"w{n}") for n, size in enumerate(sizes)], known=known, span=span)
    assert forecast_from_json(json.loads(json.dumps(forecast_to_json(found)))) == found


@given(st.integers(1, 60), st.integers(1, 60), st.lists(st.floats(10.0, 1000.0), min_size=1, max_size=30))
def test_more_slots_never_make_a_wave_later_than_one_by_one(size: int, at_once: int, seconds: list[float]) -> None:
    """And it ends no sooner than its fastest could."""
    together, single = (ends(load(size, many), known=history(*seconds)) for many in (at_once, 1))
    assert min(seconds) - 0.01 <= together.p50 <= together.p90
    assert together.p50 <= single.p50 + max(seconds)


@settings(max_examples=examples(20), deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 999))
def test_a_forecast_agrees_with_played_nights(size: int, at_once: int, seed: int) -> None:
    """It may be careful, by a round at most, and is never far too hopeful."""
    dice = Random(seed)
    known = [dice.lognormvariate(4.0, 0.5) for _ in range(60)]
    nights = sorted(_played(size, at_once, known, dice) for _ in range(400))
    middle, late = nearest_rank(nights, 0.5), nearest_rank(nights, 0.9)
    assert middle is not None
    assert late is not None
    p50, p90 = ends(load(size, at_once), known=history(*known))
    # Of few known cutovers some lie far apart, so that either the time or the share of the nights has to agree.
    assert p50 >= 0.8 * middle or _kept(nights, p50) >= 0.4
    assert p90 >= 0.8 * late or _kept(nights, p90) >= 0.8
    assert p50 <= p90 <= late + 2.0 * max(known)


def _kept(nights: list[float], within: float) -> float:
    """The share of *nights* that took no longer."""
    return sum(night <= within + 0.01 for night in nights) / len(nights)


def _played(size: int, at_once: int, known: list[float], dice: Random) -> float:
    """How long one wave takes whose cutovers take what the dice say, each beginning when a slot is free."""
    slots = [0.0] * min(size, at_once)
    for _ in range(size):
        heapq.heapreplace(slots, slots[0] + dice.choice(known))
    return max(slots)
