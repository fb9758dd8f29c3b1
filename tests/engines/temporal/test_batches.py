"""Runs whose work is done by batches, and which go on with an empty history (continue-as-new) while those work."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from pathlib import Path

import anyio
import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import PollWorkflowTaskQueueRequest, RespondWorkflowTaskFailedRequest
from temporalio.client import Client

from orchestrator.core.errors import InputError
from orchestrator.core.events import (
    CutoverInDoubt,
    CutoverRequested,
    Event,
    HookFinished,
    MigrationFinished,
    RunStarted,
    StatusPolled,
)
from orchestrator.core.migration import MigrationState, Phase
from orchestrator.core.outcomes import Outcome
from orchestrator.core.run import fold
from orchestrator.core.workflow import Hooks
from orchestrator.engines.temporal import forms, names
from orchestrator.engines.temporal.ledger import Ledger
from orchestrator.engines.temporal.service import Remote
from orchestrator.operations.temporal_runs import refuse_too_large
from orchestrator.simulator.scenario import Fault, FaultKind, Kind

from ..house import house, migration, wave, workflow
from .cluster import LEASE, Begun, begin, until, worker
from .servers import needs_temporal
from .stranger import order
from .test_nights import hasty, own, quick, replayed

pytestmark = [pytest.mark.anyio, needs_temporal]


async def executions(run: Begun, client: Client) -> list[int]:
    """How long the histories of *run* are, the newest first."""
    found: list[int] = []
    run_id: str | None = None
    while True:
        history = await client.get_workflow_handle(run.handle.id, run_id=run_id).fetch_history()
        found.append(len(history.events))
        run_id = history.events[0].workflow_execution_started_event_attributes.continued_execution_run_id
        if not run_id:
            return found


async def test_a_run_goes_on_with_an_empty_history_and_loses_nothing(tmp_path: Path, client: Client) -> None:
    """Slots, hooks, the order of waves and the counts of requests are what they are in a run that does not turn."""
    log = tmp_path / "hooks"
    note = ("sh", "-c", f'echo "$CUTOVER_WAVE $CUTOVER_MIGRATION" >>{log}')
    hooks = Hooks(before=(note,))
    first = [migration(f"a{number}", hooks=hooks) for number in range(3)]
    second = [migration(f"b{number}") for number in range(2)]
    one = wave("one", *first, concurrency=2, hooks=hooks)
    plan = own(workflow(one, wave("two", *second), hooks=hooks))
    names = [m.name for m in (*first, *second)]
    async with house(tmp_path / "atlas", plan, quick()) as built, worker(client, it := hasty(built)):
        run = await begin(client, it, plan, turn_after=35)
        assert (await run.result())["exit_code"] == 0
        events, state = await run.events(), await run.state()
        seen = {name: it.seen(name) for name in names}
        sent = it.atlas.record()["requests"]["by_status"]
        lengths = await executions(run, client)
        await replayed(run, tmp_path)
    assert {name: (len(each["put_times"]), each["puts_processed"]) for name, each in seen.items()} == dict.fromkeys(
        names, (1, 1)
    )
    assert len(lengths) > 3
    assert max(lengths) < 200
    assert sorted(log.read_text().split("\n")[2:-1]) == [f"one a{number}" for number in range(3)]
    assert [e.migration for e in events if isinstance(e, HookFinished)][:2] == [None, None]
    under_way: set[str] = set()
    for event in events:
        if isinstance(event, CutoverRequested) and event.migration in {m.name for m in first}:
            under_way.add(event.migration)
        elif isinstance(event, MigrationFinished):
            under_way.discard(event.migration)
        assert len(under_way) <= 2  # slots
    counted = state.request_statistics()["by_status"]
    assert counted["202"] == sent["202"]
    assert sent["200"] - counted["200"] == 1  # the root resource, which the worker reads when the run begins


async def test_a_pause_holds_in_a_run_that_turns(tmp_path: Path, client: Client) -> None:
    """After its answer no PUT leaves, though the run goes on with an empty history again and again."""
    names = [f"m{number}" for number in range(5)]
    plan = own(workflow(wave("one", *names, concurrency=1)))
    async with house(tmp_path, plan, quick(0.5)) as built, worker(client, it := hasty(built)):
        run = await begin(client, it, plan, turn_after=20)
        for number in (1, 3):
            await until(lambda number=number: sum(it.puts(name) for name in names) >= number)  # type: ignore[misc]
            assert await run.steer("pause") == [None]
            gone = sum(it.puts(name) for name in names)
            await run.idles()
            assert sum(it.puts(name) for name in names) == gone
            assert await run.steer("unpause") == [None]
        assert (await run.result())["exit_code"] == 0
        assert {it.seen(name)["puts_processed"] for name in names} == {1}
        assert len(await executions(run, client)) > 3


async def test_a_batch_that_somebody_terminates_leaves_doubts_and_no_second_put(tmp_path: Path, client: Client) -> None:
    """What it may have sent is settled by reading, by the batch that takes its place."""
    plan = own(workflow(wave("one", "a", "b")))
    unanswered = Fault(on=Kind.CUTOVER, kind=FaultKind.HANG_AFTER, share=1.0, times=1, delay=4.0, migration="a")
    scenario = replace(quick(3.0), faults=(unanswered,), repeat_puts=True)
    async with house(tmp_path, plan, scenario) as built, worker(client, it := hasty(built)):
        run = await begin(client, it, plan)
        await until(lambda: it.puts("a") > 0 and it.puts("b") > 0)
        history = await run.handle.fetch_history()
        [batch] = [
            event.child_workflow_execution_started_event_attributes.workflow_execution.workflow_id
            for event in history.events
            if event.HasField("child_workflow_execution_started_event_attributes")
        ]
        await client.get_workflow_handle(batch).terminate()
        assert (await run.result())["exit_code"] == 0
        events, state = await run.events(), await run.state()
        assert {name: it.seen(name)["puts_processed"] for name in "ab"} == {"a": 1, "b": 1}
    assert {state.result(name).outcome for name in "ab"} == {Outcome.SUCCESS}
    assert "a" in [event.migration for event in events if isinstance(event, CutoverInDoubt)]


async def test_once_its_run_is_closed_nothing_is_sent_for_it(tmp_path: Path, client: Client) -> None:
    """Terminated, by whoever does such things: the session that may follow knows nothing of a PUT that would leave now."""
    plan = own(workflow(wave("one", "a", "b", approval=True)))
    async with house(tmp_path, plan, quick()) as built, worker(client, it := hasty(built)):
        run = await begin(client, it, plan)
        await run.waits_for_approval("one")
        first = run.handle.first_execution_run_id
        assert first is not None
        session = forms.Session(workflow=run.handle.id, first=first)

        async def has_cut_over(name: str) -> None:
            """Have the PUT of *name* sent for *run*, as a batch would."""
            task = forms.Task(
                session=session,
                run_id="one",
                migration=forms.migration_out(migration(name)),
                state=forms.state_out(MigrationState(phase=Phase.REQUESTED, cutover_requests=1, known_at=time.time())),
                settle=1.0,
                polling=asdict(it.settings.polling),
                lease=LEASE,
                task=f"of {name}",
            )
            queue = names.queue(it.settings.atlas.base_url)
            with anyio.fail_after(60):
                await order(
                    client, names.project_queue(queue, plan.waves[0].migrations[0].group_id), "cutover", asdict(task)
                )

        async with anyio.create_task_group() as group:
            group.start_soon(has_cut_over, "a")
            await until(lambda: it.puts("a") == 1)
        await has_cut_over("a")  # the same order, while what it knows of the job is fresh
        assert it.puts("a") == 1
        await run.handle.terminate()
        await has_cut_over("b")
        assert (it.puts("a"), it.puts("b")) == (1, 0)


def test_a_run_that_could_not_take_its_events_along_is_refused() -> None:
    """5,000 migrations with two hooks each can be run."""
    hooks = Hooks(before=(("true",),), after_success=(("true",),))
    refuse_too_large(workflow(wave("one", *[migration(f"m{number}", hooks=hooks) for number in range(5000)])))
    with pytest.raises(
        InputError, match="too large for one run at Temporal: about 49000 events, and at most 45000 fit"
    ):
        refuse_too_large(workflow(wave("one", *[migration(f"m{number}") for number in range(7000)])))


def test_only_reads_that_no_rule_looks_back_to_are_left_behind() -> None:
    """The fold of what a run takes along is what it was, but for how often a job was read."""
    plan = workflow(wave("one", "a", "b"))
    first = RunStarted(
        at=0.0, workflow=plan, base_url="", rehearsal=False, selected=("a", "b"), who="somebody", version="0"
    )
    reads = [
        StatusPolled(at=float(at), migration=name, status="WORKING", lag=1.0) for at in range(1, 9) for name in "ab"
    ]
    events = forms.out([first, *reads])
    carried = forms.to_carry(events, {"b"})
    assert carried == [event for event in events if event[1] in (0.0, 7.0, 8.0) and event[2].get("migration") != "b"]
    before, after = (fold("one", forms.events_of(each)).migrations["a"] for each in (events, carried))
    assert after == before._replace(polls=after.polls, reads_in_phase=after.reads_in_phase)


async def test_a_run_that_a_busy_machine_holds_up_goes_on(
    tmp_path: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK would hold it for stuck after 2 s, and never come back to it."""
    plan = own(workflow(wave("one", "a")))
    record, held_up = Ledger.record, list[bool]()

    def slowly(ledger: Ledger, *events: Event) -> None:
        if any(isinstance(event, CutoverRequested) for event in events) and not held_up:
            held_up.append(True)
            time.sleep(3.0)
        record(ledger, *events)

    monkeypatch.setattr(Ledger, "record", slowly)
    async with house(tmp_path, plan, quick()) as built, worker(client, it := hasty(built)):
        run = await begin(client, it, plan)
        assert (await run.result())["exit_code"] == 0
        assert (held_up, it.puts("a")) == ([True], 1)


async def test_what_a_lost_worker_did_does_not_count_because_the_history_grew(tmp_path: Path, client: Client) -> None:
    """A task that is timed out or fails makes the history longer, too: only one that was completed has happened."""
    plan = own(workflow(wave("one", "a", approval=True)))
    async with house(tmp_path, plan, quick()) as built:
        it = hasty(built)
        run = await begin(client, it, plan)
        task = await poll_and_fail(client, names.queue(it.settings.atlas.base_url))
        async with worker(client, it):
            await run.waits_for_approval("one")
        remote = Remote(client, run.handle.id)
        found = await remote.find()
        assert found is not None
        news = (await run.handle.fetch_history()).events
        begun = [e.event_id for e in news if e.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED]
        assert begun[0] == task
        taken = [await remote.was_committed(found, length) for length in begun]
        assert taken == [False, *[True] * (len(begun) - 1)]
        await run.handle.terminate()


async def poll_and_fail(client: Client, queue: str) -> int:
    """Take up the first task of a run, as a worker does, and give it up; how long the history was."""
    service = client.workflow_service
    place = TaskQueue(name=queue)
    polled = await service.poll_workflow_task_queue(
        PollWorkflowTaskQueueRequest(namespace=client.namespace, task_queue=place, identity="a worker that dies")
    )
    await service.respond_workflow_task_failed(
        RespondWorkflowTaskFailedRequest(namespace=client.namespace, task_token=polled.task_token)
    )
    started: int = polled.started_event_id
    return started


async def test_a_run_that_was_closed_with_a_message_pending_still_tells_what_has_happened(
    tmp_path: Path, client: Client
) -> None:
    """No worker was up when the message came, and none has taken it up when somebody closed the run: it is asked all the same."""
    plan = own(workflow(wave("one", "a", approval=True)))
    async with house(tmp_path / "atlas", plan, quick()) as built:
        it = hasty(built)
        async with worker(client, it):
            run = await begin(client, it, plan)
            await run.waits_for_approval("one")
            before = await run.events()
        await run.handle.signal("returned", forms.Message(batch="none", number=1, body=forms.packed([])))
        await run.handle.terminate()
        async with worker(client, it):
            news = await Remote(client, run.handle.id).news(0)
    assert forms.events_of(news.events)[: len(before)] == before
