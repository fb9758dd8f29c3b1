"""Which run, and in which state directory."""

from __future__ import annotations

import os
from pathlib import Path

from ..core.arguments import expect, path, text_or_none
from ..core.errors import InputError
from ..core.settings import Settings
from ..core.workflow import Workflow
from ..files.config import load_settings
from ..files.state_place import find_state_dir
from ..store.journal import Journal, RunRow, worked_on_by
from ..text.counts import names_listed


def state_dir_of(state_dir: Path | str | None) -> Path:
    """*state_dir*; None: the one that the environment names, else the usual one of this user."""
    given = None if state_dir is None else path("state_dir", state_dir)
    return find_state_dir(None, environ=os.environ, given=given, warn=lambda _: None)


def settings_or_usual(settings: Settings | None) -> Settings:
    """*settings*; None: those of the environment, and defaults.

    Raises:
        InputError: They are none, or the environment says something that cannot be.
    """
    if settings is None:
        return load_settings()
    return expect(
        "settings", settings, Settings, way_on="`load_settings` reads a file, `build_settings` takes a mapping"
    )


def workflow_given(workflow: Workflow) -> Workflow:
    """*workflow*, where it is one.

    Raises:
        InputError: It is something else, such as the name of its file.
    """
    return expect(
        "workflow", workflow, Workflow, way_on="`load_workflow` reads a file, `build_workflow` takes a mapping"
    )


def find_run(journal: Journal, run_id: str | None) -> RunRow:
    """The run that *run_id* (or the beginning of it) names; None: the one that a person most likely means.

    That is the newest of those under way, else of all, and among these a real run before a rehearsal.

    Raises:
        InputError: There is none, or more than one.
        JournalError: There is none, and marks tell that there was one.
    """
    if text_or_none("run_id", run_id) is None:
        rows = runs_under_way(journal) or journal.runs()
        if not rows:
            journal.check_marks()
            raise InputError(f"{journal.path}: no run has been started yet")
        return min(rows, key=lambda row: row.rehearsal)  # the first of the smallest: they come newest first
    if not run_id:  # an unset variable of a script, most likely; every id begins with it
        raise InputError("the run id is empty: `atlas-cutover status` lists the runs")
    rows = journal.matching(run_id)
    if not rows:
        journal.check_marks(run_id)
        raise InputError(
            f"{journal.path}: no run has an id that begins with {run_id!r}: `atlas-cutover status` lists those in this "
            "state directory; --state-dir, or --config, names another"
        )
    if len(rows) > 1:
        names = names_listed([row.run_id for row in rows], 5)
        raise InputError(f"{len(rows)} runs have ids that begin with {run_id!r} ({names}): give more of its id")
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


def find_unfinished(journal: Journal, run_id: str | None) -> RunRow:
    """As `find_run`; None: what is to be resumed, as a rehearsal that was cut short must not hide the night's real run.

    Raises:
        InputError: There is nothing to resume.
    """
    if run_id is not None:
        return find_run(journal, run_id)
    rows = journal.unfinished(rehearsal=False) or journal.unfinished()
    if not rows:
        raise InputError(
            f"{journal.path}: nothing to resume: no run is unfinished (one that is over has to be named, for --retry-failed)"
        )
    return rows[0]


def runs_under_way(journal: Journal) -> list[RunRow]:
    """The runs that a process works on, newest first."""
    return [row for row in journal.unfinished() if worked_on_by(journal.state_dir, row) is not None]
