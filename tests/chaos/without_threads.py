"""`python -m tests.chaos.without_threads CHECKPOINT COMMAND ...`: the program, which can start no further thread from that checkpoint on."""

from __future__ import annotations

import sys
import threading
from typing import NoReturn

from orchestrator.cli.main import run_command


def refused(_thread: threading.Thread) -> NoReturn:
    """Say what Python says where this user's limit of processes is reached."""
    raise RuntimeError("can't start new thread")


def main(where: str, command: list[str]) -> int:
    """Run *command*, without further threads from *where* on; its exit code."""

    def pass_by(name: str) -> None:
        if name == where:
            threading.Thread.start = refused  # type: ignore[assignment, method-assign]

    return run_command(command, pass_by)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
