"""The report as facts: the fold of a run's events in the words of the contract, schema version 1."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..outcomes import ExitCode, Outcome, RunOutcome
from ..run import RunState
from ..workflow import Migration, Wave

SCHEMA_VERSION = 1

NEEDS_A_PERSON = (Outcome.IN_DOUBT, Outcome.TIMED_OUT, Outcome.FAILED, Outcome.NOT_STARTED)
"""Outcomes that somebody has to look at, the most urgent first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationReport:
    """One migration. Times are ISO 8601 in UTC; *cutover_seconds* from the PUT to the final state."""

    name: str
    wave: str
    group_id: str
    live_migration_id: str
    outcome: Outcome
    remote_status: str | None
    error_message: str | None
    gate_waiting_since: str | None
    gate_opened_at: str | None
    requested_at: str | None
    accepted_at: str | None
    finished_at: str | None
    cutover_seconds: float | None
    cutover_requests: int
    polls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveReport:
    """One wave, its selected migrations counted by outcome."""

    name: str
    migrations: int
    counts: dict[str, int]
    started_at: str | None
    finished_at: str | None
    approved_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HookReport:
    """One hook that was run. *output* is its last few kilobytes."""

    hook: str
    wave: str | None
    migration: str | None
    argv: tuple[str, ...]
    exit_code: int | None
    seconds: float
    error: str | None
    output: str
    finished_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Cutover times in seconds, over migrations that had one: nearest-rank percentiles, and their sum (the downtime)."""

    count: int
    p50: float | None
    p90: float | None
    p99: float | None
    max: float | None
    total: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """The whole report; `as_json` is the contract's document."""

    run_id: str
    workflow: str
    workflow_sha256: str
    base_url: str
    rehearsal: bool
    started_at: str | None
    finished_at: str | None
    duration_seconds: float
    outcome: RunOutcome
    exit_code: int
    stopped: str | None
    who: str
    version: str
    totals: dict[str, int]
    statistics: Statistics
    waves: tuple[WaveReport, ...]
    migrations: tuple[MigrationReport, ...]
    hooks: tuple[HookReport, ...]
    requests: dict[str, Any]

    def needing_a_person(self) -> list[MigrationReport]:
        """Migrations without SUCCESS, the most urgent outcome first, in workflow order within one."""
        order = {outcome: rank for rank, outcome in enumerate(NEEDS_A_PERSON)}
        return sorted((m for m in self.migrations if m.outcome in order), key=lambda m: order[m.outcome])


def build(state: RunState, *, now: float, exit_code: ExitCode | None = None) -> RunReport:
    """The report of *state*. *now* (Unix seconds) stands in for the end of a run that has none yet."""
    totals = state.totals()
    end = state.finished_at or now
    migrations = tuple(_migration(state, wave, migration) for wave, migration in state.rows())
    return RunReport(
        run_id=state.run_id,
        workflow=state.workflow.name,
        workflow_sha256=state.workflow.sha256,
        base_url=state.base_url,
        rehearsal=state.rehearsal,
        started_at=iso(state.started_at),
        finished_at=iso(state.finished_at),
        duration_seconds=round(max(0.0, end - (state.started_at or end)), 3),
        outcome=state.outcome(),
        exit_code=int(state.exit_code() if exit_code is None else exit_code),
        stopped=state.stopped,
        who=state.who,
        version=state.version,
        totals={"migrations": len(migrations), **{str(outcome): totals[outcome] for outcome in Outcome}},
        statistics=_statistics([m.cutover_seconds for m in migrations if m.cutover_seconds is not None]),
        waves=tuple(_wave(state, wave) for wave in state.workflow.waves if _selected(state, wave)),
        migrations=migrations,
        hooks=tuple(
            HookReport(
                hook=hook.hook,
                wave=hook.wave,
                migration=hook.migration,
                argv=hook.argv,
                exit_code=hook.exit_code,
                seconds=hook.seconds,
                error=hook.error,
                output=hook.output,
                finished_at=iso(hook.at) or "",
            )
            for hook in state.hooks
        ),
        requests=state.request_statistics(),
    )


def iso(instant: float | None) -> str | None:
    """Unix seconds as ISO 8601 in UTC with milliseconds: `2026-11-28T00:00:00.000Z`."""
    if instant is None:
        return None
    return datetime.fromtimestamp(instant, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _migration(state: RunState, wave: Wave, migration: Migration) -> MigrationReport:
    known = state.migrations[migration.name]
    result = state.result(migration.name)
    seconds = None
    if known.finished_at is not None and known.requested_at is not None:
        seconds = round(known.finished_at - known.requested_at, 3)
    return MigrationReport(
        name=migration.name,
        wave=wave.name,
        group_id=migration.group_id,
        live_migration_id=migration.live_migration_id,
        outcome=result.outcome,
        remote_status=known.remote_status,
        error_message=result.error_message,
        gate_waiting_since=iso(known.gate_since),
        gate_opened_at=iso(known.gate_opened_at),
        requested_at=iso(known.requested_at),
        accepted_at=iso(known.accepted_at),
        finished_at=iso(known.finished_at),
        cutover_seconds=seconds,
        cutover_requests=known.cutover_requests,
        polls=known.polls,
    )


def _selected(state: RunState, wave: Wave) -> int:
    return sum(1 for migration in wave.migrations if migration.name in state.selected)


def _wave(state: RunState, wave: Wave) -> WaveReport:
    known = state.waves[wave.name]
    return WaveReport(
        name=wave.name,
        migrations=_selected(state, wave),
        counts=state.counts(wave),
        started_at=iso(known.started_at),
        finished_at=iso(known.finished_at),
        approved_by=known.approved_by,
    )


def _statistics(seconds: list[float]) -> Statistics:
    ordered = sorted(seconds)

    def percentile(share: float) -> float | None:
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None

    return Statistics(
        count=len(ordered),
        p50=percentile(0.5),
        p90=percentile(0.9),
        p99=percentile(0.99),
        max=ordered[-1] if ordered else None,
        total=round(sum(ordered), 3),
    )
