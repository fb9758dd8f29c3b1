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

    def why_not(self, asked: Asked, *, now: float) -> str | None:
        """Why *asked* is not heeded at *now* (Unix seconds, by Temporal's clock); None: it is, once."""
        if asked.run_id != self._run_id:
            return f"it was asked of run {asked.run_id}, and this is run {self._run_id}"
        if asked.execution not in self._had:
            return LATE
        # One that is sent again, as its answer was lost, may be for the execution that goes on by now.
        if self._has_had(asked) or (self._has_had(left_of(asked)) and not _is_of_now(asked, now)):
            return HAD
        if asked.at is None or _is_of_now(asked, now) or holds_up(asked):
            return None
        return (
            f"it was asked at {in_words(asked.at)} by the clock where it was asked, and taken up at {in_words(now)} by Temporal's, and by "
            "now the run may stand otherwise: ask again (where it had just been asked, one of these clocks is wrong: set it, or ask from "
            "another machine)"
        )

    def why_not_left(self, asked: Asked, *, now: float) -> str | None:
        """The same of what was left in the history, as it had met no worker (`Run.left`); it may be there a second time, as it was asked first.

        That one is heeded after it, while it is of now: it stands in its place among what else was asked meanwhile, so that the last word holds.
        """
        if not holds_up(asked):
            return "only what holds the run up is left for a worker"
        return self.why_not(asked, now=now) or self.why_not(left_of(asked), now=now)

    def _has_had(self, asked: Asked) -> bool:
        return any(asked.number in had for had in self._had.values())

    def take(self, asked: Asked) -> None:
        """It is heeded now."""
        self._had.setdefault(asked.execution, []).append(asked.number)

    def carried(self) -> Json:
        """What the next execution has to know."""
        return {"execution": self._execution, "had": self._had[self._execution]}

    def take_up(self, carried: Json) -> None:
        """The inverse of `carried`."""
        self._had[carried["execution"]] = carried["had"]


def left_of(asked: Asked) -> Asked:
    """*asked*, as it is known where it was left in the history."""
    return replace(asked, number=f"left {asked.number}")


def _is_of_now(asked: Asked, now: float) -> bool:
    return asked.at is not None and abs(now - asked.at) <= STANDS


def left_waiting(asked: Asked, *, kept: bool) -> str:
    """What is said to whoever has *asked*, when no worker has taken it up. *kept*: Temporal keeps it in the run's history (`Run.left`).

    Else it is kept in memory alone, and may be lost: nobody may rely on its being done, nor on its not being done.
    """
    start = "`atlas-cutover worker` starts one, of the version that the run began with"
    if kept:
        return f"no worker has taken this up yet. It is kept at Temporal, and done when a worker comes, before anything leaves: {start}"
    if asked.at is None or holds_up(asked):
        return (
            "no worker has taken this up, so it does not hold yet, and nothing is certain of it: a worker that comes may be given it by Temporal, or it "
            f"is lost meanwhile. Ask again once a worker serves the run ({start})"
        )
    holds = ", ".join(f"`atlas-cutover {verb}`" for verb in ("pause", "abort"))
    return (
        f"no worker has taken this up. Until {in_words(asked.at + STANDS)} a worker that comes may still do it, unless the run is held up "
        f"by then ({holds}, `reject` of a wave); after that it is done no more. Ask again once a worker serves the run ({start})"
    )


def holds_up(asked: Asked) -> bool:
    """Whether all of it holds cutovers up, so that it is done however late a worker comes."""
    return all(outlives_who_was_asked(request_of(data)) for data in asked.requests)


HAD = "it has been asked before, and is done once"
"""Why a request is not heeded that the run has had: whoever sends it again, as its answer was lost, may let it be."""
LATE = "it was asked a while ago, of what the run was then: ask again"
"""Why a request is not heeded that was on its way while its run went on with an empty history more than once, or that is old."""
