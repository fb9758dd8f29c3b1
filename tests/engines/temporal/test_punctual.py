"""A worker that is asked about a run that it does not know does nothing of it early."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import pytest
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.client import Client, WorkflowHandle, WorkflowQueryFailedError
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, WorkflowInstance, WorkflowRunner

from orchestrator.engines.temporal.punctual import Punctual, PunctualRunner

from .counting_wakes import CountingWakes, serving
from .servers import Server, needs_temporal


class Willing(WorkflowInstance):
    """Does all that it is given."""

    def __init__(self) -> None:
        self.done: list[int] = []

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        """Do it."""
        self.done.append(act.history_length)
        done = WorkflowActivationCompletion(run_id=act.run_id)
        done.successful.SetInParent()
        return done

    def get_serialization_context(self, command_info: Any) -> Any:
        """None."""

    def get_external_store_context(self, command_info: Any) -> Any:
        """None is asked for."""
        raise NotImplementedError

    def get_info(self) -> Any:
        """None is asked for."""
        raise NotImplementedError


def activation(length: int, seconds: int, kind: str) -> WorkflowActivation:
    """What the SDK gives when the history is *length* events long, in a task that was started at *seconds*."""
    act = WorkflowActivation(run_id="one", history_length=length)
    act.timestamp.FromSeconds(seconds)
    getattr(act.jobs.add(), kind).SetInParent()
    return act


def test_what_nobody_has_started_is_not_done() -> None:
    """The time stands still and the history is longer: whatever is done in its time, questions and being forgotten pass."""
    willing = Willing()
    punctual = Punctual(willing)
    for length, seconds, kind in (
        (3, 10, "initialize_workflow"),
        (3, 10, "resolve_activity"),  # a second part of the same task
        (8, 11, "signal_workflow"),
        (8, 11, "query_workflow"),
        (9, 11, "query_workflow"),
    ):
        assert punctual.activate(activation(length, seconds, kind)).HasField("successful")
    early = punctual.activate(activation(11, 11, "signal_workflow"))
    assert "ask again" in early.failed.failure.message
    assert punctual.activate(activation(11, 11, "remove_from_cache")).HasField("successful")
    assert willing.done == [3, 3, 8, 8, 9, 11]


def test_what_nobody_will_start_any_more_is_done() -> None:
    """A closed run records nothing more: its answer is the newest, however it has come about."""
    closed: list[bool] = []
    willing = Willing()
    punctual = Punctual(willing, lambda: bool(closed))
    punctual.activate(activation(3, 10, "initialize_workflow"))
    assert "ask again" in punctual.activate(activation(4, 10, "signal_workflow")).failed.failure.message
    closed.append(True)
    assert punctual.activate(activation(4, 10, "signal_workflow")).HasField("successful")
    assert willing.done == [3, 4]


async def told(run: WorkflowHandle[Any, Any]) -> int:
    """What *run* answers, sooner or later."""
    while True:
        with suppress(WorkflowQueryFailedError):
            answer: int = await run.query(CountingWakes.news)
            return answer
        await anyio.sleep(0.05)


async def asked_in_between(client: Client, address: str, runner: WorkflowRunner) -> str | None:
    """A worker is lost; another is asked while it is not known yet that the first does not start what has happened.

    Why the history cannot be replayed, or None.
    """
    run = await client.start_workflow(CountingWakes.run, id=f"wakes-{uuid4().hex}", task_queue="counting wakes")
    first = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-m", "tests.engines.temporal.counting_wakes", address], cwd=Path(__file__).parents[3]
    )
    try:
        await run.signal(CountingWakes.wake)
        assert await told(run) == 1
    finally:
        first.kill()
        first.wait()
    async with serving(client, runner), anyio.create_task_group() as group:
        group.start_soon(told, run)  # waits for the lost one for 2 s
        await anyio.sleep(1.2)
        for _ in range(3):
            await run.signal(CountingWakes.wake)
            await anyio.sleep(0.6)
        await anyio.sleep(2.0)
        await run.signal(CountingWakes.wake)
        assert await told(run) == 5
        history = await run.fetch_history()
    replayer = Replayer(workflows=[CountingWakes], workflow_runner=UnsandboxedWorkflowRunner())
    found = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    return None if found.replay_failure is None else str(found.replay_failure)


@needs_temporal
@pytest.mark.chaos
@pytest.mark.anyio
async def test_a_question_in_between_leaves_a_history_that_can_be_replayed(client: Client, temporal: Server) -> None:
    """It is refused; with the SDK's own runner, whoever was asked goes on from what it has done early."""
    assert await asked_in_between(client, temporal.address, PunctualRunner()) is None
    assert "ondeterminism" in (await asked_in_between(client, temporal.address, UnsandboxedWorkflowRunner()) or "")
