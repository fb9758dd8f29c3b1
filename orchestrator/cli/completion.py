"""`completion`: a script that completes commands, options and file names in bash, zsh or tcsh."""

# ruff: noqa: SLF001 - argparse has no public way to list what a parser understands
from __future__ import annotations

import argparse
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from .parser import Commands

DIRECTORIES = frozenset({"state_dir"})
"""Arguments that name a directory; whatever else is a `Path` names a file."""


def add(commands: Commands) -> None:
    """`completion` and its argument."""
    parser = commands.add(
        "completion",
        _completion,
        does="a completion script for your shell",
        examples=("atlas-cutover completion bash > ~/.local/share/bash-completion/completions/atlas-cutover",),
    )
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="your shell")


def _completion(args: Namespace) -> int:
    print(completion_script(args.shell))
    return 0


def completion_script(shell: str) -> str:
    """The completion script for *shell* (`bash`, `zsh` or `tcsh`), made from the parser itself."""
    import shtab

    from .commands import build_parser

    parser = build_parser()
    for action in _actions(parser):
        if action.type is Path:
            # shtab's own way to be told what an argument of an argparse parser completes to
            action.complete = shtab.DIRECTORY if action.dest in DIRECTORIES else shtab.FILE  # type: ignore[attr-defined]
    return shtab.complete(parser, shell=shell).rstrip("\n")


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Every argument and option of *parser* and of its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                yield from _actions(sub)
