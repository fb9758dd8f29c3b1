"""A session on a terminal, or under cron: who observes it, its signals, its summary, its exit code."""

from __future__ import annotations

import os
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import structlog

from ..core.consent import Intention
from ..core.errors import InputError
from ..core.needs import of_hooks_not_run
from ..core.outcomes import ExitCode
from ..core.settings import Engine, Settings
from ..core.speeds import REHEARSAL_SPEED
from ..core.typed import mended_first, with_options_in
from ..engines.local.collector import rare_collections
from ..machine.descriptors import raise_limit, too_few
from ..machine.loops import run_loop
from ..machine.outlet import is_behind
from ..operations.options import Ending, Host, Options
from ..operations.own_inputs import refuse_overwriting
from ..operations.reporting import write_reports
from ..operations.result import RunResult
from ..operations.target import Rehearsal
from ..reports.model import build
from ..reports.render import check_output_path
from ..reports.summary import print_json, print_summary
from ..reports.words import need_line
from .consent import Consent
from .inputs import state_options
from .observers import Observers, observe
from .outputs import tell, warn, warn_of_unwritten
from .question import question
from .signals import signalled
from .simulate import checked_speed

if TYPE_CHECKING:
    from ..core.run import RunState
    from ..simulator.scenario import Scenario


def prepare(args: Namespace) -> None:
    """What a process that has a session sees to first.

    Raises:
        InputError: A file of `--output` could not be written.
    """
    for path in args.output:
        check_output_path(path)
    raise_limit()
    if (why := too_few()) is not None:
        raise InputError(why)


def simulator_options(args: Namespace) -> str:
    """Those options of *args* that only a simulator understands."""
    given = {"--scenario": args.scenario, "--speed": args.speed}
    return " and ".join(option for option, value in given.items() if value is not None)


def rehearsal_of(args: Namespace, scenario: Scenario | None) -> Rehearsal:
    """The rehearsal that *args* ask for."""
    speed = checked_speed(args.speed, default=REHEARSAL_SPEED)
    return Rehearsal(scenario=scenario, speed=speed, approves=args.yes, workers=args.workers or 1)


def asked(args: Namespace, *, engine: Engine = Engine.LOCAL) -> Options:
    """What is asked for, to foresee what would be done."""
    return Options(
        only=tuple(args.only),
        new=getattr(args, "new", False),
        retry_failed=args.retry_failed,
        engine=engine,
        host=Host(state_options=state_options(args)),
    )


def conduct(
    args: Namespace, settings: Settings, verb: Callable[..., Awaitable[RunResult]], consent: Consent | None = None
) -> int:
    """Have the session of *verb* (`run`, `resume` or `rehearse`), print the summary, and return the exit code."""
    refuse_overwriting(args.output, settings)  # by now all that decides something has been read
    with _observed(args, settings, consent or Consent()) as (observers, host), rare_collections():
        try:
            result = run_loop(partial(verb, observers=observers.sinks, outputs=args.output, host=host))
        except OSError as met:  # no output of ours that could not be written, which it would be taken for further up
            raise RuntimeError("the session met an error of the system's that it does not expect") from met
    warn_of_unwritten(result.unwritten)
    for error in result.observer_errors:
        warn(f"the run went on without one of its observers, which failed: {error!r}")
    if result.journal_failure:
        failure = with_options_in(mended_first(result.journal_failure, result.report.run_id), state_options(args))
        warn(f"the journal could not be written any more: {failure}")
    _print_report(args, result)
    return int(result.exit_code)


@contextmanager
def _observed(args: Namespace, settings: Settings, consent: Consent) -> Iterator[tuple[Observers, Host]]:
    """Who observes a session (log, progress, metrics, notifications), and what this process gives it."""
    with ExitStack() as stack:
        observers = observe(settings, stack, sys.stderr, options=state_options(args))
        window = consent.asked.recorded_window if consent.asked else None

        def ask(intention: Intention) -> None:
            with suppress(
                OSError
            ):  # nobody sees it on a terminal that takes nothing more, and the session goes on as far as it may
                tell("\n".join(question(replace(intention, recorded_window=window), settings)), file=observers.stream)

        host = Host(
            confirmed=consent.confirmed,
            unasked=consent.unasked,
            ask=ask if consent.asked else None,
            interactive=sys.stdin is not None and sys.stdin.isatty(),
            on_line=observers.on_line,
            unseen=lambda: is_behind(sys.stderr) or is_behind(observers.stream),
            background=observers.tasks,
            say=structlog.get_logger().warning,
            inform=structlog.get_logger().info,
            on_superseded=_superseded,
            on_ended=_ended,
            on_clients=observers.on_clients,
            state_options=state_options(args),
            checkpoint=args.checkpoint,
            interruptions=signalled,
        )
        yield observers, host


def _ended(ending: Ending) -> None:
    _outlast_signals(heard=ending.exit_code in (ExitCode.SIGINT, ExitCode.SIGTERM))


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


def _superseded(state: RunState) -> None:
    """A new run has begun in place of the one that ends in *state*."""
    structlog.get_logger().warning(
        "run_superseded",
        run_id=state.run_id,
        workflow=state.workflow.name,
        detail=_over(state),
    )


def _over(state: RunState) -> str:
    left = "".join(f". {need_line(need)}. {need.to_do.removesuffix('.')}" for need in of_hooks_not_run(state))
    return f"run {state.run_id} is over: a new run of its workflow begins. What it left under way is read first{left}"


def detached(args: Namespace, settings: Settings, consent: Consent) -> Host:
    """What this process gives a session that it begins at Temporal, and does not follow: there are no observers."""

    def superseded(state: RunState) -> None:
        _, unwritten = write_reports(build(state, now=time.time()), settings.state_dir, options=state_options(args))
        warn(_over(state))
        warn_of_unwritten(unwritten)

    return Host(
        confirmed=consent.confirmed,
        unasked=consent.unasked,
        state_options=state_options(args),
        on_superseded=superseded,
        say=_warn,
    )


def _warn(event: str, **fields: object) -> None:
    warn(str(fields.get("detail", event)))


def _print_report(args: Namespace, result: RunResult) -> None:
    """Print the summary of a run. Its exit code stands, whatever becomes of it."""
    report = result.report
    try:
        if args.format == "json":
            print_json(report, file=sys.stdout)
        else:
            print_summary(report, file=sys.stdout, paths=result.written, options=state_options(args))
        sys.stdout.flush()
    except BrokenPipeError:
        pass  # whoever read it has gone, and does not miss it
    except OSError as error:
        warn(
            f"the summary could not be written to stdout ({error.strerror or error}): "
            f"`atlas-cutover report {report.run_id}{state_options(args)}` prints it again"
        )
