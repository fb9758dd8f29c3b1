"""`plan`: what `run` would do, without doing it."""

from __future__ import annotations

import json
import time
from argparse import Namespace
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import anyio

from ..core.errors import InputError
from ..core.outcomes import RemoteStatus, normalise
from ..operations.plan import Plan, make_plan
from ..text.counts import plural
from ..text.durations import rough_duration
from .inputs import read_settings
from .tables import print_table

if TYPE_CHECKING:
    from ..atlas.wire import Job
    from ..core.settings import Settings
    from ..core.workflow import Workflow


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """A job as Atlas shows it, in words; *lacks* says in a word or two why it could not be cut over now."""

    text: str
    lacks: str | None = None


JobStates = dict[str, JobState]

LACKS = ("not found", "not readable", "failed or expired", "not ready", "cut over already")
"""Why a job could not be cut over now, the worst first."""


def execute(args: Namespace) -> int:
    """Print the plan; with `--online` read each job's state at Atlas first (GETs only)."""
    from ..files.workflow_file import load_workflow

    workflow = load_workflow(args.workflow)
    settings = read_settings(args, require_keys=args.online)
    plan = make_plan(workflow, settings, now=time.time())
    states: JobStates | None = None
    if args.online:
        states = anyio.run(_read_jobs, workflow, settings)
    if args.format == "json":
        jobs = None if states is None else {name: job.text for name, job in states.items()}
        print(json.dumps({**asdict(plan), "jobs": jobs}, indent=2))
    else:
        _print(plan, states)
    return 0


async def _read_jobs(workflow: Workflow, settings: Settings) -> JobStates:
    from ..atlas.client import open_client
    from ..atlas.errors import ApiError, AtlasError
    from ..atlas.shares import Priority
    from ..core.settings import ApiKey
    from ..operations.target import client_settings, reach_atlas

    atlas = settings.atlas
    if atlas.public_key is None or atlas.private_key is None:
        raise InputError("no API keys")
    key = ApiKey(public_key=atlas.public_key, private_key=atlas.private_key)
    target = client_settings(settings, atlas.base_url, key)
    states: JobStates = {}

    async with open_client(target, wall=time.time) as client:
        await reach_atlas(client, target.base_url)

        async def read(name: str, group_id: str, live_migration_id: str) -> None:
            try:
                job = await client.job(group_id, live_migration_id, priority=Priority.START)
            except ApiError as error:
                lacks = "not found" if error.status == 404 else "not readable"
                states[name] = JobState(text=f"{error.status} {error.error_code or ''}".strip(), lacks=lacks)
            except AtlasError as error:
                states[name] = JobState(text=error.message, lacks="not readable")
            else:
                states[name] = _job_state(job)

        async with anyio.create_task_group() as group:
            for _, migration in workflow.migrations():
                group.start_soon(read, migration.name, migration.group_id, migration.live_migration_id)
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


def _readiness(states: JobStates) -> str:
    """One line on all jobs, as a long list hides the one that is not there."""
    counts = Counter(job.lacks for job in states.values() if job.lacks is not None)
    if not counts:
        return f"{plural(len(states), 'job')}: none of them missing, over or not ready"
    first, *others = [lacks for lacks in LACKS if counts[lacks]]
    head = f"{counts[first]} of {plural(len(states), 'job')} {first}"
    return ", ".join((head, *(f"{counts[lacks]} {lacks}" for lacks in others)))


def _print(plan: Plan, states: JobStates | None) -> None:
    print(f"{plan.workflow}: {plural(plan.migrations, 'live migration')} at {plan.base_url}")
    print_table(
        ("WAVE", "MIGRATIONS>", "AT ONCE>", "MAX FAILURES>", "APPROVAL", "PROJECTS>", "PUTS TAKE>"),
        [
            (
                wave.name,
                str(wave.migrations),
                str(wave.concurrency),
                "any" if wave.max_failures is None else str(wave.max_failures),
                "yes" if wave.approval else "no",
                str(wave.projects),
                rough_duration(wave.shortest_seconds),
            )
            for wave in plan.waves
        ],
    )
    for line in plan.notes:
        print(line)
    calls = [(wave, call) for wave in plan.waves for call in wave.calls]
    if states is None:
        for wave, call in calls:
            print(f"{wave.name}  {call.migration}  {call.request}")
        return
    print_table(
        ("WAVE", "MIGRATION", "PROJECT", "LIVE MIGRATION", "JOB AT ATLAS"),
        [
            (wave.name, call.migration, call.group_id, call.live_migration_id, states[call.migration].text)
            for wave, call in calls
        ],
    )
    print(_readiness(states))
