"""What a process has to do that is the first of its container: see to the processes that others leave behind.

The kernel hands orphans (what a hook started and did not wait for) to process 1, and where that does not wait for them either, they
stay zombies until the container ends. So process 1 makes another that does the work, waits for whatever ends, passes
signals on, and ends as that one ends.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import NoReturn

_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_BY_SOMEBODY = (
    0  # si_code of what a process has sent; a terminal's Ctrl-C comes from the kernel, and reaches the child by itself
)


def work_below_init() -> None:
    """Return in a child, which does the work, where this process is the first of its container; at once elsewhere."""
    if os.getpid() != 1:
        return
    watched = {signal.SIGCHLD, *_PASSED_ON}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    _be_init(child, watched)


def _be_init(child: int, watched: set[signal.Signals]) -> NoReturn:
    from .memory import forget_environment, keep_from_others

    keep_from_others()
    forget_environment()
    while True:
        heard = signal.sigwaitinfo(watched)
        if heard.si_signo != signal.SIGCHLD:
            if heard.si_code <= _BY_SOMEBODY:
                with suppress(ProcessLookupError):
                    os.kill(child, heard.si_signo)
            continue
        while (ended := _reaped()) is not None:
            if ended[0] == child:
                code = os.waitstatus_to_exitcode(ended[1])
                os._exit(code if code >= 0 else 128 - code)


def _reaped() -> tuple[int, int] | None:
    """A process that has ended, and its status; None: none has, or there is none any more."""
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, status) if pid else None
