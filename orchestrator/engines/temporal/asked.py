"""What people ask of a run is done once, by the run that they mean: a copy of it does nothing, whoever sends it. Pure.

A run at Temporal is known by its name, and all runs of a workflow have the same one. Whoever reaches the cluster can read what was sent to an
earlier run, encrypted, and send it to a later one, without being able to read it. So each request says which run it is for, which execution
of it was open when it was sent, and a number that nobody has had before. A run takes requests for its execution and, as it may have gone
on with an empty history meanwhile, the one before, and remembers the numbers that it has had from these: no more than two histories hold.
"""

from __future__ import annotations

from .forms import Asked, Json


class Once:
    """What a run has been asked for. *run_id*: the run; *execution*: the one that goes on now."""

    def __init__(self, run_id: str, execution: str) -> None:
        self._run_id = run_id
        self._execution = execution
        self._had: dict[str, list[str]] = {execution: []}

    def why_not(self, asked: Asked) -> str | None:
        """Why *asked* is not heeded; None: it is, once."""
        if asked.run_id != self._run_id:
            return f"it was asked of run {asked.run_id}, and this is run {self._run_id}"
        if asked.execution not in self._had:
            return LATE
        # One that is sent again, as its answer was lost, may be for the execution that goes on by now.
        return HAD if any(asked.number in had for had in self._had.values()) else None

    def take(self, asked: Asked) -> None:
        """It is heeded now."""
        self._had.setdefault(asked.execution, []).append(asked.number)

    def carried(self) -> Json:
        """What the next execution has to know."""
        return {"execution": self._execution, "had": self._had[self._execution]}

    def take_up(self, carried: Json) -> None:
        """The inverse of `carried`."""
        self._had[carried["execution"]] = carried["had"]


HAD = "it has been asked before, and is done once"
"""Why a request is not heeded that the run has had: whoever sends it again, as its answer was lost, may let it be."""
LATE = "it was asked a while ago, of what the run was then: ask again"
"""Why a request is not heeded that was on its way while its run went on with an empty history more than once, or that is old."""
