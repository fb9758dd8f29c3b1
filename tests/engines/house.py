"""A simulated Atlas, a state directory, and runs against them, all on the clock of the test's loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from random import Random
from typing import Any

import anyio

from orchestrator.cli.signals import signalled
from orchestrator.core.events import Event
from orchestrator.core.outcomes import Outcome
from orchestrator.core.run import RunState
from orchestrator.core.settings import (
    Api,
    ApiKey,
    AtlasSettings,
    CredentialSet,
    Logging,
    Polling,
    RateLimit,
    Secret,
    Settings,
)
from orchestrator.core.steered import Command
from orchestrator.core.steering import SteeringRequest
from orchestrator.core.window import AbsoluteWindow
from orchestrator.core.workflow import Gate, Hooks, Migration, Wave, Workflow
from orchestrator.operations import work
from orchestrator.operations.options import Ending, Host, Options
from orchestrator.simulator import RunningSimulator, Scenario, Simulator
from orchestrator.simulator.scenario import JobRules, Range
from orchestrator.store.journal import open_journal

GROUP = "7e68e12770616e75e6df43d0"
KEYS = ("abcdefgh", "5f0c1a5e-0000-4000-8000-made-up-key0")
WALL = 1_795_827_600.0  # what the wall clock shows when the loop's clock is at 0
READY = JobRules(
    ready_after=Range(low=0.0, high=0.0), cutover=Range(low=10.0, high=10.0), ready_lag=Range(low=1.0, high=1.0)
)


def live(name: str) -> str:
    """The live migration id of migration *name*."""
    return name.encode().hex()[:24].rjust(24, "0")


def migration(name: str, **facts: Any) -> Migration:
    """A migration."""
    return Migration(name=name, group_id=facts.pop("group_id", GROUP), live_migration_id=live(name), **facts)


def wave(name: str, *migrations: str | Migration, **facts: Any) -> Wave:
    """A wave of *migrations*, given whole or by name."""
    members = tuple(m if isinstance(m, Migration) else migration(m) for m in migrations)
    return Wave(name=name, migrations=members, **facts)


def workflow(*waves: Wave, **facts: Any) -> Workflow:
    """A workflow of *waves*."""
    return Workflow(name="night", waves=waves, **facts)


def wall() -> float:
    """The wall clock, Unix seconds: it goes with the loop's."""
    return WALL + asyncio.get_running_loop().time()


@dataclass(slots=True, kw_only=True)
class House:
    """Where a test runs workflows. *events*: all of them, of all runs, in order."""

    workflow: Workflow
    settings: Settings
    atlas: RunningSimulator
    events: list[Event] = field(default_factory=list)
    watchers: list[Callable[[Event, RunState], None]] = field(default_factory=list)

    async def start(self, *, clock: Callable[[], float] = wall, **options: Any) -> Ending:
        """`work.start`; *clock* is the wall clock, *steady* one that nobody sets (the loop's)."""
        return await work.start(self.workflow, self.settings, self._options(options, clock))

    async def resume(self, run_id: str, **options: Any) -> Ending:
        """`work.resume`."""
        return await work.resume(run_id, self.settings, self._options(options, wall))

    def ask(self, command: str, wave_name: str | None = None, **about: Any) -> None:
        """Leave a control request for the newest run, as another shell does."""
        with open_journal(self.settings.state_dir) as journal:
            run_id = journal.runs()[0].run_id
            journal.request(
                run_id,
                SteeringRequest(command=Command(command), who="somebody", **({"wave": wave_name} | about)),
                at=wall(),
            )

    async def ask_after(self, seconds: float, command: str, **about: Any) -> None:
        """`ask` when *seconds* have passed: for a task beside a run."""
        await anyio.sleep(seconds)
        self.ask(command, **about)

    def seen(self, name: str) -> dict[str, Any]:
        """What the simulator knows of migration *name*."""
        found: dict[str, Any] = self.atlas.record()["migrations"][live(name)]
        return found

    def puts(self, name: str) -> int:
        """How many PUTs for *name* arrived."""
        return len(self.seen(name)["put_times"])

    def put_at(self, name: str) -> float:
        """When the first PUT for *name* arrived, in seconds since the simulator's start."""
        return float(self.seen(name)["put_times"][0])

    def names(self, kind: type[Event]) -> list[Any]:
        """The events of *kind*."""
        return [event for event in self.events if isinstance(event, kind)]

    def _options(self, given: dict[str, Any], clock: Callable[[], float]) -> Options:
        """*given* are fields of `Options` and of `Host`."""
        host: dict[str, Any] = {"steady": asyncio.get_running_loop().time, "interruptions": signalled, "environ": {}}
        host |= {field.name: given.pop(field.name) for field in fields(Host) if field.name in given}
        observers: Sequence[Any] = (self._sink, *given.pop("observers", ()))
        return Options(observers=observers, host=Host(wall=clock, random=Random(1), **host), **given)

    def _sink(self, event: Event, state: RunState) -> None:
        self.events.append(event)
        for watcher in self.watchers:
            watcher(event, state)


def outcomes(ending: Ending) -> dict[str, Outcome]:
    """The outcome of every migration of the workflow."""
    return {m.name: ending.state.result(m.name).outcome for _, m in ending.state.workflow.migrations()}


async def die_when(it: House, happened: Callable[[Event], bool], **options: Any) -> str:
    """Run until *happened*, then lose the process; the id of the run it leaves."""
    with anyio.CancelScope() as scope:

        def watch(event: Event, _: object) -> None:
            if happened(event):
                scope.cancel()

        it.watchers.append(watch)
        await it.start(**options)
    it.watchers.remove(watch)
    with open_journal(it.settings.state_dir) as journal:
        return journal.runs()[0].run_id


def key_set(keys: tuple[str, str] = KEYS) -> CredentialSet:
    """An API key, as settings hold it."""
    return CredentialSet(credentials=ApiKey(public_key=Secret(keys[0]), private_key=Secret(keys[1])), source="made up")


@asynccontextmanager
async def house(
    state_dir: Path,
    plan: Workflow,
    scenario: Scenario | None = None,
    *,
    api: Api = Api.V2,
    request_timeout: float = 5.0,
    settle: float = 30.0,
    limit: RateLimit | None = None,
    keys: tuple[str, str] = KEYS,
) -> AsyncIterator[House]:
    """An Atlas that has the jobs of *plan*, ready for cutover unless *scenario* says otherwise."""
    simulator = Simulator(workflow=plan, keys=KEYS, scenario=scenario or Scenario(jobs=READY), wall_clock=wall)
    async with simulator.serve() as running:
        settings = Settings(
            atlas=AtlasSettings(
                base_url=running.base_url(api),
                api=api,
                credentials=key_set(keys),
                request_timeout=request_timeout,
                settle=max(settle, request_timeout),
                ca_file=None,
            ),
            rate_limit=limit or RateLimit(requests=500, per=60.0, burst=1200, scope="group"),
            polling=Polling(initial=2.0, factor=1.5, max=30.0, jitter=0.1),
            state_dir=state_dir,
            logging=Logging(level="info", format=None, file=None),
        )
        yield House(workflow=plan, settings=settings, atlas=running)


__all__ = [
    "GROUP",
    "KEYS",
    "READY",
    "WALL",
    "AbsoluteWindow",
    "Gate",
    "Hooks",
    "House",
    "die_when",
    "house",
    "key_set",
    "live",
    "migration",
    "outcomes",
    "wall",
    "wave",
    "workflow",
]
