"""The long chaos form: nights on which workers and servers are killed all the time, and requests go wrong."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from orchestrator.simulator.scenario import Fault, FaultKind, Kind

from ..house import house, wave, workflow
from .cluster import needs_temporal, server
from .fleet import Fleet, fleet
from .test_nights import own, quick

pytestmark = [pytest.mark.anyio, pytest.mark.chaos, needs_temporal]

ROUNDS = int(os.environ.get("TEMPORAL_CHAOS_ROUNDS", "3"))
MIGRATIONS = int(os.environ.get("TEMPORAL_CHAOS_MIGRATIONS", "40"))
WORKERS = 3
FAULTS = (
    Fault(on=Kind.CUTOVER, kind=FaultKind.LOST_AFTER, share=0.08),
    Fault(on=Kind.CUTOVER, kind=FaultKind.LOST_BEFORE, share=0.08),
    Fault(on=Kind.CUTOVER, kind=FaultKind.HANG_AFTER, share=0.04),
    Fault(on=Kind.CUTOVER, kind=FaultKind.STATUS, share=0.05, status=503),
    Fault(on=Kind.READ, kind=FaultKind.LOST_BEFORE, share=0.05),
    Fault(on=Kind.READ, kind=FaultKind.STATUS, share=0.05, status=500),
)
EVERY = (2.0, 6.0)
"""Seconds between two kills."""


async def kill_at_random(those: Fleet, dice: random.Random, kills: Counter[str], over: anyio.Event) -> None:
    """Kill a worker and start another, or the server, until the night is *over*."""
    while not over.is_set():
        with anyio.move_on_after(dice.uniform(*EVERY)):
            await over.wait()
            return
        if dice.random() < 0.2:
            those.server.kill()
            kills["server"] += 1
            await anyio.sleep(dice.uniform(0.0, 2.0))
            those.server.start()
            continue
        alive = [worker for worker in those.workers if worker.poll() is None]
        if alive:
            victim = dice.choice(alive)
            victim.kill()
            victim.wait()
            kills["worker"] += 1
        while sum(worker.poll() is None for worker in those.workers) < WORKERS:
            those.worker()


async def test_nights_on_which_everything_dies(tmp_path: Path) -> None:
    """No PUT is carried out twice, no migration is lost, no outcome is a lie."""
    seed = int(os.environ.get("CHAOS_SEED", random.randrange(2**30)))
    print(f"CHAOS_SEED={seed}")  # noqa: T201 - to have the same dice again
    dice = random.Random(seed)
    figures: Counter[str] = Counter()
    kills: Counter[str] = Counter()
    for number in range(ROUNDS):
        names = [f"m{number}x{each}" for each in range(MIGRATIONS)]
        half = len(names) // 2
        plan = own(workflow(wave("one", *names[:half], concurrency=10), wave("two", *names[half:])))
        scenario = replace(quick(3.0), seed=dice.randrange(2**30), faults=FAULTS, repeat_puts=True)
        directory = tmp_path / str(number)
        async with house(directory / "atlas", plan, scenario) as it:
            with server(directory / "server") as own_server, fleet(directory, own_server, it) as those:
                await own_server.connect()
                for _ in range(WORKERS):
                    those.worker()
                over = anyio.Event()
                async with anyio.create_task_group() as group:
                    run = those.begin(
                        *("run", str(those.write(plan)), "--engine", "temporal", "--yes", "--format", "json")
                    )
                    await anyio.sleep(3.0)
                    group.start_soon(kill_at_random, those, dice, kills, over)
                    done = await those.end(run, within=1200)
                    over.set()
                seen = {name: it.seen(name) for name in names}
                figures["PUTs received"] += sum(len(each["put_times"]) for each in seen.values())
                figures["PUTs carried out"] += sum(each["puts_processed"] for each in seen.values())
                figures["carried out twice"] += sum(each["puts_processed"] > 1 for each in seen.values())
                figures["429"] += it.atlas.record()["requests"]["by_status"].get("429", 0)
                assert done.code in (0, 1, 4), done.err[-6000:]
                for name, outcome in done.outcomes.items():
                    carried_out = seen[name]["puts_processed"]
                    figures[outcome] += 1
                    if outcome not in ("IN_DOUBT", "TIMED_OUT"):
                        figures["wrong outcomes"] += carried_out != (outcome == "SUCCESS")
        print(json.dumps({"round": number, **figures, **{f"kills of {what}": n for what, n in kills.items()}}))  # noqa: T201 - the figures
    assert figures["carried out twice"] == 0
    assert figures["wrong outcomes"] == 0
