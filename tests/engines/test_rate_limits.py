"""Atlas says 429, in all its forms: what waits for it waits a sane time, says so, and gives up in time."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.atlas.client import FIRST_PAUSE, LONGEST_PAUSE, ROOT_PATIENCE
from orchestrator.atlas.errors import RateLimitedError
from orchestrator.core.events import BudgetWaiting, RateLimited, RequestRetried
from orchestrator.core.outcomes import Outcome
from orchestrator.core.settings import RateLimit
from orchestrator.observers.log.heartbeat import Heartbeat
from orchestrator.simulator import Scenario, mishaps
from orchestrator.simulator.bucket import RateLimit as ServerLimit
from orchestrator.simulator.documents import rate_limited
from orchestrator.simulator.scenario import Fault, FaultKind, JobRules, Kind, Range, Special

from .house import READY, Gate, house, migration, outcomes, wall, wave, workflow

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

NAMES = tuple(f"m{number}" for number in range(20))


def limited(on: Kind | None, retry_after: float | None, **when: float) -> Fault:
    """Requests of a kind are answered 429."""
    return Fault(on=on, kind=FaultKind.TOO_MANY_REQUESTS, retry_after=retry_after, **when)  # type: ignore[arg-type]


@pytest.mark.parametrize("retry_after", [0.0, None])
async def test_zero_seconds_for_a_moment_cost_one_wait(tmp_path: Path, retry_after: float | None) -> None:
    """20 jobs: those that were on the wire are refused once, a second later all goes on, and nothing bursts into the 429."""
    scenario = Scenario(jobs=READY, faults=(limited(Kind.READ, retry_after, until=0.9),))
    async with house(tmp_path, workflow(wave("w", *NAMES)), scenario) as it:
        assert set(outcomes(await it.start()).values()) == {Outcome.SUCCESS}
        assert it.atlas.record()["too_many_requests"] <= len(NAMES)
        assert max(it.put_at(name) for name in NAMES) <= 2.5
        assert {event.retry_after for event in it.names(RateLimited)} == {1.0}


async def test_zero_seconds_for_long_are_asked_about_ever_more_seldom(tmp_path: Path) -> None:
    """A minute of them: a handful of requests beyond those that were on the wire."""
    scenario = Scenario(jobs=READY, faults=(limited(Kind.READ, 0.0, until=60.0),))
    async with house(tmp_path, workflow(wave("w", *NAMES)), scenario) as it:
        assert set(outcomes(await it.start()).values()) == {Outcome.SUCCESS}
        assert it.atlas.record()["too_many_requests"] <= len(NAMES) + 7


async def test_a_day_ends_a_poll_a_minute_after_its_timeout(tmp_path: Path) -> None:
    """What is under way is read at its deadline whatever the 429 said, and once more after that."""
    plan = workflow(wave("w", migration("m0", timeout=600.0)))
    async with house(tmp_path, plan, Scenario(jobs=READY, faults=(limited(Kind.READ, 86400.0, after=1.0),))) as it:
        began = wall()
        ending = await it.start()
        assert outcomes(ending) == {"m0": Outcome.IN_DOUBT}
        assert 660 <= wall() - began <= 670
        assert "429" in str(ending.state.result("m0").error_message)


async def test_an_end_is_seen_at_the_deadline_though_the_429_said_a_day(tmp_path: Path) -> None:
    """The last read leaves all the same: that it is over is no worse news for being late."""
    plan = workflow(wave("w", migration("m0", timeout=600.0)))
    faults = (limited(Kind.READ, 86400.0, after=1.0, until=100.0),)
    async with house(tmp_path, plan, Scenario(jobs=READY, faults=faults)) as it:
        assert outcomes(await it.start()) == {"m0": Outcome.SUCCESS}


async def test_a_day_is_doubted_once_a_minute_by_one_read_of_what_is_under_way(tmp_path: Path) -> None:
    """The applications of 20 jobs stand still: that Atlas answers again is seen within a minute, not at each job's timeout."""
    faults = (limited(Kind.READ, 86400.0, after=1.0, until=400.0),)
    async with house(tmp_path, workflow(wave("w", *NAMES)), Scenario(jobs=READY, faults=faults)) as it:
        began = wall()
        assert set(outcomes(await it.start()).values()) == {Outcome.SUCCESS}
        assert wall() - began <= 400 + 60 + 10
        assert it.atlas.record()["too_many_requests"] <= len(NAMES) + 7


@pytest.mark.parametrize("per", [600.0, 86400.0])
@pytest.mark.parametrize("size", [1, 500])
async def test_one_429_that_says_what_is_not_so_hides_nothing_for_more_than_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, per: float, size: int
) -> None:
    """Its figures name a bucket that refills hardly ever, and everything else is answered."""
    lie = ServerLimit(capacity=size, refill=size, per=per)
    monkeypatch.setattr(mishaps, "rate_limited", lambda path, _limit, rest: rate_limited(path, lie, rest))
    scenario = Scenario(
        jobs=READY,
        faults=(limited(Kind.READ, per, after=1.0, times=1),),
        special={"m0": Special(cutover=Range(low=100.0, high=100.0))},
        rate_limit=ServerLimit(capacity=1200, refill=500, per=60.0, headers=False),
    )
    async with house(tmp_path, workflow(wave("w", "m0")), scenario) as it:
        began = wall()
        assert outcomes(await it.start()) == {"m0": Outcome.SUCCESS}
        assert wall() - began <= 100 + 60 + 10


async def test_a_day_ends_a_gate_with_its_timeout(tmp_path: Path) -> None:
    """No PUT was sent, and the reason is the rate limit; meanwhile the log says what is waited for."""
    plan = workflow(wave("w", migration("m0", gate=Gate(timeout=300.0))))
    async with house(tmp_path, plan, Scenario(jobs=READY, faults=(limited(Kind.READ, 86400.0),))) as it:
        heartbeat = Heartbeat(wall=wall)
        began = wall()
        ending = await it.start(observers=(heartbeat.sink,))
        assert outcomes(ending) == {"m0": Outcome.FAILED}
        assert wall() - began <= 2 * 300 + 10
        assert it.puts("m0") == 0
        assert "Atlas' rate limit" in str(heartbeat.fields(ending.state)["waiting_for"])


async def test_a_day_keeps_no_put_waiting_for_a_day(tmp_path: Path) -> None:
    """Its 429 said that it was not carried out: what could not be sent in the gate's time has failed."""
    plan = workflow(wave("w", migration("m0", gate=Gate(timeout=300.0))))
    async with house(tmp_path, plan, Scenario(jobs=READY, faults=(limited(Kind.CUTOVER, 86400.0),))) as it:
        began = wall()
        ending = await it.start()
        assert outcomes(ending) == {"m0": Outcome.FAILED}
        assert wall() - began <= 3 * 300 + 10
        assert it.puts("m0") == 1


async def test_a_day_ends_the_start_at_once_and_an_hour_is_not_waited_for(tmp_path: Path) -> None:
    """Nothing has begun: whoever started the run is told why, and may start it again."""
    for retry_after in (86400.0, 3600.0):
        faults = (limited(Kind.ROOT, retry_after),)
        async with house(tmp_path, workflow(wave("w", "m0")), Scenario(jobs=READY, faults=faults)) as it:
            began = wall()
            with pytest.raises(RateLimitedError):
                await it.start()
            assert wall() - began <= 1


async def test_a_start_waits_for_a_429_that_passes(tmp_path: Path) -> None:
    """As long as it says, within three minutes, and tells of it while it does."""
    said: list[tuple[str, object, float]] = []

    def say(event: str, **fields: object) -> None:
        said.append((event, fields.get("seconds"), wall()))

    faults = tuple(limited(kind, 55.0, until=50.0) for kind in (Kind.ROOT, Kind.READ))
    async with house(tmp_path, workflow(wave("w", "m0")), Scenario(jobs=READY, faults=faults)) as it:
        began = wall()
        assert outcomes(await it.start(say=say)) == {"m0": Outcome.SUCCESS}
        assert ROOT_PATIENCE > it.put_at("m0") >= 55
        ((event, seconds, at),) = said
        assert (event, seconds, round(at - began)) == ("waiting_for_atlas", 55.0, 0)


async def test_a_repetition_is_told_when_its_wait_begins(tmp_path: Path) -> None:
    """With the wait that it is going to take; for a PUT as for a read."""
    faults = (
        Fault(on=Kind.READ, kind=FaultKind.STATUS, status=503, retry_after=40, times=1),
        limited(Kind.CUTOVER, 30.0, times=1),
    )
    async with house(tmp_path, workflow(wave("w", "m0")), Scenario(jobs=READY, faults=faults)) as it:
        began = wall()
        await it.start()
        read, put = it.names(RequestRetried)
        assert (read.method, read.wait, round(read.at - began)) == ("GET", 40.0, 0)
        assert (put.method, put.attempt, round(put.at - began)) == ("PUT", 2, 40)
        first, second = it.seen("m0")["put_times"]
        assert second - first >= 30


@pytest.mark.parametrize(("asked", "waits"), [(40.0, 40.0), (7200.0, LONGEST_PAUSE), (None, FIRST_PAUSE)])
async def test_a_read_that_was_sent_ahead_is_repeated_as_late_as_any_other(
    tmp_path: Path, asked: float | None, waits: float
) -> None:
    """Atlas has named a time in which nobody asks: whether the answer came while the session was being begun changes nothing."""
    faults = (Fault(on=Kind.READ, kind=FaultKind.STATUS, status=503, retry_after=asked, times=1),)
    async with house(tmp_path, workflow(wave("w", "m0", "m1")), Scenario(jobs=READY, faults=faults)) as it:
        assert set(outcomes(await it.start()).values()) == {Outcome.SUCCESS}
        for name in ("m0", "m1"):
            assert waits <= it.put_at(name) <= 2 * waits + 2
        told = it.names(RequestRetried)
        assert [(event.method, event.attempt) for event in told] == [("GET", 2)] * 2
        assert min(event.wait for event in told) >= waits


async def test_a_wait_for_the_budget_is_told(tmp_path: Path) -> None:
    """A limit that is used up for most of a minute: how many requests wait, and for how long."""
    limit = ServerLimit(capacity=10, refill=10, per=60.0)
    budget = RateLimit(requests=10, per=60.0, burst=10, scope="group")
    async with house(tmp_path, workflow(wave("w", *NAMES)), Scenario(jobs=READY, rate_limit=limit), limit=budget) as it:
        heartbeat = Heartbeat(wall=wall)
        said = []
        it.watchers.append(
            lambda _, state: said.append(heartbeat.fields(state)["waiting_for"]) if state.migrations else None
        )
        assert set(outcomes(await it.start(observers=(heartbeat.sink,))).values()) == {Outcome.SUCCESS}
        assert it.atlas.record()["too_many_requests"] == 0
        first = it.names(BudgetWaiting)[0]
        assert 50 <= first.wait <= 60
        assert first.requests > 10
        assert any(words and "the request budget" in words for words in said)


@pytest.mark.parametrize(("burst", "per"), [(1, 1.0), (2, 60.0), (5, 60.0)])
async def test_a_small_budget_takes_its_time_and_ends(tmp_path: Path, burst: int, per: float) -> None:
    """Twelve jobs at once: with 1, a PUT and the read before it go by turns, as what was read a second ago still counts."""
    limit = ServerLimit(capacity=burst, refill=burst, per=per)
    budget = RateLimit(requests=burst, per=per, burst=burst, scope="group")
    plan = workflow(wave("w", *NAMES[:12]))
    async with house(tmp_path, plan, Scenario(jobs=READY, rate_limit=limit), limit=budget) as it:
        ending = await it.start()
        assert set(outcomes(ending).values()) == {Outcome.SUCCESS}
        assert it.atlas.record()["too_many_requests"] == 0


@pytest.mark.parametrize("number", [3, 6, 8])
async def test_puts_that_wait_for_a_small_budget_beside_long_cutovers_are_sent(tmp_path: Path, number: int) -> None:
    """What is under way is read meanwhile; a PUT that held the last token had waited for one more for as long as its gate had time."""
    limit = ServerLimit(capacity=2, refill=2, per=60.0, headers=False)
    budget = RateLimit(requests=2, per=60.0, burst=2, scope="group")
    jobs = JobRules(
        ready_after=Range(low=0.0, high=200.0),
        cutover=Range(low=10.0, high=300.0),
        ready_lag=Range(low=1.0, high=1.0),
    )
    members = (migration(name, timeout=6 * 3600.0, gate=Gate(timeout=12 * 3600.0)) for name in NAMES[:number])
    async with house(
        tmp_path, workflow(wave("w", *members)), Scenario(jobs=jobs, rate_limit=limit), limit=budget
    ) as it:
        began = wall()
        assert set(outcomes(await it.start()).values()) == {Outcome.SUCCESS}
        assert wall() - began <= 3600


async def test_a_budget_that_no_put_fits_in_is_named_in_time(tmp_path: Path) -> None:
    """One request in a minute: what was read a minute ago is too old for a PUT, which no read can be made beside."""
    limit = ServerLimit(capacity=1, refill=1, per=60.0)
    budget = RateLimit(requests=1, per=60.0, burst=1, scope="group")
    plan = workflow(wave("w", migration("m0", timeout=600.0)))
    async with house(tmp_path, plan, Scenario(jobs=READY, rate_limit=limit), limit=budget) as it:
        began = wall()
        ending = await it.start()
        assert outcomes(ending) == {"m0": Outcome.NOT_STARTED}
        assert "rate_limit.burst" in str(ending.state.result("m0").error_message)
        assert wall() - began <= 600 + 130
        assert it.puts("m0") == 0
