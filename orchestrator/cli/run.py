"""`run`: the main job."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from ..core.speeds import REHEARSAL_SPEED
from .outputs import tell, warn
from .parser import Commands, add_format, add_output, add_profile, add_simulator_options, add_workers, add_workflow

if TYPE_CHECKING:
    from ..core.settings import Settings
    from ..core.workflow import Workflow


def add(commands: Commands) -> None:
    """`run` and its arguments."""
    parser = commands.add(
        "run",
        _run,
        does="cut the workflow's live migrations over; continues its unfinished run if there is one",
        examples=(
            "atlas-cutover run retail.yaml --rehearse",
            "atlas-cutover run retail.yaml --rehearse --engine temporal",
            "atlas-cutover run retail.yaml --only canary",
            "atlas-cutover run retail.yaml --yes --output report.xml   # from cron",
        ),
    )
    add_workflow(parser)
    add_session_options(
        parser, yes="do not ask; needed where there is no terminal to ask on. A rehearsal: approve every wave"
    )
    parser.add_argument("--new", action="store_true", help="start another run; one that is unfinished is over then")
    parser.add_argument(
        "--rehearse", action="store_true", help="against the built-in simulator; needs no keys and no --yes"
    )
    parser.add_argument(
        "--engine", choices=("local", "temporal"), help="what works on it (default: `engine` of the config, else local)"
    )
    parser.add_argument(
        "--detach", action="store_true", help="with engine temporal: return when it has begun, and do not follow it"
    )
    add_simulator_options(parser, default_speed=REHEARSAL_SPEED, only="with --rehearse: ")
    add_workers(parser, only="with --rehearse and engine temporal: ")


def add_session_options(parser: ArgumentParser, *, yes: str) -> None:
    """What `run` and `resume` have in common; *yes* is the help of `--yes`."""
    parser.add_argument("--yes", action="store_true", help=yes)
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="only this wave or migration (repeatable); what is under way is followed in any case",
    )
    parser.add_argument(
        "--retry-failed", action="store_true", help="when continuing: try again what FAILED before any PUT was sent"
    )
    add_profile(parser)
    add_output(parser)
    add_format(parser)


def _run(args: Namespace) -> int:
    import time
    from functools import partial

    from ..core.errors import InputError
    from ..core.settings import Engine
    from ..files.workflow_file import load_workflow
    from ..operations.foresight import foresee
    from ..operations.hidden_places import refuse_claimed_in
    from ..operations.own_inputs import refuse_overwriting
    from ..operations.rehearse import rehearse
    from ..operations.run import run
    from ..operations.target import refuse_missing
    from .consent import consent_to
    from .inputs import hidden_state_dirs, read_settings, say_if_profile_is_unused
    from .session import asked, conduct, prepare, rehearsal_of, simulator_options
    from .simulate import read_scenario

    prepare(args)
    if not args.rehearse and (given := simulator_options(args)):
        # Whoever gives them means a rehearsal, and must not get a real run.
        raise InputError(f"{given} goes with --rehearse: this would be a real run")
    settings = read_settings(args)
    elsewhere = settings.engine is Engine.TEMPORAL and not args.rehearse
    if args.workers is not None and not (args.rehearse and settings.engine is Engine.TEMPORAL):
        raise InputError(
            "--workers goes with --rehearse and engine temporal: of a real run, `atlas-cutover worker` is one"
        )
    if args.detach and args.rehearse:
        raise InputError("--detach does not go with --rehearse: a rehearsal ends with the process that began it")
    if args.detach and not elsewhere:
        raise InputError("--detach goes with --engine temporal")
    workflow = load_workflow(args.workflow, credentials=None if elsewhere else settings.credentials)
    refuse_overwriting(args.output, settings, workflow)
    say_if_profile_is_unused(args, workflow, asks=not args.rehearse and not elsewhere)
    if args.rehearse:
        rehearsal = rehearsal_of(args, read_scenario(args, args.workflow, workflow))
        verb = partial(rehearse, workflow, settings, rehearsal, only=args.only)
        return conduct(args, settings, verb)
    if elsewhere:
        return _run_elsewhere(args, settings, workflow)
    refuse_claimed_in(hidden_state_dirs(args), workflow, settings.state_dir, warn=warn)
    foreseen = foresee(workflow, settings, asked(args), now=time.time())
    refuse_missing(foreseen, settings)  # before anybody is asked, all that is missing is told
    consent = consent_to(args, foreseen, settings)
    verb = partial(run, workflow, settings, only=args.only, new=args.new, retry_failed=args.retry_failed)
    return conduct(args, settings, verb, consent)


def _run_elsewhere(args: Namespace, settings: Settings, workflow: Workflow) -> int:
    """Begin the run at Temporal, or follow it where it is open."""
    import time
    from dataclasses import replace
    from functools import partial

    from ..core.typed import resume_command, with_options
    from ..machine.loops import run_loop
    from ..operations import temporal_runs
    from ..operations.foresight import foresee
    from ..operations.run import run
    from .consent import consent_to, consent_to_follow
    from .inputs import state_options
    from .session import asked, conduct, detached

    options = asked(args, engine=settings.engine)
    consent = consent_to_follow(args)
    if not run_loop(partial(temporal_runs.is_open, workflow, settings)):
        consent = consent_to(args, foresee(workflow, settings, options, now=time.time()), settings, beforehand=True)
    if args.detach:
        host = detached(args, settings, consent)
        ending = run_loop(partial(temporal_runs.start, workflow, settings, replace(options, host=host), detach=True))
        follow = with_options(resume_command(ending.state.run_id), state_options(args))
        tell(f"run {ending.state.run_id} has begun: `{follow}` follows it")
        return int(ending.exit_code)
    verb = partial(run, workflow, settings, only=args.only, new=args.new, retry_failed=args.retry_failed)
    return conduct(args, settings, verb, consent)
