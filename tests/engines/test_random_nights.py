"""Random workflows over random sessions, with deaths, faults and everything that operators ask: the promises hold in all of them.

A death here is one of the process: what its journal had not on disk at that moment is lost. The long form is part of the
chaos suite.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.atlas.client import AtlasClient
from orchestrator.atlas.errors import NotSentError
from orchestrator.core.errors import InputError, JournalError
from orchestrator.core.events import ApprovalWaiting, Event, HookFinished
from orchestrator.core.outcomes import Outcome
from orchestrator.core.run import RunState
from orchestrator.core.workflow import Wave, Workflow
from orchestrator.engines import hook_runner as hookrunner
from orchestrator.simulator import Scenario
from orchestrator.simulator.scenario import Fault, FaultKind, Kind
from orchestrator.store.journal import open_journal

from .house import READY, Gate, Hooks, House, house, migration, outcomes, wave, workflow

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

PUT_FAULTS = (
    FaultKind.LOST_BEFORE,
    FaultKind.LOST_AFTER,
    FaultKind.ERROR_AFTER,
    FaultKind.ERROR_BEFORE,
    FaultKind.TOO_MANY_REQUESTS,
    FaultKind.HANG_BEFORE,
    FaultKind.HANG_AFTER,
    FaultKind.SLOW,
)
LONGEST = 50_000.0  # seconds of virtual time; a session that takes longer hangs


@dataclass
class Process:
    """What a test knows of the process that works on a run. *ran*: hook, wave, migration and run of every hook begun."""

    dead: bool = False
    ran: list[tuple[str, str | None, str | None, str]] = field(default_factory=list)


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Process:
    """A process that can be lost: nothing leaves it afterwards. Its hooks are played."""
    the = Process()
    cutover = AtlasClient.cutover

    async def sent(self: AtlasClient, *args: Any, **options: Any) -> Any:
        if the.dead:
            raise NotSentError("the process is dead", method="PUT", path="/")
        return await cutover(self, *args, **options)

    async def played(
        argv: tuple[str, ...], *, hook: str, environment: Callable[[], dict[str, str]], **rest: Any
    ) -> HookFinished:
        wave_name, name = rest.get("wave"), rest.get("migration")
        if not the.dead:
            the.ran.append((hook, wave_name, name, environment()["CUTOVER_RUN_ID"]))
        await anyio.sleep(1.0 if argv[0] == "slow" else 0.0)
        code = 1 if argv[0] == "fails" else 0
        return HookFinished(
            at=rest["now"](), hook=hook, argv=argv, exit_code=code, seconds=0, wave=wave_name, migration=name
        )

    monkeypatch.setattr(AtlasClient, "cutover", sent)
    monkeypatch.setattr(hookrunner, "run_hook", played)
    return the


def random_hooks(dice: random.Random) -> Hooks:
    """None, or some of each kind, of which some fail."""
    if dice.random() < 0.4:
        return Hooks()

    def some() -> tuple[tuple[str, ...], ...]:
        kinds = ("works", "slow", "works", "slow", "fails")
        return tuple((dice.choice(kinds), str(number)) for number in range(dice.randint(0, 2)))

    return Hooks(before=some(), after_success=some(), after_failure=some())


def random_workflow(dice: random.Random) -> Workflow:
    """Up to three waves of up to three migrations."""
    names = iter("abcdefghi")
    waves: list[Wave] = []
    for number in range(dice.randint(1, 3)):
        members = [
            migration(
                next(names),
                timeout=dice.choice([20.0, 60.0, 600.0]),
                gate=dice.choice([Gate(), None]),
                hooks=random_hooks(dice),
            )
            for _ in range(dice.randint(1, 3))
        ]
        waves.append(
            wave(
                f"w{number}",
                *members,
                concurrency=dice.choice([None, 1, 2]),
                max_failures=dice.choice([None, None, 0, 1]),
                approval=dice.random() < 0.3,
                hooks=random_hooks(dice),
            )
        )
    return workflow(*waves, hooks=random_hooks(dice))


def random_scenario(dice: random.Random, seed: int) -> Scenario:
    """A server that carries every PUT out that it gets, and counts them."""
    faults = [
        Fault(
            on=Kind.CUTOVER,
            kind=kind,
            share=0.4,
            delay=dice.choice([1.0, 8.0]),
            retry_after=5.0 if kind is FaultKind.TOO_MANY_REQUESTS else None,
            status=503,
        )
        for kind in PUT_FAULTS
        if dice.random() < 0.4
    ]
    if dice.random() < 0.3:
        faults.append(Fault(on=Kind.READ, kind=FaultKind.STATUS, share=0.3, status=500))
    return Scenario(seed=seed, jobs=READY, faults=tuple(faults), repeat_puts=True)


@asynccontextmanager
async def helped(it: House) -> AsyncIterator[None]:
    """Somebody lets a run go on that waits for a person, after a while; and no session takes for ever."""

    async def help_it() -> None:
        while True:
            await anyio.sleep(1000)
            with suppress(JournalError):
                it.ask("unpause")
                for each in it.workflow.waves:
                    it.ask("approve", each.name)

    async with anyio.create_task_group() as group:
        group.start_soon(help_it)
        with anyio.move_on_after(LONGEST) as limit:
            yield
        group.cancel_scope.cancel()
    assert not limit.cancelled_caught, "the session hangs"


def dies(it: House, process: Process, dice: random.Random, scope: anyio.CancelScope) -> Callable[[], None]:
    """Lose the process at some event, maybe, and ask something of it before; returns what brings its journal back."""
    at = dice.randint(1, 40) if dice.random() < 0.7 else 0
    asked, ask_at = dice.choice(["abort", "pause", None, None, None, None]), dice.randint(2, 40)
    seen = 0
    on_disk: list[sqlite3.Connection] = []
    marks: dict[Path, bytes] = {}

    def watch(event: Event, _: RunState) -> None:
        nonlocal seen
        seen += 1
        if process.dead:
            return
        if isinstance(event, ApprovalWaiting) and dice.random() < 0.8:
            it.ask("approve", event.wave)
        if asked and seen == ask_at:
            it.ask(asked)
        if seen == at:
            process.dead = True
            on_disk.append(sqlite3.connect(":memory:"))
            copy(it.settings.state_dir / "journal.db", on_disk[0])
            marks.update((path, path.read_bytes()) for path in (it.settings.state_dir / "marks").iterdir())
            scope.cancel()

    it.watchers[:] = [watch]

    def bring_back() -> None:
        it.watchers.clear()
        process.dead = False
        if on_disk:
            restore(on_disk[0], it.settings.state_dir / "journal.db")
            for path in (it.settings.state_dir / "marks").iterdir():
                path.unlink()
            for path, mark in marks.items():
                path.write_bytes(mark)

    return bring_back


def copy(path: Path, target: sqlite3.Connection) -> None:
    """What is on disk."""
    source = sqlite3.connect(path)
    source.backup(target)
    source.close()


def restore(source: sqlite3.Connection, path: Path) -> None:
    """Bring the journal back as it was."""
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    target = sqlite3.connect(path)
    source.backup(target)
    source.close()
    target.execute("PRAGMA journal_mode=WAL")
    target.close()


def check_hooks(process: Process, state: RunState) -> None:
    """Whatever was prepared has been brought to an end."""
    assert not state.hooks_left()
    groups = [(None, None, state.workflow.hooks), *((w.name, None, w.hooks) for w in state.workflow.waves)]
    members = [(w.name, m.name, m.hooks) for w, m in state.workflow.migrations()]
    for wave_name, name, hooks in (*groups, *members):
        ran = [hook for hook, *where in process.ran if where == [wave_name, name, state.run_id]]
        if "before" in ran and hooks.after_success and hooks.after_failure:
            assert ran[-1] != "before", (wave_name, name, ran)


@pytest.mark.parametrize("seed", [*range(2), *(pytest.param(seed, marks=pytest.mark.chaos) for seed in range(2, 150))])
async def test_the_promises_hold_in_a_random_night(tmp_path: Path, process: Process, seed: int) -> None:
    """No PUT is carried out twice, no outcome is a lie, nothing hangs, and every hook that is owed runs."""
    dice = random.Random(seed)
    plan = random_workflow(dice)
    names = [m.name for _, m in plan.migrations()]
    async with house(tmp_path, plan, random_scenario(dice, seed)) as it:
        for _ in range(dice.randint(1, 6)):
            new = dice.random() < 0.25
            options: dict[str, Any] = {"new": new, "retry_failed": not new and dice.random() < 0.3}
            if dice.random() < 0.3:
                options["only"] = tuple(dice.sample([*names, *(w.name for w in plan.waves)], dice.randint(1, 2)))
            with anyio.CancelScope() as scope:
                bring_back = dies(it, process, dice, scope)
                try:
                    async with helped(it):
                        await it.start(**options)
                except* InputError:
                    pass  # it may not begin so: something under way would not be followed, or it was aborted
            bring_back()
            await anyio.sleep(dice.choice([0, 1, 100]))
            assert max(it.seen(name)["puts_processed"] for name in names) <= 1
        for _ in range(4):
            with open_journal(it.settings.state_dir) as journal:
                rows = journal.unfinished()
            if not rows:
                break
            async with helped(it):
                ending = await it.resume(rows[0].run_id)
            for name, outcome in outcomes(ending).items():
                carried_out = it.seen(name)["puts_processed"]
                assert carried_out <= 1
                if outcome not in (Outcome.IN_DOUBT, Outcome.TIMED_OUT):
                    assert carried_out == (outcome is Outcome.SUCCESS), (name, outcome)
            if not ending.state.recorded_unfinished:
                check_hooks(process, ending.state)
