"""`check` and `schema`: what needs no journal and no network."""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace

from ..core.errors import InputError, Problem
from ..core.window import doubts_about
from ..text.counts import plural
from .inputs import read_settings
from .machine import missing_here


def execute(args: Namespace) -> int:
    """Carry out `check` or `schema`."""
    return _schema(args) if args.command == "schema" else _check(args)


def _check(args: Namespace) -> int:
    from ..files.workflow_file import load_workflow

    problems: list[Problem] = []
    workflow = settings = None
    try:
        workflow = load_workflow(args.workflow)
    except InputError as error:
        problems += error.problems
    try:
        settings = read_settings(args)
    except InputError as error:
        problems += error.problems
    if workflow is None or settings is None:
        raise InputError(problems=problems)
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


def _schema(args: Namespace) -> int:
    if args.which == "workflow":
        from ..files.workflow_file import workflow_schema as schema
    else:
        from ..files.config import config_schema as schema
    print(json.dumps(schema(), indent=2))
    return 0
