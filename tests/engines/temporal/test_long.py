"""The long chaos form: nights on which workers and servers are killed all the time, and requests go wrong."""

from __future__ import annotations

import json
import os
import random
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from temporalio.client import Client

from orchestrator.engines.temporal.names import run_workflow_id
from orchestrator.simulator.scenario import Fault, FaultKind, Kind

from ..house import house, migration, wave, workflow
from .cluster import LEASE, until
from .fleet import Fleet, Process, fleet
from .servers import needs_temporal, server
from .test_nights import own, quick

pytestmark = [pytest.mark.anyio, pytest.mark.chaos, needs_temporal]

ROUNDS = int(os.environ.get("TEMPORAL_CHAOS_ROUNDS", "3"))
MIGRATIONS = int(os.environ.get("TEMPORAL_CHAOS_MIGRATIONS", "40"))
CONCURRENCY = int(os.environ.get("TEMPORAL_CHAOS_CONCURRENCY", "10"))
EVERY = float(os.environ.get("TEMPORAL_CHAOS_EVERY", "1.6"))
"""Seconds between two blows, on average, at least."""
PROJECTS = 8
"""Each has one owner among the workers, without whom nothing of it goes on: where all jobs are in one, most blows hit nothing under way."""
WORKERS = 4
FAULTS = (
    Fault(on=Kind.CUTOVER, kind=FaultKind.LOST_AFTER, share=0.08),
    Fault(on=Kind.CUTOVER, kind=FaultKind.LOST_BEFORE, share=0.08),
    Fault(on=Kind.CUTOVER, kind=FaultKind.HANG_AFTER, share=0.04),
    Fault(on=Kind.CUTOVER, kind=FaultKind.STATUS, share=0.05, status=503),
    Fault(on=Kind.READ, kind=FaultKind.LOST_BEFORE, share=0.05),
    Fault(on=Kind.READ, kind=FaultKind.STATUS, share=0.05, status=500),
)
SERVERS = 0.1
"""Of the blows: each kill of the server holds up all workers."""
STALLED = 20.0
"""Seconds after which there is another one, whatever happens."""


async def strike_at_random(those: Fleet, dice: random.Random, blows: Counter[str], over: anyio.Event) -> None:
    """Kill a worker, or freeze it for longer than its lease or not, or kill the server, until the night is *over*.

    Atlas has been asked something between two blows, however slow the machine is: else nothing could go wrong.
    """
    async with anyio.create_task_group() as thaws:
        while not over.is_set():
            asked = requests(those)
            with anyio.move_on_after(EVERY * dice.uniform(0.5, 1.5)):
                await over.wait()
                return
            with anyio.move_on_after(STALLED):
                while requests(those) == asked and not over.is_set():  # noqa: ASYNC110 - the simulator tells nobody
                    await anyio.sleep(0.1)
            what = dice.random()
            if what < SERVERS:
                those.server.kill()
                blows["kills of the server"] += 1
                await anyio.sleep(dice.uniform(0.0, 1.0))
                those.server.start()
                continue
            alive = [worker for worker in those.workers if worker.poll() is None]
            if alive:
                victim = dice.choice(alive)
                if what < SERVERS + 0.1:
                    victim.send_signal(signal.SIGSTOP)
                    blows["workers frozen"] += 1
                    thaws.start_soon(thaw, victim, dice.uniform(1.0, 2.0 * LEASE))
                else:
                    victim.kill()
                    blows["kills of a worker"] += 1
            while sum(worker.poll() is None for worker in those.workers) < WORKERS:
                those.worker()


def requests(those: Fleet) -> int:
    """How many have reached the simulated Atlas."""
    total: int = sum(those.it.atlas.record()["requests"]["by_status"].values())
    return total


async def thaw(frozen: Process, seconds: float) -> None:
    """Let a worker go on after that, whatever happens meanwhile."""
    try:
        await anyio.sleep(seconds)
    finally:
        frozen.send_signal(signal.SIGCONT)


async def night(directory: Path, names: list[str], dice: random.Random, blows: Counter[str]) -> Counter[str]:
    """What has come of one, with the simulator's record as judge."""
    half = len(names) // 2
    jobs = [migration(name, group_id=f"{number % PROJECTS:024x}") for number, name in enumerate(names)]
    plan = own(workflow(wave("one", *jobs[:half], concurrency=CONCURRENCY), wave("two", *jobs[half:])))
    scenario = replace(quick(3.0), seed=dice.randrange(2**30), faults=FAULTS, repeat_puts=True)
    figures: Counter[str] = Counter()
    async with house(directory / "atlas", plan, scenario) as it:
        with server(directory / "server") as own_server, fleet(directory, own_server, it) as those:
            await own_server.connect()
            over = anyio.Event()
            for _ in range(WORKERS):
                those.worker()
            arguments = ("run", str(those.write(plan)), "--engine", "temporal", "--yes", "--format", "json")
            async with anyio.create_task_group() as group:
                run = those.begin(*arguments, program=("tests.engines.temporal.turning", "250"))
                await until(lambda: bool(those.journal()) or run.poll() is not None)
                group.start_soon(strike_at_random, those, dice, blows, over)
                done = await those.end(run, within=2400)
                over.set()
                those.end_workers()
            assert done.code in (0, 1, 4), done.err[-6000:]
            figures["histories"] += await histories(await own_server.connect(), plan.name)
    figures["429"] += it.atlas.record()["requests"]["by_status"].get("429", 0)
    for name in names:
        seen, outcome = it.seen(name), done.outcomes.get(name, "lost")
        carried_out = seen["puts_processed"]
        figures["PUTs received"] += len(seen["put_times"])
        figures["PUTs carried out"] += carried_out
        figures["carried out twice"] += carried_out > 1
        figures[outcome] += 1
        if outcome not in ("IN_DOUBT", "TIMED_OUT"):
            figures["wrong outcomes"] += carried_out != (outcome == "SUCCESS")
    return figures


async def histories(client: Client, name: str) -> int:
    """With how many empty histories the run of workflow *name* has gone on."""
    found, run_id = -1, None
    while run_id != "":
        handle = client.get_workflow_handle(run_workflow_id(name, rehearsal=False), run_id=run_id)
        history = await handle.fetch_history()
        run_id = history.events[0].workflow_execution_started_event_attributes.continued_execution_run_id
        found += 1
    return found


async def test_nights_on_which_everything_dies(tmp_path: Path) -> None:
    """No PUT is carried out twice, no migration is lost, no outcome is a lie."""
    seed = int(os.environ.get("CHAOS_SEED", random.randrange(2**30)))
    print(f"CHAOS_SEED={seed}")  # noqa: T201 - to have the same dice again
    dice = random.Random(seed)
    figures: Counter[str] = Counter()
    blows: Counter[str] = Counter()
    for number in range(ROUNDS):
        names = [f"m{number}x{each}" for each in range(MIGRATIONS)]
        figures += await night(tmp_path / str(number), names, dice, blows)
        so_far = {"nights": number + 1, "migrations": len(names) * (number + 1), **figures, **blows}
        print(json.dumps(so_far), flush=True)  # noqa: T201 - the figures
    assert not figures["carried out twice"]
    assert not figures["wrong outcomes"]
    assert not figures["lost"]
