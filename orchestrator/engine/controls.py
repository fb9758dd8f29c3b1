"""What people ask of a run that is under way: from another shell, through the journal, or by Enter on its terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import anyio

from ..errors import JournalError
from ..events import RunAborted, RunPaused, RunUnpaused
from ..journal import Control, Journal, open_journal
from .local import LocalEngine
from .session import Session

LOOK_EVERY = 0.25  # seconds; a request takes effect well within one


async def heed_controls(engine: LocalEngine, session: Session, state_dir: Path) -> None:
    """Carry out the control requests for this run, as they come, until cancelled.

    A journal that cannot be asked any more stops the run in order: nobody could pause or abort it.
    """
    if session.state.paused_by is not None:
        session.valve.pause(True)
    try:
        with open_journal(state_dir) as journal:  # a connection of its own: the writer's is busy in another thread
            await _heed(journal, engine, session)
    except JournalError as error:
        session.stop(f"the journal failed: {error}")


async def _heed(journal: Journal, engine: LocalEngine, session: Session) -> None:
    while True:
        controls = journal.controls(session.state.run_id)
        if controls:
            for control in controls:
                carry_out(control, engine, session)
            await anyio.to_thread.run_sync(journal.handled, controls)
        await anyio.sleep(LOOK_EVERY)


def carry_out(control: Control, engine: LocalEngine, session: Session) -> None:
    """Do what *control* asks; a request that changes nothing is dropped."""
    at, who = session.wall(), control.who
    match control.command:
        case "pause" if not session.valve.paused:
            session.recorder.record(RunPaused(at=at, who=who))
            session.valve.pause(True)
        case "unpause" if session.valve.paused:
            session.recorder.record(RunUnpaused(at=at, who=who))
            session.valve.pause(False)
        case "approve" if control.wave is not None:
            engine.approve(control.wave, who)
        case "abort" if session.state.aborted_by is None:
            session.recorder.record(RunAborted(at=at, who=who))
            session.stop(f"aborted by {who}")


async def heed_terminal(engine: LocalEngine, session: Session, on_line: Callable[[], None]) -> None:
    """Enter approves the wave that waits for approval, until cancelled or the terminal is gone.

    *on_line* is called for every line that was typed.
    """
    while True:
        await anyio.wait_readable(sys.stdin)
        if not sys.stdin.readline():
            return
        on_line()
        for name, wave in session.state.waves.items():
            if wave.approval_since is not None and wave.approved_by is None:
                engine.approve(name, "the terminal")
                break
