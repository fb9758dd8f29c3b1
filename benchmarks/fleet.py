"""A large run, half done, that is written down by hand for those who measure its page."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from orchestrator.core.events import (
    CutoverAccepted,
    CutoverRequested,
    Event,
    GateOpened,
    GateWaiting,
    MigrationFinished,
    RunStarted,
    WaveStarted,
)
from orchestrator.core.outcomes import Outcome
from orchestrator.core.workflow import Migration, Wave, Workflow
from orchestrator.store.journal import Journal

RUN = "20261128-010000-3f9a1c"
TOKEN = "benchmark-0123456789-abcdefghijk"  # noqa: S105 - of a page that nobody else sees
EVERY = 0.5
"""Seconds between two steps of the run."""
_STARTED = 5  # migrations in a step; each has an event in every step, so 10 migrations and 50 events a second


def keep(token: Path) -> None:
    """Write `TOKEN` where `serve` takes it from."""
    token.write_text(TOKEN)
    token.chmod(0o600)


def names_of(size: int) -> list[str]:
    """So many migrations."""
    return [f"db-{number:05}" for number in range(size)]


def begin(journal: Journal, names: list[str]) -> None:
    """Begin a run of *names*; the first half of them is cut over."""
    migrations = tuple(
        Migration(name=name, group_id="7e68e12770616e75e6df43d0", live_migration_id=f"{number:024x}")
        for number, name in enumerate(names)
    )
    workflow = Workflow(name="fleet", sha256="cd" * 32, waves=(Wave(name="all", migrations=migrations),))
    now = time.time()
    started = RunStarted(
        at=now, workflow=workflow, base_url="https://cloud.mongodb.com/api/atlas/v2", rehearsal=False,
        selected=tuple(names), who="benchmark", version="0",
    )  # fmt: skip
    journal.begin(RUN, workflow, started)
    events: list[Event] = [WaveStarted(at=now, wave="all", migrations=len(names), concurrency=len(names))]
    for name in names[: len(names) // 2]:
        events += _events_of(name)
    journal.commit(RUN, events, {})


def going_on(journal: Journal, names: list[str], seconds: float) -> Iterator[None]:
    """Let *names* be cut over for so long: a step each time, `EVERY` seconds after the one before."""
    flight: list[Iterator[Event]] = []
    left, until = iter(names), time.monotonic() + seconds
    while time.monotonic() < until:
        flight += [_events_of(name) for name in (next(left, None) for _ in range(_STARTED)) if name is not None]
        steps = [(events, next(events, None)) for events in flight]
        journal.commit(RUN, [event for _, event in steps if event is not None], {})
        flight = [events for events, event in steps if event is not None]
        yield


def _events_of(name: str) -> Iterator[Event]:
    """All that happens to a migration, each when it is asked for."""
    yield GateWaiting(at=time.time(), migration=name, status="WORKING", ready=False, lag=40.0, max_lag=10.0)
    yield GateOpened(at=time.time(), migration=name, status="WORKING", ready=True, lag=2.0)
    yield CutoverRequested(at=time.time(), migration=name)
    yield CutoverAccepted(at=time.time(), migration=name, http_status=202, status="WORKING")
    yield MigrationFinished(at=time.time(), migration=name, outcome=Outcome.SUCCESS, status="COMPLETE", polls=3)


def cpu_of(pid: int) -> float:
    """Seconds of processor time that process *pid* has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
