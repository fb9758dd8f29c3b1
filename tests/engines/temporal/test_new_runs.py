"""A run that begins in the place of another one, of which Temporal knows more than the journal here, or nothing any more."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from temporalio.client import Client

from orchestrator.core.errors import InputError
from orchestrator.core.events import CutoverInDoubt, CutoversStopped, RunResumed, RunStarted
from orchestrator.core.migration import Phase
from orchestrator.core.outcomes import ExitCode, Outcome
from orchestrator.core.run import RunState
from orchestrator.core.settings import Engine
from orchestrator.engines.temporal.service import Remote, as_json
from orchestrator.operations import temporal_runs
from orchestrator.operations.abort import abort
from orchestrator.operations.approve import approve
from orchestrator.operations.find import find_run
from orchestrator.operations.options import Ending, Options
from orchestrator.operations.reject import reject
from orchestrator.operations.status import status
from orchestrator.operations.steering import Taken
from orchestrator.store.journal import open_journal

from ..house import Gate, migration, wave, workflow
from ..test_runs import cut_over_by_hand
from .cluster import until
from .servers import Server, needs_temporal
from .test_nights import quick
from .test_parity import Night, night, outcomes

pytestmark = [pytest.mark.anyio, needs_temporal]


async def begin_here(it: Night, *, new: bool = False, only: tuple[str, ...] = ()) -> Ending:
    """Begin a run as `run --detach` does: nobody follows it."""
    options = Options(engine=Engine.TEMPORAL, new=new, only=only)
    with anyio.fail_after(60):
        return await temporal_runs.start(it.plan, it.settings, options, detach=True)


async def begun_in_two(it: Night, other: Path) -> str:
    """Begin a run that the state directory *other* has, too; its id."""
    run_id = (await begin_here(it)).state.run_id
    with anyio.fail_after(60):
        await temporal_runs.start(
            it.plan, replace(it.settings, state_dir=other), Options(engine=Engine.TEMPORAL), detach=True
        )
    return run_id


def recorded(it: Night, run_id: str) -> RunState:
    """The run as the journal here has it."""
    with open_journal(it.settings.state_dir, readonly=True) as journal:
        return journal.state(run_id)


def begun_and_forgotten(it: Night) -> str:
    """Leave in the journal what a run leaves there that nobody has followed, and that Temporal does not know any more."""
    names = tuple(m.name for _, m in it.plan.migrations())
    first = RunStarted(
        at=time.time(),
        workflow=it.plan,
        base_url=it.settings.atlas.base_url,
        rehearsal=False,
        selected=names,
        who="somebody",
        version="0",
    )
    with open_journal(it.settings.state_dir) as journal:
        journal.begin("forgotten", it.plan, first, temporal=as_json(it.settings.temporal))
    return "forgotten"


async def test_what_a_run_has_sent_that_nobody_has_followed_is_in_doubt_for_the_one_in_its_place(
    tmp_path: Path, temporal: Server, client: Client
) -> None:
    """Somebody has closed it at Temporal after its PUT; its report tells of that, and the new run reads the job before anything else."""
    async with night(tmp_path, temporal, client, workflow(wave("one", "a")), quick(60.0)) as it:
        first = (await begin_here(it)).state.run_id
        await until(lambda: it.it.puts("a") > 0)
        await it.handle().terminate("by somebody who should not have")
        assert recorded(it, first).migrations["a"].phase is Phase.NEW
        second = await begin_here(it, new=True)
        assert second.state.run_id != first
        assert second.state.migrations["a"].phase is Phase.DOUBT
        told = await anyio.to_thread.run_sync(partial(status, first, state_dir=it.settings.state_dir))
        [job] = told.report.migrations
        assert (job.outcome, job.cutover_requests) == (Outcome.IN_DOUBT, 1)
        assert it.puts() == {"a": 1}


async def test_a_run_is_not_begun_in_the_place_of_one_whose_puts_it_would_not_follow(
    tmp_path: Path, temporal: Server, client: Client
) -> None:
    """Although the journal here did not know of them when that was asked for."""
    async with night(tmp_path, temporal, client, workflow(wave("one", "a"), wave("two", "b")), quick(60.0)) as it:
        first = (await begin_here(it)).state.run_id
        await until(lambda: it.it.puts("a") > 0)
        await it.handle().terminate("by somebody who should not have")
        with pytest.raises(InputError, match=rf"run {first} has left 1 cutover under way or in doubt .*\(a\)"):
            await begin_here(it, new=True, only=("two",))
        assert it.puts() == {"a": 1, "b": 0}


async def test_a_run_is_not_begun_in_the_place_of_one_that_has_left_something_at_another_server(
    tmp_path: Path, temporal: Server, client: Client
) -> None:
    """What it has sent there is taken in, and stays for whoever goes on with it there."""
    async with night(tmp_path, temporal, client, workflow(wave("one", "a")), quick(60.0)) as it:
        first = (await begin_here(it)).state.run_id
        await until(lambda: it.it.puts("a") > 0)
        other = replace(it.settings.atlas, base_url="http://127.0.0.1:9/api/atlas/v2")
        with pytest.raises(
            InputError, match=rf"run {first} .* is open at Temporal, at http.*`atlas-cutover resume {first}`"
        ):
            await begin_here(replace(it, settings=replace(it.settings, atlas=other)))
        await it.handle().terminate("by somebody who should not have")
        with pytest.raises(InputError, match=rf"run {first} has left 1 cutover under way or in doubt \(a\) at http"):
            await begin_here(replace(it, settings=replace(it.settings, atlas=other)), new=True)
        assert it.puts() == {"a": 1}
        assert (await begin_here(it)).state.run_id == first


@pytest.mark.parametrize("way", ["new", "abort"])
async def test_each_job_of_a_run_that_temporal_has_forgotten_is_in_doubt_for_the_next_one(
    tmp_path: Path, temporal: Server, client: Client, way: str
) -> None:
    """Whether that takes its place, or it was given up before; and its own report says so."""
    async with night(tmp_path, temporal, client, workflow(wave("one", "a"), wave("two", "b"))) as it:
        first = begun_and_forgotten(it)
        if way == "abort":
            ended = await anyio.to_thread.run_sync(partial(abort, first, state_dir=it.settings.state_dir))
            assert ended.unwatched == ("a", "b")
        second = await begin_here(it, new=way == "new")
        assert {known.phase for known in second.state.migrations.values()} == {Phase.DOUBT}
        told = await anyio.to_thread.run_sync(partial(status, first, state_dir=it.settings.state_dir))
        assert {each.outcome for each in told.report.migrations} == {Outcome.IN_DOUBT}
        with open_journal(it.settings.state_dir, readonly=True) as journal:
            doubts = [event for _, event in journal.events(first) if isinstance(event, CutoverInDoubt)]
        assert "as Temporal has no history of it (any more)" in doubts[0].reason


async def test_what_was_aborted_while_it_was_open_is_not_gone_on_with_from_another_state_directory(
    tmp_path: Path, temporal: Server, client: Client
) -> None:
    """Nor where another run of the workflow has come since, behind which its history is not found any more."""
    async with night(tmp_path, temporal, client, workflow(wave("one", "a", approval=True))) as it:
        here, other = it.settings.state_dir, it.settings.state_dir / "other"
        run_id = await begun_in_two(it, other)
        await anyio.to_thread.run_sync(partial(abort, run_id, state_dir=here, who="ada"))
        await it.handle().result()
        with open_journal(here, readonly=True) as journal:
            row = find_run(journal, run_id)
        await temporal_runs.catch_up(row, here)
        second = (await begin_here(it)).state.run_id
        assert second != run_id
        await anyio.to_thread.run_sync(partial(abort, second, state_dir=here, who="ada"))
        await it.handle().result()
        with pytest.raises(InputError, match=rf"run {run_id} was ended by .* with another state directory"):
            await it.run(state="other")
        assert it.puts() == {"a": 0}


async def test_what_was_given_up_with_one_state_directory_is_not_gone_on_with_from_another(
    tmp_path: Path, temporal: Server, client: Client
) -> None:
    """Not even where its wave is approved there, which is recorded there alone; aborted there, too, it makes way for another run."""
    async with night(tmp_path, temporal, client, workflow(wave("one", "a", approval=True))) as it:
        here, other = it.settings.state_dir, it.settings.state_dir / "other"
        run_id = await begun_in_two(it, other)
        await anyio.to_thread.run_sync(partial(reject, run_id, "one", state_dir=here))
        await it.handle().result()
        for state_dir in (here, other):
            with open_journal(state_dir, readonly=True) as journal:
                row = find_run(journal, run_id)
            await temporal_runs.catch_up(row, state_dir)
        ended = await anyio.to_thread.run_sync(partial(abort, run_id, state_dir=here, who="ada"))
        assert ended.taken is Taken.ENDED
        approved = await anyio.to_thread.run_sync(partial(approve, run_id, "one", state_dir=other))
        assert (approved.taken, approved.here_alone) == (Taken.KEPT, True)
        with pytest.raises(InputError, match=rf"run {run_id} was ended by ada with another state directory"):
            await it.run(state="other")
        with open_journal(other, readonly=True) as journal:
            assert not any(isinstance(event, RunResumed) for _, event in journal.events(run_id))
        assert it.puts() == {"a": 0}
        ended = await anyio.to_thread.run_sync(partial(abort, run_id, state_dir=other, who="ben"))
        assert ended.taken is Taken.ENDED


async def test_a_run_in_whose_place_another_one_has_begun_is_given_up_for_every_state_directory(
    tmp_path: Path, temporal: Server, client: Client
) -> None:
    """Its word is at Temporal before the new one begins; of the new one there is none."""
    async with night(tmp_path, temporal, client, workflow(wave("one", "a", approval=True))) as it:
        first = (await begin_here(it)).state.run_id
        await anyio.to_thread.run_sync(partial(reject, first, "one", state_dir=it.settings.state_dir))
        await it.handle().result()
        second = (await begin_here(it, new=True)).state.run_id
        remote = Remote(client, it.handle().id)
        assert await remote.given_up_by(first)
        assert await remote.given_up_by(second) is None


async def test_a_cutover_that_somebody_else_began_between_two_runs_gets_no_put(
    tmp_path: Path, temporal: Server, client: Client
) -> None:
    """The workers know what the journal here knows of the job: it had a lag when the run before read it."""
    lags = migration("a", gate=Gate(max_lag=0.0, timeout=2.0))
    async with night(tmp_path, temporal, client, workflow(wave("one", lags)), quick(3600.0)) as it:
        assert outcomes(await it.run()) == {"a": "FAILED"}
        (job,) = it.it.atlas.app._jobs.values()
        job.plan = replace(job.plan, ready_in_cutover=True)
        cut_over_by_hand(it.it, "a")
        fits = replace(lags, gate=Gate(timeout=2.0))
        ended = await it.run(replace(it.plan, waves=(wave("one", fits),)))
        assert outcomes(ended) == {"a": "FAILED"}
        [told] = ended.report.migrations
        assert "the job reported its lag before and reports none now" in str(told.error_message)
        assert it.puts() == {"a": 0}


async def test_a_session_that_begins_after_its_run_was_given_up_elsewhere_does_nothing(
    tmp_path: Path, temporal: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had been asked for before, and got there late: nothing is sent, and the run is ended by an `abort` there, too."""
    async with night(tmp_path, temporal, client, workflow(wave("one", "a", approval=True))) as it:
        here, other = it.settings.state_dir, it.settings.state_dir / "other"
        run_id = (await begin_here(it)).state.run_id
        with anyio.fail_after(60):
            await temporal_runs.start(
                it.plan, replace(it.settings, state_dir=other), Options(engine=Engine.TEMPORAL), detach=True
            )
        await anyio.to_thread.run_sync(partial(reject, run_id, "one", state_dir=here))
        await it.handle().result()
        for state_dir in (here, other):
            with open_journal(state_dir, readonly=True) as journal:
                row = find_run(journal, run_id)
            await temporal_runs.catch_up(row, state_dir)
        await anyio.to_thread.run_sync(partial(approve, run_id, "one", state_dir=other))
        at_once = Remote.begin

        async def late(remote: Remote, *args: Any, **more: Any) -> bool:
            ended = await anyio.to_thread.run_sync(partial(abort, run_id, state_dir=here, who="ada"))
            assert ended.taken is Taken.ENDED
            return await at_once(remote, *args, **more)

        monkeypatch.setattr(Remote, "begin", late)
        ended = await it.run(state="other")
        assert it.puts() == {"a": 0}
        assert (ended.exit_code, ended.report.unfinished) == (ExitCode.INVALID, True)
        with open_journal(other, readonly=True) as journal:
            stopped = [event for _, event in journal.events(run_id) if isinstance(event, CutoversStopped)]
        assert "the run was ended by ada with another state directory" in stopped[-1].reason
        ended_there = await anyio.to_thread.run_sync(partial(abort, run_id, state_dir=other, who="ben"))
        assert ended_there.taken is Taken.ENDED


async def test_an_abort_ends_a_run_whose_session_has_seen_its_word_before_it_was_asked(
    tmp_path: Path, temporal: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sees the word by itself, and has ended before it can be asked: the run is over, and nothing was sent."""
    async with night(tmp_path, temporal, client, workflow(wave("one", "a", approval=True))) as it:
        here, other = it.settings.state_dir, it.settings.state_dir / "other"
        run_id = (await begin_here(it)).state.run_id
        elsewhere = replace(it.settings, state_dir=other)
        options = Options(engine=Engine.TEMPORAL)
        with anyio.fail_after(60):
            await temporal_runs.start(it.plan, elsewhere, options, detach=True)
        await anyio.to_thread.run_sync(partial(reject, run_id, "one", state_dir=here))
        await it.handle().result()
        for state_dir in (here, other):
            with open_journal(state_dir, readonly=True) as journal:
                row = find_run(journal, run_id)
            await temporal_runs.catch_up(row, state_dir)
        await anyio.to_thread.run_sync(partial(approve, run_id, "one", state_dir=other))
        leave = Remote.give_up

        async def after_a_session_has_begun(remote: Remote, *args: Any) -> None:
            begin = Remote.begin

            async def and_leave_the_word(its: Remote, *about: Any, **more: Any) -> bool:
                await leave(remote, *args)
                return await begin(its, *about, **more)

            monkeypatch.setattr(Remote, "begin", and_leave_the_word)
            await temporal_runs.start(it.plan, elsewhere, options, detach=True)

        ask = Remote.steer

        async def too_late(remote: Remote, *args: Any, **more: Any) -> list[str | None]:
            await remote.client.get_workflow_handle(remote.workflow_id).result()
            return await ask(remote, *args, **more)

        monkeypatch.setattr(Remote, "give_up", after_a_session_has_begun)
        monkeypatch.setattr(Remote, "steer", too_late)
        with anyio.fail_after(60):
            ended = await anyio.to_thread.run_sync(
                partial(abort, run_id, state_dir=here, who="ada"), abandon_on_cancel=True
            )
        assert ended.taken is Taken.ENDED
        assert it.puts() == {"a": 0}
        told = await anyio.to_thread.run_sync(partial(status, run_id, state_dir=here))
        assert (told.holder, told.report.unfinished) == (None, False)
