"""What several commands read before they begin."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from pathlib import Path

from ..errors import InputError
from ..journal import Journal, RunRow
from ..settings import Settings, find_config, load_settings


def read_settings(args: Namespace, *, require_keys: bool = False) -> Settings:
    """The settings for this command line, and their warnings on stderr."""
    given = {
        "state_dir": args.state_dir,
        "logging.level": args.log_level,
        "logging.format": args.log_format,
        "logging.file": args.log_file,
    }
    settings = load_settings(
        find_config(args.config, os.environ, Path.cwd()),
        environ=os.environ,
        overrides={key: str(value) for key, value in given.items() if value is not None},
        require_keys=require_keys,
    )
    for warning in settings.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return settings


def find_run(journal: Journal, run_id: str | None) -> RunRow:
    """The run that *run_id* (or the beginning of it) names; None: the newest.

    Raises:
        InputError: There is none, or more than one.
    """
    if run_id is None:
        rows = journal.runs(limit=1)
        if not rows:
            raise InputError(f"{journal.path}: no run has been started yet")
        return rows[0]
    if not run_id:  # an unset variable of a script, most likely; every id begins with it
        raise InputError("the run id is empty: `atlas-cutover status` lists the runs")
    row = journal.find(run_id)
    if row is None:
        raise InputError(f"no run, or more than one, has an id that begins with {run_id!r}: see `atlas-cutover status`")
    return row
