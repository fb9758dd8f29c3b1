"""`completion`, and what a shell is told when somebody presses TAB: commands, options, files, runs, waves and migrations.

The shell's script calls the program itself, with argcomplete's variables in its environment (`complete_if_asked`).
"""

# ruff: noqa: SLF001 - argparse has no public way to list what a parser understands
from __future__ import annotations

import argparse
import os
from argparse import Namespace
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from .parser import Commands

SHELLS = ("bash", "zsh", "fish", "tcsh")
DIRECTORIES = frozenset({"state_dir"})
"""Arguments that name a directory; whatever else is a `Path` names a file."""
ASKED_BY = "_ARGCOMPLETE"
"""The variable that a completion script sets."""


def add(commands: Commands) -> None:
    """`completion` and its argument."""
    parser = commands.add(
        "completion",
        _completion,
        does="a completion script for your shell",
        examples=(
            "atlas-cutover completion bash > ~/.local/share/bash-completion/completions/atlas-cutover",
            "atlas-cutover completion fish > ~/.config/fish/completions/atlas-cutover.fish",
        ),
    )
    parser.add_argument("shell", choices=SHELLS, help="your shell")


def _completion(args: Namespace) -> int:
    print(completion_script(args.shell))
    return 0


def completion_script(shell: str) -> str:
    """The completion script for *shell*, one of `SHELLS`."""
    from argcomplete.shell_integration import shellcode

    return shellcode(["atlas-cutover"], shell=shell).strip("\n")


def complete_if_asked(parser: argparse.ArgumentParser) -> None:
    """Answer a shell that asks what may follow, and end the process; do nothing where none asks."""
    if ASKED_BY not in os.environ:
        return
    import argcomplete
    from argcomplete.completers import DirectoriesCompleter, FilesCompleter

    for action in _actions(parser):
        completer: Any = _COMPLETERS.get(action.dest)
        if action.type is Path:
            completer = DirectoriesCompleter() if action.dest in DIRECTORIES else FilesCompleter()
        if completer is not None:
            action.completer = completer  # type: ignore[attr-defined]  # argcomplete looks there
    argcomplete.autocomplete(parser)


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Every argument and option of *parser* and of its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                yield from _actions(sub)


# -- what the journal and the workflow know ----------------------------------------------------------------------------


def _runs(parsed_args: Namespace, **_: Any) -> Iterable[str]:
    """The runs of the state directory, the newest first."""
    from ..core.errors import CutoverError
    from ..operations.status import runs
    from .inputs import read_state_dir

    with suppress(CutoverError, OSError):
        return [each.row.run_id for each in runs(state_dir=read_state_dir(parsed_args))]
    return ()


def _names_of_run(parsed_args: Namespace, **_: Any) -> Iterable[str]:
    """The waves of the run that is named, and its migrations, where the command is about these."""
    from ..core.errors import CutoverError
    from ..operations.status import status
    from .inputs import read_state_dir

    with suppress(CutoverError, OSError):
        report = status(parsed_args.run_id, state_dir=read_state_dir(parsed_args)).report
        waves = [wave.name for wave in report.waves]
        if parsed_args.command in ("approve", "reject"):
            return waves
        return [*waves, *(migration.name for migration in report.migrations)]
    return ()


def _names_of_workflow(parsed_args: Namespace, **more: Any) -> Iterable[str]:
    """The waves and migrations of the workflow file, or of the run, for `--only`."""
    from ..core.errors import CutoverError
    from ..files.workflow_file import load_workflow

    if not getattr(parsed_args, "workflow", None):
        return _names_of_run(parsed_args, **more)
    with suppress(CutoverError, OSError):
        waves = load_workflow(parsed_args.workflow).waves
        return [*(wave.name for wave in waves), *(m.name for wave in waves for m in wave.migrations)]
    return ()


_COMPLETERS = {"run_id": _runs, "names": _names_of_run, "only": _names_of_workflow}
"""By what argparse calls the argument."""
