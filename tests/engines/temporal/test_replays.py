"""Somebody who reaches the cluster, and has no key, sends again what was sent before: none of it is done a second time."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import pytest
from temporalio import workflow as temporal_workflow
from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import EventType, TimeoutType
from temporalio.api.failure.v1 import Failure, TimeoutFailureInfo
from temporalio.client import Client, WorkflowFailureError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from orchestrator.core.errors import TemporalError
from orchestrator.core.events import (
    CutoverAccepted,
    CutoverInDoubt,
    CutoverNotBegun,
    GateChanged,
    HookFinished,
    WaveApproved,
)
from orchestrator.core.outcomes import ExitCode
from orchestrator.core.steered import Command
from orchestrator.core.steering import SteeringRequest
from orchestrator.core.workflow import Hooks
from orchestrator.engines.temporal import forms, names
from orchestrator.engines.temporal.activities import Activities
from orchestrator.engines.temporal.errands import Errand, Errands
from orchestrator.engines.temporal.service import Remote
from orchestrator.simulator.scenario import Fault, FaultKind, Kind

from ..house import house, migration, wave, workflow
from .cluster import Begun, begin, until, worker
from .servers import Server, needs_temporal
from .stranger import in_its_place, ordered_again, orders_of, result_of, said_again, saying, update
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
    jobs = [f"m{number}" for number in range(4)]
    plan = own(workflow(wave("one", *jobs, concurrency=1), wave("two", "z", approval=True)))
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


def batch_of(run: Begun) -> str:
    """The first batch of *run*: it has the migrations of its first wave."""
    first = run.handle.first_execution_run_id
    assert first is not None
    return names.batch_id(run.handle.id, first, 1)


async def done_in_its_place(client: Client, workflow_id: str, kind: str, result_of_kind: str) -> None:
    """Complete the next activity *kind* of *workflow_id* with what the first one *result_of_kind* there has answered."""
    with anyio.fail_after(60):
        while True:
            result = await result_of(client, workflow_id, result_of_kind)
            if result is not None and await in_its_place(
                client, workflow_id, kind, saying(client, workflow_id, result)
            ):
                return
            await anyio.sleep(0.1)


async def test_a_hook_has_not_ended_because_another_one_has(tmp_path: Path, temporal: Server) -> None:
    """Its result is that of the hook before it, copied: no PUT leaves before writers are stopped, which is done again."""
    stranger = await temporal.connect()
    client = await with_a_key(temporal, tmp_path)
    (begun, stopped) = (tmp_path / "begun", tmp_path / "stopped")
    script = f"echo >>{begun}; until test -e {stopped}; do sleep 0.2; done"
    hooks = Hooks(before=(("true",), ("sh", "-c", script)))
    plan = own(workflow(wave("one", migration("a", hooks=hooks))))
    async with house(tmp_path / "atlas", plan, quick()) as built, worker(client, it := hasty(built)):
        run = await begin(client, it, plan)
        await until(begun.exists)
        await done_in_its_place(stranger, batch_of(run), "hook", "hook")
        await until(lambda: begun.read_text() == "\n\n" or it.puts("a") > 0)
        assert it.puts("a") == 0
        stopped.touch()
        assert (await run.result())["exit_code"] == 0
        ended = [event for event in await run.events() if isinstance(event, HookFinished)]
    assert [(event.argv[0], event.ok, event.interrupted) for event in ended] == [
        ("true", True, False),
        ("sh", False, True),
        ("sh", True, False),
    ]
    assert ended[1].error == "what was told of its end was told of another one's"


async def test_a_read_has_not_found_what_another_one_has(tmp_path: Path, temporal: Server) -> None:
    """After its cutover a job is read on; its PUT's answer, copied into the place of that, is not taken for a second one."""
    stranger = await temporal.connect()
    client = await with_a_key(temporal, tmp_path)
    plan = own(workflow(wave("one", "a")))
    async with house(tmp_path / "atlas", plan, quick(6.0)) as built, worker(client, it := hasty(built)):
        run = await begin(client, it, plan)
        await until(lambda: it.puts("a") == 1)
        await done_in_its_place(stranger, batch_of(run), "follow", "cutover")
        assert (await run.result())["exit_code"] == 0
        accepted = [event for event in await run.events() if isinstance(event, CutoverAccepted)]
        assert (len(accepted), it.puts("a")) == (1, 1)


async def test_a_claim_is_not_taken_because_one_was_taken_before(
    tmp_path: Path, temporal: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an earlier run's claim has answered does not give a later one jobs that another run drives."""
    stranger = await temporal.connect()
    client = await with_a_key(temporal, tmp_path)
    plan, other = own(workflow(wave("one", "a"))), own(workflow(wave("one", "a", approval=True)))
    take, free = Activities._take, anyio.Event()

    async def slowly(activities: Activities, job: str, claims: forms.Claims) -> str | None:
        if claims.run_id == "two":
            await free.wait()
        return await take(activities, job, claims)

    monkeypatch.setattr(Activities, "_take", slowly)
    async with house(tmp_path / "atlas", plan, quick()) as built, worker(client, it := hasty(built)):
        assert (await (await begin(client, it, plan)).result())["exit_code"] == 0
        driving = await begin(client, it, other, run_id="three")
        await driving.waits_for_approval("one")
        run = await begin(client, it, plan, run_id="two")
        await done_in_its_place(stranger, run.handle.id, "claim", "claim")
        free.set()
        assert (await run.result())["exit_code"] == ExitCode.BUSY
        await driving.handle.terminate()


async def test_a_run_goes_on_only_where_it_has_gone_on_by_itself(tmp_path: Path, temporal: Server) -> None:
    """With what it took along to an empty history another one could be begun, which asks for no claim, and knows nothing of what came later."""
    stranger = await temporal.connect()
    client = await with_a_key(temporal, tmp_path)
    plan = own(workflow(wave("one", "a", "b", "c", concurrency=1)))
    async with house(tmp_path / "atlas", plan, quick(0.5)) as built, worker(client, it := hasty(built)):
        run = await begin(client, it, plan, turn_after=20)
        assert (await run.result())["exit_code"] == 0
        last = (await stranger.get_workflow_handle(run.handle.id).fetch_history()).events[0]
        assert last.workflow_execution_started_event_attributes.continued_execution_run_id
        await said_again(stranger, last, run.handle.id, names.queue(it.settings.atlas.base_url))
        again = client.get_workflow_handle(run.handle.id)
        with pytest.raises(WorkflowFailureError) as failed:
            await again.result()
        assert "has not gone on by itself" in str(failed.value.cause)
        done = [event.event_type for event in (await again.fetch_history()).events]
        assert EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED not in done
        assert EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED not in done


async def test_a_worker_does_for_a_batch_what_that_batch_has_ordered(tmp_path: Path, temporal: Server) -> None:
    """Somebody terminates it, and orders its hook and its PUT again from a workflow of their own that has its name: nothing is done."""
    stranger = await temporal.connect()
    client = await with_a_key(temporal, tmp_path)
    ran = tmp_path / "ran"
    hooks = Hooks(before=(("sh", "-c", f"echo ran >>{ran}"),))
    plan = own(workflow(wave("one", migration("a", hooks=hooks)), wave("two", "b", approval=True)))
    async with house(tmp_path / "atlas", plan, quick()) as built, worker(client, it := hasty(built)):
        run = await begin(client, it, plan)
        await run.waits_for_approval("two")
        orders = await orders_of(stranger, batch_of(run))
        await stranger.get_workflow_handle(batch_of(run)).terminate()
        for kind in ("hook", "cutover"):
            assert await ordered_again(stranger, batch_of(run), orders[kind]) != ""
        assert (ran.read_text(), it.puts("a")) == ("ran\n", 1)
        await run.handle.terminate()


NOT_TAKEN_UP = Failure(timeout_failure_info=TimeoutFailureInfo(timeout_type=TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START))


@pytest.mark.parametrize("said", [NOT_TAKEN_UP, None], ids=["not taken up", "called off"])
async def test_a_put_on_its_way_is_not_unsent_because_somebody_says_so(
    tmp_path: Path, temporal: Server, said: Failure | None
) -> None:
    """That no worker took it up, or that it was called off, needs no key to be said: Temporal knows that a worker had it."""
    stranger = await temporal.connect()
    client = await with_a_key(temporal, tmp_path)
    plan = own(workflow(wave("one", "a")))
    unanswered = Fault(on=Kind.CUTOVER, kind=FaultKind.HANG_AFTER, share=1.0, times=1, delay=4.0)
    scenario = replace(quick(), faults=(unanswered,))
    async with (
        house(tmp_path / "atlas", plan, scenario) as built,
        worker(client, it := hasty(built)),
    ):
        run = await begin(client, it, plan)
        await until(lambda: it.puts("a") == 1)
        batch = batch_of(run)
        async with anyio.create_task_group() as group:
            if said is None:
                group.start_soon(run.steer, "pause")
            with anyio.fail_after(60):
                while not await in_its_place(stranger, batch, "cutover", saying(stranger, batch, said)):  # noqa: ASYNC110
                    await anyio.sleep(0.05)
        if said is None:
            await run.steer("unpause")
        assert (await run.result())["exit_code"] == 0
        events = await run.events()
        unsent = {event.reason for event in events if isinstance(event, CutoverNotBegun)}
        assert unsent <= {"not sent: Temporal did not answer"}  # before the one that left, on a busy machine
        assert len([event for event in events if isinstance(event, CutoverInDoubt)]) == 1
        assert it.puts("a") == 1


async def test_a_put_that_no_worker_has_had_is_known_to_be_unsent(
    tmp_path: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Called off in time, or not taken up: no doubt, nothing to settle, and the PUT leaves when a worker takes it."""
    begin_errand, kinds = Errands.begin, dict[int, Counter[str]]()
    patience = dict[int, list[float]]()

    def for_nobody(errands: Errands, kind: str, *args: Any, queue: str, **options: Any) -> Errand:
        """The first two PUTs wait where no worker looks."""
        known = kinds.setdefault(id(errands), Counter())
        known[kind] += 1
        there = "nobody" if kind == "cutover" and known[kind] <= 2 else queue
        if kind == "cutover":
            patience.setdefault(id(errands), []).append(options["to_start"])
        return begin_errand(errands, kind, *args, queue=there, **options)

    monkeypatch.setattr(Errands, "begin", for_nobody)
    plan = own(workflow(wave("one", "a")))
    async with house(tmp_path / "atlas", plan, quick()) as built, worker(client, it := hasty(built)):
        run = await begin(client, it, plan)
        while "cutover_requested" not in [event.name for event in await run.events()]:  # noqa: ASYNC110 - it is asked for
            await anyio.sleep(0.1)
        assert await run.steer("pause") == [None]
        assert await run.steer("unpause") == [None]
        assert (await run.result())["exit_code"] == 0
        events = await run.events()
    unsent = [event for event in events if isinstance(event, CutoverNotBegun)]
    assert [event.sent for event in unsent] == [False, False]
    assert "paused" in unsent[0].reason
    assert "no worker took it up within 5 s" in unsent[1].reason
    assert [5.0, 5.0, 10.0] in patience.values()  # the longer, the more often
    assert [event for event in events if isinstance(event, CutoverInDoubt)] == []
    assert it.puts("a") == 1


async def test_a_put_that_was_ordered_long_before_its_batch_heard_of_it_does_not_leave_by_that_order(
    tmp_path: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All workers were lost in between, say, and the run has been held up since. It is decided on again."""
    say, first = Errands._say, set[int]()

    def an_hour_ago(errands: Errands, line: Any, item: str, **facts: Any) -> None:
        """Order the first PUT so."""
        if facts.get("kind") == "cutover" and facts["number"] == min(first | {facts["number"]}):
            first.add(facts["number"])
            facts["at"] = facts.get("at", 0.0) - 3600.0
        say(errands, line, item, **facts)

    monkeypatch.setattr(Errands, "_say", an_hour_ago)
    plan = own(workflow(wave("one", "a")))
    async with house(tmp_path, plan, quick()) as built, worker(client, it := hasty(built)):
        run = await begin(client, it, plan)
        assert (await run.result())["exit_code"] == 0
        unsent = [event for event in await run.events() if isinstance(event, CutoverNotBegun)]
        assert [(event.sent, "no worker took it up" in event.reason) for event in unsent] == [(False, True)]
        assert it.puts("a") == 1


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
            await Remote(client, name).steer("one", [SteeringRequest(command=Command.PAUSE, who="somebody")])
        with pytest.raises(TemporalError, match="run two is not open at Temporal"):
            await Remote(client, name).steer("two", [SteeringRequest(command=Command.PAUSE, who="somebody")])
        await handle.terminate()
