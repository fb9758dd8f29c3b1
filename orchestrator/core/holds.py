"""What keeps a run that is under way from starting cutovers. Pure.

Made here once: `status`, the display of a run, its log, page, report and notifications say it in these words.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from ..text.counts import wave_named
from ..text.instants import in_words
from .approvals import expires_at
from .run import RunState
from .steered import with_reason
from .typed import approve_command, resume_command


class Held(StrEnum):
    """By what."""

    SILENT = "SILENT"
    PAUSE = "PAUSE"
    CONFIRMATION = "CONFIRMATION"
    APPROVAL = "APPROVAL"
    WINDOW = "WINDOW"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Why *what* (the run, a wave) starts no cutover now, *since* when (Unix seconds).

    *said*: the rest of the sentence that begins with *what*. *awaited*: what it waits for. *to_do*: what a person does about it; nothing
    about a window. *wave*: the one that waits. *until* when (Unix seconds): nobody's answer counts as a rejection then, or as soon after as nothing
    else holds the run, which *expiry* says; None: it waits for ever. *command*: lets it go on (None: none does).
    """

    held: Held
    what: str = "the run"
    said: str
    awaited: str
    to_do: str = ""
    wave: str | None = None
    since: float | None = None
    until: float | None = None
    expiry: str = ""
    command: str | None = None

    @property
    def reason(self) -> str:
        """As a sentence about the run."""
        return self.said if self.what == "the run" else f"{self.what} {self.said}"

    @property
    def waits(self) -> str:
        """The sentence, and since when; the command is no part of it, as somebody copies that."""
        return self.reason + (f", since {in_words(self.since)}" if self.since else "")


def holds(state: RunState) -> Iterator[Hold]:
    """What holds the run in *state*, what a person can do something about first; nothing once it starts no cutover any more."""
    if state.stopped is not None:
        return
    if state.paused_by is not None:
        yield Hold(
            held=Held.PAUSE,
            said=with_reason(f"paused by {state.paused_by}", state.paused_for),
            awaited=f"unpause (paused by {state.paused_by})",
            to_do="No new cutover starts until somebody lets it go on.",
            since=state.paused_at,
            command=f"atlas-cutover unpause {state.run_id}",
        )
    if state.unconfirmed_since is not None:
        yield Hold(
            held=Held.CONFIRMATION,
            said=f"waits to be confirmed on the terminal of {state.who}",
            awaited="confirmation on the run's terminal",
            to_do="Answer there: until then no cutover starts, and what is under way is followed.",
            since=state.unconfirmed_since,
        )
    for name, wave in state.waves.items():
        if wave.waits_for_approval:
            until = expires_at(state, state.wave(name))
            yield Hold(
                held=Held.APPROVAL,
                what=wave_named(name),
                said="waits for approval",
                awaited=f"approval of {wave_named(name)}",
                to_do="Approve: its cutovers may start. Reject: this wave and the waves after it are not started.",
                wave=name,
                since=wave.approval_since,
                until=until,
                expiry="" if until is None else _expiry(state, until),
                command=approve_command(state.run_id, name),
            )
    if state.opening is not None and state.window_opens is not None:
        last_start = in_words(state.opening.last_start)
        yield Hold(
            held=Held.WINDOW,
            said=f"waits for the window, which opens at {in_words(state.window_opens)}; cutovers may start until {last_start}",
            awaited="the window",
            since=state.window_waits_since or None,
        )


def _expiry(state: RunState, until: float) -> str:
    """What becomes of an approval that nobody has given *until* then: its time is looked at when nothing else holds the run."""
    then = (
        "it is unpaused"
        if state.paused_by is not None
        else "it is confirmed"
        if state.unconfirmed_since is not None
        else "the window opens"
        if state.window_opens is not None
        else ""
    )
    later = f", or when {then}, if that is later" if then else ""
    return f"counts as rejected at {in_words(until)}{later}"


def silence(run_id: str, holder: str, since: float) -> Hold:
    """What is said of run *run_id* whose *holder* gives no sign of life *since* then: it is stopped, or its machine is gone."""
    return Hold(
        held=Held.SILENT,
        said=f"no sign of life from {holder}: look whether that process still works",
        awaited="a sign of life",
        to_do=(
            "If it works, nothing is wrong but this view of it. If it is stopped or its machine is gone, nobody follows the cutovers that "
            "are under way: end it there, then continue the run. The command is refused as long as that process holds the run (exit code 5)."
        ),
        since=since,
        command=resume_command(run_id),
    )
