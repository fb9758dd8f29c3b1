"""What the command line understands. Imports argparse alone, so that `--help` answers at once."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

EXIT_CODES = """\
exit codes:
  0  every selected migration is SUCCESS
  1  the run is over, at least one migration FAILED or TIMED_OUT
  2  usage, workflow or config is wrong; nothing was sent
  3  nothing failed, but some cutovers were not started, or not seen to their end
  4  at least one migration is IN_DOUBT: a person has to look
  5  another active run holds this workflow or one of its live migrations
  6  Atlas unreachable, or the credentials refused; nothing was cut over
  130, 143  stopped by SIGINT or SIGTERM; `resume` continues"""

REHEARSAL_SPEED, SIMULATOR_SPEED = 10.0, 1.0
"""How much faster than the clock time passes in a rehearsal, and in a simulator on its own, unless `--speed` says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command: its *name*, one line of *help*, *examples*, and the module of this package that carries it out."""

    name: str
    help: str
    examples: tuple[str, ...]
    module: str


COMMANDS = (
    Command(
        name="check",
        help="read workflow and config, offline: every problem at once, each with file, line and key",
        examples=("atlas-cutover check retail.yaml",),
        module="check",
    ),
    Command(
        name="plan",
        help="what `run` would do: waves, order, concurrency, request budget, shortest possible time",
        examples=("atlas-cutover plan retail.yaml", "atlas-cutover plan retail.yaml --online"),
        module="plan",
    ),
    Command(
        name="run",
        help="cut the workflow's live migrations over; continues its unfinished run if there is one",
        examples=(
            "atlas-cutover run retail.yaml --rehearse",
            "atlas-cutover run retail.yaml --only canary",
            "atlas-cutover run retail.yaml --yes --output report.xml   # from cron",
        ),
        module="run",
    ),
    Command(
        name="resume",
        help="continue an unfinished run (default: the newest real one) without the workflow file",
        examples=("atlas-cutover resume", "atlas-cutover resume 20261128-000000-3f9a1c --retry-failed"),
        module="run",
    ),
    Command(
        name="status",
        help="the runs of a state directory, or one run's migrations",
        examples=(
            "atlas-cutover status",
            "atlas-cutover status 20261128-000000-3f9a1c --watch",
            "atlas-cutover status 20261128-000000-3f9a1c --all",
        ),
        module="status",
    ),
    Command(
        name="report",
        help="the report of a run, again, in any format",
        examples=("atlas-cutover report 20261128-000000-3f9a1c --output report.html --output report.csv",),
        module="status",
    ),
    Command(
        name="pause",
        help="hold a run that is under way: no new cutover starts",
        examples=("atlas-cutover pause", "atlas-cutover pause 20261128-000000-3f9a1c"),
        module="control",
    ),
    Command(
        name="unpause",
        help="let a paused run go on",
        examples=("atlas-cutover unpause", "atlas-cutover unpause 20261128-000000-3f9a1c"),
        module="control",
    ),
    Command(
        name="approve",
        help="let a wave start that waits for approval",
        examples=("atlas-cutover approve 20261128-000000-3f9a1c rest",),
        module="control",
    ),
    Command(
        name="abort",
        help="end a run: no new cutover starts, now or later; those under way are followed to their end",
        examples=("atlas-cutover abort 20261128-000000-3f9a1c",),
        module="control",
    ),
    Command(
        name="simulate",
        help="a simulated Atlas on loopback; prints its base URL first",
        examples=("atlas-cutover simulate --port 0 --workflow retail.yaml --speed 10",),
        module="simulate",
    ),
    Command(
        name="serve",
        help="the status page of the runs in a state directory",
        examples=("atlas-cutover serve", "atlas-cutover serve --port 8080 --state-dir /var/lib/atlas-cutover"),
        module="serve",
    ),
    Command(
        name="schema",
        help="the JSON Schema of a workflow or config file, for editors",
        examples=("atlas-cutover schema workflow > workflow.schema.json",),
        module="check",
    ),
    Command(
        name="completion",
        help="a completion script for your shell",
        examples=("atlas-cutover completion bash > ~/.local/share/bash-completion/completions/atlas-cutover",),
        module="completion",
    ),
)


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="atlas-cutover",
        description="Cuts fleets of MongoDB Atlas push live migrations over to Atlas, in waves, each at most once.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # a short form may not start a cutover: `--rehear`, once no option begins so any more
    )
    _add_common(parser, top=True)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        sub = commands.add_parser(
            command.name,
            help=command.help,
            description=command.help[0].upper() + command.help[1:] + ".",
            epilog="\n".join(("examples:", *(f"  {example}" for example in command.examples))),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        sub.set_defaults(module=command.module)
        _add_arguments(sub, command.name)
        _add_common(sub, top=False)
    return parser


class _Version(argparse.Action):
    """Looks the version up when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from ..machine.version import program_version

        print(f"atlas-cutover {program_version()}")
        parser.exit()


def _add_common(parser: argparse.ArgumentParser, *, top: bool) -> None:
    """Options that every command has, and that may also stand before it."""
    unset = None if top else argparse.SUPPRESS
    group = parser.add_argument_group("options of all commands")
    group.add_argument(
        "--config",
        type=Path,
        default=unset,
        metavar="FILE",
        help="config file (default: $ATLAS_CUTOVER_CONFIG, then config.yaml here)",
    )
    group.add_argument("--state-dir", type=Path, default=unset, metavar="DIR", help="where journal and reports are")
    group.add_argument(
        "--log-format",
        choices=("console", "json"),
        default=unset,
        help="default: console on a terminal, json elsewhere",
    )
    group.add_argument(
        "--log-level", choices=("debug", "info", "warning", "error"), default=unset, help="default: info"
    )
    group.add_argument("--log-file", type=Path, default=unset, metavar="FILE", help="also log JSON lines to FILE")
    group.add_argument(
        "--version", action=_Version, nargs=0, default=argparse.SUPPRESS, help="print the version and exit"
    )


def _add_arguments(parser: argparse.ArgumentParser, command: str) -> None:
    match command:
        case "check":
            parser.add_argument("workflow", type=Path, metavar="WORKFLOW", help="the workflow file (YAML)")
        case "plan":
            parser.add_argument("workflow", type=Path, metavar="WORKFLOW", help="the workflow file (YAML)")
            parser.add_argument("--online", action="store_true", help="also read each job's state at Atlas")
            _add_format(parser)
        case "run":
            parser.add_argument("workflow", type=Path, metavar="WORKFLOW", help="the workflow file (YAML)")
            _add_run_options(
                parser, yes="do not ask; needed where there is no terminal to ask on. A rehearsal: approve every wave"
            )
            parser.add_argument(
                "--new", action="store_true", help="start another run; one that is unfinished is over then"
            )
            parser.add_argument(
                "--rehearse", action="store_true", help="against the built-in simulator; needs no keys and no --yes"
            )
            _add_simulator_options(parser, default_speed=REHEARSAL_SPEED, only="with --rehearse: ")
        case "resume":
            parser.add_argument(
                "run_id", nargs="?", metavar="RUN_ID", help="default: the newest unfinished run, real ones first"
            )
            _add_run_options(
                parser,
                yes="do not ask, also where cutovers may still start and there is a terminal. A rehearsal: approve every wave",
            )
            _add_simulator_options(parser, default_speed=REHEARSAL_SPEED, only="of a rehearsal: ")
        case "status":
            parser.add_argument(
                "run_id",
                nargs="?",
                metavar="RUN_ID",
                help="default: the list of all runs; with --watch or --all as `report`",
            )
            parser.add_argument("--watch", action="store_true", help="show it again and again until it is over")
            parser.add_argument(
                "--all",
                action="store_true",
                help="list every migration, with status and lag as they were last read, how long ago, and the last failed read",
            )
            _add_format(parser)
        case "report":
            parser.add_argument(
                "run_id",
                nargs="?",
                metavar="RUN_ID",
                help="default: the newest run, those under way first, then real ones before rehearsals",
            )
            _add_output(parser)
            _add_format(parser)
        case "pause" | "unpause":
            parser.add_argument("run_id", nargs="?", metavar="RUN_ID", help="default: the run that is under way")
        case "abort":
            parser.add_argument("run_id", metavar="RUN_ID", help="the run, or how its id begins")
        case "approve":
            parser.add_argument("run_id", metavar="RUN_ID", help="the run, or how its id begins")
            parser.add_argument("wave", metavar="WAVE", help="the name of the wave")
        case "simulate":
            parser.add_argument("--workflow", type=Path, metavar="FILE", help="its live migrations are the jobs")
            parser.add_argument("--host", default="127.0.0.1", help="a loopback address (default: %(default)s)")
            parser.add_argument("--port", type=int, default=0, metavar="N", help="0 (default): any free one")
            parser.add_argument("--api", choices=("v2", "v1.0"), default="v2", help="which base URL to print")
            _add_simulator_options(parser, default_speed=SIMULATOR_SPEED, only="")
        case "serve":
            parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s; others need --token-file")
            parser.add_argument(
                "--port", type=int, default=8642, metavar="N", help="0: any free one (default: %(default)s)"
            )
            parser.add_argument("--token-file", type=Path, metavar="FILE", help="take the page's token from FILE")
        case "schema":
            parser.add_argument("which", choices=("workflow", "config"), help="which file the schema is for")
        case "completion":
            parser.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="your shell")


def _add_run_options(parser: argparse.ArgumentParser, *, yes: str) -> None:
    parser.add_argument("--yes", action="store_true", help=yes)
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="only this wave or migration (repeatable); what is under way is followed in any case",
    )
    parser.add_argument(
        "--retry-failed", action="store_true", help="when continuing: try again what FAILED before any PUT was sent"
    )
    _add_output(parser)
    _add_format(parser)


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="write the report to FILE: .json .md .html .xml (JUnit) or .csv (repeatable)",
    )


def _add_format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=("table", "json"), default="table", help="of what is printed on stdout")


def _add_simulator_options(parser: argparse.ArgumentParser, *, default_speed: float, only: str) -> None:
    """*only* says in the help what the options go with; none given is None, so that a real run can refuse them."""
    parser.add_argument(
        "--scenario",
        type=Path,
        metavar="FILE",
        help=f"{only}the simulator's faults (default: WORKFLOW's NAME.scenario.yaml)",
    )
    parser.add_argument(
        "--speed", type=float, metavar="X", help=f"{only}the simulator's seconds in one (default: {default_speed:g})"
    )
