"""`pause`, `unpause`, `approve`, `reject`, `skip`, `retry`, `gate`, `abort`: steer a run from another shell."""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import TYPE_CHECKING

from ..core.log_choices import DEFAULT_LOG_LEVEL
from ..core.outcomes import ExitCode
from .outputs import tell, warn, warn_of_unwritten
from .parser import Commands

if TYPE_CHECKING:
    from ..operations.steering import Steered


def add(commands: Commands) -> None:
    """All of them, and their arguments."""
    for name, does, about, examples in _VERBS:
        parser = commands.add(name, _steer, does=does, examples=tuple(f"atlas-cutover {each}" for each in examples))
        if name in ("pause", "unpause"):
            parser.add_argument("run_id", nargs="?", metavar="RUN_ID", help="default: the run that is under way")
        else:
            parser.add_argument("run_id", metavar="RUN_ID", help="the run, or how its id begins")
        if about == "wave":
            parser.add_argument(
                "names", metavar="WAVE", nargs=1, help="the name of the wave; behind -- where it begins with -"
            )
        if about == "migrations":
            parser.add_argument(
                "names",
                metavar="NAME",
                nargs="+",
                help="migrations, or waves for all of theirs; behind -- where one begins with -",
            )
        if name == "gate":
            parser.add_argument("--max-lag", metavar="D", help="the largest lag a cutover may start with")
            parser.add_argument("--timeout", metavar="D", help="how long to wait for it")
            parser.add_argument("--off", action="store_true", help="no gate")
        parser.add_argument("--reason", default="", metavar="TEXT", help="why, for log, report and page")


_RUN = "20261128-000000-3f9a1c"
_VERBS = (
    ("pause", "hold a run: no new cutover starts", None, ("pause", f"pause {_RUN} --reason 'the network is down'")),
    ("unpause", "let a paused run go on", None, ("unpause", f"unpause {_RUN}")),
    ("approve", "let a wave start that waits for approval, or was rejected", "wave", (f"approve {_RUN} rest",)),
    ("reject", "start neither this wave nor those after it", "wave", (f"reject {_RUN} rest --reason 'not tonight'",)),
    ("skip", "do not start migrations any more", "migrations", (f"skip {_RUN} orders",)),
    (
        "retry",
        "take migrations up again: skipped, FAILED without a PUT, or UNVERIFIED (verified again)",
        "migrations",
        (f"retry {_RUN} orders",),
    ),
    ("gate", "change what migrations wait for", "migrations", (f"gate {_RUN} orders --max-lag 60s",)),
    (
        "abort",
        "end a run: no new cutover starts, now or later; those under way are followed to their end",
        None,
        (f"abort {_RUN}",),
    ),
)


def _steer(args: Namespace) -> int:
    from importlib import import_module

    from ..core.typed import with_options
    from .inputs import read_state_dir, state_options, without_secrets

    more = {}
    if args.command == "gate":
        more = {"max_lag": args.max_lag, "timeout": args.timeout, "off": args.off}
    verb = getattr(import_module(f"..operations.{args.command}", __package__), args.command)
    names = getattr(args, "names", ())
    try:
        if args.command == "abort" and args.log_file is not None:
            steered = _abort_logged(args)
        else:
            reason = without_secrets(args, args.reason)
            steered = verb(args.run_id, *names, state_dir=read_state_dir(args), reason=reason, **more)
    except (KeyboardInterrupt, SystemExit):
        status = with_options(f"atlas-cutover status {args.run_id or ''}".rstrip(), state_options(args))
        warn(
            f"{args.command}: interrupted, and the run may have been asked all the same. At Temporal, with no worker yet, it is not known "
            f"whether it will be done: `{status}` shows whether it was, once one serves the run; ask again where it has to be"
        )
        raise
    return _told(args, steered)


def _abort_logged(args: Namespace) -> Steered:
    """Abort, and write the end of a run that ends here to the log file, as no session does; stderr has it in a sentence."""
    from io import StringIO

    from ..observers.log.sink import configure_logging
    from ..operations.abort import abort_and_tell
    from ..operations.own_inputs import refuse_written
    from .inputs import read_state_dir, without_secrets

    level = args.log_level or DEFAULT_LOG_LEVEL
    state_dir = read_state_dir(args)
    refuse_written([("log file", args.log_file)], state_dir)
    with configure_logging(level=level, format="json", file=args.log_file, secrets=(), stream=StringIO()) as log:
        return abort_and_tell([log.sink()], args.run_id, state_dir=state_dir, reason=without_secrets(args, args.reason))


def _told(args: Namespace, steered: Steered) -> int:
    """Say what came of the request."""
    from ..core.typed import resume_command, with_options
    from ..operations.steering import Taken
    from ..reports.words import need_line
    from ..text.counts import plural
    from .inputs import state_options

    run_id, options = steered.run_id, state_options(args)
    for each in steered.dropped:
        warn(each)
    for each in steered.left_out:
        warn(f"{args.command}: not for {each}")
    others = " for the others" if steered.left_out else ""
    match steered.taken:
        case Taken.ASKED:
            tell(f"{args.command}: the request is with run {run_id}{others}", file=sys.stderr)
        case Taken.TAKEN:
            tell(f"{args.command}: run {run_id} has carried it out{others}", file=sys.stderr)
        case Taken.KEPT:
            tell(
                f"{args.command}: recorded for run {run_id}{others}; no process works on it now: `{with_options(resume_command(run_id), options)}` continues it",
                file=sys.stderr,
            )
            if steered.here_alone:
                warn(
                    f"this holds for whoever goes on with run {run_id} from this state directory: a session that begins with another one, "
                    "on another machine, does not know it. Ask there, too"
                )
        case Taken.ENDED:
            warn_of_unwritten(steered.unwritten)
            tell(f"{args.command}: run {run_id} is over", file=sys.stderr)
    if steered.events_missing is not None and not steered.unreadable:
        warn(
            f"{steered.events_missing}. So what is not known to be cut over is IN_DOUBT: look at each live migration of the run in Atlas, and let no "
            "writer return to its source before that"
        )
    if steered.unreadable:
        tell(
            f"{plural(steered.unreadable, 'event')} of it cannot be read, and what was in them is in no report: look at each live "
            "migration of the run in Atlas",
            file=sys.stderr,
        )
    for need in steered.not_run:
        warn(f"{need_line(need)}. {need.to_do}")
    if unwatched := len(steered.unwatched):
        are = "is" if unwatched == 1 else "are"
        tell(
            f"{plural(unwatched, 'cutover')} {are} under way or in doubt, and no longer watched: look at Atlas "
            f"(`atlas-cutover report {run_id}{options}` names {'it' if unwatched == 1 else 'them'})",
            file=sys.stderr,
        )
    return int(ExitCode.INCOMPLETE if steered.left_out else ExitCode.SUCCESS)
