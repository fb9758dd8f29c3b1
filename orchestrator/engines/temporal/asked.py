"""What people ask of a run is done once, by the run that they mean: a copy of it does nothing, whoever sends it. Pure.

A run at Temporal is known by its name, and all runs of a workflow have the same one. Whoever reaches the cluster can read what was sent to an
earlier run, encrypted, and send it to a later one, without being able to read it. So each request says which run it is for, which execution
of it was open when it was sent, and a number that nobody has had before. A run takes requests for its execution and, as it may have gone
on with an empty history meanwhile, the one before, and remembers the numbers that it has had from these: no more than two histories hold.

Temporal keeps a request until a worker comes, hours later perhaps. What lets cutovers go on, or changes what they wait for, was meant for that
moment: whoever asked has been told that nobody took it up, and may have decided otherwise since. So it says when it was asked.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ...core.leftovers import outlives_who_was_asked
from ...core.steered import Command
from ...core.steering import SteeringRequest
from ...core.typed import about
from ...text.instants import in_words
from .forms import Asked, Json, request_of

STANDS: Final = 300.0
"""Seconds for which what lets a run go on may wait for a worker: a minute, in which its command waits, and by what clocks of machines may differ."""


class Once:
    """What a run has been asked for. *run_id*: the run; *execution*: the one that goes on now."""

    def __init__(self, run_id: str, execution: str) -> None:
        self._run_id = run_id
        self._execution = execution
        self._had: dict[str, list[str]] = {execution: []}
        # By what it is about, what was left in the history: when it was taken up, and when it was asked.
        self._held: dict[str, tuple[float, float | None]] = {}
        self._left_at: float | None = None  # when the last of it was taken up, in this execution

    def why_not(self, asked: Asked, *, now: float) -> str | None:
        """Why *asked* is not heeded at *now* (Unix seconds, by Temporal's clock); None: it is, once."""
        if asked.run_id != self._run_id:
            return f"it was asked of run {asked.run_id}, and this is run {self._run_id}"
        if asked.execution not in self._had:
            return LATE
        # One that is sent again, as its answer was lost, may be for the execution that goes on by now.
        if self._has_had(asked) or (self._has_had(left_of(asked)) and not self._has_a_place(asked, now)):
            return HAD
        if holds_up(asked):
            return None
        if asked.at is None or _is_of_now(asked, now):
            return OLDER if self._is_older(asked, now) else None
        return (
            f"it was asked at {in_words(asked.at)} by the clock where it was asked, and taken up at {in_words(now)} by Temporal's, and by "
            "now the run may stand otherwise: ask again (where it had just been asked, one of these clocks is wrong: set it, or ask from "
            "another machine)"
        )

    def why_not_left(self, asked: Asked, *, now: float) -> str | None:
        """The same of what was left in the history, as it had met no worker (`Run.left`); it may be there a second time, as it was asked first.

        That one is heeded after it, while it is of now or is found together with it: it stands in its place among what else was asked meanwhile, so
        that the last word holds.
        """
        if not _can_be_left(asked):
            return "only what holds the run up is left for a worker"
        return self.why_not(asked, now=now) or self.why_not(left_of(asked), now=now)

    def _has_had(self, asked: Asked) -> bool:
        return any(asked.number in had for had in self._had.values())

    def _has_a_place(self, asked: Asked, now: float) -> bool:
        """Whether *asked*, which was left in the history, too, is still to be done among what else was asked."""
        return now == self._left_at or _is_of_now(asked, now)

    def _is_older(self, asked: Asked, now: float) -> bool:
        """Whether *asked* would undo what was left in the history after it: its own place may be lost, so that nothing comes after it."""
        for request in _requests(asked):
            taken, left_at = self._held.get(_about(request), (None, None))
            if taken is None or left_at is None or asked.at is None or outlives_who_was_asked(request):
                continue
            if asked.at < left_at and now - taken <= STANDS:
                return True
        return False

    def take(self, asked: Asked) -> None:
        """It is heeded now."""
        self._had.setdefault(asked.execution, []).append(asked.number)

    def take_left(self, asked: Asked, *, now: float) -> None:
        """It is heeded at *now*, as it was left in the history."""
        self.take(left_of(asked))
        self._left_at = now
        for request in _requests(asked):
            self._held[_about(request)] = (now, asked.at)

    def carried(self) -> Json:
        """What the next execution has to know."""
        return {"execution": self._execution, "had": self._had[self._execution], "held": self._held}

    def take_up(self, carried: Json) -> None:
        """The inverse of `carried`."""
        self._had[carried["execution"]] = carried["had"]
        self._held = {about: (taken, at) for about, (taken, at) in carried.get("held", {}).items()}


def left_of(asked: Asked) -> Asked:
    """*asked*, as it is known where it was left in the history."""
    return replace(asked, number=f"left {asked.number}")


def _is_of_now(asked: Asked, now: float) -> bool:
    return asked.at is not None and abs(now - asked.at) <= STANDS


def to_leave(asked: Asked) -> Asked | None:
    """What of *asked* is left in the history when no worker takes it up: that which holds cutovers up; None: nothing."""
    held = [data for data in asked.requests if outlives_who_was_asked(request_of(data))]
    return replace(asked, requests=held) if held else None


def left_waiting(asked: Asked, *, why_not_kept: str | None = None) -> str:
    """What is said to whoever has *asked*, when no worker has taken it up, and what holds cutovers up was to be left in the history (`Run.left`).

    *why_not_kept*: why it was not. Then it is kept in memory alone, and may be lost: nobody may rely on its being done, nor on its not being done.
    """
    start = "`atlas-cutover worker` starts one, of the version that the run began with"
    if why_not_kept is not None:
        return (
            "no worker has taken this up, so it does not hold yet, and it is NOT known whether it ever will: it could not be left in the run's "
            f"history ({why_not_kept}), and what waits at Temporal alone may be lost. Ask again before a worker serves the run, until it is said to be kept"
        )
    if asked.at is None or holds_up(asked):
        return f"no worker has taken this up yet. It is kept at Temporal, and done when a worker comes, before anything leaves: {start}"
    rejected = [
        about("reject", asked.run_id, request.wave)
        for request in _requests(asked)
        if request.command is Command.APPROVE and request.wave is not None
    ]
    commands = [f"atlas-cutover {verb} {asked.run_id}" for verb in ("pause", "abort")]
    holds = " or ".join(f"`{command}`" for command in (*rejected, *commands))
    kept = "" if to_leave(asked) is None else "; what holds cutovers up of it is kept, and done when one comes"
    return (
        f"no worker has taken this up. Until {in_words(asked.at + STANDS)} a worker that comes may still do it, unless the run is held up "
        f"by then ({holds}), or Temporal has lost it, as when its server restarts; after that it is done no more{kept}. Ask again "
        f"once a worker serves the run ({start})"
    )


def holds_up(asked: Asked) -> bool:
    """Whether all of it holds cutovers up, so that it is done however late a worker comes."""
    return all(map(outlives_who_was_asked, _requests(asked)))


def _can_be_left(asked: Asked) -> bool:
    """Whether *asked* holds cutovers up, and can be read: an error in a signal would hold the run up for good."""
    try:
        return bool(asked.requests) and holds_up(asked)
    except (AttributeError, KeyError, TypeError, ValueError):
        return False


def _requests(asked: Asked) -> list[SteeringRequest]:
    return [request_of(data) for data in asked.requests]


def _about(request: SteeringRequest) -> str:
    """What *request* is about, in a word: what undoes another one is about the same."""
    if request.wave is not None:
        return f"wave {request.wave}"
    return "run" if request.migration is None else f"migration {request.migration}"


HAD = "it has been asked before, and is done once"
"""Why a request is not heeded that the run has had: whoever sends it again, as its answer was lost, may let it be."""
LATE = "it was asked a while ago, of what the run was then: ask again"
"""Why a request is not heeded that was on its way while its run went on with an empty history more than once, or that is old."""
OLDER = "somebody has held this up since it was asked, while no worker served the run: see how it stands, and ask again if it still holds"
"""Why a request is not heeded that would undo what was left in the run's history after it was asked."""
