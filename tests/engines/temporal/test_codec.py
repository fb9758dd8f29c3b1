"""What travels through Temporal, hidden from who runs it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.converter import DataConverter
from temporalio.service import RPCError

from orchestrator.core.errors import InputError, TemporalError
from orchestrator.core.settings import Temporal
from orchestrator.core.steered import Command
from orchestrator.core.steering import SteeringRequest
from orchestrator.core.workflow import Hooks
from orchestrator.engines.temporal import forms, names
from orchestrator.engines.temporal.codec import encrypting, read_key
from orchestrator.engines.temporal.run import Run
from orchestrator.engines.temporal.service import Remote, connect

from ..house import house, migration, wave, workflow
from .cluster import begin, until, worker
from .servers import Server, needs_temporal
from .stranger import order_a_hook, said_again, signal
from .test_nights import hasty, own, quick

pytestmark = pytest.mark.anyio


async def with_a_key(temporal: Server, directory: Path) -> Client:
    """A connection of somebody who has the codec's key, in a file of *directory*."""
    key = directory / "codec.key"
    key.write_text("cd" * 32)
    await temporal.connect()  # it answers
    place = Temporal(address=temporal.address, namespace=temporal.namespace, codec_key_file=key)
    return await connect(place)


async def test_what_is_hidden_can_be_read_with_the_same_key_alone() -> None:
    """Another key, a changed payload, and what was never hidden are told as such when they are read."""
    key, other = encrypting(bytes(32)), encrypting(bytes([1] * 32))
    [hidden] = await key.encode(["orders"])
    assert b"orders" not in hidden.SerializeToString()
    assert await key.decode([hidden]) == ["orders"]
    with pytest.raises(ValueError, match="encrypted with another key"):
        await other.decode([hidden])
    for data in (hidden.data[:-1] + bytes([hidden.data[-1] ^ 1]), hidden.data[:5], b""):
        with pytest.raises(ValueError, match="encrypted with another key"):
            await key.decode([Payload(metadata=hidden.metadata, data=data)])
    plain = await DataConverter.default.encode(["orders", None, b"orders"])
    for payload in (*plain, Payload(), Payload(metadata={"encoding": b"refused/atlas-cutover"}, data=b"orders")):
        with pytest.raises(ValueError, match="was not encrypted"):
            await key.decode([payload])


def test_a_key_file_holds_64_hex_digits(tmp_path: Path) -> None:
    """Anything else is a mistake, which says how to make one."""
    path = tmp_path / "codec.key"
    path.write_text("ab" * 32 + "\n")
    assert read_key(path) == bytes.fromhex("ab" * 32)
    path.write_text("ab")
    with pytest.raises(InputError, match="openssl rand -hex 32"):
        read_key(path)
    with pytest.raises(InputError, match=r"missing\.key"):
        read_key(tmp_path / "missing.key")
    with pytest.raises(InputError, match="is a device, expected a file"):
        read_key(Path("/dev/zero"))
    path.chmod(0o666)
    with pytest.raises(InputError, match="can be written by everybody"):
        read_key(path)


@needs_temporal
async def test_a_night_with_a_key_shows_no_name_and_heeds_nobody_without_it(tmp_path: Path, temporal: Server) -> None:
    """An order to run a program, signals, and updates of somebody without it do nothing; the run goes on to its end.

    Nor do messages without an argument, or with two, for which nobody needs a key. In the server's database only the names of workflows
    are there to read.
    """
    stranger = await temporal.connect()
    client = await with_a_key(temporal, tmp_path)
    name = f"secretly-{uuid4().hex}"[:20]
    plan = own(workflow(wave("one", name, approval=True)))
    async with house(tmp_path / "atlas", plan, quick()) as built, worker(client, it := hasty(built)):
        run = await begin(client, it, plan)
        await run.waits_for_approval("one")
        queue = names.hooks_queue(names.queue(it.settings.atlas.base_url))
        assert "Encoded failure" in await order_a_hook(stranger, queue, ["touch", str(tmp_path / "ran")])
        assert not (tmp_path / "ran").exists()
        there = stranger.get_workflow_handle(run.handle.id)
        await there.signal("returned", {"number": 1, "failed": "x", "detail": "y"})
        abort = forms.request_out(SteeringRequest(command=Command.ABORT, who="a stranger"))
        execution = (await there.describe()).run_id
        assert execution is not None
        asked = forms.Asked(run_id=run.run_id, execution=execution, number="1", requests=[abort])
        with pytest.raises(WorkflowUpdateFailedError):
            await there.execute_update(Run.steer, asked)
        with pytest.raises(TemporalError, match="does not tell"):
            await Remote(stranger, run.handle.id).news(0)
        projects = await held_up_by_nothing(stranger, run.handle.id)
        assert await run.steer("approve", wave="one") == [None]
        assert (await run.result())["exit_code"] == 0
        assert it.puts(name) == 1
        for each in (run.handle.id, *projects):
            history = await client.get_workflow_handle(each).fetch_history()
            assert EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED not in [event.event_type for event in history.events]
    kept = b"".join(path.read_bytes() for path in temporal.directory.glob("temporal.db*"))
    assert plan.name.encode() in kept
    assert name.encode() not in kept


async def held_up_by_nothing(stranger: Client, run: str) -> list[str]:
    """Send messages without an argument, and with two, to *run* and to the budgets of projects; the workflow ids of these."""
    for given in (None, Payloads(payloads=[Payload(), Payload()])):
        await signal(stranger, run, "returned", given)
    for args in ((), ("one", "two")):
        with pytest.raises(WorkflowUpdateFailedError):
            await stranger.get_workflow_handle(run).execute_update("steer", args=args)
    running = "WorkflowType = 'Project' AND ExecutionStatus = 'Running'"
    projects = [each.id async for each in stranger.list_workflows(running)]
    for project in projects:
        await signal(stranger, project, "hold")
    assert projects
    return projects


@needs_temporal
async def test_what_is_found_in_one_history_does_nothing_in_another(tmp_path: Path, temporal: Server) -> None:
    """Somebody without the key begins a batch of their own with all that the run's batch was told: its PUT and its hook."""
    stranger = await temporal.connect()
    client = await with_a_key(temporal, tmp_path)
    hook = ("sh", "-c", f"echo ran >>{tmp_path}/hook")
    plan = own(workflow(wave("one", migration("a", hooks=Hooks(before=(hook,))))))
    async with house(tmp_path / "atlas", plan, quick(4.0)) as built, worker(client, it := hasty(built)):
        run = await begin(client, it, plan)
        await until(lambda: it.puts("a") == 1)
        batches = [each async for each in stranger.list_workflows("WorkflowType = 'Batch'") if plan.name in each.id]
        for number, batch in enumerate(batches):
            history = await stranger.get_workflow_handle(batch.id, run_id=batch.run_id).fetch_history()
            for event in history.events:
                await said_again(stranger, event, f"strange-{number}", names.queue(it.settings.atlas.base_url))
        assert batches
        assert (await run.result())["exit_code"] == 0
        for number in range(len(batches)):
            events = (await stranger.get_workflow_handle(f"strange-{number}").fetch_history()).events
            assert EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED in [
                event.event_type for event in events
            ]  # it does not begin
        assert (it.puts("a"), (tmp_path / "hook").read_text()) == (1, "ran\n")


@needs_temporal
async def test_a_batch_that_no_run_has_begun_does_nothing(tmp_path: Path, client: Client) -> None:
    """Also under the name of one that the run has had, where what is said to it can be read again."""
    plan = own(workflow(wave("one", migration("a", hooks=Hooks(before=(("true",),))))))
    async with house(tmp_path / "atlas", plan, quick()) as built, worker(client, it := hasty(built)):
        run = await begin(client, it, plan)
        assert (await run.result())["exit_code"] == 0
        batches = [each async for each in client.list_workflows("WorkflowType = 'Batch'") if plan.name in each.id]
        assert batches
        for batch in batches:
            history = await client.get_workflow_handle(batch.id, run_id=batch.run_id).fetch_history()
            with suppress(RPCError):  # it has ended before all was said
                for event in history.events:
                    await said_again(client, event, batch.id, names.queue(it.settings.atlas.base_url))
            again = client.get_workflow_handle(batch.id)
            await again.result()
            begun = [event async for event in again.fetch_history_events()]
            assert not any(event.HasField("activity_task_scheduled_event_attributes") for event in begun)
