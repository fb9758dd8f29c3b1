"""What holds a run up, and was asked while no worker served it: it outlasts Temporal's server, and no PUT leaves before it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, RPCError, RPCStatusCode, WorkflowHandle

from orchestrator.core.errors import TemporalError
from orchestrator.core.events import RunPaused, RunUnpaused
from orchestrator.core.steered import Command
from orchestrator.core.steering import SteeringRequest
from orchestrator.engines.temporal import names
from orchestrator.engines.temporal.service import NoWorkerError, Remote

from ..house import house, wave, workflow
from .cluster import Begun, begin, worker
from .servers import Server, needs_temporal, server
from .stranger import signal, update
from .test_codec import with_a_key
from .test_nights import hasty, own, quick, replayed
from .test_replays import updates_of

pytestmark = [pytest.mark.anyio, needs_temporal]

PAUSE = SteeringRequest(command=Command.PAUSE, who="ben")
UNPAUSE = SteeringRequest(command=Command.UNPAUSE, who="olga")
ABORT = SteeringRequest(command=Command.ABORT, who="ben")


@contextmanager
def no_worker(told: str) -> Iterator[None]:
    """Meanwhile somebody asks for what no worker takes up, and is *told* so."""
    with pytest.raises(NoWorkerError, match=told):
        yield


async def left_in(run: Begun) -> list[HistoryEvent]:
    """What was left in the history of *run*."""
    return [
        event
        async for event in run.handle.fetch_history_events()
        if event.workflow_execution_signaled_event_attributes.signal_name == "left"
    ]


@pytest.mark.slow
async def test_what_was_asked_with_no_worker_is_done_though_the_server_has_restarted(tmp_path: Path) -> None:
    """The server is killed and started again, then a worker comes: nothing leaves that was held up."""
    asked = {
        "a": PAUSE,
        "b": ABORT,
        "c": SteeringRequest(command=Command.REJECT, who="ben", wave="one"),
        "d": SteeringRequest(command=Command.SKIP, who="ben", migration="d"),
    }
    plans = {name: own(workflow(wave("one", name))) for name in asked}
    with server(tmp_path / "server") as its_own:
        client = await its_own.connect()
        async with house(tmp_path / "atlas", own(workflow(wave("one", *asked))), quick()) as built:
            it = hasty(built)
            runs = {name: await begin(client, it, plan, run_id=name) for name, plan in plans.items()}
            for name, request in asked.items():
                with no_worker("is kept at Temporal, and done when a worker comes"):
                    await Remote(client, runs[name].handle.id).steer(name, [request], patience=0.3)
            its_own.kill()
            its_own.start()
            client = await its_own.connect()
            for name, run in runs.items():
                runs[name] = Begun(client, client.get_workflow_handle(run.handle.id), name)
            async with worker(client, it):
                for name in "bcd":
                    await runs[name].result()
                await anyio.sleep(1.5)
                assert {name: it.puts(name) for name in asked} == dict.fromkeys(asked, 0)
                for run in runs.values():
                    await replayed(run, tmp_path)
                assert await runs["a"].steer("unpause") == [None]
                await runs["a"].result()
                assert it.puts("a") == 1


async def test_what_was_left_in_the_history_is_done_once_and_not_undone_by_what_is_older(
    tmp_path: Path, client: Client
) -> None:
    """The same waits there as it was asked first, in the order of asking; a worker finds what was left before all of it."""
    plan = own(workflow(wave("one", "a")))
    async with house(tmp_path, plan, quick()) as built:
        it = hasty(built)
        run = await begin(client, it, plan)
        remote = Remote(client, run.handle.id)
        with no_worker("as when its server restarts"):
            await remote.steer(run.run_id, [UNPAUSE], patience=0.3)
        for number in ("1", "1", "2"):
            with no_worker("is kept at Temporal"):
                await remote.steer(run.run_id, [PAUSE], number=number, patience=0.3)
        assert len(await left_in(run)) == 2
        async with worker(client, it):
            await anyio.sleep(1.5)
            assert it.puts("a") == 0
            steered = [type(event) for event in await run.events() if isinstance(event, (RunPaused, RunUnpaused))]
            assert steered == [RunPaused]
            assert await remote.steer(run.run_id, [PAUSE], number="1") == ["it is already paused, by ben"]
            assert await run.steer("unpause") == [None]
            await run.result()
            assert it.puts("a") == 1
            await replayed(run, tmp_path)


async def test_what_was_left_in_a_history_does_nothing_when_it_is_said_again(tmp_path: Path, temporal: Server) -> None:
    """Whoever reaches the cluster can do that: to the same run, to a later one, in one way or the other. What lets a run go on is not heeded there."""
    stranger = await temporal.connect()
    client = await with_a_key(temporal, tmp_path)
    plan = own(workflow(wave("one", "a", approval=True), wave("two", "b", approval=True)))
    approve = SteeringRequest(command=Command.APPROVE, who="olga", wave="one")
    async with house(tmp_path / "atlas", plan, quick()) as built:
        it = hasty(built)
        run = await begin(client, it, plan)
        remote = Remote(client, run.handle.id)
        for request, told in ((PAUSE, "is kept at Temporal"), (approve, "a worker that comes may still do it")):
            with no_worker(told):
                await remote.steer(run.run_id, [request], patience=0.3)
        [pause] = [event.workflow_execution_signaled_event_attributes.input for event in await left_in(run)]
        async with worker(client, it):
            state = await run.state()
            assert (state.paused_by, state.waves["one"].approved_by) == ("ben", "olga")
            _, approval = await updates_of(stranger, run.handle.id)
            assert await run.steer("unpause") == [None]
            await run.waits_for_approval("two")
            assert it.puts("a") == 1
            assert await update(stranger, run.handle.id, "steer", pause) == "refused"
            for given in (pause, approval, None):
                await signal(stranger, run.handle.id, "left", given)
            assert await run.steer("approve", wave="two") == [None]
            await run.result()
            assert it.puts("b") == 1
            later = await begin(client, it, plan, run_id="later")
            for given in (pause, approval):
                await signal(stranger, later.handle.id, "left", given)
            await later.waits_for_approval("one")
            assert (await later.state()).paused_by is None
            assert await later.steer("reject", wave="one") == [None]
            await later.result()


async def test_what_cannot_be_left_in_the_history_is_not_promised(
    tmp_path: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody relies on what may never be done: workers of another version may not heed it there, and Temporal may not answer."""
    plan = own(workflow(wave("one", "a", approval=True)))
    async with house(tmp_path, plan, quick()) as it:
        run = await begin(client, it, plan)
        remote = Remote(client, run.handle.id)
        with monkeypatch.context() as patched, no_worker("NOT known whether it ever will: .* another version"):
            patched.setattr(names, "generation", lambda: "of another")
            await remote.steer(run.run_id, [PAUSE], patience=0.3)
        assert await left_in(run) == []
        asking = asyncio.ensure_future(remote.steer(run.run_id, [PAUSE]))
        await anyio.sleep(0.5)
        await run.handle.terminate()
        with pytest.raises(
            TemporalError, match="was closed at Temporal meanwhile, and whether it had done this is not"
        ):
            await asking


async def test_as_much_as_people_ask_for_is_kept(tmp_path: Path, client: Client) -> None:
    """Temporal takes ten requests at a time into its memory, and forgets those that it has when there are more."""
    jobs = [f"m{number}" for number in range(12)]
    plan = own(workflow(wave("one", *jobs)))
    async with house(tmp_path, plan, quick()) as built:
        run = await begin(client, it := hasty(built), plan)

        async def skip(name: str) -> None:
            request = SteeringRequest(command=Command.SKIP, who="ben", migration=name)
            with no_worker("is kept at Temporal, and done when a worker comes"):
                await Remote(client, run.handle.id).steer(run.run_id, [request], patience=1.0)

        async with anyio.create_task_group() as group:
            for name in jobs:
                group.start_soon(skip, name)
        async with worker(client, it):
            await run.result()
            skipped = {name for name, known in (await run.state()).migrations.items() if known.skipped is not None}
            assert skipped == set(jobs)
            assert sum(map(it.puts, jobs)) == 0


@pytest.mark.parametrize(
    ("command", "told"),
    [(Command.PAUSE, "is kept at Temporal"), (Command.UNPAUSE, "whether run one has been asked is not known")],
)
async def test_who_asks_while_the_connection_breaks_is_told_what_becomes_of_it(
    tmp_path: Path, client: Client, monkeypatch: pytest.MonkeyPatch, command: Command, told: str
) -> None:
    """The answer is lost, and the connection is there again a moment later."""

    async def broken(*_: object, **__: object) -> None:
        raise RPCError("connection reset", RPCStatusCode.UNAVAILABLE, b"")

    plan = own(workflow(wave("one", "a", approval=True)))
    async with house(tmp_path, plan, quick()) as it:
        run = await begin(client, it, plan)
        monkeypatch.setattr(WorkflowHandle, "execute_update", broken)
        with pytest.raises(TemporalError, match=told):
            await Remote(client, run.handle.id).steer(run.run_id, [SteeringRequest(command=command, who="ben")])
        await run.handle.terminate()
