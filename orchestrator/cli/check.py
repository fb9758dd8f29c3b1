"""`check`: what needs no journal and no network."""

from __future__ import annotations

import sys
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
    from ..operations.check import check
    from ..text.counts import plural
    from .inputs import config_of, overrides_of

    found = check(args.workflow, config_of(args), overrides=overrides_of(args))
    for warning in found.settings.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    for missing in found.missing:
        print(f"warning: on this machine, {missing}", file=sys.stderr)
    for doubt in found.doubts:
        print(f"warning: {args.workflow}: window: {doubt}", file=sys.stderr)
    for alike in found.alike:
        print(f"warning: {args.workflow}: {alike}", file=sys.stderr)
    count = sum(1 for _ in found.workflow.migrations())
    waves = len(found.workflow.waves)
    print(
        f"{args.workflow}: {found.workflow.name}: {plural(count, 'live migration')} in {plural(waves, 'wave')}: "
        "no problems found"
    )
    return 0
