"""What people ask of a run that is under way: from another shell, through the journal, or on its terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import anyio

from ...core.approvals import covered, to_approve
from ...core.cleared import cleared_request
from ...core.errors import JournalError, JournalLockedError
from ...core.events import ApprovalWaiting, Event
from ...core.observer import Say, Sink
from ...core.run import RunState
from ...core.steered import Command
from ...core.steering import SteeringRequest, decide
from ...machine.threads import beside
from ...store.ground import Ground
from ...store.journal import Control, Journal, Unreadable, open_journal
from ...text.counts import names_listed
from .confirmation import Confirmation
from .session import Session

LOOK_EVERY = 0.25  # seconds; a request takes effect well within one
TO_READ = 3.0
"""Seconds that whoever sees a question change needs to notice, a slow connection included."""
_LOOKS = 50  # a second
_PATIENCE = 10.0  # seconds in which a request is marked as handled though the session ends


async def heed_controls(session: Session, state_dir: Path, ground: Ground, say: Say, heeded: anyio.Event) -> None:
    """Carry out the control requests for this run, as they come, until cancelled; *heeded* is set when those are that were there already.

    A journal that cannot be asked any more, or is not at its place (*ground*), stops the run in order: nobody could pause
    or abort it. *say* tells of a request that does nothing any more.
    """
    try:
        with open_journal(state_dir) as journal:  # a connection of its own: the writer's is busy in another thread
            await _heed(journal, session, ground, say, heeded)
    except JournalError as error:
        session.stop_without_journal(error)
    finally:
        heeded.set()


async def _heed(journal: Journal, session: Session, ground: Ground, say: Say, heeded: anyio.Event) -> None:
    carried_out: set[int] = set()
    while True:
        ground.check()
        controls, unreadable = journal.asked(session.state.run_id)
        for each in unreadable:
            if each.id not in carried_out:
                _drop(each, session, say)
        for control in controls:
            if control.id not in carried_out:
                carry_out(control.request, session, say)
        seen_to: list[Control | Unreadable] = [*controls, *unreadable]
        carried_out.update(each.id for each in seen_to)
        heeded.set()
        if seen_to:
            # Also where the session ends meanwhile: whoever looks for what came late would tell that it does nothing.
            with anyio.move_on_after(_PATIENCE, shield=True):
                await (
                    session.recorder.flush()
                )  # a request counts as handled when what it caused cannot be lost any more
                # The next look finds them again. Once is enough: what has been decided since is not to be overruled.
                with suppress(JournalLockedError):
                    await beside(journal.handled, seen_to)
        await anyio.sleep(LOOK_EVERY)


def _drop(request: Unreadable, session: Session, say: Say) -> None:
    """Stop the run in order: what cannot be read may have been `pause`, or `abort`. Whoever goes on with it has been told."""
    why = session.hooks.redactor.text(
        f"what is asked of the run cannot be read: {request}; a newer version may have written it, or it is damaged"
    )
    say("request_dropped", run_id=session.state.run_id, detail=f"{why}: no further cutover starts; ask again")
    session.stop(why, in_trouble=True)


def carry_out(request: SteeringRequest, session: Session, say: Say) -> None:
    """Do what *request* asks; *say* tells of one that means nothing any more: it was looked at when it was left."""
    request = cleared_request(request, session.hooks.redactor.text)
    event = decide(session.state, request, at=session.now())
    if not isinstance(event, str):
        session.recorder.record(event)
        return
    about = {key: name for key, name in (("wave", request.wave), ("migration", request.migration)) if name is not None}
    say(
        "request_dropped",
        run_id=session.state.run_id,
        **about,
        detail=f"{request.command} by {request.who} does nothing: {event}",
    )


async def heed_terminal(
    session: Session,
    *,
    who: str,
    on_line: Callable[[], None],
    say: Say,
    unseen: Callable[[], bool] = lambda: False,
    confirmation: Confirmation | None = None,
) -> None:
    """What is typed approves the wave that waits for approval, until cancelled or the terminal is gone.

    An answer counts for a question that whoever gives it can have read: not where the terminal takes nothing (Ctrl-S, an ssh connection
    that hangs), and not in the moment in which another wave's question comes in the place of the one before; nor for migrations that came back
    to the wave since, and may make up the same number.

    Args:
        session: The run.
        who: In whose name it is approved.
        on_line: Is called for every line that is typed.
        say: Tells the operator that something else approves nothing.
        unseen: Whether the terminal has not taken yet what was written to it.
        confirmation: As long as it waits for an answer, what is typed is that.
    """
    terminal = sys.stdin.fileno()
    told_of: dict[str, tuple[str, ...]] = {}  # by wave

    def notice(event: Event, state: RunState) -> None:
        if isinstance(event, ApprovalWaiting):
            told_of[event.wave] = covered(state, state.wave(event.wave), between_sessions=False)

    session.recorder.listen(notice)
    while True:
        await anyio.wait_readable(terminal)
        if not _is_ours(terminal):  # the run is in the background: what is typed is for the shell
            await anyio.sleep(LOOK_EVERY)
            continue
        try:
            typed = os.read(terminal, 4096).decode(errors="replace")  # whatever is typed, it can be read
        except OSError:
            typed = ""
        if not typed:
            if confirmation is not None:
                confirmation.answer(None)
            return
        on_line()
        stalled = await _stalled(unseen)
        if confirmation is not None and confirmation.awaited:
            if stalled:
                detail = "what was typed before the question could be read is no answer: type it now"
                say("not_confirmed", run_id=session.state.run_id, detail=detail)
            else:
                confirmation.answer(typed)
            continue
        wave = _asked_about(session.state)
        if wave is None or session.state.stopped is not None:
            continue
        accepted, what = _what_approves(session.state, wave)
        left = covered(session.state, session.state.wave(wave), between_sessions=False)
        if typed.strip() not in accepted:
            told_of[wave] = left
            say("approval_unclear", run_id=session.state.run_id, wave=wave, detail=f"not approved: {what}")
        elif stalled or _has_just_replaced_another(session, wave):
            detail = f"not approved: what was typed may have been for what stood here before; {what}"
            say("approval_unclear", run_id=session.state.run_id, wave=wave, detail=detail)
        elif added := [name for name in left if name not in told_of.get(wave, left)]:
            told_of[wave] = left
            also = names_listed(added)
            detail = f"not approved: {also} came back to the wave since this was asked; {what}"
            say("approval_unclear", run_id=session.state.run_id, wave=wave, detail=detail)
        else:
            carry_out(SteeringRequest(command=Command.APPROVE, who=who, wave=wave, covers=left), session, say)


def _asked_about(state: RunState) -> str | None:
    """The wave that an answer on the terminal is for; None: none waits."""
    return next((name for name, wave in state.waves.items() if wave.waits_for_approval), None)


async def _stalled(unseen: Callable[[], bool]) -> bool:
    """Whether there is still something *unseen* after a moment: what has just been written is taken within milliseconds."""
    for _ in range(_LOOKS):
        if not unseen():
            return False
        await anyio.sleep(0.02)
    return True


def _has_just_replaced_another(session: Session, wave: str) -> bool:
    """Whether *wave* has asked for so short a time that an answer may be for another one, which has asked before it: whoever types twice as well."""
    state = session.state
    since = state.waves[wave].approval_since
    others = (state.waves[each.name] for each in state.workflow.waves if each.approval and each.name != wave)
    asked_before = any(each.approved_by or each.rejected_by or each.finished_at is not None for each in others)
    return since is not None and session.now() - since < TO_READ and asked_before


def offer_terminal(inform: Say) -> Sink:
    """An observer that says by *inform* what approves a wave on this session's terminal, which heeds it, whenever one begins to wait."""

    def observe(event: Event, state: RunState) -> None:
        if isinstance(event, ApprovalWaiting) and _is_ours(sys.stdin.fileno()):
            _, what = _what_approves(state, event.wave)
            inform("approval_here", run_id=state.run_id, wave=event.wave, detail=f"on this terminal: {what}")

    return observe


def _what_approves(state: RunState, wave: str) -> tuple[tuple[str, ...], str]:
    """The lines of which one has to be typed to approve *wave*, and that in words.

    A real wave wants the number of its migrations: Enter, on a terminal where somebody had typed something else, must not cut it over.
    """
    if state.rehearsal:
        return ("", wave), f"Enter alone, or {wave} and Enter, approves wave {wave}"
    number = to_approve(state, state.wave(wave))
    return (str(number),), f"type the number of the migrations of wave {wave} that are left ({number}) to cut them over"


def _is_ours(terminal: int) -> bool:
    """Whether this process may read *terminal*: reading from the background would stop it (SIGTTIN)."""
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:  # it is not the terminal of this session, so there is no job control
        return True
