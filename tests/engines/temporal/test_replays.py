"""Somebody who reaches the cluster, and has no key, sends again what was sent before: none of it is done a second time."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from temporalio import workflow as temporal_workflow
from temporalio.api.common.v1 import Payloads
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from orchestrator.core.errors import TemporalError
from orchestrator.core.events import GateChanged, WaveApproved
from orchestrator.core.steering import Command, Request
from orchestrator.engines.temporal import forms
from orchestrator.engines.temporal.service import Remote

from ..house import house, wave, workflow
from .cluster import begin, worker
from .servers import Server, needs_temporal
from .stranger import update
from .test_batches import executions
from .test_codec import with_a_key
from .test_nights import hasty, own, quick

pytestmark = [pytest.mark.anyio, needs_temporal]


async def updates_of(client: Client, workflow_id: str) -> list[Payloads]:
    """What all runs under this name were asked for, as it travelled."""
    found = []
    async for each in client.list_workflows(f"WorkflowId = '{workflow_id}'"):
        history = await client.get_workflow_handle(each.id, run_id=each.run_id).fetch_history()
        for event in history.events:
            if event.HasField("workflow_execution_update_accepted_event_attributes"):
                accepted = event.workflow_execution_update_accepted_event_attributes
                found.append(accepted.accepted_request.input.args)
    return found


async def test_what_an_earlier_run_was_asked_for_does_nothing_in_a_later_one(tmp_path: Path, temporal: Server) -> None:
    """Of the same workflow, at the same gate: neither an approval nor another gate. The answer says whose it was."""
    stranger = await temporal.connect()
    client = await with_a_key(temporal, tmp_path)
    plan = own(workflow(wave("one", "a", approval=True)))
    async with house(tmp_path / "atlas", plan, quick()) as built, worker(client, it := hasty(built)):
        first = await begin(client, it, plan)
        await first.waits_for_approval("one")
        assert await first.steer("gate", migration="a") == [None]
        assert await first.steer("approve", wave="one") == [None]
        await first.result()
        second = await begin(client, it, plan, run_id="two")
        await second.waits_for_approval("one")
        stolen = await updates_of(stranger, first.handle.id)
        assert len(stolen) == 2
        for args in stolen:
            assert await update(stranger, second.handle.id, "steer", args) == "refused"
        assert [e for e in await second.events() if isinstance(e, (WaveApproved, GateChanged))] == []
        assert await second.steer("reject", wave="one") == [None]
        await second.result()
        assert it.puts("a") == 1


async def test_a_run_does_nothing_twice_that_it_was_asked_for_once(tmp_path: Path, temporal: Server) -> None:
    """`unpause` of an hour ago does not end the pause of now, nor after the run has gone on with an empty history, more than once."""
    stranger = await temporal.connect()
    client = await with_a_key(temporal, tmp_path)
    names = [f"m{number}" for number in range(4)]
    plan = own(workflow(wave("one", *names, concurrency=1), wave("two", "z", approval=True)))
    async with house(tmp_path / "atlas", plan, quick(0.5)) as built, worker(client, it := hasty(built)):
        run = await begin(client, it, plan, turn_after=25)
        assert await run.steer("pause") == [None]
        assert await run.steer("unpause") == [None]
        assert await run.steer("pause") == [None]
        stolen = await updates_of(stranger, run.handle.id)
        assert len(stolen) == 3
        for args in stolen:
            assert await update(stranger, run.handle.id, "steer", args) == "refused"
        assert (await run.state()).paused_by is not None
        assert await run.steer("unpause") == [None]
        await run.waits_for_approval("two")
        assert len(await executions(run, client)) > 2
        assert await run.steer("pause") == [None]
        for args in await updates_of(stranger, run.handle.id):
            assert await update(stranger, run.handle.id, "steer", args) == "refused"
        assert (await run.state()).paused_by is not None
        await run.handle.terminate()


@temporal_workflow.defn(name="Run")
class Liar:
    """A run whose worker answers with what it once answered."""

    @temporal_workflow.update
    async def steer(self, asked: forms.Asked) -> forms.Answered:  # noqa: ARG002 - it does not care
        """An answer to something else."""
        return forms.Answered(asked="of yesterday", answers=[None])

    @temporal_workflow.run
    async def run(self) -> None:
        """Be open."""
        await temporal_workflow.wait_condition(lambda: False)


async def test_an_answer_to_something_else_is_none(client: Client) -> None:
    """Who answers in a worker's place has nothing but what workers once said: nobody is told that a pause holds which does not."""
    name = f"liar-{uuid4().hex}"
    async with Worker(client, task_queue=name, workflows=[Liar], workflow_runner=UnsandboxedWorkflowRunner()):
        handle = await client.start_workflow(Liar.run, id=name, task_queue=name, memo={"run_id": "one"})
        with pytest.raises(TemporalError, match="is not one to what was asked"):
            await Remote(client, name).steer("one", [Request(command=Command.PAUSE, who="somebody")])
        with pytest.raises(TemporalError, match="run two is not open at Temporal"):
            await Remote(client, name).steer("two", [Request(command=Command.PAUSE, who="somebody")])
        await handle.terminate()
