"""`plan`: what `run` would do, without doing it."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .outputs import tell, tell_whole
from .parser import Commands, add_format, add_profile, add_workflow

if TYPE_CHECKING:
    from ..core.settings import Settings
    from ..core.workflow import Workflow
    from ..operations.plan import GoingOn, Plan, WavePlan
    from ..operations.plan_online import JobState

NAMES = 20
"""How many names one line lists."""


def add(commands: Commands) -> None:
    """`plan` and its arguments."""
    parser = commands.add(
        "plan",
        _plan,
        does="what `run` would do, and when each wave will have ended; what it would continue; --online: could it be cut over now?",
        examples=(
            "atlas-cutover plan retail.yaml",
            "atlas-cutover plan retail.yaml --online",
            "atlas-cutover plan retail.yaml --runbook retail-night.md",
        ),
    )
    add_workflow(parser)
    parser.add_argument("--online", action="store_true", help="also read each job's state at Atlas")
    parser.add_argument(
        "--runbook",
        type=Path,
        metavar="FILE.md",
        help="also write the night as a runbook: every step with its command, its owner, what can go wrong",
    )
    parser.add_argument("--overwrite", action="store_true", help="with --runbook: FILE.md may be there already")
    add_profile(parser)
    add_format(parser)


def _plan(args: Namespace) -> int:
    """Print the plan; with `--online` read each job's state at Atlas first (GETs only)."""
    import json
    from dataclasses import asdict

    from ..files.workflow_file import load_workflow
    from ..operations.plan import plan
    from .inputs import read_settings, say_if_profile_is_unused

    if args.runbook is not None:
        _check_runbook(args.runbook, overwrite=args.overwrite)
    settings = read_settings(args)
    workflow = load_workflow(args.workflow, credentials=settings.credentials)
    if args.runbook is not None:
        from ..operations.own_inputs import refuse_written

        refuse_written([("--runbook", args.runbook)], settings.state_dir, workflow)
    say_if_profile_is_unused(args, workflow, asks=args.online)
    states: Mapping[str, JobState] | None = None
    code = 0
    if args.online:
        from functools import partial

        from ..machine.loops import run_loop
        from ..operations.plan_online import plan_online

        online = run_loop(partial(plan_online, workflow, settings))
        planned, states, code = online.plan, online.jobs, int(online.exit_code)
    else:
        planned = plan(workflow, settings)
    if args.format == "json":
        tell_whole(
            json.dumps(
                {**asdict(planned), **_times(planned), "jobs": None if states is None else _jobs(workflow, states)},
                indent=2,
            )
        )
    else:
        _print(planned, states)
    if args.runbook is not None:
        _write_runbook(args, workflow, settings, planned)
    return code


def _check_runbook(path: Path, *, overwrite: bool) -> None:
    """See that a runbook may be written to *path*."""
    from ..core.errors import InputError
    from ..machine.own_files import refuse_irregular

    if path.suffix.lower() != ".md":
        raise InputError(f"--runbook {path}: it is Markdown, so its name ends with .md")
    try:
        if not path.parent.is_dir():
            raise InputError(f"--runbook {path}: there is no directory {path.parent}")
        refuse_irregular(path)
    except OSError as error:
        raise InputError(f"--runbook {path}: {error.strerror}") from None
    if not overwrite and (path.exists() or path.is_symlink()):
        raise InputError(f"--runbook {path}: is there already: --overwrite replaces it, notes in it included")


def _write_runbook(args: Namespace, workflow: Workflow, settings: Settings, planned: Plan) -> None:
    import time

    from ..core.errors import InputError
    from ..files.config import CONFIG_VARIABLE
    from ..files.state_place import VARIABLE as STATE_DIR_VARIABLE
    from ..files.state_place import whole
    from ..machine.own_files import replace_file
    from ..machine.version import program_version
    from ..operations.runbook import Occasion, runbook
    from ..operations.secrets_in import refuse_secrets
    from .inputs import config_of

    refuse_secrets(workflow, settings)
    config = config_of(args)
    occasion = Occasion(
        path=str(args.workflow),
        file=str(args.runbook),
        directory=str(whole(Path())),
        environ={
            **({} if config is None else {CONFIG_VARIABLE: str(whole(config))}),
            STATE_DIR_VARIABLE: str(settings.state_dir),
        },
        made_at=time.time(),
        version=program_version(),
    )
    try:
        replace_file(args.runbook, runbook(workflow, planned, occasion).encode(), mode=None)
    except OSError as error:
        raise InputError(f"--runbook {args.runbook}: it could not be written: {error.strerror or error}") from error
    tell(f"runbook: {args.runbook}", file=sys.stderr)


def _times(plan: Plan) -> dict[str, Any]:
    """When the window opens and closes, and the forecast, as the report writes them."""
    from dataclasses import asdict

    from ..reports.forecast import report_forecast
    from ..text.instants import iso

    opening, forecast = plan.opening, report_forecast(plan.forecast)
    return {
        "opening": None
        if opening is None
        else {"opens": iso(opening.opens), "closes": iso(opening.closes), "last_start": iso(opening.last_start)},
        "forecast": None if forecast is None else asdict(forecast),
        "expiring": [
            {"migration": each.migration, "first_seen_ready": iso(each.first_seen), "expires_by": iso(each.expires_by)}
            for each in plan.expiring
        ],
    }


def _jobs(workflow: Workflow, states: Mapping[str, JobState]) -> list[dict[str, Any]]:
    """The jobs for another program, in workflow order."""
    return [
        {
            "name": migration.name,
            "wave": wave.name,
            "verdict": str(states[migration.name].verdict),
            "status": states[migration.name].status,
            "ready": states[migration.name].ready,
            "lag_seconds": states[migration.name].lag,
            "error": states[migration.name].error,
        }
        for wave, migration in workflow.migrations()
    ]


def _readiness(states: Mapping[str, JobState]) -> str:
    """One line on all jobs, as a long list hides the one that is not there."""
    from ..operations.plan_online import LACKS
    from ..text.counts import plural

    counts = Counter(job.lacks for job in states.values() if job.lacks is not None)
    if not counts:
        return f"{plural(len(states), 'job')}: all there, none over, all ready"
    first, *others = [lacks for lacks in LACKS if counts[lacks]]
    head = f"{counts[first]} of {plural(len(states), 'job')} {first}"
    return ", ".join((head, *(f"{counts[lacks]} {lacks}" for lacks in others)))


def _print(plan: Plan, states: Mapping[str, JobState] | None) -> None:
    from ..core.readiness import expiry_in_words
    from ..text.counts import plural
    from ..text.durations import rough_duration
    from ..text.escaping import one_line
    from .tables import print_table

    tell(f"{plan.workflow}: {plural(plan.migrations, 'live migration')} at {plan.base_url}")
    if plan.goes_on is not None:
        _print_going_on(plan.goes_on)
    print_table(
        (
            "WAVE",
            "MIGRATIONS>",
            "AT ONCE>",
            "MAX FAILURES>",
            "APPROVAL",
            "SOAK>",
            "PROJECTS>",
            "ENDS P50 (UTC)",
            "ENDS P90 (UTC)",
        ),
        [
            (
                wave.name,
                str(wave.migrations),
                str(wave.concurrency),
                "any" if wave.max_failures is None else str(wave.max_failures),
                _approval(wave),
                rough_duration(wave.soak) if wave.soak else "-",
                str(wave.projects),
                *_ends(plan, wave.name),
            )
            for wave in plan.waves
        ],
    )
    closes = None if plan.opening is None else plan.opening.closes
    if expiry := expiry_in_words(plan.expiring, closes=closes):
        tell(one_line(expiry))
    for line in (
        *plan.notes,
        *(f"run {hook}" for hook in plan.run_hooks),
    ):
        tell(one_line(line))
    for wave in plan.waves:
        tell(f"{one_line(wave.name)}  gate: {'; '.join(wave.gates)}; timeout: {', '.join(wave.timeouts)}")
        for hook in wave.hooks:
            tell(f"{one_line(wave.name)}  {one_line(hook)}")
    calls = [(wave, call) for wave in plan.waves for call in wave.calls]
    if states is None:
        for wave, call in calls:
            tell(f"{wave.name}  {call.migration}  {call.request}")
        return
    print_table(
        ("WAVE", "MIGRATION", "PROJECT", "LIVE MIGRATION", "JOB AT ATLAS"),
        [
            (wave.name, call.migration, call.group_id, call.live_migration_id, states[call.migration].text)
            for wave, call in calls
        ],
    )
    tell(_readiness(states))


def _approval(wave: WavePlan) -> str:
    from ..text.durations import format_duration

    if not wave.approval:
        return "no"
    return "yes" if wave.approval_timeout is None else f"within {format_duration(wave.approval_timeout)}"


def _ends(plan: Plan, name: str) -> tuple[str, str]:
    """When wave *name* will have ended, by the forecast; what people need for approvals comes on top."""
    from ..text.instants import in_words

    wave = None if plan.forecast is None else plan.forecast.wave(name)
    if wave is None:
        return "-", "-"
    more = " + approval" * bool(wave.approvals)
    p50, p90 = (in_words(at).removesuffix(" UTC") for at in wave.ends)
    return f"{p50}{more}", f"{p90}{more}"


def _print_going_on(goes_on: GoingOn) -> None:
    """Which unfinished run `run` would continue, and what is left of it."""
    from ..text.counts import names_listed, plural

    if goes_on.refusal is not None:
        tell(goes_on.refusal)
        return
    left = [
        f"{what}: {plural(len(names), 'live migration')} ({names_listed(names, NAMES)})"
        for what, names in (
            ("cut over", goes_on.starts),
            ("cut over if the PUT before turns out not to have been carried out", goes_on.repeats),
            ("only followed", goes_on.follows),
        )
        if names
    ]
    tell(f"`run` would continue run {goes_on.run_id}, which is unfinished: {'; '.join(left) or 'nothing is cut over'}")
