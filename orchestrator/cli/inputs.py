"""What several commands read before they begin."""

from __future__ import annotations

import os
import shlex
import sys
from argparse import Namespace
from pathlib import Path

from ..core.errors import InputError
from ..core.settings import Settings
from ..files.config import find_config, load_settings
from ..files.state_place import find_state_dir
from ..store.journal import Journal, RunRow
from ..store.locks import holder_of, run_lock
from ..text.counts import names_listed


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


def read_state_dir(args: Namespace) -> Path:
    """The state directory for this command line; nothing else of the config is asked for, so no mistake in it hinders."""
    return find_state_dir(
        find_config(args.config, os.environ, Path.cwd()),
        environ=os.environ,
        given=args.state_dir,
        warn=lambda warning: print(f"warning: {warning}", file=sys.stderr),
    )


def same_place(args: Namespace) -> str:
    """What a command needs that is to find what this command line finds: the options for it, a space before each."""
    given = (("--config", args.config), ("--state-dir", args.state_dir))
    return "".join(f" {option} {shlex.quote(str(path.absolute()))}" for option, path in given if path is not None)


def find_run(journal: Journal, run_id: str | None) -> RunRow:
    """The run that *run_id* (or the beginning of it) names; None: the one that a person most likely means.

    That is the newest of those under way, else of all, and among these a real run before a rehearsal.

    Raises:
        InputError: There is none, or more than one.
    """
    if run_id is None:
        rows = runs_under_way(journal) or journal.runs()
        if not rows:
            raise InputError(f"{journal.path}: no run has been started yet")
        return min(rows, key=lambda row: row.rehearsal)  # the first of the smallest: they come newest first
    if not run_id:  # an unset variable of a script, most likely; every id begins with it
        raise InputError("the run id is empty: `atlas-cutover status` lists the runs")
    rows = journal.matching(run_id)
    if not rows:
        raise InputError(
            f"{journal.path}: no run has an id that begins with {run_id!r}: `atlas-cutover status` lists those in this "
            "state directory; --state-dir, or --config, names another"
        )
    if len(rows) > 1:
        names = names_listed([row.run_id for row in rows], 5)
        raise InputError(f"{len(rows)} runs have ids that begin with {run_id!r} ({names}): give more of it")
    return rows[0]


def find_run_under_way(journal: Journal, run_id: str | None) -> RunRow:
    """As `find_run`; None: the only run that a process works on.

    Raises:
        InputError: No process works on a run, or there are several such runs.
    """
    if run_id is not None:
        return find_run(journal, run_id)
    rows = runs_under_way(journal)
    if not rows:
        raise InputError("no run is under way: `atlas-cutover status` lists the runs")
    if len(rows) > 1:
        raise InputError(f"several runs are under way: name one of {', '.join(row.run_id for row in rows)}")
    return rows[0]


def runs_under_way(journal: Journal) -> list[RunRow]:
    """The runs that a process works on, newest first."""
    return [
        row
        for row in journal.runs()
        if row.unfinished and holder_of(run_lock(journal.state_dir, row.run_id)) is not None
    ]
