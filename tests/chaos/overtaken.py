"""`python -m tests.chaos.overtaken COMMAND ... -- COMMAND ...`: the program, whose last notifications take as long as the first command."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from typing import Any
from unittest import mock

from orchestrator.cli import session
from orchestrator.cli.main import run_command
from orchestrator.cli.observers import observe


def main(other: list[str], command: list[str]) -> int:
    """Run *command*, and *other* when it is nearly over; the exit code of the former."""
    environ = dict(os.environ)  # the program removes its keys from the latter

    def observed(settings: Any, stack: ExitStack, *arguments: Any, **named: Any) -> Any:
        stack.callback(subprocess.run, other, check=True, env=environ)
        return observe(settings, stack, *arguments, **named)

    with mock.patch.object(session, "observe", observed):
        return run_command(command)


if __name__ == "__main__":
    between = sys.argv.index("--")
    sys.exit(main(sys.argv[1:between], sys.argv[between + 1 :]))
