"""`resume`: goes on with an unfinished run."""

from __future__ import annotations

from argparse import Namespace

from ..core.speeds import REHEARSAL_SPEED
from .parser import Commands, add_simulator_options, add_workers
from .run import add_session_options


def add(commands: Commands) -> None:
    """`resume` and its arguments."""
    parser = commands.add(
        "resume",
        _resume,
        does="continue an unfinished run (default: the newest real one) without the workflow file",
        examples=("atlas-cutover resume", "atlas-cutover resume 20261128-000000-3f9a1c --retry-failed"),
    )
    parser.add_argument(
        "run_id", nargs="?", metavar="RUN_ID", help="default: the newest unfinished run, real ones first"
    )
    add_session_options(
        parser,
        yes="do not ask, also where cutovers may still start and there is a terminal. A rehearsal: approve every wave",
    )
    add_simulator_options(parser, default_speed=REHEARSAL_SPEED, only="of a rehearsal: ")
    add_workers(parser, only="of a rehearsal at Temporal: ")


def _resume(args: Namespace) -> int:
    import time
    from functools import partial
    from pathlib import Path

    from ..core.errors import InputError
    from ..core.settings import Engine
    from ..machine.loops import run_loop
    from ..operations import temporal_runs
    from ..operations.find import find_unfinished
    from ..operations.foresight import foresee_resume
    from ..operations.hidden_places import refuse_claimed_in
    from ..operations.own_inputs import refuse_overwriting
    from ..operations.resume import resume
    from ..operations.target import refuse_missing
    from ..store.journal import open_journal
    from .consent import Consent, consent_to, consent_to_follow
    from .inputs import hidden_state_dirs, read_settings
    from .outputs import warn
    from .session import asked, conduct, prepare, rehearsal_of, simulator_options
    from .simulate import read_scenario

    prepare(args)
    settings = read_settings(args)
    with open_journal(settings.state_dir, readonly=True) as journal:
        row = find_unfinished(journal, args.run_id)
        workflow = journal.state(row.run_id).workflow
    refuse_overwriting(args.output, settings, workflow)
    goes_on = row.unfinished or args.retry_failed
    if args.workers is not None and not (row.rehearsal and row.temporal is not None):
        raise InputError(f"--workers goes with a rehearsal at Temporal, which run {row.run_id} is not")
    rehearsal, consent = None, Consent() if row.rehearsal else consent_to_follow(args)
    if row.rehearsal:
        # Runs of an older version did not record what the file is called; most are called what their workflow is.
        beside = Path(workflow.directory, workflow.file or f"{workflow.name}.yaml")
        rehearsal = rehearsal_of(args, read_scenario(args, beside, workflow) if goes_on else None)
    elif given := simulator_options(args):
        raise InputError(f"{given} goes with a rehearsal: run {row.run_id} is a real one")
    elif row.temporal is not None:
        if goes_on and not run_loop(partial(temporal_runs.is_open_row, row, settings)):
            options = asked(args, engine=Engine.TEMPORAL)
            foreseen = foresee_resume(row.run_id, settings, options, now=time.time())
            consent = consent_to(args, foreseen, settings, beforehand=True)
    elif goes_on:
        refuse_claimed_in(hidden_state_dirs(args), workflow, settings.state_dir, warn=warn, run_id=row.run_id)
        foreseen = foresee_resume(row.run_id, settings, asked(args), now=time.time())
        refuse_missing(foreseen, settings)  # before anybody is asked, all that is missing is told
        consent = consent_to(args, foreseen, settings)
    verb = partial(resume, row.run_id, settings, only=args.only, retry_failed=args.retry_failed, rehearsal=rehearsal)
    return conduct(args, settings, verb, consent)
