"""`check`: what needs no journal and no network."""

from __future__ import annotations

import sys
import time
from argparse import Namespace

from .parser import Commands, add_profile, add_workflow


def add(commands: Commands) -> None:
    """`check` and its argument."""
    parser = commands.add(
        "check",
        _check,
        does="read workflow and config, offline: every problem at once, each with file, line and key",
        examples=("atlas-cutover check retail.yaml",),
    )
    add_workflow(parser)
    add_profile(parser)


def _check(args: Namespace) -> int:
    from ..core.errors import InputError, Problem
    from ..core.window import doubts_about
    from ..files.workflow_file import load_workflow
    from ..text.counts import plural
    from .inputs import read_settings
    from .machine import missing_here

    problems: list[Problem] = []
    of_config: tuple[Problem, ...] = ()
    workflow = settings = None
    try:
        settings = read_settings(args)
    except InputError as error:
        of_config = error.problems
    try:
        workflow = load_workflow(args.workflow, credentials=None if settings is None else settings.credentials)
    except InputError as error:
        problems += error.problems
    if workflow is None or settings is None:
        raise InputError(problems=[*problems, *of_config])
    for missing in missing_here(workflow, settings):
        print(f"warning: on this machine, {missing}", file=sys.stderr)
    for doubt in doubts_about(workflow.window, time.time()):
        print(f"warning: {args.workflow}: window: {doubt}", file=sys.stderr)
    count = sum(1 for _ in workflow.migrations())
    waves = len(workflow.waves)
    print(
        f"{args.workflow}: {workflow.name}: {plural(count, 'live migration')} in {plural(waves, 'wave')}: no problems found"
    )
    return 0
