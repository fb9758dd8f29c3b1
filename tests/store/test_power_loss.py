"""The power goes at any sync, with everything unsynced lost, kept or mixed: intents are there before their PUTs, and no PUT leaves twice."""

from __future__ import annotations

import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from random import Random, SystemRandom

import pytest

from orchestrator.core.errors import JournalError
from orchestrator.core.outcomes import Outcome
from orchestrator.simulator import Scenario, Simulator
from orchestrator.simulator.jobs import Past
from orchestrator.store.journal import open_journal

from ..engines.house import KEYS, READY, House, house, outcomes, wall, wave, workflow
from .power import Disk, Op, after_power_loss, recorded

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

NAMES = ("a", "b", "c", "d")
PLAN = workflow(wave("first", "a", "b", concurrency=1), wave("second", "c", "d"))


class Port:
    """A free port, found once: a run goes on where it began. No system gives one as low as that to whoever asks for any, while nobody listens."""

    @cached_property
    def value(self) -> int:
        """Its number."""
        while True:
            with (
                suppress(OSError),
                socket.create_server(("127.0.0.1", SystemRandom().randrange(10_000, 30_000))) as free,
            ):
                return int(free.getsockname()[1])


PORT = Port()
SHARES = (0.0, 0.1, 0.5, 0.9, 1.0)
"""How much of what was not synced is on the disk all the same."""


@dataclass(slots=True)
class Figures:
    """What was tried, and what came of it."""

    points: int = 0
    states: int = 0
    intents: int = 0
    unknown: int = 0
    refused: int = 0


async def a_night(state_dir: Path) -> Disk:
    """The disk of a whole run; its Atlas is where `atlas_with` makes another."""
    with recorded(state_dir) as disk:
        async with house(state_dir, PLAN) as given, atlas_with(given, set()) as it:
            assert set(outcomes(await it.start()).values()) == {Outcome.SUCCESS}
    assert sum(op.kind == "put" for op in disk.ops) == len(NAMES)
    return disk


def points(disk: Disk) -> list[int]:
    """After how many operations the power goes: before and after each sync, and when a PUT has left."""
    found: set[int] = set()
    for number, op in enumerate(disk.ops):
        if op.kind in ("sync", "directory", "put"):
            found |= {number, number + 1}
    return sorted(found)


def left(ops: list[Op]) -> set[str]:
    """The live migrations whose PUT has left."""
    return {op.path for op in ops if op.kind == "put"}


def written(files: dict[str, bytes], state_dir: Path) -> Path:
    """A state directory with these *files*."""
    shutil.rmtree(state_dir, ignore_errors=True)
    state_dir.mkdir(mode=0o700)
    for name, content in files.items():
        path = state_dir / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o600)
    return state_dir


def look(state_dir: Path, sent: set[str], figures: Figures) -> None:
    """Every PUT of *sent* is known to what is left of the journal, or nothing would be sent with it."""
    figures.states += 1
    try:
        with open_journal(state_dir) as journal:
            assert journal._query("PRAGMA integrity_check", ()) == [("ok",)]
            rows = journal.runs()
            journal._check.check(row.run_id for row in rows)
            known = {
                m.live_migration_id
                for row in rows
                for _, m in PLAN.migrations()
                if (state := journal.state(row.run_id)).started_at is not None
                and state.migrations[m.name].requested_at is not None
            }
    except JournalError:
        figures.refused += 1
        return
    figures.intents += len(sent)
    figures.unknown += len(sent - known)


async def test_every_put_that_left_is_known_after_a_loss_of_power(tmp_path: Path) -> None:
    """At each sync, whatever of the unsynced is there; and no journal is refused: nobody has to help."""
    disk = await a_night(tmp_path / "state")
    figures = Figures()
    random = Random(20261128)
    for point in points(disk):
        ops = disk.ops[:point]
        figures.points += 1
        for share in SHARES:
            look(written(after_power_loss(ops, share, random), tmp_path / "after"), left(ops), figures)
    assert (figures.unknown, figures.refused) == (0, 0), figures
    assert figures.points > 50
    assert figures.intents > 300


async def test_the_recorder_sees_what_a_missing_sync_would_lose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With syncs turned off, and marks not written, PUTs leave of which nothing is known: the test is worth something."""
    from orchestrator.store import schema
    from orchestrator.store.marks import Mark

    prepare = schema._prepare

    def careless(path: Path, db: object, *, readonly: bool) -> None:
        prepare(path, db, readonly=readonly)  # type: ignore[arg-type]
        db.execute("PRAGMA synchronous = OFF")  # type: ignore[attr-defined]

    monkeypatch.setattr(schema, "_prepare", careless)
    monkeypatch.setattr(Mark, "write", lambda *_: None)
    disk = await a_night(tmp_path / "state")
    figures = Figures()
    for point in (number + 1 for number, op in enumerate(disk.ops) if op.kind == "put"):
        ops = disk.ops[:point]
        look(written(after_power_loss(ops, 0.0, Random(1)), tmp_path / "after"), left(ops), figures)
    assert figures.unknown + figures.refused > 0


@asynccontextmanager
async def atlas_with(it: House, sent: set[str]) -> AsyncIterator[House]:
    """An Atlas that has carried out the PUTs *sent*, and the state directory of *it*."""
    past = {m.name: Past(cut_over_at=wall() - 1.0) for _, m in PLAN.migrations() if m.live_migration_id in sent}
    simulator = Simulator(workflow=PLAN, keys=KEYS, scenario=Scenario(jobs=READY), past=past, wall_clock=wall)
    async with simulator.serve(port=PORT.value) as running:
        atlas = replace(it.settings.atlas, base_url=running.base_url(it.settings.atlas.api))
        yield House(workflow=PLAN, settings=replace(it.settings, atlas=atlas), atlas=running)


async def continued(tmp_path: Path, disk: Disk, point: int, share: float) -> None:
    """The power goes at *point*; the next `run` cuts over what is left, and nothing twice."""
    ops = disk.ops[:point]
    sent = left(ops)
    state_dir = written(after_power_loss(ops, share, Random(point)), tmp_path / "after")
    async with house(state_dir, PLAN) as it, atlas_with(it, sent) as again:
        ending = await again.start()
        assert set(outcomes(ending).values()) == {Outcome.SUCCESS}, (point, share)
        for name in NAMES:
            assert again.puts(name) == 1, (point, share, name)  # the one before the loss of power included


async def test_the_run_after_a_loss_of_power_sends_no_put_twice(tmp_path: Path) -> None:
    """Around each PUT: what left is followed, what did not is sent once."""
    disk = await a_night(tmp_path / "state")
    puts = [number for number, op in enumerate(disk.ops) if op.kind == "put"]
    for put in puts:
        for point in (put - 1, put, put + 1, put + 2):
            await continued(tmp_path, disk, point, 0.0)


@pytest.mark.chaos
async def test_the_run_after_any_loss_of_power_sends_no_put_twice(tmp_path: Path) -> None:
    """At each sync, with everything unsynced lost, half of it there, or all."""
    disk = await a_night(tmp_path / "state")
    for point in points(disk):
        for share in (0.0, 0.5, 1.0):
            await continued(tmp_path, disk, point, share)
