"""A run whose beginning Temporal was not heard to confirm."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.core.errors import BusyError, PerhapsBegunError, TemporalError
from orchestrator.core.events import CutoverInDoubt, RunResumed
from orchestrator.core.outcomes import ExitCode
from orchestrator.engines.temporal.service import Remote
from orchestrator.operations import begun, temporal_runs
from orchestrator.operations.approve import approve
from orchestrator.operations.find import find_run
from orchestrator.operations.passing_on import PassingOn
from orchestrator.operations.reject import reject
from orchestrator.store.journal import open_journal

from ..house import wave, workflow
from .servers import Server, needs_temporal
from .test_new_runs import begin_here
from .test_parity import Night, night, outcomes

pytestmark = [pytest.mark.anyio, needs_temporal]


def lose_the_answer(it: Night, monkeypatch: pytest.MonkeyPatch, *, on_the_way_there: bool) -> None:
    """Lose the answer to who begins the run, or what was asked as well."""
    answered = Client.start_workflow

    async def start_workflow(client: Client, *args: Any, **about: Any) -> Any:
        if about.get("id") != it.handle().id:
            return await answered(client, *args, **about)
        if not on_the_way_there:
            await answered(client, *args, **about)
        raise RPCError("Timeout expired", RPCStatusCode.DEADLINE_EXCEEDED, b"")

    monkeypatch.setattr(Client, "start_workflow", start_workflow)


async def test_a_run_that_has_begun_without_an_answer_is_followed(
    tmp_path: Path, temporal: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To its end, as any other."""
    async with night(tmp_path, temporal, client, workflow(wave("one", "a"))) as it:
        lose_the_answer(it, monkeypatch, on_the_way_there=False)
        ended = await it.run()
        assert (ended.exit_code, outcomes(ended)) == (ExitCode.SUCCESS, {"a": "SUCCESS"})
        assert it.puts() == {"a": 1}


async def test_a_detached_run_that_has_begun_without_an_answer_is_said_to_have_begun(
    tmp_path: Path, temporal: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the run's id, as any other."""
    async with night(tmp_path, temporal, client, workflow(wave("one", "a"))) as it:
        lose_the_answer(it, monkeypatch, on_the_way_there=False)
        ending = await begin_here(it)
        assert ending.exit_code == ExitCode.SUCCESS
        monkeypatch.undo()
        assert outcomes(await it.resume(ending.state.run_id)) == {"a": "SUCCESS"}


async def test_what_cannot_be_passed_on_to_a_detached_run_does_not_deny_that_it_has_begun(
    tmp_path: Path, temporal: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays for whoever takes the run next."""

    async def unheard(_: PassingOn) -> None:
        raise TemporalError("Temporal does not answer (Timeout expired)")

    monkeypatch.setattr(PassingOn, "pass_on", unheard)
    async with night(tmp_path, temporal, client, workflow(wave("one", "a"))) as it:
        assert (await begin_here(it)).exit_code == ExitCode.SUCCESS


async def test_a_run_that_may_have_begun_does_not_end_as_one_that_has_cut_nothing_over(
    tmp_path: Path, temporal: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named, with what follows it; that begins it here, as it had not begun."""
    monkeypatch.setattr(begun, "SETTLED", 1.0)
    async with night(tmp_path, temporal, client, workflow(wave("one", "a"))) as it:
        lose_the_answer(it, monkeypatch, on_the_way_there=True)
        with pytest.raises(PerhapsBegunError, match=r"`atlas-cutover resume .* follows it") as raised:
            await it.run()
        with open_journal(it.settings.state_dir, readonly=True) as journal:
            (row,) = journal.unfinished(workflow=it.plan.name, rehearsal=False)
        assert f"not known whether run {row.run_id} has begun" in str(raised.value)
        assert raised.value.exit_code == ExitCode.INCOMPLETE
        monkeypatch.undo()
        assert outcomes(await it.resume(row.run_id)) == {"a": "SUCCESS"}
        assert it.puts() == {"a": 1}


async def test_a_session_is_not_begun_over_one_that_has_been_since_it_was_decided_on(
    tmp_path: Path, temporal: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another state directory has gone on with the run, and taken it to its end: what was decided here knows nothing of that."""
    async with night(tmp_path, temporal, client, workflow(wave("one", "a", approval=True))) as it:
        other = it.settings.state_dir / "other"
        run_id = (await begin_here(it)).state.run_id
        elsewhere = replace(it, settings=replace(it.settings, state_dir=other))
        await begin_here(elsewhere)
        await anyio.to_thread.run_sync(partial(reject, run_id, "one", state_dir=it.settings.state_dir))
        await it.handle().result()
        for state_dir in (it.settings.state_dir, other):
            with open_journal(state_dir, readonly=True) as journal:
                row = find_run(journal, run_id)
            await temporal_runs.catch_up(row, state_dir)
        look = Remote.given_up_by

        async def meanwhile(remote: Remote, its: str) -> str | None:
            monkeypatch.setattr(Remote, "given_up_by", look)
            await anyio.to_thread.run_sync(partial(approve, run_id, "one", state_dir=it.settings.state_dir))
            assert outcomes(await it.run()) == {"a": "SUCCESS"}
            return await look(remote, its)

        monkeypatch.setattr(Remote, "given_up_by", meanwhile)
        with pytest.raises(BusyError, match="has just been begun at Temporal by somebody else"):
            await begin_here(elsewhere)
        with open_journal(other, readonly=True) as journal:
            assert not any(isinstance(event, RunResumed) for _, event in journal.events(run_id))
        assert outcomes(await elsewhere.resume(run_id)) == {"a": "SUCCESS"}
        assert it.puts() == {"a": 1}


async def rejected_in_two(it: Night, other: Path) -> str:
    """A run whose session has ended with its wave rejected, and which two state directories know so."""
    run_id = (await begin_here(it)).state.run_id
    await begin_here(replace(it, settings=replace(it.settings, state_dir=other)))
    await anyio.to_thread.run_sync(partial(reject, run_id, "one", state_dir=it.settings.state_dir))
    await it.handle().result()
    for state_dir in (it.settings.state_dir, other):
        with open_journal(state_dir, readonly=True) as journal:
            row = find_run(journal, run_id)
        await temporal_runs.catch_up(row, state_dir)
    return run_id


async def test_a_session_that_arrives_after_a_whole_other_one_does_nothing(
    tmp_path: Path, temporal: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was asked for before that one was: what that one did is not in what it goes by. Both directories can go on after it."""
    async with night(tmp_path, temporal, client, workflow(wave("one", "a", approval=True))) as it:
        here, other = it.settings.state_dir, it.settings.state_dir / "other"
        elsewhere = replace(it, settings=replace(it.settings, state_dir=other))
        run_id = await rejected_in_two(it, other)
        await anyio.to_thread.run_sync(partial(approve, run_id, "one", state_dir=other))
        at_once = Remote.begin

        async def late(remote: Remote, *args: Any) -> bool:
            monkeypatch.setattr(Remote, "begin", at_once)
            await anyio.to_thread.run_sync(partial(approve, run_id, "one", state_dir=here))
            assert outcomes(await it.run()) == {"a": "SUCCESS"}
            return await at_once(remote, *args)

        monkeypatch.setattr(Remote, "begin", late)
        with pytest.raises(BusyError, match="has just been begun at Temporal by somebody else"):
            await elsewhere.run()
        assert it.puts() == {"a": 1}
        with open_journal(other, readonly=True) as journal:
            assert not any(isinstance(event, CutoverInDoubt) for _, event in journal.events(run_id))
        assert outcomes(await it.resume(run_id)) == {"a": "SUCCESS"}
        assert outcomes(await elsewhere.resume(run_id)) == {"a": "SUCCESS"}
        with open_journal(other, readonly=True) as journal:
            doubts = [event for _, event in journal.events(run_id) if isinstance(event, CutoverInDoubt)]
        assert [doubt.migration for doubt in doubts] == ["a"]
        assert it.puts() == {"a": 1}


async def test_what_a_session_has_sent_that_is_hidden_behind_another_run_is_in_doubt(
    tmp_path: Path, temporal: Server, client: Client
) -> None:
    """Another state directory has taken the run to its end, and then begun the workflow's next one, behind which Temporal finds it no more."""
    async with night(tmp_path, temporal, client, workflow(wave("one", "a", approval=True))) as it:
        here, other = it.settings.state_dir, it.settings.state_dir / "other"
        run_id = await rejected_in_two(it, other)
        await anyio.to_thread.run_sync(partial(approve, run_id, "one", state_dir=here))
        assert outcomes(await it.run()) == {"a": "SUCCESS"}
        second = (await begin_here(it)).state.run_id
        await anyio.to_thread.run_sync(partial(reject, second, "one", state_dir=here))
        await it.handle().result()
        elsewhere = replace(it, settings=replace(it.settings, state_dir=other))
        await anyio.to_thread.run_sync(partial(approve, run_id, "one", state_dir=other))
        assert outcomes(await elsewhere.resume(run_id)) == {"a": "SUCCESS"}
        with open_journal(other, readonly=True) as journal:
            assert any(isinstance(event, CutoverInDoubt) for _, event in journal.events(run_id))
        assert it.puts() == {"a": 1}
