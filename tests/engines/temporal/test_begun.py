"""A run whose beginning Temporal was not heard to confirm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.core.errors import PerhapsBegunError, TemporalError
from orchestrator.core.outcomes import ExitCode
from orchestrator.operations import begun
from orchestrator.operations.passing_on import PassingOn
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
