"""What people have left in the journal for a process that followed a run at Temporal, and that has ended since."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from ..core.errors import InputError
from ..core.leftovers import FRESH, is_too_late, outlives_who_was_asked
from ..core.observer import Say, silent
from ..core.steering import SteeringRequest
from ..store.journal import Control, Journal, Unreadable
from ..store.locks import LockedError, locked, run_lock
from ..text.instants import in_words

PATIENCE = 5.0
"""Seconds in which a process that follows a run has to have passed on what was left for it."""
_LOOK_AGAIN = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """*kept*: what is still to be done, before anything newer. *dropped*: what is not passed on any more, in sentences."""

    kept: tuple[Control, ...] = ()
    dropped: tuple[str, ...] = ()

    @property
    def requests(self) -> tuple[SteeringRequest, ...]:
        """What is still to be done."""
        return tuple(control.request for control in self.kept)


def sort_out(journal: Journal, run_id: str, say: Say = silent) -> Leftovers:
    """What was left for whoever held the lock of the run *run_id* before the caller, who has just taken it.

    What lets the run go on is dropped with that, as is what cannot be read, and counts as handled; *say* tells of it.

    Raises:
        JournalError: The journal cannot be read or written.
    """
    left, unreadable = journal.asked(run_id)
    stale = [control for control in left if not outlives_who_was_asked(control.request)]
    ended = "the process that was to pass it on has ended"
    dropped = drop(journal, run_id, stale, why=ended, may_be_done=True)
    dropped += drop(journal, run_id, unreadable, why=ended)
    for each in dropped:
        say("request_dropped", run_id=run_id, detail=each)
    return Leftovers(kept=tuple(control for control in left if control not in stale), dropped=dropped)


def drop(
    journal: Journal, run_id: str, controls: Sequence[Control | Unreadable], *, why: str, may_be_done: bool = False
) -> tuple[str, ...]:
    """Let *controls* count as handled, whether or not somebody has done them; a sentence of each.

    *may_be_done*: whoever was to pass them on may have done so, and come no further.

    Raises:
        JournalError: The journal cannot be written.
    """
    if controls:
        journal.handled(controls)
    now = f"is not done any more, as {why}: ask run {run_id} again, if it still holds"
    if may_be_done:
        now = (
            f"is not passed on any more, as {why}; the run may have carried it out before that: see how run {run_id} stands, and ask "
            "again if it still holds"
        )
    return tuple(f"{told(control)} {now}" for control in controls)


def drop_what_is_late(
    journal: Journal, run_id: str, controls: Sequence[Control], *, sent: Collection[int], now: float, say: Say
) -> list[Control]:
    """What of *controls* is still to be passed on at *now* (Unix seconds); the rest counts as handled, and *say* tells of it.

    *sent*: the ids of those that were sent already, and of which no answer has come.

    Raises:
        JournalError: The journal cannot be written.
    """
    late = [control for control in controls if is_too_late(control.request, at=control.at, now=now)]
    never = [control for control in late if control.id not in sent]
    dropped = drop(journal, run_id, never, why=f"it was not passed on within {FRESH:.0f} s")
    unanswered = [control for control in late if control.id in sent]
    if unanswered:
        journal.handled(unanswered)
    unknown = tuple(
        f"{told(control)} was sent, and no answer came within {FRESH:.0f} s: the run may have carried it out, or may yet. It is "
        f"not sent again: see how run {run_id} stands, and ask again if it still holds"
        for control in unanswered
    )
    for each in dropped + unknown:
        say("request_dropped", run_id=run_id, detail=each)
    return [control for control in controls if control not in late]


def told(control: Control | Unreadable) -> str:
    """What was asked for, by whom and when: `approve rest` by olga, of 2026-11-28 00:00:00 UTC."""
    if isinstance(control, Unreadable):
        return f"what cannot be read, {control},"
    request = control.request
    about = request.wave or request.migration
    command = f"{request.command} {about}" if about else str(request.command)
    return f"`{command}` by {request.who}, of {in_words(control.at)},"


def older_than(requests: Sequence[SteeringRequest], journal: Journal, run_id: str, locks: ExitStack) -> Leftovers:
    """What is to be asked of the run before *requests*, as the process for which it was left is gone; while *locks* last, nobody else passes it on.

    A process that follows the run is given time to pass it on. One that does not, as it hangs, keeps nobody from holding cutovers up.

    Raises:
        InputError: It has not, and *requests* would not hold the run up.
        JournalError: The journal cannot be read or written.
    """
    before = {each.id for each in _waiting(journal, run_id)}
    deadline = time.monotonic() + PATIENCE
    while left := [each for each in _waiting(journal, run_id) if each.id in before]:
        try:
            locks.enter_context(locked(run_lock(journal.state_dir, run_id), holder=requests[0].who, briefly=True))
        except LockedError as error:
            if time.monotonic() >= deadline:
                return _past_who_hangs(requests, journal, run_id, left, error.holder)
            time.sleep(_LOOK_AGAIN)
        else:
            return sort_out(journal, run_id)
    return Leftovers()


def _waiting(journal: Journal, run_id: str) -> list[Control | Unreadable]:
    readable, unreadable = journal.asked(run_id)
    return [*readable, *unreadable]


def _past_who_hangs(
    requests: Sequence[SteeringRequest],
    journal: Journal,
    run_id: str,
    left: Sequence[Control | Unreadable],
    holder: str,
) -> Leftovers:
    """What is to be asked before *requests*, although *holder* lives, which was to pass on what is *left*."""
    unreadable = [each for each in left if isinstance(each, Unreadable)]
    stale = [each for each in left if isinstance(each, Control) and not outlives_who_was_asked(each.request)]
    if (stale or unreadable) and not all(outlives_who_was_asked(request) for request in requests):
        raise InputError(
            f"run {run_id}: {told(left[0])} waits for {holder}, which follows the run and has not passed it on yet; nothing was "
            "asked. Ask again, or end that process if it hangs"
        )
    why = f"{holder} has not noted that it has passed it on"
    dropped = drop(journal, run_id, stale, why=why, may_be_done=True)
    return Leftovers(dropped=dropped + drop(journal, run_id, unreadable, why=why))
