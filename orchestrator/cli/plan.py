"""`plan`: what `run` would do, without doing it."""

from __future__ import annotations

import json
import time
from argparse import Namespace
from dataclasses import asdict
from typing import TYPE_CHECKING

import anyio

from ..errors import InputError
from ..outcomes import RemoteStatus, normalise
from ..plan import Plan, make_plan
from .inputs import read_settings
from .tables import print_table

if TYPE_CHECKING:
    from ..settings import Settings
    from ..workflow import Workflow

JobStates = dict[str, str]


def execute(args: Namespace) -> int:
    """Print the plan; with `--online` read each job's state at Atlas first (GETs only)."""
    from ..workflowfile import load_workflow

    workflow = load_workflow(args.workflow)
    settings = read_settings(args, require_keys=args.online)
    plan = make_plan(workflow, settings, now=time.time())
    states: JobStates | None = None
    if args.online:
        states = anyio.run(_read_jobs, workflow, settings)
    if args.format == "json":
        print(json.dumps({**asdict(plan), "jobs": states}, indent=2))
    else:
        _print(plan, states)
    return 0


async def _read_jobs(workflow: Workflow, settings: Settings) -> JobStates:
    import stamina.instrumentation

    from ..atlas.budget import Priority
    from ..atlas.client import open_client
    from ..atlas.errors import ApiError, AtlasError
    from ..target import client_settings, reach_atlas

    atlas = settings.atlas
    if atlas.public_key is None or atlas.private_key is None:
        raise InputError("no API keys")
    target = client_settings(settings, atlas.base_url, atlas.public_key.reveal(), atlas.private_key.reveal())
    states: JobStates = {}
    stamina.instrumentation.set_on_retry_hooks(())  # they would log to stdout, which is for the plan

    async with open_client(target, wall=time.time) as client:
        await reach_atlas(client, target.base_url)

        async def read(name: str, group_id: str, live_migration_id: str) -> None:
            try:
                job = await client.job(group_id, live_migration_id, priority=Priority.GATE)
            except ApiError as error:
                states[name] = f"{error.status} {error.error_code or ''}".strip()
            except AtlasError as error:
                states[name] = error.message
            else:
                lag = "" if job.lag is None else f", lag {job.lag:g} s"
                pending = normalise(job.status) is RemoteStatus.PENDING
                ready = {True: ", ready", False: ", not ready", None: ""}[job.ready if pending else None]
                states[name] = f"{job.status}{ready}{lag}"

        async with anyio.create_task_group() as group:
            for _, migration in workflow.migrations():
                group.start_soon(read, migration.name, migration.group_id, migration.live_migration_id)
    return states


def _print(plan: Plan, states: JobStates | None) -> None:
    print(f"{plan.workflow}: {plan.migrations} live migrations at {plan.base_url}")
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
                f"{wave.shortest_seconds:.0f} s",
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
            (wave.name, call.migration, call.group_id, call.live_migration_id, states.get(call.migration, "?"))
            for wave, call in calls
        ],
    )
