"""`python -m orchestrator` and the command `atlas-cutover`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from .machine.init import work_below_init

_SESSIONS = frozenset({"run", "resume", "worker"})
"""Commands that work on a run. Looked for before anything is loaded that could parse a command line, which takes half a second."""


def main(checkpoint: Callable[[str], None] | None = None) -> None:
    """Run the command line and exit with its code; *checkpoint*: see `core.checkpoints`."""
    if not _SESSIONS.isdisjoint(sys.argv):
        _outlive_the_terminal()
    work_below_init()
    # A session heeds both signals in its own way; before and after it they end the program with their own codes.
    signal.signal(signal.SIGTERM, _end)
    _forget_what_the_parent_ignored()
    try:
        from .cli.main import run_command

        _leave(run_command(sys.argv[1:]) if checkpoint is None else run_command(sys.argv[1:], checkpoint))
    except KeyboardInterrupt:  # while modules were loaded
        sys.exit(128 + signal.SIGINT)


def _leave(code: int) -> NoReturn:
    """Exit with *code*.

    Where Temporal's client was loaded, its threads must not meet an interpreter that is being taken down: they abort the process,
    whose exit code would be another. All that was opened is closed by now.
    """
    if "temporalio" in sys.modules:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


def _forget_what_the_parent_ignored() -> None:
    """Hear of hooks that end, and of who stops us, also where whoever started us ignores or blocks these signals.

    Both are inherited: with SIGCHLD ignored, the kernel tells nobody how a child has ended.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM))


def _outlive_the_terminal() -> None:
    """A lost terminal stops nothing, the reports included. Heard and not ignored: what is ignored would be in hooks as well."""
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as `nohup` has it
        signal.signal(signal.SIGHUP, lambda _number, _frame: None)


def _end(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    main()
