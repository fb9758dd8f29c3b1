"""`run` and `resume`: read, confirm, conduct, report."""

from __future__ import annotations

import os
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import structlog

from ..conductor import Ending, Options
from ..errors import InputError
from ..journal import open_journal
from ..outcomes import ExitCode
from ..report.model import build
from ..report.render import check_output_path, write_report, write_run_reports
from ..report.summary import print_json, print_summary
from ..runner import resume, start
from ..settings import Settings
from ..target import Rehearsal
from .inputs import find_run, read_settings
from .observers import observe
from .simulate import checked_speed, read_scenario

if TYPE_CHECKING:
    from ..run import RunState
    from ..workflow import Workflow


def execute(args: Namespace) -> int:
    """Carry out `run` or `resume`; the exit code is the contract's."""
    for path in args.output:
        check_output_path(path)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a lost terminal stops nothing, the reports included
    return _resume(args) if args.command == "resume" else _run(args)


def _run(args: Namespace) -> int:
    from ..workflowfile import load_workflow

    workflow = load_workflow(args.workflow)
    settings = read_settings(args, require_keys=not args.rehearse)
    rehearsal = None
    if args.ignore_window:
        if not args.rehearse:
            raise InputError("--ignore-window goes with --rehearse: a real run keeps to its window")
        workflow = replace(workflow, window=None)
    if args.rehearse:
        scenario = read_scenario(args, args.workflow, workflow)
        rehearsal = Rehearsal(scenario=scenario, speed=checked_speed(args.speed))
    elif not args.yes:
        _confirm(workflow, settings, args)
    with _observed(args, settings, rehearsal) as options:

        async def conduct() -> Ending:
            return await start(workflow, settings, options, wall=time.time)

        ending = anyio.run(conduct)
    return _report(args, settings, ending)


def _resume(args: Namespace) -> int:
    settings = read_settings(args)
    with open_journal(settings.state_dir, readonly=True) as journal:
        unfinished = journal.unfinished()
        if args.run_id is None and unfinished is None:
            raise InputError(f"{journal.path}: nothing to resume: no run is unfinished")
        row = find_run(journal, args.run_id) if args.run_id else unfinished
        assert row is not None
        workflow = journal.state(row.run_id).workflow
    rehearsal = None
    if row.rehearsal and (row.unfinished or args.retry_failed):
        # The file's own name is not recorded; most are called what their workflow is.
        scenario = read_scenario(args, Path(workflow.directory, f"{workflow.name}.yaml"), workflow)
        rehearsal = Rehearsal(scenario=scenario, speed=checked_speed(args.speed))
    elif row.unfinished:
        settings = read_settings(args, require_keys=True)
    with _observed(args, settings, rehearsal) as options:

        async def conduct() -> Ending:
            return await resume(row.run_id, settings, options, wall=time.time)

        ending = anyio.run(conduct)
    return _report(args, settings, ending)


def _confirm(workflow: Workflow, settings: Settings, args: Namespace) -> None:
    """Have the operator type the workflow's name: a cutover cannot be undone.

    Raises:
        InputError: There is no terminal to ask on, or another name was typed.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InputError("cutovers cannot be undone: there is no terminal to confirm on, so --yes is needed")
    try:
        selected = workflow.select(tuple(args.only))
    except KeyError as error:
        raise InputError(
            f"--only {error.args[0]}: workflow {workflow.name!r} has no wave or migration of that name"
        ) from None
    many = "1 live migration" if len(selected) == 1 else f"{len(selected)} live migrations"
    try:
        print(f"This cuts {many} over at {settings.atlas.base_url}:", file=sys.stderr)
        for wave in workflow.waves:
            count = sum(1 for migration in wave.migrations if migration.name in selected)
            if count:
                print(f"  {wave.name}: {count}", file=sys.stderr)
        print("A cutover cannot be undone.", file=sys.stderr)
        print(f"Type the workflow's name ({workflow.name}) to go on: ", end="", file=sys.stderr, flush=True)
        answer = sys.stdin.readline()
    except KeyboardInterrupt:
        print("\nnot confirmed; nothing was sent", file=sys.stderr)
        raise
    if answer.strip() != workflow.name:
        ended = "" if answer.endswith("\n") else "\n"
        raise InputError(f"{ended}not confirmed; nothing was sent")


@contextmanager
def _observed(args: Namespace, settings: Settings, rehearsal: Rehearsal | None) -> Iterator[Options]:
    """The options of a session with who observes it: log, progress, metrics, notifications."""
    with ExitStack() as stack:
        observers = observe(settings, stack, sys.stderr)
        yield Options(
            only=tuple(args.only),
            new=getattr(args, "new", False),
            retry_failed=args.retry_failed,
            rehearsal=rehearsal,
            interactive=sys.stdin is not None and sys.stdin.isatty(),
            on_line=observers.on_line,
            sinks=observers.sinks,
            background=observers.tasks,
            say=structlog.get_logger().warning,
            on_client=observers.on_client,
            environ=os.environ,
        )


def _report(args: Namespace, settings: Settings, ending: Ending) -> int:
    """Write the reports, print the summary, and return the exit code."""
    return write_and_print(args, settings.state_dir, ending.state, ending.exit_code, ending.journal_failure)


def write_and_print(
    args: Namespace, state_dir: Path, state: RunState, code: ExitCode, journal_failure: str | None = None
) -> int:
    """Write the reports of a run and print its summary. A report that cannot be written is said, and hides nothing."""
    report = build(state, now=time.time(), exit_code=code)
    written: list[Path] = []
    try:
        written += write_run_reports(report, state_dir / "runs" / state.run_id)
        for path in args.output:
            write_report(report, path)
            written.append(path)
    except OSError as error:
        _warn(f"a report could not be written: {error}")
    if journal_failure:
        _warn(f"the journal could not be written any more: {journal_failure}")
    with suppress(OSError):  # whoever read our output has gone: the run's exit code stands
        if args.format == "json":
            print_json(report, file=sys.stdout)
        else:
            print_summary(report, file=sys.stdout, paths=written)
    return int(code)


def _warn(line: str) -> None:
    with suppress(OSError):  # nobody is left to be warned
        print(f"warning: {line}", file=sys.stderr)
