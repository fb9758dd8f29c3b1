"""The buttons: requests to the process that works on a run, left in the journal as `atlas-cutover pause` and its siblings do.

Blocking, with a short-lived connection of its own; the page's only write. What is asked is looked at as those commands look at it
(`operations.steering`), and what starts real cutovers has to name how many.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.approvals import covered, mark_of
from ..core.errors import CrossedError, InputError
from ..core.run import RunState
from ..core.steered import Command, with_reason
from ..core.steering import ABOUT_A_WAVE, ABOUT_MIGRATIONS, GateChange, SteeringRequest
from ..operations import steering
from ..operations.deciding import decided_whole
from ..operations.gate import gate_change
from ..store.journal import journal_in, open_journal
from ..store.locks import run_lock, worker_of
from ..text.escaping import without_joiners_of_emoji
from ..text.instants import from_iso, in_words

LONGEST_NAME = 60
LONGEST_REASON = 500
_LOOKS = 10
"""So often the run is looked at for one request, while others ask."""
OLDEST_KNOWLEDGE = 15.0
"""Seconds: what was asked with what the page knew longer ago is not left for the run. Its buttons are off after 11 s without news."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the page's *who* asks for: *command* about *names* (a wave, migrations, or nothing: the run), for *reason*.

    *count*: how many migrations they have typed that this cuts over. *covers*: which the page showed these to be (None: not said). *gate*: what changes of it (None: off). *as_of*: when what the page
    showed them was so, by the server's own clock, in Unix seconds (None: not said). *decided*: how many decisions it showed when it asked them (None: not said).
    """

    command: Command
    who: str
    reason: str = ""
    names: tuple[str, ...] = ()
    count: int | None = None
    covers: str | None = None
    gate: GateChange | None = None
    as_of: float | None = None
    decided: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why nothing was asked of the run; *status* is the HTTP status that says so."""

    status: int
    reason: str


def read(command: Command, body: bytes) -> Asked | Refusal:
    """What the *body* of a request for *command* asks, or what is wrong with it.

    A JSON object: `who` (a name), and where they apply `reason`, `wave`, `migrations`, `count` and `covers`, and of a gate `max_lag` and `timeout`
    (durations) or `off`; `as_of`, when what they were shown was so: the time of the last beat; `decided`, how many decisions they were shown.
    """
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):  # the latter of brackets in brackets by the thousand
        given = None
    if not isinstance(given, dict):
        return _bad("the body has to be a JSON object")
    who, reason = _text(given.get("who"), LONGEST_NAME), _text(given.get("reason", ""), LONGEST_REASON)
    if (unreadable := _unreadable(given)) is not None:
        return _bad(unreadable)
    if not who or reason is None:
        return _bad(
            f"`who` has to be the name of whoever asks ({LONGEST_NAME} characters at most), and `reason` a text"
        )
    names = _names(command, given)
    if names is None:
        key = '{"wave": NAME}' if command in ABOUT_A_WAVE else '{"migrations": [NAME, …]}'
        return _bad(f"the body has to be {key}, besides `who` and `reason`")
    count, covers, decided = given.get("count"), given.get("covers"), given.get("decided")
    try:
        as_of = None if given.get("as_of") is None else from_iso(str(given["as_of"]))
    except ValueError:
        return _bad("`as_of` has to be the time of a beat, such as 2026-11-28T00:00:00.000Z")
    try:
        gate = _gate(given) if command is Command.GATE else None
    except InputError as error:
        return _bad(str(error))
    return Asked(
        command=command,
        who=who,
        reason=reason,
        names=names,
        count=_number(count),
        covers=None if covers is None else str(covers),
        gate=gate,
        as_of=as_of,
        decided=_number(decided),
    )


def ask(state_dir: Path, run_id: str, asked: Asked, *, who: str, wall: Callable[[], float]) -> Refusal | None:
    """Leave what is *asked* for the process that works on *run_id*, in the name of *who*; None when it was left. *wall*: Unix seconds.

    What somebody else asks between the look at the run and this is looked at as well.

    Raises:
        JournalError: The journal cannot be read or written.
    """
    reason = ""
    for _ in range(_LOOKS):
        try:
            return _ask(state_dir, run_id, asked, who=who, wall=wall)
        except CrossedError as crossed:
            reason = str(crossed)
    return Refusal(status=409, reason=reason)


def _ask(state_dir: Path, run_id: str, asked: Asked, *, who: str, wall: Callable[[], float]) -> Refusal | None:
    """`ask`, once.

    Raises:
        CrossedError: Somebody else has asked for something meanwhile.
        JournalError: The journal cannot be read or written.
    """
    if not journal_in(state_dir):
        return Refusal(status=404, reason=f"there is no run {run_id}")
    with open_journal(state_dir, readonly=True) as journal:
        if journal.state(run_id).started_at is None:
            return Refusal(status=404, reason=f"there is no run {run_id}")
        if worker_of(run_lock(state_dir, run_id)) is None:
            return _nobody(run_id, asked.command)
        last = journal.last_asked(run_id)
        state = steering.asked_already(journal, run_id)
    refusal = _out_of_place(state, asked)
    if refusal is not None:
        return refusal
    try:
        requests = steering.requests_for(state, asked.command, asked.names, who, asked.reason, asked.gate)
        if (unseen := _undoes_unseen(state, asked, requests)) is not None:
            return unseen
        decided_whole(state, requests)  # the question was about all of these: it is asked anew
    except InputError as error:
        return Refusal(status=409, reason=str(error))
    with open_journal(state_dir) as journal:
        now = wall()  # as late as can be: a request, and this process, may stand still anywhere before
        if asked.as_of is not None and abs(now - asked.as_of) > OLDEST_KNOWLEDGE:
            return _too_late(asked.as_of, now)
        try:
            after = last if asked.command in _AGAINST else None  # what holds cutovers up is never too late
            left = steering.ask(journal, run_id, *requests, at=now, after=after)
        except InputError as error:
            return Refusal(status=409, reason=str(error))
    return None if left else _nobody(run_id, asked.command)


def _too_late(as_of: float, now: float) -> Refusal:
    reason = f"it came at {in_words(now)}, asked with what the page knew at {in_words(as_of)}: look again"
    return Refusal(status=409, reason=reason)


def _nobody(run_id: str, command: Command) -> Refusal:
    return Refusal(status=409, reason=f"no process works on run {run_id} now: there is nothing to {command}")


def _out_of_place(state: RunState, asked: Asked) -> Refusal | None:
    """What the page asks for less freely than a shell."""
    if asked.command not in ABOUT_A_WAVE:
        return None
    (name,) = asked.names
    if name not in state.waves:
        return Refusal(status=404, reason=f"run {state.run_id} has no wave {name!r}")
    if asked.command is not Command.APPROVE:
        return None
    wave = state.waves[name]
    if wave.approved_by is None and wave.approval_since is None and wave.rejected_by is None:
        return Refusal(status=409, reason=f"wave {name!r} does not wait for approval")
    covers = covered(state, state.wave(name), between_sessions=False)
    number = len(covers)
    if not state.rehearsal and asked.count != number:
        return Refusal(
            status=409,
            reason=f"approving wave {name!r} wants the number of its migrations that are left ({number}): it cuts them over",
        )
    if asked.covers not in (None, mark_of(covers)):
        return Refusal(
            status=409,
            reason=f"which migrations of wave {name!r} this cuts over has changed since the page showed it: look again",
        )
    return None


def _number(given: Any) -> int | None:
    return given if isinstance(given, int) and not isinstance(given, bool) else None


def _undoes_unseen(state: RunState, asked: Asked, requests: Iterable[SteeringRequest]) -> Refusal | None:
    """What lets cutovers start undoes no decision against it that whoever asks has not been shown: somebody may have had a reason."""
    against = _AGAINST.get(asked.command)
    if asked.decided is not None:
        unseen = state.steering[max(0, asked.decided) :]
    else:
        unseen = [each for each in state.steering if asked.as_of is not None and each.at > asked.as_of]
    about = {(each.migration, None if each.migration else each.wave) for each in requests}
    for each in unseen:
        if each.command is against and (each.migration, None if each.migration else each.wave) in about:
            what = each.migration or each.wave or "the run"
            said = with_reason(f"{each.command} of {what} by {each.who} at {in_words(each.at)}", each.reason)
            return Refusal(status=409, reason=f"{said} came since the page asked: look again")
    return None


_AGAINST = {
    Command.APPROVE: Command.REJECT,
    Command.UNPAUSE: Command.PAUSE,
    Command.RETRY: Command.SKIP,
    Command.GATE: Command.GATE,
}
"""Commands that let cutovers start, and those that they undo."""


def _bad(reason: str) -> Refusal:
    return Refusal(status=400, reason=reason)


def _text(given: Any, longest: int) -> str | None:
    """*given* without space around it; None where it is no text, too long, or has signs that are not for reading."""
    if not isinstance(given, str) or len(given) > longest or _invisible_in(given) is not None:
        return None
    return given.strip()


def _unreadable(given: dict[str, Any]) -> str | None:
    """Which of the texts of *given* has a sign that nobody sees, or that is not for one line, and which that is."""
    for field, what in (("who", "the name of whoever asks"), ("reason", "a text")):
        text = given.get(field)
        sign = _invisible_in(text) if isinstance(text, str) else None
        if sign is not None:
            called = f" ({unicodedata.name(sign)})" if unicodedata.name(sign, "") else ""
            return f"`{field}` has to be {what} that can be read; it has U+{ord(sign):04X}{called} in it: take that out"
    return None


def _invisible_in(text: str) -> str | None:
    """The first sign of *text* that nobody sees, or that is not for one line; None: there is none."""
    return (
        None
        if text.isprintable()
        else next((each for each in without_joiners_of_emoji(text) if not each.isprintable()), None)
    )


def _names(command: Command, given: dict[str, Any]) -> tuple[str, ...] | None:
    """What it is about; None where that is not said."""
    if command not in (*ABOUT_A_WAVE, *ABOUT_MIGRATIONS):
        return ()
    names = [given.get("wave")] if command in ABOUT_A_WAVE else given.get("migrations")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        return None
    return tuple(names)


def _gate(given: dict[str, Any]) -> GateChange | None:
    """What the form says; a field that is left empty changes nothing."""
    lag, timeout = (None if given.get(key) == "" else given.get(key) for key in ("max_lag", "timeout"))
    return gate_change(max_lag=lag, timeout=timeout, off=given.get("off") or False)
