"""What somebody left for a command that followed a run at Temporal, and that died before it passed that on."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from temporalio.client import Client

from orchestrator.core.errors import InputError
from orchestrator.core.leftovers import FRESH
from orchestrator.core.steered import Command
from orchestrator.core.steering import SteeringRequest
from orchestrator.engines.temporal.service import Remote
from orchestrator.operations.follower import Follower
from orchestrator.operations.options import Host, Options
from orchestrator.operations.reject import reject
from orchestrator.operations.skip import skip
from orchestrator.operations.steering import Taken
from orchestrator.store.journal import open_journal

from ..house import wave, workflow
from .servers import Server, needs_temporal
from .test_new_runs import begin_here, recorded
from .test_parity import Night, night, outcomes

pytestmark = [pytest.mark.anyio, needs_temporal]


def leave(it: Night, run_id: str, command: Command, **about: Any) -> None:
    """What the page leaves for who follows the run."""
    with open_journal(it.settings.state_dir) as journal:
        journal.request(run_id, SteeringRequest(command=command, who="olga", **about), at=time.time())


async def test_an_approval_that_was_never_passed_on_approves_nothing_later(
    tmp_path: Path, temporal: Server, client: Client
) -> None:
    """Neither after a rejection, nor in the next session, which the operator is told of; what was to be skipped is."""
    plan = workflow(wave("one", "a", "b", approval=True))
    async with night(tmp_path, temporal, client, plan) as it:
        run_id = (await begin_here(it)).state.run_id
        leave(it, run_id, Command.APPROVE, wave="one")
        leave(it, run_id, Command.SKIP, migration="b")
        await anyio.to_thread.run_sync(partial(reject, run_id, "one", state_dir=it.settings.state_dir, who="ada"))
        first = await it.resume(run_id)
        assert (outcomes(first), first.exit_code) == ({"a": "NOT_STARTED", "b": "NOT_STARTED"}, 3)
        state = recorded(it, run_id)
        assert (state.waves["one"].rejected_by, state.waves["one"].approved_by) == ("ada", None)
        assert state.migrations["b"].skipped == "skipped by olga"
        leave(it, run_id, Command.APPROVE, wave="one")
        told: list[tuple[str, str]] = []
        host = Host(say=lambda event, **fields: told.append((event, str(fields["detail"]))))
        again = await it.run(host=host)
        assert again.report.run_id == run_id
        [(event, said)] = told
        assert event == "request_dropped"
        assert said.startswith("`approve one` by olga, of ")
        assert recorded(it, run_id).waves["one"].approved_by is None
        assert it.puts() == {"a": 0, "b": 0}


async def test_a_wave_at_temporal_is_steered_as_far_as_it_can_be(
    tmp_path: Path, temporal: Server, client: Client
) -> None:
    """What its run has done for some is no error, and of the others it says why not."""
    async with night(
        tmp_path, temporal, client, workflow(wave("one", "a", "b", approval=True), wave("two", "c", approval=True))
    ) as it:
        run_id = (await begin_here(it)).state.run_id
        ask = partial(skip, run_id, state_dir=it.settings.state_dir, who="ada")
        assert (await anyio.to_thread.run_sync(partial(ask, "b"))).left_out == ()
        steered = await anyio.to_thread.run_sync(ask, "one")
        assert (steered.taken, steered.left_out) == (Taken.TAKEN, ("b: already skipped by ada",))
        with pytest.raises(InputError, match=f"run {run_id}: a, b: already skipped by ada"):
            await anyio.to_thread.run_sync(ask, "one")


async def test_what_was_asked_before_somebody_held_the_run_up_from_elsewhere_does_not_let_it_go_on(
    tmp_path: Path, temporal: Server, client: Client
) -> None:
    """Whoever was to pass it on was frozen meanwhile; and what is sent twice, as an answer was lost, is done once."""
    async with night(tmp_path, temporal, client, workflow(wave("one", "a", approval=True))) as it:
        run_id = (await begin_here(it)).state.run_id
        remote = Remote(client, it.handle().id)
        pause = [SteeringRequest(command=Command.PAUSE, who="ben")]
        assert await remote.steer(run_id, pause, number="1") == await remote.steer(run_id, pause, number="1") == [None]
        told: list[str] = []
        host = Host(say=lambda event, **_: told.append(event))
        with open_journal(it.settings.state_dir) as journal:
            for command, wave_name in ((Command.UNPAUSE, None), (Command.APPROVE, "one")):
                asked = SteeringRequest(command=command, who="olga", wave=wave_name)
                journal.request(run_id, asked, at=time.time() - FRESH - 1.0)
            follower = Follower(journal, remote, it.settings, Options(host=host), run_id=run_id)
            await follower.follow(detach=True)
            await follower.catch_up()
        state = recorded(it, run_id)
        assert told == ["request_dropped", "request_dropped"]
        assert (state.paused_by, state.waves["one"].approved_by, it.puts()) == ("ben", None, {"a": 0})
