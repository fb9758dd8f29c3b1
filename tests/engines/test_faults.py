"""Everything that can go wrong on the wire, for each migration of a run: its outcome is what is true at Atlas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.core.events import CutoverInDoubt, CutoverNotBegun
from orchestrator.core.outcomes import ExitCode, Outcome
from orchestrator.core.settings import Api
from orchestrator.simulator import Scenario
from orchestrator.simulator.digest import NonceRules
from orchestrator.simulator.jobs import JobStatus
from orchestrator.simulator.scenario import Fault, FaultKind, Garbage, Kind, Special

from .house import READY, House, house, migration, outcomes, wave, workflow

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

PLAN = workflow(wave("a", "good1", "good2", "bad"))
SPECIAL = {"bad": Special(ends=JobStatus.FAILED)}
TRUTH = {"COMPLETE": Outcome.SUCCESS, "FAILED": Outcome.FAILED}
ERRORS = [(FaultKind.ERROR_BEFORE, status) for status in (500, 502, 503)] + [(FaultKind.ERROR_AFTER, 500)]


def check(it: House, found: dict[str, Outcome]) -> None:
    """Each outcome is what the simulator knows to be true, and no cutover was carried out twice."""
    for name, outcome in found.items():
        seen = it.seen(name)
        assert seen["puts_processed"] == 1
        assert outcome is TRUTH[seen["status"]]


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(
    "kind",
    [
        FaultKind.LOST_BEFORE,
        FaultKind.LOST_AFTER,
        FaultKind.ERROR_BEFORE,
        FaultKind.ERROR_AFTER,
        FaultKind.TOO_MANY_REQUESTS,
        FaultKind.SLOW,
        FaultKind.LATE,
        FaultKind.HANG_BEFORE,
        FaultKind.HANG_AFTER,
    ],
)
async def test_a_put_that_goes_wrong_is_settled_by_reading(tmp_path: Path, kind: FaultKind, times: int) -> None:
    """Lost before or after it was carried out, refused, late: one cutover, and its true outcome."""
    fault = Fault(on=Kind.CUTOVER, kind=kind, times=times, delay=8.0, status=503)
    async with house(tmp_path, PLAN, Scenario(jobs=READY, special=SPECIAL, faults=(fault,)), request_timeout=6.0) as it:
        ending = await it.start()
        assert ending.exit_code is ExitCode.FAILED
        check(it, outcomes(ending))
        lost = kind is not FaultKind.TOO_MANY_REQUESTS
        assert bool(it.names(CutoverInDoubt)) == lost
        carried_out = kind in (FaultKind.LOST_AFTER, FaultKind.ERROR_AFTER, FaultKind.SLOW, FaultKind.HANG_AFTER)
        if carried_out:
            assert {it.puts(name) for name in outcomes(ending)} == {1}
        elif kind is not FaultKind.LATE:
            assert it.names(CutoverNotBegun)


@pytest.mark.parametrize("body", list(Garbage))
@pytest.mark.parametrize("api", list(Api))
async def test_garbage_in_any_answer_changes_no_outcome(tmp_path: Path, body: Garbage, api: Api) -> None:
    """For the PUT and for the first reads of each job."""
    faults = (
        Fault(on=Kind.CUTOVER, kind=FaultKind.GARBAGE, body=body, times=1),
        Fault(on=Kind.READ, kind=FaultKind.GARBAGE, body=body, times=2),
    )
    async with house(tmp_path, PLAN, Scenario(jobs=READY, special=SPECIAL, faults=faults), api=api) as it:
        check(it, outcomes(await it.start()))


@pytest.mark.parametrize("kind", [FaultKind.LOST_BEFORE, FaultKind.SLOW, FaultKind.HANG_BEFORE, FaultKind.STATUS])
async def test_reads_that_go_wrong_now_and_then_change_no_outcome(tmp_path: Path, kind: FaultKind) -> None:
    """Three in ten."""
    fault = Fault(on=Kind.READ, kind=kind, share=0.3, delay=8.0, status=502)
    scenario = Scenario(jobs=READY, special=SPECIAL, faults=(fault,))
    async with house(tmp_path, PLAN, scenario, request_timeout=6.0) as it:
        check(it, outcomes(await it.start()))


async def test_a_put_refused_with_a_4xx_is_failed_and_not_repeated(tmp_path: Path) -> None:
    """403 for one, the others go on."""
    fault = Fault(on=Kind.CUTOVER, kind=FaultKind.STATUS, status=403, migration="good1")
    async with house(tmp_path, PLAN, Scenario(jobs=READY, faults=(fault,))) as it:
        ending = await it.start()
        assert outcomes(ending) == {"good1": Outcome.FAILED, "good2": Outcome.SUCCESS, "bad": Outcome.SUCCESS}
        assert it.puts("good1") == 1
        assert "403" in str(ending.state.result("good1").error_message)


@pytest.mark.parametrize("status", [407, 421, 425, 451, 499, 520, 524])
async def test_a_status_that_is_not_atlas_word_leaves_a_doubt_that_reading_settles(tmp_path: Path, status: int) -> None:
    """What stands between us and Atlas says so, to a PUT and to reads at the gate: no migration is FAILED for it."""
    faults = tuple(Fault(on=on, kind=FaultKind.STATUS, status=status, times=1) for on in (Kind.CUTOVER, Kind.READ))
    async with house(tmp_path, PLAN, Scenario(jobs=READY, special=SPECIAL, faults=faults), request_timeout=6.0) as it:
        check(it, outcomes(await it.start()))
        assert {event.migration for event in it.names(CutoverInDoubt)} == {"good1", "good2", "bad"}


async def test_a_challenge_after_a_storm_of_429s_is_no_refusal(tmp_path: Path) -> None:
    """A stale nonce, after four PUTs that the rate limit turned down: the sixth one is carried out."""
    faults = (
        Fault(on=Kind.CUTOVER, kind=FaultKind.TOO_MANY_REQUESTS, times=4),
        Fault(on=Kind.CUTOVER, kind=FaultKind.STATUS, status=401, times=1),
    )
    async with house(tmp_path, workflow(wave("a", "x")), Scenario(jobs=READY, faults=faults)) as it:
        assert outcomes(await it.start()) == {"x": Outcome.SUCCESS}
        assert it.seen("x")["puts_processed"] == 1


async def test_many_faults_and_many_migrations(tmp_path: Path) -> None:
    """100 migrations, a third of all requests go wrong in ten ways, nonces wear out: every outcome is true."""
    kinds = (
        FaultKind.LOST_BEFORE,
        FaultKind.LOST_AFTER,
        FaultKind.ERROR_BEFORE,
        FaultKind.ERROR_AFTER,
        FaultKind.TOO_MANY_REQUESTS,
        FaultKind.HANG_AFTER,
        FaultKind.GARBAGE,
    )
    faults = tuple(Fault(on=None, kind=kind, share=0.05, delay=5.0, until=120.0) for kind in kinds)
    plan = workflow(wave("a", *(f"m{number}" for number in range(100)), concurrency=40))
    special = {f"m{number}": Special(ends=JobStatus.FAILED) for number in range(0, 100, 9)}
    scenario = Scenario(seed=3, jobs=READY, special=special, faults=faults, nonce=NonceRules(uses=60), repeat_puts=True)
    async with house(tmp_path, plan, scenario, request_timeout=4.0) as it:
        ending = await it.start()
        check(it, outcomes(ending))


async def test_what_cannot_be_settled_is_in_doubt(tmp_path: Path) -> None:
    """The PUT's answer is lost and Atlas is gone: exit code 4, and `resume` finds out what became of it."""
    plan = workflow(wave("a", migration("a1", timeout=60.0)))
    faults = (
        Fault(on=Kind.CUTOVER, kind=FaultKind.HANG_AFTER, delay=2.0),
        Fault(on=Kind.READ, kind=FaultKind.STATUS, status=500, after=1.0, until=200.0),
    )
    async with house(tmp_path, plan, Scenario(jobs=READY, faults=faults)) as it:
        ending = await it.start()
        assert outcomes(ending) == {"a1": Outcome.IN_DOUBT}
        assert ending.exit_code is ExitCode.IN_DOUBT
        assert ending.state.recorded_unfinished
        await anyio.sleep(200.0)
        again = await it.resume(ending.state.run_id)
        assert outcomes(again) == {"a1": Outcome.SUCCESS}
        assert it.puts("a1") == 1


LOSSES = [
    {"kind": FaultKind.LOST_BEFORE},
    {"kind": FaultKind.HANG_BEFORE, "delay": 20.0},
    *({"kind": FaultKind.ERROR_BEFORE, "status": status} for status in (408, 500, 503, 504)),
]


@pytest.mark.parametrize("settle", [7.0, 40.0])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: f"{loss['kind']}-{loss.get('status', '')}")
async def test_no_second_put_leaves_before_the_settle_time_is_over(
    tmp_path: Path, loss: dict[str, Any], settle: float
) -> None:
    """However the first one was lost, and though every read says that nothing began."""
    faults = (Fault(on=Kind.CUTOVER, times=1, **loss),)
    async with house(tmp_path, workflow(wave("a", "x")), Scenario(jobs=READY, faults=faults), settle=settle) as it:
        assert outcomes(await it.start()) == {"x": Outcome.SUCCESS}
        first, second = it.seen("x")["put_times"]
        assert second - first >= settle
        assert [event.settle for event in it.names(CutoverInDoubt)] == [settle]
