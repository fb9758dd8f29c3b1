"""Who holds a run: file locks of the kernel, released when the process dies, whatever kills it.

That of hooks is lent to what ends them after that, and released then.
A lock file's text says who holds it, for the message to whom it is refused; whether it is held, only the kernel says.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from ..core.errors import BusyError
from ..machine.own_files import make_directory, open_own
from .ground import OpenFile
from .state_dir import part_of_path, unusable


class LockedError(BusyError):
    """The lock is held; *holder* is what its file says about who holds it, *briefly* whether that is for a moment alone."""

    def __init__(self, path: Path, holder: str, *, briefly: bool = False) -> None:
        super().__init__(holder)
        self.path = path
        self.holder = holder
        self.briefly = briefly


MOMENT = 10.0
"""Seconds for which who holds a lock for a moment is waited for: they may wait for the journal, which another program keeps locked."""
_BRIEFLY = "\nfor a moment"
_LOOK_AGAIN = 0.05
_held: set[int] = set()
"""The descriptors of this process's locks."""


def _let_go_in_child() -> None:
    """A process that was forked works on none of its parent's runs: it must not hold their locks when that is dead."""
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_let_go_in_child)


@contextmanager
def locked(path: Path, *, holder: str, briefly: bool = False, patience: float = 0.0) -> Iterator[OpenFile]:
    """Hold the lock *path* while the context lasts; *holder* is written into the file. Which file it is.

    *briefly*: whoever holds it works on no run, and heeds no request (`worker_of`). *patience*: for how many seconds another such holder is
    waited for.

    Raises:
        LockedError: Another process holds it.
        JournalError: It cannot be made or opened, or is somebody else's.
    """
    with ExitStack() as stack:
        deadline = time.monotonic() + patience
        while (file := _held_until(stack, path, holder + _BRIEFLY if briefly else holder, deadline)) is None:
            time.sleep(_LOOK_AGAIN)
        yield file


def _held_until(stack: ExitStack, path: Path, holder: str, deadline: float) -> OpenFile | None:
    """The file of the lock *path*, which is held until *stack* is closed; None: somebody holds it for a moment, for whom one may wait until *deadline*.

    Raises:
        LockedError, JournalError: As `locked`.
    """
    try:
        return stack.enter_context(lent(path, holder=holder))[0]
    except LockedError as error:
        if error.briefly and time.monotonic() < deadline:
            return None
        raise


@contextmanager
def lent(path: Path, *, holder: str) -> Iterator[tuple[OpenFile, int]]:
    """As `locked`; with the file, the descriptor by which another process that gets it holds the lock as well, and goes on to when this one is gone.

    Raises:
        LockedError, JournalError: As `locked`.
    """
    while True:
        try:
            make_directory(path.parent)
            descriptor = open_own(path, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise unusable(path, error) from error
        _held.add(descriptor)
        try:
            file = _taken(path, descriptor, holder)
            if file is not None:
                yield file, descriptor
                return
        finally:
            if descriptor in _held:
                _held.discard(descriptor)
                os.close(descriptor)


def _taken(path: Path, descriptor: int, holder: str) -> OpenFile | None:
    """The lock *path*, which is open, as *holder*'s from now on; None: the file was removed since it was opened, so its lock is nobody's.

    Raises:
        LockedError: Another process holds it.
        JournalError: It cannot be locked or written.
    """
    try:
        if not _try_lock(descriptor):
            text = _text(descriptor)
            raise LockedError(path, text.removesuffix(_BRIEFLY), briefly=text.endswith(_BRIEFLY))
        file = OpenFile.of(path, os.fstat(descriptor))
        if file.trouble() is not None:
            return None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, holder.encode(), 0)
    except OSError as error:
        raise unusable(path, error) from error
    return file


def holder_of(path: Path) -> str | None:
    """Who holds the lock *path* now, if only for a moment; None when nobody does.

    Raises:
        JournalError: It cannot be opened.
    """
    holder = _holder(path)
    return None if holder is None else holder.removesuffix(_BRIEFLY)


def _holder(path: Path) -> str | None:
    """What the file of the lock *path* says of who holds it now."""
    try:
        descriptor = open_own(path, os.O_RDONLY)  # also on a file system that is read-only
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unusable(path, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _text(descriptor)
    except OSError as error:  # a file system that knows no locks
        raise unusable(path, error) from error
    finally:
        os.close(descriptor)
    return None


def worker_of(path: Path) -> str | None:
    """Who holds the run lock *path* to work on the run, and heeds what is asked of it; None: nobody does, or only for a moment.

    Raises:
        JournalError: It cannot be opened.
    """
    holder = _holder(path)
    return None if holder is None or holder.endswith(_BRIEFLY) else holder


def run_lock(state_dir: Path, run_id: str) -> Path:
    """The lock of one run.

    Raises:
        JournalError: As `part_of_path`.
    """
    return state_dir / "locks" / f"run-{part_of_path(run_id)}.lock"


def workflow_lock(state_dir: Path, workflow: str, *, rehearsal: bool) -> Path:
    """The lock of one workflow; rehearsals have their own."""
    return state_dir / "locks" / f"{'rehearsal' if rehearsal else 'workflow'}-{_digest(workflow)}.lock"


def hooks_lock(state_dir: Path, workflow: str, *, rehearsal: bool) -> Path:
    """The lock of one workflow's hooks, which outlives the process that works on it until they have ended; rehearsals have their own."""
    return state_dir / "locks" / f"{'rehearsal-' if rehearsal else ''}hooks-{_digest(workflow)}.lock"


def _digest(workflow: str) -> str:
    return hashlib.sha256(workflow.encode()).hexdigest()[:24]


def _try_lock(descriptor: int) -> bool:
    for pause in (0.01, 0.05, 0.0):  # `holder_of` of another process holds it for a moment
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(pause)
    return False


def _text(descriptor: int) -> str:
    return os.pread(descriptor, 4096, 0).decode(errors="replace") or "another process"
