"""Which commands there are. Each module adds its own, beside the function that carries it out."""

from __future__ import annotations

from argparse import ArgumentParser

from . import auth, check, completion, control, plan, report, resume, run, runs, schema, serve, simulate, status, worker
from .parser import Command, Commands

MODULES = (check, auth, plan, run, resume, status, report, runs, control, simulate, serve, worker, schema, completion)
"""In the order of `--help`. A new command is a module with `add(commands)`, and an entry here."""


def build_parser() -> ArgumentParser:
    """The parser of the whole command line."""
    return _commands().parser


def all_commands() -> tuple[Command, ...]:
    """Every command, in the order of `--help`."""
    return tuple(_commands().added)


def _commands() -> Commands:
    commands = Commands()
    for module in MODULES:
        module.add(commands)
    commands.complete()
    return commands
