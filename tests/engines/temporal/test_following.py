"""What is mirrored here of a run at Temporal, and what is passed on to it, by who knows secrets that its workers do not."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from temporalio.client import Client

from orchestrator.core.events import HookFinished, WaveApproved
from orchestrator.core.settings import Secret
from orchestrator.core.steered import Command
from orchestrator.core.steering import SteeringRequest
from orchestrator.core.workflow import Hooks
from orchestrator.engines.temporal.service import Remote
from orchestrator.operations.follower import Follower
from orchestrator.operations.options import Options
from orchestrator.store.journal import open_journal

from ..house import house, migration, wave, workflow
from .cluster import begin, worker
from .servers import needs_temporal
from .test_nights import hasty, own, quick

pytestmark = [pytest.mark.anyio, needs_temporal]

TOKEN = "T0K3Nabc123456xyz"


async def test_what_the_follower_alone_knows_to_be_secret_gets_neither_here_nor_there(
    tmp_path: Path, client: Client
) -> None:
    """A hook prints the token of a notification, and a reason has it: neither journal nor observers nor Temporal see it; names stay as they are."""
    (tmp_path / "said").write_text(f"notify {TOKEN} of a in prod")
    hook = ("cat", f"{tmp_path}/said")
    # a name like a secret of the follower's is a name all the same
    plan = own(workflow(wave("prod", migration("a", hooks=Hooks(before=(hook,))), approval=True)))
    async with house(tmp_path / "atlas", plan, quick()) as built, worker(client, it := hasty(built)):
        it.settings.redactor.add("prod")
        told = replace(it.settings.observers, notify=(Secret(f"json://host/{TOKEN}"),))
        settings = replace(it.settings, observers=told)
        run = await begin(client, it, plan)
        seen: list[str] = []
        options = Options(observers=[lambda event, _: seen.append(repr(event))])
        with open_journal(it.settings.state_dir) as journal:
            follower = Follower(journal, Remote(client, run.handle.id), settings, options, run_id="one")
            await follower.catch_up(least=1)

            async def approve() -> None:
                await run.waits_for_approval("prod")
                approval = SteeringRequest(
                    command=Command.APPROVE, who="somebody", reason=f"as {TOKEN} says", wave="prod"
                )
                journal.request("one", approval, at=time.time())

            async with anyio.create_task_group() as group:
                group.start_soon(approve)
                ending = await follower.follow()
            events = [event for _, event in journal.events("one")]
        there = await run.events()
    assert ending.exit_code == 0
    [approved] = [event for event in events if isinstance(event, WaveApproved)]
    assert (approved.wave, approved.reason) == ("prod", "as [redacted] says")
    [ran] = [event for event in events if isinstance(event, HookFinished)]
    assert (ran.migration, ran.output) == ("a", "notify [redacted] of a in [redacted]")
    assert seen
    assert TOKEN not in "".join(seen)
    assert [event.reason for event in there if isinstance(event, WaveApproved)] == ["as [redacted] says"]
