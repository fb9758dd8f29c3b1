"""What the local engine does, on a real Temporal server: by the verbs, with a worker in this process."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

from orchestrator.core.errors import BusyError, CutoverError
from orchestrator.core.outcomes import ExitCode
from orchestrator.core.settings import Engine, Settings, Temporal
from orchestrator.core.window import AbsoluteWindow
from orchestrator.core.workflow import Hooks, Workflow
from orchestrator.engines.temporal import names
from orchestrator.operations.approve import approve
from orchestrator.operations.result import RunResult
from orchestrator.operations.resume import resume
from orchestrator.operations.run import run
from orchestrator.operations.status import status
from orchestrator.simulator import Scenario
from orchestrator.simulator.faults import FaultPicker
from orchestrator.simulator.scenario import Fault, FaultKind, Kind, Range, Special

from ..house import House, house, live, migration, wave, workflow
from .cluster import LEASE, begin, until, worker
from .servers import Server, needs_temporal
from .test_nights import hasty, own, quick

pytestmark = [pytest.mark.anyio, needs_temporal]

NEVER = Range(low=1e6, high=1e6)
OTHER = "5e5e5e5e5e5e5e5e5e5e5e5e"


@dataclass(frozen=True, slots=True)
class Night:
    """A workflow of a name of its own, an Atlas for it, and a worker."""

    plan: Workflow
    it: House
    client: Client
    settings: Settings

    async def run(self, plan: Workflow | None = None, state: str = "", **more: Any) -> RunResult:
        """`run` at Temporal, to its end; *state*: another state directory."""
        settings = replace(self.settings, state_dir=self.settings.state_dir / state)
        with anyio.fail_after(120):
            return await run(plan or self.plan, settings, engine=Engine.TEMPORAL, **more)

    async def resume(self, run_id: str, **more: Any) -> RunResult:
        """`resume`, to its end."""
        with anyio.fail_after(120):
            return await resume(run_id, self.settings, **more)

    def handle(self) -> WorkflowHandle[Any, Any]:
        """The run at Temporal."""
        return self.client.get_workflow_handle(names.run_workflow_id(self.plan.name, rehearsal=False))

    async def has_begun(self) -> bool:
        """Whether the run has its claims, and works."""
        try:
            return (await self.handle().describe()).history_length >= 15
        except RPCError:
            return False

    def puts(self) -> dict[str, int]:
        """How many PUTs arrived, for each migration."""
        return {m.name: self.it.puts(m.name) for _, m in self.plan.migrations()}


@asynccontextmanager
async def night(
    tmp_path: Path, temporal: Server, client: Client, plan: Workflow, scenario: Scenario | None = None, **about: Any
) -> AsyncIterator[Night]:
    """What a test needs; *about* the house."""
    plan = own(plan)
    async with (
        house(tmp_path / "atlas", plan, scenario or quick(), **about) as built,
        worker(client, it := hasty(built)),
    ):
        place = Temporal(address=temporal.address, namespace=temporal.namespace, lease=LEASE)
        yield Night(plan, it, client, replace(it.settings, temporal=place, state_dir=tmp_path / "state"))


def outcomes(result: RunResult) -> dict[str, str]:
    """Migration to outcome."""
    return {each.name: str(each.outcome) for each in result.report.migrations}


async def test_no_put_leaves_before_a_window_opens_nor_after_it_has_closed(
    tmp_path: Path, temporal: Server, client: Client
) -> None:
    """What is not ready by then is NOT_STARTED, and its run can be resumed."""
    opens = time.time() + 6.0
    plan = workflow(wave("one", "a", "b"), window=AbsoluteWindow(opens=opens, closes=opens + 6.0))
    scenario = replace(quick(), special={live("b"): Special(ready_after=NEVER)})
    async with night(tmp_path, temporal, client, plan, scenario) as it:
        sent: list[float] = []

        async def watch() -> None:
            await until(lambda: it.it.puts("a") > 0)
            sent.append(time.time())

        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            ended = await it.run()
        over = time.time()
        assert outcomes(ended) == {"a": "SUCCESS", "b": "NOT_STARTED"}
        assert (ended.exit_code, ended.report.unfinished) == (ExitCode.INCOMPLETE, True)
        assert it.puts() == {"a": 1, "b": 0}
        assert opens <= sent[0] <= opens + 6.1
        assert opens + 6.0 <= over


async def test_too_many_failures_start_nothing_more(
    tmp_path: Path, temporal: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in the wave nor in the next one; `--retry-failed` tries again what has had no PUT."""
    mended = tmp_path / "mended"
    hooks = Hooks(before=(("test", "-e", str(mended)),))
    plan = workflow(wave("one", migration("a", hooks=hooks), "b", concurrency=1, max_failures=0), wave("two", "c"))
    unavailable = Fault(on=None, kind=FaultKind.STATUS, status=503)

    def pick(_: FaultPicker, __: Kind, ___: str, name: str | None, ____: float) -> Fault | None:
        """Nothing is known of `b` until `a` has failed; else `b` might have the one slot first."""
        return unavailable if name == "b" and not mended.exists() else None

    monkeypatch.setattr(FaultPicker, "pick", pick)
    async with night(tmp_path, temporal, client, plan) as it:
        first = await it.run()
        assert outcomes(first) == {"a": "FAILED", "b": "NOT_STARTED", "c": "NOT_STARTED"}
        assert (first.exit_code, sum(it.puts().values())) == (ExitCode.FAILED, 0)
        mended.touch()
        again = await it.resume(first.report.run_id, retry_failed=True)
        assert set(outcomes(again).values()) == {"SUCCESS"}
        assert (again.exit_code, set(it.puts().values())) == (ExitCode.SUCCESS, {1})


async def test_only_what_is_named_is_cut_over(tmp_path: Path, temporal: Server, client: Client) -> None:
    """Then the rest, by `run` without a name, in the same run; a wave whose approval comes too late is rejected."""
    late = wave("two", "c", approval=True, approval_timeout=1.0)
    async with night(tmp_path, temporal, client, workflow(wave("one", "a", "b"), late)) as it:
        first = await it.run(only=["b"])
        assert it.puts() == {"a": 0, "b": 1, "c": 0}
        assert (first.exit_code, first.report.unfinished) == (ExitCode.SUCCESS, True)
        second = await it.run()
        assert second.report.run_id == first.report.run_id
        assert outcomes(second) == {"a": "SUCCESS", "b": "SUCCESS", "c": "NOT_STARTED"}
        assert (second.exit_code, it.puts()) == (ExitCode.INCOMPLETE, {"a": 1, "b": 1, "c": 0})
        assert "nobody approved it" in str(second.report.migrations[2].error_message)


async def test_keys_refused_in_mid_run_fail_nothing(
    tmp_path: Path, temporal: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has had no PUT stays NOT_STARTED, what is under way is followed; `resume` does the rest when they are taken again."""
    refused = Fault(on=None, kind=FaultKind.STATUS, status=401)
    puts_at: list[float] = []

    def pick(_: FaultPicker, kind: Kind, __: str, name: str | None, now: float) -> Fault | None:
        """Nothing is known of `b` before the PUT of `a`, from which on everything is refused for some seconds."""
        if puts_at:
            return refused if now < puts_at[0] + 6.0 else None
        if kind is Kind.CUTOVER:
            puts_at.append(now)
        return replace(refused, status=503) if name == "b" else None

    monkeypatch.setattr(FaultPicker, "pick", pick)
    scenario = replace(quick(), special={live("a"): Special(cutover=Range(low=4.0, high=4.0))})
    async with night(tmp_path, temporal, client, workflow(wave("one", "a", "b"), wave("two", "c")), scenario) as it:
        first = await it.run()
        assert outcomes(first) == {"a": "SUCCESS", "b": "NOT_STARTED", "c": "NOT_STARTED"}
        assert (first.exit_code, first.report.unfinished) == (ExitCode.INCOMPLETE, True)
        assert "refuses the" in str(first.report.migrations[2].error_message)
        second = await it.resume(first.report.run_id)
        assert (set(outcomes(second).values()), set(it.puts().values())) == ({"SUCCESS"}, {1})


async def test_a_terminated_run_ends_its_command_and_is_resumed(
    tmp_path: Path, temporal: Server, client: Client
) -> None:
    """What it had under way is followed first, its claims are its own still, and what had no PUT is started."""
    plan = workflow(wave("one", "a"), wave("two", "b", approval=True))
    async with night(tmp_path, temporal, client, plan, quick(4.0)) as it:
        ended: list[RunResult] = []

        async def follow() -> None:
            ended.append(await it.run())

        async with anyio.create_task_group() as group:
            group.start_soon(follow)
            await until(lambda: it.it.puts("a") > 0)
            await anyio.sleep(2.0)  # until that Atlas accepted it is known here
            await it.handle().terminate("by somebody who should not have")
        [first] = ended
        assert outcomes(first) == {"a": "UNDER_WAY", "b": "NOT_STARTED"}
        assert (first.exit_code, first.report.unfinished) == (ExitCode.INCOMPLETE, True)
        run_id = first.report.run_id
        told = await anyio.to_thread.run_sync(partial(status, run_id, state_dir=it.settings.state_dir))
        assert f"`atlas-cutover resume {run_id}`" in str(told.stale)
        other = await it.run(replace(plan, name=f"{it.plan.name}-too"), state="other")
        assert other.exit_code is ExitCode.BUSY  # its claims stay
        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(approve_it, it, run_id, "two")
                second = await it.resume(run_id)
        assert second.report.run_id == run_id
        assert (set(outcomes(second).values()), it.puts()) == ({"SUCCESS"}, {"a": 1, "b": 1})


async def approve_it(it: Night, run_id: str, name: str) -> None:
    """Approve wave *name* from another process, as soon as the run takes that."""
    while True:
        with suppress(CutoverError):
            await anyio.to_thread.run_sync(partial(approve, run_id, name, state_dir=it.settings.state_dir))
            return
        await anyio.sleep(0.2)


async def test_after_the_answer_no_put_leaves_from_any_worker(tmp_path: Path, temporal: Server, client: Client) -> None:
    """PUTs of two projects, on two workers, leave four at a time when somebody asks for a pause, and later for the end."""
    many = [migration(f"m{number}", group_id=OTHER) if number % 2 else f"m{number}" for number in range(16)]
    async with (
        night(tmp_path, temporal, client, workflow(wave("one", *many, concurrency=4)), quick(2.0)) as it,
        worker(await temporal.connect(), it.it),
    ):
        asked = await begin(client, it.it, it.plan)
        left = dict.fromkeys(it.puts(), 0)
        for command in ("pause", "abort"):
            before = sum(left.values())
            await until(lambda before=before: sum(it.puts().values()) > before)  # type: ignore[misc]
            assert await asked.steer(command) == [None]
            left = it.puts()
            assert sum(left.values()) < len(many)
            await asked.idles()  # so that there is room for more
            await anyio.sleep(1.0)
            assert it.puts() == left
            if command == "pause":
                assert await asked.steer("unpause") == [None]
        assert (await asked.result())["exit_code"] == ExitCode.INCOMPLETE


async def test_one_run_drives_a_job_whatever_engine_the_other_has(
    tmp_path: Path, temporal: Server, client: Client
) -> None:
    """The other ends with 5: at Temporal of any state directory, the local engine of this one; a local run's jobs are left alone, too."""
    plan = workflow(wave("one", "a", approval=True))
    async with night(tmp_path, temporal, client, plan) as it:
        other = replace(it.plan, name=f"{it.plan.name}-too")
        async with anyio.create_task_group() as group:
            stop = anyio.Event()

            async def follow() -> None:
                await it.run(stop=stop)

            group.start_soon(follow)
            with anyio.fail_after(60):
                while not await it.has_begun():  # noqa: ASYNC110 - it is asked for
                    await anyio.sleep(0.1)
            assert (await it.run(other, state="elsewhere")).exit_code is ExitCode.BUSY
            for engine in Engine:
                with pytest.raises(BusyError, match="is held by run") as refused:
                    await run(other, it.settings, engine=engine)
                assert refused.value.exit_code is ExitCode.BUSY
            stop.set()
        assert it.puts() == {"a": 0}
        await it.handle().terminate()
        local = replace(it.settings, state_dir=tmp_path / "local")
        interrupted = anyio.Event()
        interrupted.set()
        begun = await run(other, local, engine=Engine.LOCAL, stop=interrupted)
        assert begun.report.unfinished
        with pytest.raises(BusyError, match="belongs to run"):
            await run(replace(plan, name="third"), local, engine=Engine.TEMPORAL)
        assert it.puts() == {"a": 0}
