"""`run` and `resume`: read, confirm, conduct, report."""

from __future__ import annotations

import os
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import structlog

from ..core.consent import Intention
from ..core.errors import InputError
from ..core.outcomes import ExitCode
from ..core.settings import Settings
from ..core.speeds import REHEARSAL_SPEED
from ..engines.local.collector import rare_collections
from ..machine.descriptors import raise_limit
from ..operations.find import find_unfinished
from ..operations.foresight import foresee, foresee_resume
from ..operations.reporting import write_reports
from ..operations.session import Ending, Options
from ..operations.target import Rehearsal, atlas_target
from ..operations.work import resume, start
from ..reports.model import RunReport, build
from ..reports.render import check_output_path
from ..reports.summary import print_json, print_summary
from ..store.journal import open_journal
from .inputs import read_settings, same_place
from .observers import observe
from .outputs import warn, warn_of_unwritten
from .question import question
from .signals import signalled
from .simulate import checked_speed, read_scenario

if TYPE_CHECKING:
    from ..core.run import RunState
    from ..simulator.scenario import Scenario


def execute(args: Namespace) -> int:
    """Carry out `run` or `resume`; the exit code is the contract's."""
    for path in args.output:
        check_output_path(path)
    raise_limit()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a lost terminal stops nothing, the reports included
    return _resume(args) if args.command == "resume" else _run(args)


def _run(args: Namespace) -> int:
    from ..files.workflow_file import load_workflow

    if not args.rehearse and (given := _simulator_options(args)):
        # Whoever gives them means a rehearsal, and must not get a real run.
        raise InputError(f"{given} goes with --rehearse: this would be a real run")
    settings = read_settings(args)
    workflow = load_workflow(args.workflow, credentials=settings.credentials)
    if not args.rehearse:
        atlas_target(workflow, settings)  # before anybody is asked, all that is missing is told
    rehearsal, consent = None, _Consent()
    if args.rehearse:
        scenario = read_scenario(args, args.workflow, workflow)
        rehearsal = _rehearsal(args, scenario)
    else:
        consent = _consent(args, foresee(workflow, settings, _asked(args), now=time.time()), settings)
    return _work(args, settings, rehearsal, partial(start, workflow, settings, wall=time.time), consent)


def _resume(args: Namespace) -> int:
    settings = read_settings(args)
    with open_journal(settings.state_dir, readonly=True) as journal:
        row = find_unfinished(journal, args.run_id)
        state = journal.state(row.run_id)
    rehearsal, consent = None, _Consent()
    if row.rehearsal:
        scenario = None
        if row.unfinished or args.retry_failed:
            # Runs of an older version did not record what the file is called; most are called what their workflow is.
            beside = Path(state.workflow.directory, state.workflow.file or f"{state.workflow.name}.yaml")
            scenario = read_scenario(args, beside, state.workflow)
        rehearsal = _rehearsal(args, scenario)
    elif given := _simulator_options(args):
        raise InputError(f"{given} goes with a rehearsal: run {row.run_id} is a real one")
    elif row.unfinished or args.retry_failed:
        atlas_target(state.workflow, settings)
        consent = _consent(args, foresee_resume(row.run_id, settings, _asked(args), now=time.time()), settings)
    return _work(args, settings, rehearsal, partial(resume, row.run_id, settings, wall=time.time), consent)


def _rehearsal(args: Namespace, scenario: Scenario | None) -> Rehearsal:
    speed = checked_speed(args.speed, default=REHEARSAL_SPEED)
    return Rehearsal(scenario=scenario, speed=speed, approves=args.yes)


def _simulator_options(args: Namespace) -> str:
    """Those options of *args* that only a simulator understands."""
    given = {"--scenario": args.scenario, "--speed": args.speed}
    return " and ".join(option for option, value in given.items() if value is not None)


def _can_ask() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Consent:
    """What nothing but is done (*confirmed*), or what the operator is asked about while the session works (*asked*)."""

    confirmed: Intention | None = None
    asked: Intention | None = None


def _consent(args: Namespace, intention: Intention, settings: Settings) -> _Consent:
    """The operator's consent to *intention*; nobody is asked where no PUT can leave, or who has said `--yes`.

    What a run has under way is not kept waiting for an answer, so then the session asks.

    Raises:
        InputError: It was not confirmed, or there is no terminal for that.
    """
    if args.yes or not (_can_ask() or args.command == "run"):
        return _Consent()
    if not intention.may_put:
        return _Consent(confirmed=intention)
    if not _can_ask():
        raise InputError("cutovers cannot be undone: there is no terminal to confirm on, so --yes is needed")
    if intention.run_id and (intention.follows or intention.repeats):
        return _Consent(asked=intention)
    name = intention.workflow.name
    try:
        print("\n".join(question(intention, settings)), end="", file=sys.stderr, flush=True)
        answer = sys.stdin.readline()
    except KeyboardInterrupt:
        print("\nnot confirmed; nothing was sent", file=sys.stderr)
        raise
    if answer.strip() != name:
        ended = "" if answer.endswith("\n") else "\n"
        raise InputError(f"{ended}not confirmed; nothing was sent")
    return _Consent(confirmed=intention)


def _work(
    args: Namespace,
    settings: Settings,
    rehearsal: Rehearsal | None,
    session: Callable[[Options], Coroutine[Any, Any, Ending]],
    consent: _Consent,
) -> int:
    """Have a *session*, write its reports, print the summary, and return the exit code."""
    reported: list[tuple[RunReport, list[Path]]] = []

    def on_ended(ending: Ending) -> None:
        _outlast_signals(heard=ending.exit_code in (ExitCode.SIGINT, ExitCode.SIGTERM))
        report = build(ending.state, now=time.time(), exit_code=ending.exit_code)
        written, unwritten = write_reports(report, settings.state_dir, args.output, checkpoint=args.checkpoint)
        warn_of_unwritten(unwritten)
        reported.append((report, written))

    with _observed(args, settings, rehearsal, on_ended, consent) as options, rare_collections():
        ending = anyio.run(session, options)
    if ending.journal_failure:
        warn(f"the journal could not be written any more: {ending.journal_failure}")
    _print_report(args, *reported[0])
    return int(ending.exit_code)


def _outlast_signals(*, heard: bool) -> None:
    """From now on all is over, and the first SIGINT or SIGTERM changes nothing; the second ends the process at once.

    *heard*: the first has come, and ended the session.
    """

    def on_signal(number: int, _frame: object) -> None:
        nonlocal heard
        if heard:
            os._exit(128 + number)
        heard = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)


def _asked(args: Namespace) -> Options:
    """What the command line asks for."""
    return Options(
        only=tuple(args.only),
        new=getattr(args, "new", False),
        retry_failed=args.retry_failed,
        place=same_place(args),
    )


@contextmanager
def _observed(
    args: Namespace,
    settings: Settings,
    rehearsal: Rehearsal | None,
    on_ended: Callable[[Ending], None],
    consent: _Consent,
) -> Iterator[Options]:
    """The options of a session with who observes it: log, progress, metrics, notifications."""
    with ExitStack() as stack:
        observers = observe(settings, stack, sys.stderr)
        window = consent.asked.recorded_window if consent.asked else None

        def ask(intention: Intention) -> None:
            print("\n".join(question(replace(intention, recorded_window=window), settings)), file=observers.stream)

        yield replace(
            _asked(args),
            confirmed=consent.confirmed,
            ask=ask if consent.asked else None,
            rehearsal=rehearsal,
            interactive=sys.stdin is not None and sys.stdin.isatty(),
            on_line=observers.on_line,
            observers=observers.sinks,
            background=observers.tasks,
            say=structlog.get_logger().warning,
            on_superseded=partial(_superseded, settings),
            on_ended=on_ended,
            on_clients=observers.on_clients,
            environ=os.environ,
            checkpoint=args.checkpoint,
            interruptions=signalled,
        )


def _superseded(settings: Settings, state: RunState) -> None:
    """A new run has begun in place of the one that ends in *state*: its reports must not say any more that it goes on."""
    structlog.get_logger().warning(
        "run_superseded",
        run_id=state.run_id,
        workflow=state.workflow.name,
        detail=f"run {state.run_id} is over: a new run of its workflow begins. What it left under way is read first",
    )
    warn_of_unwritten(write_reports(build(state, now=time.time()), settings.state_dir)[1])


def _print_report(args: Namespace, report: RunReport, written: Sequence[Path]) -> None:
    """Print the summary of a run, whose reports have been *written*. Its exit code stands, whatever becomes of it."""
    try:
        if args.format == "json":
            print_json(report, file=sys.stdout)
        else:
            print_summary(report, file=sys.stdout, paths=written, options=same_place(args))
        sys.stdout.flush()
    except BrokenPipeError:
        pass  # whoever read it has gone, and does not miss it
    except OSError as error:
        warn(
            f"the summary could not be written to stdout ({error.strerror or error}): "
            f"`atlas-cutover report {report.run_id}` prints it again"
        )
