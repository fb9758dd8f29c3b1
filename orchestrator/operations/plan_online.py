"""`plan --online`: what a run would do, and whether Atlas would let it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import anyio

from ..atlas.clients import open_clients
from ..atlas.errors import ApiError, AtlasError
from ..atlas.shares import Priority
from ..atlas.wire import Job
from ..core.outcomes import RemoteStatus, normalise
from ..core.settings import Settings
from ..core.workflow import Migration, Workflow
from ..text.durations import rough_duration
from .plan import Plan, plan
from .target import atlas_target, reach_atlas

LACKS = ("not found", "not readable", "failed or expired", "not ready", "cut over already")
"""Why a job could not be cut over now, the worst first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """A job as Atlas shows it, in words; *lacks* (one of `LACKS`) says why it could not be cut over now."""

    text: str
    lacks: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlinePlan:
    """The *plan*, and the *jobs* as they are at Atlas, by the names of their migrations."""

    plan: Plan
    jobs: Mapping[str, JobState]


async def plan_online(workflow: Workflow, settings: Settings) -> OnlinePlan:
    """As `plan`; each job is read once, and nothing else is sent.

    Raises:
        InputError: There are not all credentials that *workflow* needs.
        AtlasError: Atlas is not reachable or refuses them.
    """
    return OnlinePlan(plan=plan(workflow, settings), jobs=await _read_jobs(workflow, settings))


async def _read_jobs(workflow: Workflow, settings: Settings) -> dict[str, JobState]:
    target = atlas_target(workflow, settings)
    states: dict[str, JobState] = {}

    async with open_clients(target.settings, target.sets, wall=time.time) as clients:
        await reach_atlas(clients, target.base_url)

        async def read(migration: Migration) -> None:
            name, client = migration.name, clients.of(migration.credentials)
            try:
                job = await client.job(migration.group_id, migration.live_migration_id, priority=Priority.START)
            except ApiError as error:
                lacks = "not found" if error.status == 404 else "not readable"
                states[name] = JobState(text=f"{error.status} {error.error_code or ''}".strip(), lacks=lacks)
            except AtlasError as error:
                states[name] = JobState(text=error.message, lacks="not readable")
            else:
                states[name] = _job_state(job)

        async with anyio.create_task_group() as group:
            for _, migration in workflow.migrations():
                group.start_soon(read, migration)
    return states


def _job_state(job: Job) -> JobState:
    lag = "" if job.lag is None else f", lag {rough_duration(job.lag)}"
    match normalise(job.status):
        case RemoteStatus.SUCCESS:
            return JobState(text=f"{job.status}{lag}", lacks="cut over already")
        case RemoteStatus.FAILED:
            return JobState(text=f"{job.status}{lag}", lacks="failed or expired")
    ready = {True: ", ready", False: ", not ready", None: ""}[job.ready]
    return JobState(text=f"{job.status}{ready}{lag}", lacks="not ready" if job.ready is False else None)
