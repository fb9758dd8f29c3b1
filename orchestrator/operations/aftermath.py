"""The hooks of a process that has died, which are ended before anything else is done with its workflow.

Its lock of them is lent to what ends them (`machine/group_keeper`), and is free when they have.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import anyio

from ..core.errors import BusyError, InputError
from ..core.observer import Say
from ..engines.hooks import GIVING_UP, TERMINATION
from ..machine.person import who_am_i
from ..store.ground import OpenFile
from ..store.journal import RunRow
from ..store.locks import LockedError, holder_of, hooks_lock, lent, workflow_lock
from .assignment import Assignment

PATIENCE: Final = TERMINATION + GIVING_UP + 5.0
"""Seconds: what ends them is done by then, also on a machine that is busy."""
_TELL_AFTER = 1.0
_LOOK_AGAIN = 0.05


@asynccontextmanager
async def hooks_held(state_dir: Path, assignment: Assignment, say: Say) -> AsyncIterator[tuple[OpenFile, int]]:
    """Hold the lock of the hooks of *assignment*'s workflow, whose own lock the caller has: the file, and the descriptor to lend.

    Where hooks of a process that has died have not ended, that is waited for, and *say* tells of it.

    Raises:
        BusyError: They do not end.
        JournalError: It cannot be made or opened, or is somebody else's.
    """
    run_id = assignment.state.run_id
    path = hooks_lock(state_dir, assignment.workflow.name, rehearsal=assignment.rehearsal)
    began, told = anyio.current_time(), False
    while (holder := holder_of(path)) is not None and (waited := anyio.current_time() - began) < PATIENCE:
        if waited >= _TELL_AFTER and not told:
            told = True
            say("hooks_being_ended", run_id=run_id, detail=f"{holder}, are being ended first: that process has died")
        await anyio.sleep(_LOOK_AGAIN)
    with ExitStack() as stack:
        try:
            held = stack.enter_context(lent(path, holder=f"hooks of {who_am_i()}, run {run_id}"))
        except LockedError as error:
            raise BusyError(_still_there(error.holder)) from None
        yield held


def wait_for_hooks(state_dir: Path, row: RunRow) -> None:
    """Return when no hook is left of the process that worked on the run *row*, which is dead; or whoever works on its workflow has waited for that.

    Raises:
        InputError: They do not end.
        JournalError: A lock cannot be opened.
    """
    path = hooks_lock(state_dir, row.workflow, rehearsal=row.rehearsal)
    workflow = workflow_lock(state_dir, row.workflow, rehearsal=row.rehearsal)
    deadline = time.monotonic() + PATIENCE
    while (holder := holder_of(path)) is not None and holder_of(workflow) is None:
        if time.monotonic() >= deadline:
            raise InputError(_still_there(holder))
        time.sleep(_LOOK_AGAIN)


def _still_there(holder: str) -> str:
    return (
        f"{holder}, have not ended, though that process has died, and what ends them (`group_keeper.py`) had {PATIENCE:.0f} s for it; nothing was "
        "done: see with `ps -ef` whether it or they hang, end them, and start this command again"
    )
