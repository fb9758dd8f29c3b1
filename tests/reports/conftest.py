"""Runs to report on, made by folding real events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import pytest

from orchestrator.core.events import (
    CutoverAccepted,
    CutoverInDoubt,
    CutoverNotBegun,
    CutoverRequested,
    CutoversStopped,
    Event,
    GateOpened,
    GateWaiting,
    HookFinished,
    MigrationFinished,
    RunFinished,
    RunStarted,
    StatusPolled,
    WaveApproved,
    WaveFinished,
    WaveStarted,
)
from orchestrator.core.outcomes import ExitCode, Outcome
from orchestrator.core.run import RunState, fold
from orchestrator.core.vars import merged
from orchestrator.core.window import Window
from orchestrator.core.workflow import Migration, Wave, Workflow
from orchestrator.reports.model import RunReport, build

START = 1_795_824_000.0  # 2026-11-28T00:00:00Z
RUN_ID = "20261128T000000Z-5f3a"


class Ending(NamedTuple):
    """How one migration of a made-up run ends. *seconds*: from its PUT to its end; *variables*: its `vars`."""

    outcome: Outcome = Outcome.SUCCESS
    message: str | None = None
    seconds: float = 8.1
    variables: Mapping[str, str] = MappingProxyType({})


Waves = Mapping[str, Mapping[str, Ending]]
MakeState = Callable[..., RunState]
MakeReport = Callable[..., RunReport]


def _migration_events(name: str, ending: Ending, begin: float) -> list[Event]:
    if ending.outcome is Outcome.NOT_STARTED:
        return []
    gate = GateWaiting(at=begin, migration=name, status="WORKING", ready=False, lag=40.0, max_lag=10.0)
    put = begin + 2.0
    end = put + ending.seconds
    answer: Event
    refused = ending.outcome is Outcome.FAILED and ending.seconds == 0
    if refused:
        answer = CutoverNotBegun(at=put, migration=name, reason=ending.message or "")
    elif ending.outcome is Outcome.IN_DOUBT:
        answer = CutoverInDoubt(at=put + 0.5, migration=name, reason="connection reset", settle=4.0)
    else:
        answer = CutoverAccepted(at=put + 0.2, migration=name, http_status=202, status=None)
    if ending.outcome is Outcome.UNDER_WAY:
        return [gate, CutoverRequested(at=put, migration=name), answer]
    word = {Outcome.SUCCESS: "COMPLETE", Outcome.FAILED: "FAILED"}.get(ending.outcome, "WORKING")
    return [
        gate,
        GateOpened(at=put - 0.1, migration=name, status="WORKING", ready=True, lag=3.0),
        CutoverRequested(at=put, migration=name),
        answer,
        # Of one that was refused the job goes on as before.
        StatusPolled(at=end, migration=name, status="WORKING", ready=True, lag=3.0)
        if refused
        else StatusPolled(at=end, migration=name, status=word),
        MigrationFinished(
            at=end,
            migration=name,
            outcome=ending.outcome,
            status="WORKING" if refused else word,
            error_message=ending.message,
            polls=4,
        ),
    ]


def make_state(
    waves: Waves,
    *,
    name: str = "retail-eu",
    rehearsal: bool = False,
    window: Window | None = None,
    stopped: str | None = None,
    hooks: tuple[HookFinished, ...] = (),
    finished: bool = True,
    exit_code: ExitCode | None = None,
    at_once: int = 20,
) -> RunState:
    """The state of a run of *waves* (wave to migration to ending), *at_once* cutovers in each batch of a wave."""
    ids = iter(range(1, 1_000_000))
    workflow = Workflow(
        name=name,
        sha256="ab" * 32,
        window=window,
        waves=tuple(
            Wave(
                name=wave,
                migrations=tuple(
                    Migration(
                        name=m,
                        group_id="7e68e12770616e75e6df43d0",
                        live_migration_id=f"{next(ids):024x}",
                        vars=merged([ending.variables]),
                    )
                    for m, ending in members.items()
                ),
            )
            for wave, members in waves.items()
        ),
    )
    events: list[Event] = [
        RunStarted(
            at=START,
            workflow=workflow,
            base_url="https://cloud.mongodb.com/api/atlas/v2",
            rehearsal=rehearsal,
            selected=tuple(workflow.names()),
            who="ops@bastion (4711)",
            version="0.1.0",
        )
    ]
    now = START + 5
    for number, (wave, members) in enumerate(waves.items()):
        if number:
            events.append(WaveApproved(at=now, wave=wave, who="ops@bastion (4712)"))
        events.append(WaveStarted(at=now, wave=wave, migrations=len(members), concurrency=at_once))
        rows = list(members.items())
        for first in range(0, len(rows), at_once):
            batch = rows[first : first + at_once]
            for place, (migration, ending) in enumerate(batch):
                events += _migration_events(migration, ending, now + place * 0.05)
            now += 3 + max(ending.seconds for _, ending in batch)
        events.append(WaveFinished(at=now, wave=wave, counts={}))
    events += hooks
    if stopped:
        events.append(CutoversStopped(at=now, reason=stopped))
    state = fold(RUN_ID, events)
    if finished:
        state.apply(
            RunFinished(
                at=now + 1,
                outcome=state.outcome(),
                exit_code=int(state.exit_code() if exit_code is None else exit_code),
                unfinished=state.is_unfinished(),
                requests={"by_status": {"200": 12, "202": 3, "401": 1, "429": 1}, "retries": 1},
            )
        )
    return state


@pytest.fixture
def state_of() -> MakeState:
    """Makes the state of a run out of how its migrations end."""
    return make_state


@pytest.fixture
def report_of() -> MakeReport:
    """Makes the report of a run out of how its migrations end."""

    def make(waves: Waves, **options: object) -> RunReport:
        return build(make_state(waves, **options), now=START + 60)  # type: ignore[arg-type]

    return make
