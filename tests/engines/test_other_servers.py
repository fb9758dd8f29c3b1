"""Runs of one state directory against two servers: what is known of a job at the one is not known of it at the other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from orchestrator.core.errors import InputError
from orchestrator.core.events import (
    CutoverAccepted,
    CutoverInDoubt,
    CutoverNotBegun,
    CutoverRequested,
    Event,
    GateWaiting,
    JobsSeenBefore,
)
from orchestrator.core.outcomes import Outcome
from orchestrator.core.run import RunState
from orchestrator.core.workflow import Workflow
from orchestrator.operations.abort import abort_interrupted
from orchestrator.operations.foresight import foresee, foresee_resume
from orchestrator.operations.options import Options
from orchestrator.operations.plan_online import plan_online
from orchestrator.simulator import Scenario
from orchestrator.simulator.scenario import Range
from orchestrator.store.journal import open_journal

from .house import READY, Gate, Hooks, House, die_when, house, migration, outcomes, wall, wave, workflow
from .test_continuing import lost
from .test_owed_hooks import killed_after_its_before_hook
from .test_runs import cut_over_by_hand

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

PLAN = workflow(wave("one", "a"), wave("two", "b"))
LONG = Scenario(jobs=replace(READY, cutover=Range(low=60.0, high=60.0)))


@asynccontextmanager
async def two_servers(
    state_dir: Path, plan: Workflow, there: Scenario | None = None, here: Scenario | None = None
) -> AsyncIterator[tuple[House, House]]:
    """Two servers that know the same jobs, and one state directory for both."""
    async with house(state_dir, plan, there) as first, house(state_dir, plan, here) as second:
        yield first, second


async def given_up(it: House, happened: Callable[[Event], bool]) -> str:
    """Leave a run that is aborted after *happened*, when its process had died; its id."""
    run_id = await die_when(it, happened)
    with open_journal(it.settings.state_dir) as journal:
        abort_interrupted(journal, run_id, now=wall())
    return run_id


def is_under_way(event: Event) -> bool:
    """Atlas has accepted a cutover."""
    return isinstance(event, CutoverAccepted)


@pytest.mark.parametrize(("happened", "scenario"), [(CutoverAccepted, LONG), (CutoverInDoubt, lost("a"))])
async def test_no_run_takes_the_place_of_one_that_has_left_something_at_another_server(
    tmp_path: Path, happened: type[Event], scenario: Scenario
) -> None:
    """It could not see to that: it says what is left and where, and the ways on; nothing begins, nothing ends, nobody is asked anything."""
    async with two_servers(tmp_path, PLAN, scenario) as (there, here):
        run_id = await die_when(there, lambda event: isinstance(event, happened))
        before = here.atlas.record()
        with pytest.raises(InputError, match=r"has left 1 cutover under way or in doubt \(a\) at") as refused:
            foresee(here.workflow, here.settings, Options(new=True), now=wall())
        for word in (there.settings.atlas.base_url, "--config FILE", f"resume {run_id}", f"abort {run_id}"):
            assert word in str(refused.value)
        with pytest.raises(InputError, match="where no run can see to that; nothing was sent"):
            await here.start(new=True)
        with pytest.raises(
            InputError, match=r"give up what it has left there, 1 cutover .*, with `atlas-cutover abort"
        ):
            await here.resume(run_id)
        assert (here.atlas.record(), here.events) == (before, [])
        assert outcomes(await there.resume(run_id)) == {"a": Outcome.SUCCESS, "b": Outcome.SUCCESS}


@pytest.mark.parametrize("whose", ["migration", "wave"])
async def test_no_run_takes_the_place_of_one_whose_application_stands_still_at_another_server(
    tmp_path: Path, whose: str
) -> None:
    """Its `before` hook has stopped it there, and what runs here starts it no more."""
    hooks = Hooks(before=(("true", "stop"), ("true", "lock")), after_failure=(("true", "undo"),))
    plan = workflow(wave("one", migration("a", hooks=hooks)))
    if whose == "wave":
        plan = workflow(wave("one", "a", hooks=hooks))
    async with two_servers(tmp_path, plan) as (there, here):
        await killed_after_its_before_hook(there, recorded=True)
        with pytest.raises(
            InputError,
            match=rf"has left hooks that have not run \(of {'a' if whose == 'migration' else 'wave one'}\) at",
        ):
            await here.start(new=True)
        assert here.events == []


async def test_a_run_takes_the_place_of_one_that_has_left_nothing_at_another_server(tmp_path: Path) -> None:
    """It waited at its gate, or had come to the end of what it began."""
    closed = workflow(wave("one", migration("a", gate=Gate(max_lag=0.0, timeout=600.0))))
    async with two_servers(tmp_path, closed) as (there, here):
        run_id = await die_when(there, lambda event: isinstance(event, GateWaiting))
        with pytest.raises(InputError, match="or start another with `run --new`"):
            await here.resume(run_id)
        here.workflow = workflow(wave("one", "a"))
        assert outcomes(await here.start(new=True)) == {"a": Outcome.SUCCESS}
        assert (there.puts("a"), here.puts("a")) == (0, 1)


@pytest.mark.parametrize("scenario", [LONG, lost("a")])
async def test_what_is_read_at_one_server_is_no_evidence_about_a_put_to_another(
    tmp_path: Path, scenario: Scenario
) -> None:
    """Not even once the run that sent it was given up: the job is read, gets no PUT, and a person is told where it was sent."""
    async with two_servers(tmp_path, PLAN, scenario) as (there, here):
        run_id = await given_up(there, lambda event: isinstance(event, (CutoverAccepted, CutoverInDoubt)))
        intention = foresee(here.workflow, here.settings, Options(), now=wall())
        assert (intention.starts, intention.repeats, intention.elsewhere) == (("b",), (), ("a",))
        began = wall()
        ending = await here.start()
        assert outcomes(ending) == {"a": Outcome.IN_DOUBT, "b": Outcome.SUCCESS}
        assert (here.puts("a"), here.names(CutoverNotBegun)) == (0, [])
        assert wall() - began < 600.0, "as long as no read can settle it, none is waited for"
        [doubt] = here.names(CutoverInDoubt)
        assert doubt.elsewhere == there.settings.atlas.base_url
        assert f"run {run_id} sent a PUT to {there.settings.atlas.base_url}, another server, at" in doubt.reason
        message = ending.state.result("a").error_message or ""
        assert f"another run has sent a PUT to {there.settings.atlas.base_url}" in message
        # Whoever goes on with it knows no more.
        assert foresee_resume(ending.state.run_id, here.settings, Options(), now=wall()).elsewhere == ("a",)
        assert outcomes(await here.resume(ending.state.run_id))["a"] is Outcome.IN_DOUBT
        assert here.puts("a") == 0


async def test_a_put_counts_whatever_the_address_that_it_was_sent_to(tmp_path: Path) -> None:
    """Two names may be one Atlas: what was sent by the one is followed by the other, and no PUT leaves."""
    async with house(tmp_path, workflow(wave("one", "a")), LONG) as it:
        await given_up(it, is_under_way)
        port = urlsplit(it.settings.atlas.base_url).port
        it.settings = replace(
            it.settings, atlas=replace(it.settings.atlas, base_url=f"http://localhost:{port}/api/atlas/v2")
        )
        it.events.clear()
        assert outcomes(await it.start()) == {"a": Outcome.SUCCESS}
        assert (it.puts("a"), it.names(CutoverRequested)) == (1, [])


async def test_a_run_at_the_server_that_had_the_put_settles_it(tmp_path: Path) -> None:
    """What it reads there is evidence as ever, and what it sends then is the one that counts."""
    async with two_servers(tmp_path, PLAN, lost("a")) as (there, here):
        await given_up(there, lambda event: isinstance(event, CutoverInDoubt))
        assert outcomes(await here.start(only=("a",))) == {"a": Outcome.IN_DOUBT, "b": Outcome.NOT_STARTED}
        with open_journal(tmp_path) as journal:
            abort_interrupted(journal, journal.runs()[0].run_id, now=wall())
        there.events.clear()
        assert outcomes(await there.start()) == {"a": Outcome.SUCCESS, "b": Outcome.SUCCESS}
        assert there.puts("a") == 2, "the first was lost"
        assert [event.elsewhere for event in there.names(CutoverInDoubt)] == [""]


async def test_a_put_whose_end_was_told_at_another_server_keeps_nobody_waiting_for_a_person(tmp_path: Path) -> None:
    """A night that was played against another server is over: a job that is ready here after that is another one."""
    async with two_servers(tmp_path, PLAN) as (there, here):
        assert outcomes(await there.start()) == {"a": Outcome.SUCCESS, "b": Outcome.SUCCESS}
        assert outcomes(await here.start()) == {"a": Outcome.SUCCESS, "b": Outcome.SUCCESS}
        assert (here.puts("a"), here.puts("b")) == (1, 1)


async def test_a_put_of_which_no_end_was_told_is_not_sent_again_elsewhere(tmp_path: Path) -> None:
    """One that has timed out may still be carried out; the run that sent it is over."""
    plan = workflow(wave("one", migration("a", timeout=60.0)))
    slow = Scenario(jobs=replace(READY, cutover=Range(low=7200.0, high=7200.0)))
    async with two_servers(tmp_path, plan, slow) as (there, here):
        assert outcomes(await there.start()) == {"a": Outcome.TIMED_OUT}
        assert outcomes(await here.start()) == {"a": Outcome.IN_DOUBT}
        assert here.puts("a") == 0


async def test_an_address_that_is_spelled_otherwise_is_the_same_server(tmp_path: Path) -> None:
    """`resume` goes on there, `run --new` takes the run's place, and what is read is evidence."""
    async with house(tmp_path, workflow(wave("one", "a")), lost("a")) as it:
        port = urlsplit(it.settings.atlas.base_url).port
        it.settings = replace(
            it.settings, atlas=replace(it.settings.atlas, base_url=f"http://LocalHost:{port}/api/atlas/v2")
        )
        await die_when(it, lambda event: isinstance(event, CutoverInDoubt))
        it.settings = replace(
            it.settings, atlas=replace(it.settings.atlas, base_url=f"http://localhost:{port}/api/atlas/v2")
        )
        assert outcomes(await it.start(new=True)) == {"a": Outcome.SUCCESS}
        assert it.puts("a") == 2, "the first was lost"


async def test_a_job_that_lags_at_one_server_does_not_hide_that_its_lag_is_gone_at_another(tmp_path: Path) -> None:
    """The run that comes back to that one is told so before its first read."""
    plan = workflow(wave("one", migration("a", gate=Gate(max_lag=0.0, timeout=60.0))))
    async with two_servers(tmp_path, plan) as (there, here):
        (job,) = there.atlas.app._jobs.values()
        job.plan = replace(job.plan, lag_ready=60.0, cutover_seconds=3600.0, ready_in_cutover=True)

        def meanwhile(event: Event, _: RunState) -> None:
            if isinstance(event, GateWaiting) and event.lag is not None:
                cut_over_by_hand(there, "a")

        there.watchers.append(meanwhile)
        assert outcomes(await there.start()) == {"a": Outcome.FAILED}
        there.watchers.clear()
        assert outcomes(await here.start()) == {"a": Outcome.FAILED}
        assert [event.lag for event in here.names(GateWaiting)] == [1.0]
        await plan_online(plan, here.settings)
        there.events.clear()
        assert outcomes(await there.start()) == {"a": Outcome.FAILED}
        assert [event.lag_gone for event in there.names(JobsSeenBefore)] == [("a",)]
        assert (there.puts("a"), here.puts("a")) == (0, 0)
