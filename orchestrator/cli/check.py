"""`check`: what needs no journal and no network."""

from __future__ import annotations

from argparse import Namespace

from .outputs import tell, warn
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
    from ..text.escaping import one_line
    from .inputs import config_of, overrides_of

    found = check(args.workflow, config_of(args), overrides=overrides_of(args))
    for warning in found.settings.warnings:
        warn(warning)
    for missing in found.missing:
        warn(f"on this machine, {missing}")
    for doubt in found.doubts:
        warn(f"{args.workflow}: window: {doubt}")
    for alike in found.alike:
        warn(f"{args.workflow}: {alike}")
    count = sum(1 for _ in found.workflow.migrations())
    waves = len(found.workflow.waves)
    read = one_line(f"{args.workflow}: {found.workflow.name}")
    tell(f"{read}: {plural(count, 'live migration')} in {plural(waves, 'wave')}: no problems found")
    return 0
