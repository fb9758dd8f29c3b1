"""What all commands share of the command line: `Commands`, to which each adds itself, and the options that several have.

Imports little but argparse, as do the modules that add commands: so `--help` answers at once.
"""

from __future__ import annotations

import argparse
import re
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from ..core.log_choices import DEFAULT_LOG_LEVEL, LOG_FORMATS, LOG_LEVELS
from ..core.outcomes import EXIT_MEANINGS
from ..text.lines import folded

EXIT_CODES = "exit codes:\n" + "\n".join(f"  {int(code):<3}  {meaning}" for code, meaning in EXIT_MEANINGS.items())

DRY_RUN = "there is no --dry-run: `plan` shows what `run` would do, `run --rehearse` tries it against a simulated Atlas"

Handler = Callable[[Namespace], int]
"""Carries a command out and returns the exit code."""


class Command(NamedTuple):
    """A command: its *name*, one line of *help*, *examples*, and the parser of its arguments."""

    name: str
    help: str
    examples: tuple[str, ...]
    parser: ArgumentParser


class _Parser(ArgumentParser):
    """argparse's, with a word for what other tools call otherwise, and for what begins with `-` and is no option."""

    def error(self, message: str) -> NoReturn:
        from ..text.escaping import one_line
        from .outputs import tell

        self.print_usage(sys.stderr)
        tell(
            f"{self.prog}: error: {DRY_RUN if '--dry-run' in message else one_line(self._with_advice(message))}",
            file=sys.stderr,
        )
        self.exit(2)

    def _with_advice(self, message: str) -> str:
        """*message*, and how something that begins with `-` is given where it may be that."""
        option = re.fullmatch(r"argument (--[a-z-]+): expected one argument", message)
        if option is not None:
            return f"{message}; one that begins with - is given as {option[1]}=-..."
        named = any(action.dest == "names" for action in self._actions)
        if named and message.startswith(("the following arguments are required", "unrecognized arguments: -")):
            return f"{message}; a name that begins with - stands behind --, and options before that"
        return message


class _Program(_Parser):
    """The whole command line: what a command does not know is told with the usage of that command."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.by_name: dict[str, ArgumentParser] = {}

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        parsed, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self.by_name.get(parsed.command, self).error(f"unrecognized arguments: {' '.join(unknown)}")
        return parsed


class _Help(argparse.HelpFormatter):
    """argparse's, which breaks lines between words alone, keeps the lines of a text, and breaks no example."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return folded(" ".join(text.split()), width, then="")

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(
            piece for line in text.splitlines() for piece in folded(indent + line, width, then=" " * _hanging(line))
        )


def _hanging(line: str) -> int:
    """By how much what follows *line* is indented: as far as its text is, behind the number of an exit code."""
    number = _NUMBERED.match(line)
    return number.end() if number else 0


_NUMBERED = re.compile(r" +\d+ +")


class Commands:
    """The whole command line while its commands are added to it, in the order in which `--help` lists them."""

    def __init__(self) -> None:
        self.parser = _Program(
            prog="atlas-cutover",
            description="Cuts fleets of MongoDB Atlas push live migrations over to Atlas, in waves, each at most once.",
            epilog=EXIT_CODES,
            formatter_class=_Help,
            allow_abbrev=False,  # a short form may not start a cutover: `--rehear`, once no option begins so any more
        )
        _add_common(self.parser, top=True)
        self._parsers = self.parser.add_subparsers(
            dest="command", metavar="COMMAND", required=True, parser_class=_Parser
        )
        self.added: list[Command] = []

    def add(self, name: str, handler: Handler, *, does: str, examples: tuple[str, ...]) -> ArgumentParser:
        """Add the command *name*, which *handler* carries out.

        Args:
            name: What is typed.
            handler: Carries it out. It imports what it needs inside itself, as `--help` loads the module.
            does: One line for `--help`.
            examples: Command lines to copy.

        Returns:
            The parser, to which its arguments are to be added.
        """
        parser = self._parsers.add_parser(
            name,
            help=does,
            description=does[0].upper() + does[1:] + ("" if does.endswith("?") else "."),
            epilog="\n".join(("examples:", *(f"  {example}" for example in examples))),
            formatter_class=_Help,
            allow_abbrev=False,
        )
        parser.set_defaults(handler=handler)
        self.parser.by_name[name] = parser
        self.added.append(Command(name=name, help=does, examples=examples, parser=parser))
        return parser

    def complete(self) -> None:
        """All are there: each gets the options of all, after its own."""
        for command in self.added:
            _add_common(command.parser, top=False)


class _Version(argparse.Action):
    """Looks the version up when it is asked for."""

    def __call__(self, parser: ArgumentParser, *_: object) -> None:
        from ..machine.version import program_version

        print(f"atlas-cutover {program_version()}")
        parser.exit()


def _add_common(parser: ArgumentParser, *, top: bool) -> None:
    """Options that every command has; they may also be given before its name."""
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
        choices=LOG_FORMATS,
        default=unset,
        help="default: console on a terminal, json elsewhere",
    )
    group.add_argument("--log-level", choices=LOG_LEVELS, default=unset, help=f"default: {DEFAULT_LOG_LEVEL}")
    group.add_argument("--log-file", type=Path, default=unset, metavar="FILE", help="also log JSON lines to FILE")
    group.add_argument(
        "--version", action=_Version, nargs=0, default=argparse.SUPPRESS, help="print the version and exit"
    )


def add_workflow(parser: ArgumentParser) -> None:
    """The workflow file."""
    parser.add_argument("workflow", type=Path, metavar="WORKFLOW", help="the workflow file (YAML)")


def add_profile(parser: ArgumentParser) -> None:
    """`--profile`: whose credentials."""
    parser.add_argument(
        "--profile",
        metavar="NAME",
        help="ask Atlas with this profile of the Atlas CLI (default: $MONGODB_ATLAS_PROFILE)",
    )


def add_output(parser: ArgumentParser) -> None:
    """`--output`: where else the report goes."""
    parser.add_argument(
        "--output",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="write the report to FILE: .json .md .html .xml (JUnit) or .csv (repeatable)",
    )


def add_format(parser: ArgumentParser) -> None:
    """`--format`: how stdout looks."""
    parser.add_argument("--format", choices=("table", "json"), default="table", help="of what is printed on stdout")


def add_simulator_options(parser: ArgumentParser, *, default_speed: float, only: str) -> None:
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


def add_workers(parser: ArgumentParser, *, only: str) -> None:
    """`--workers`: how many a rehearsal at Temporal has; *only* says in the help what it goes with."""
    parser.add_argument(
        "--workers",
        type=_at_least_one,
        metavar="N",
        help=f"{only}worker processes, any of which may be killed (default: 1)",
    )


def _at_least_one(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, not {text!r}")
    return int(text)
