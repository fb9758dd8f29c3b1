"""Jobs as their documents show them, on both APIs: full, older, bare; stale, contradicted by an answer, or without a lag for once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.core.events import (
    CutoverAccepted,
    CutoverInDoubt,
    CutoverNotBegun,
    CutoverRefused,
    GateOpened,
    GateWaiting,
)
from orchestrator.core.outcomes import Outcome
from orchestrator.core.settings import Api, RateLimit
from orchestrator.simulator import Scenario
from orchestrator.simulator.scenario import Documents, Fault, FaultKind, Garbage, Kind, Range

from .house import READY, Gate, Hooks, House, house, migration, outcomes, wave, workflow

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

ONE = workflow(wave("w", "a"))
both_apis = pytest.mark.parametrize("api", list(Api))


def scenario(*faults: Fault, documents: Documents = Documents.FULL, cutover: float = 100.0) -> Scenario:
    """Ready jobs whose cutover takes a while, and an Atlas that carries out every PUT that it gets, to see what was sent."""
    jobs = replace(READY, cutover=Range(low=cutover, high=cutover))
    return Scenario(jobs=jobs, faults=faults, documents=documents, repeat_puts=True)


def put(kind: FaultKind, status: int = 500, times: int | None = 1) -> Fault:
    """What befalls the PUT."""
    return Fault(on=Kind.CUTOVER, kind=kind, status=status, times=times)


async def succeeds(it: House, *, puts: int) -> None:
    """The run ends well, after so many PUTs, one of which was carried out."""
    assert outcomes(await it.start()) == {"a": Outcome.SUCCESS}
    assert (it.puts("a"), it.seen("a")["puts_processed"]) == (puts, 1)


@both_apis
@pytest.mark.parametrize("documents", [Documents.FULL, Documents.OLDER])
async def test_a_job_that_says_that_it_is_ready_is_cut_over(tmp_path: Path, api: Api, documents: Documents) -> None:
    """With its lag or, as older documents have none, without, and then the log says so."""
    async with house(tmp_path, ONE, scenario(documents=documents), api=api) as it:
        await succeeds(it, puts=1)
        (opened,) = it.names(GateOpened)
        assert ("no lag" in (opened.note or "")) == (documents is Documents.OLDER)


@both_apis
@pytest.mark.parametrize("documents", [Documents.FULL, Documents.OLDER])
async def test_a_job_that_has_just_begun_is_waited_for(tmp_path: Path, api: Api, documents: Documents) -> None:
    """NEW with a null lag, or PENDING and not ready."""
    jobs = replace(READY, ready_after=Range(low=100.0, high=100.0))
    async with house(tmp_path, ONE, replace(scenario(documents=documents), jobs=jobs), api=api) as it:
        await succeeds(it, puts=1)
        assert it.names(GateWaiting)[0].status == ("NEW" if documents is Documents.FULL else "PENDING")
        assert it.put_at("a") >= 100.0


@both_apis
async def test_a_document_that_says_nothing_of_readiness_needs_a_gate_that_is_off(tmp_path: Path, api: Api) -> None:
    """It is waited for until the gate's timeout, and the message says what to do."""
    off = workflow(wave("w", migration("a", gate=None), migration("b", gate=Gate(timeout=120.0))))
    async with house(tmp_path, off, scenario(documents=Documents.BARE), api=api) as it:
        ending = await it.start()
        assert outcomes(ending) == {"a": Outcome.SUCCESS, "b": Outcome.FAILED}
        assert it.puts("b") == 0
        assert "`gate: off`" in str(ending.state.result("b").error_message)


async def test_a_gate_whose_last_read_had_to_wait_for_its_turn_blames_no_empty_budget(tmp_path: Path) -> None:
    """Nearly all of v1.0's tokens are there when the gates of five jobs time out at once: their reads take turns."""
    gate = Gate(timeout=3.0)
    plan = workflow(wave("w", *(migration(f"m{number}", gate=gate) for number in range(5))))
    limit = RateLimit(requests=100, per=60.0, burst=100, scope="group")
    async with house(tmp_path, plan, scenario(documents=Documents.BARE), api=Api.V1, limit=limit) as it:
        ending = await it.start()
        assert set(outcomes(ending).values()) == {Outcome.FAILED}
        said = [str(ending.state.result(name).error_message) for name in plan.names()]
        assert all("`gate: off`" in message for message in said)
        assert not any("stayed empty" in message for message in said)
        assert any("its turn did not come" in message for message in said)


@both_apis
@pytest.mark.parametrize("documents", [Documents.FULL, Documents.OLDER])
async def test_a_409_before_any_cutover_is_waited_out(tmp_path: Path, api: Api, documents: Documents) -> None:
    """The third PUT is accepted; none leaves before the settle time of the one before is over."""
    refusals = put(FaultKind.ERROR_BEFORE, status=409, times=2)
    async with house(tmp_path, ONE, scenario(refusals, documents=documents), api=api) as it:
        await succeeds(it, puts=3)
        first, second, third = it.seen("a")["put_times"]
        assert min(second - first, third - second) >= it.settings.atlas.settle


async def test_409s_without_end_end_with_the_gates_timeout(tmp_path: Path) -> None:
    """FAILED with Atlas's reason, and the application is started again."""
    hooks = Hooks(before=(("true",),), after_failure=(("true",),))
    plan = workflow(wave("w", migration("a", gate=Gate(timeout=300.0), hooks=hooks)))
    async with house(tmp_path, plan, scenario(put(FaultKind.ERROR_BEFORE, status=409, times=None))) as it:
        ending = await it.start()
        assert outcomes(ending) == {"a": Outcome.FAILED}
        assert "409" in str(ending.state.result("a").error_message)
        assert [hook.hook for hook in ending.state.finished_hooks] == ["before", "after_failure"]
        assert 2 <= it.puts("a") <= 11


@both_apis
@pytest.mark.parametrize("status", [400, 403, 404, 409])
async def test_a_refusal_is_not_believed_of_a_put_that_was_sent_twice(tmp_path: Path, api: Api, status: int) -> None:
    """A proxy did, and the first was carried out: the job says so, and no `after_failure` hook runs."""
    hooks = Hooks(before=(("true",),), after_failure=(("false",),))
    plan = workflow(wave("w", migration("a", hooks=hooks)))
    async with house(tmp_path, plan, scenario(put(FaultKind.ERROR_AFTER, status=status)), api=api) as it:
        await succeeds(it, puts=1)
        assert [event.http_status for event in it.names(CutoverRefused)] == [status]
        assert not it.names(CutoverNotBegun)


async def test_a_refusal_after_a_doubt_is_failed_and_not_repeated(tmp_path: Path) -> None:
    """The first PUT was lost, the second is refused, and the job shows that nothing began."""
    faults = (put(FaultKind.LOST_BEFORE), put(FaultKind.ERROR_BEFORE, status=409, times=None))
    async with house(tmp_path, ONE, scenario(*faults)) as it:
        assert outcomes(await it.start()) == {"a": Outcome.FAILED}
        assert it.puts("a") == 2


@pytest.mark.parametrize("documents", [Documents.OLDER, Documents.BARE])
async def test_a_final_word_in_the_puts_answer_waits_for_a_read(tmp_path: Path, documents: Documents) -> None:
    """v1.0 answers the PUT with a document, here of a cutover that takes no time: the outcome is what a read says after it."""
    plan = workflow(wave("w", migration("a", gate=None)))
    async with house(tmp_path, plan, scenario(documents=documents, cutover=0.0), api=Api.V1) as it:
        await succeeds(it, puts=1)
        assert [(event.http_status, event.status) for event in it.names(CutoverAccepted)] == [(200, "SUCCESS")]
        assert it.seen("a")["first_final_read"] is not None
        assert it.seen("a")["reads"] == 2


# -- reads that lag behind, and a lag that is missing for once ---------------------------------------------------------


@pytest.mark.parametrize("age", [5.0, 25.0])
@pytest.mark.parametrize(
    "fate",
    [put(FaultKind.LOST_AFTER), put(FaultKind.ERROR_AFTER), put(FaultKind.ERROR_AFTER, status=409)],
    ids=["lost", "500", "409"],
)
async def test_reads_that_lag_behind_let_no_second_put_leave(tmp_path: Path, fate: Fault, age: float) -> None:
    """A replica shows the job ready and with its lag for so many seconds after the cutover has begun."""
    stale = Fault(on=Kind.READ, kind=FaultKind.STALE, age=age, share=0.8)
    async with house(tmp_path, ONE, scenario(fate, stale)) as it:
        await succeeds(it, puts=1)
        assert it.atlas.record()["faults"]["stale"] > 5


async def test_the_settle_time_is_what_keeps_a_second_put_from_leaving(tmp_path: Path) -> None:
    """Reads that lag behind by more are the assumption broken: here by a setting that is too low for them."""
    faults = (put(FaultKind.LOST_AFTER), Fault(on=Kind.READ, kind=FaultKind.STALE, age=25.0))
    async with house(tmp_path, ONE, scenario(*faults), settle=5.0) as it:
        await it.start()
        assert it.seen("a")["puts_processed"] == 2


@pytest.mark.parametrize("lost", [FaultKind.LOST_BEFORE, FaultKind.LOST_AFTER])
async def test_a_lag_that_is_missing_now_and_then_is_no_evidence(tmp_path: Path, lost: FaultKind) -> None:
    """Four of ten reads have none: what seems to have begun is in doubt again when it is back."""
    blips = Fault(on=Kind.READ, kind=FaultKind.GARBAGE, body=Garbage.NULL_LAG, share=0.4, after=1.0)
    async with house(tmp_path, ONE, scenario(put(lost), blips)) as it:
        await succeeds(it, puts=1 if lost is FaultKind.LOST_AFTER else 2)


async def test_a_lag_that_makes_no_sense_opens_no_gate(tmp_path: Path) -> None:
    """Below 0 is not below `max_lag`: the job is waited for until the gate's timeout, and the message says what Atlas sent."""
    odd = Fault(on=Kind.READ, kind=FaultKind.GARBAGE, body=Garbage.ODD_LAG, times=None)
    plan = workflow(wave("w", migration("a", gate=Gate(timeout=120.0))))
    async with house(tmp_path, plan, scenario(odd)) as it:
        ending = await it.start()
        assert outcomes(ending) == {"a": Outcome.FAILED}
        assert it.puts("a") == 0
        assert "expected lagTimeSeconds to be 0 seconds or more, but it is -1" in str(
            ending.state.result("a").error_message
        )


@pytest.mark.parametrize("lost", [FaultKind.LOST_BEFORE, FaultKind.LOST_AFTER])
async def test_a_lag_that_makes_no_sense_is_no_evidence(tmp_path: Path, lost: FaultKind) -> None:
    """Neither that a cutover has begun, as one that is gone would be, nor that it has not."""
    odd = Fault(on=Kind.READ, kind=FaultKind.GARBAGE, body=Garbage.ODD_LAG, share=0.4, after=1.0)
    async with house(tmp_path, ONE, scenario(put(lost), odd)) as it:
        await succeeds(it, puts=1 if lost is FaultKind.LOST_AFTER else 2)
        assert len(it.names(CutoverInDoubt)) == 1


async def test_what_nobody_accepted_is_in_doubt_when_its_time_is_over(tmp_path: Path) -> None:
    """The lag has been gone since the PUT, which got no answer: no TIMED_OUT for good, and `resume` sees the end."""
    plan = workflow(wave("w", migration("a", timeout=100.0)))
    async with house(tmp_path, plan, scenario(put(FaultKind.LOST_AFTER), cutover=250.0)) as it:
        ending = await it.start()
        assert [event.evidence for event in it.names(CutoverAccepted)] == ["job"]
        assert outcomes(ending) == {"a": Outcome.IN_DOUBT}
        ending = await it.resume(ending.state.run_id)
        ending = await it.resume(ending.state.run_id)
        assert outcomes(ending) == {"a": Outcome.SUCCESS}
        assert it.puts("a") == 1
