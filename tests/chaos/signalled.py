"""`python -m tests.chaos.signalled NUMBER WHERE TIMES COMMAND ...`: the program, which sends itself a signal near its end.

*WHERE* is `reports`, when it begins to write them, or `notifications`, when the last ones are delivered.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from typing import Any
from unittest import mock

from orchestrator.cli import session
from orchestrator.cli.main import run_command
from orchestrator.cli.observers import observe
from orchestrator.operations import result
from orchestrator.operations.reporting import write_reports


def main(number: int, where: str, times: int, command: list[str]) -> int:
    """Run *command*, and send the signal *number* that many *times* at *where*; its exit code."""

    def signal_itself() -> None:
        for _ in range(times):
            os.kill(os.getpid(), number)

    def signalled(*arguments: Any, **named: Any) -> Any:
        signal_itself()
        return write_reports(*arguments, **named)

    def observed(settings: Any, stack: ExitStack, *arguments: Any, **named: Any) -> Any:
        stack.callback(signal_itself)
        return observe(settings, stack, *arguments, **named)

    place, name, instead = (
        (result, "write_reports", signalled) if where == "reports" else (session, "observe", observed)
    )
    with mock.patch.object(place, name, instead):
        return run_command(command)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4:]))
