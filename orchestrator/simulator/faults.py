"""Which fault, if any, befalls a request: decided by the seed, the live migration and how often it has asked.

No decision depends on the order in which different jobs are asked, so a run goes the same way each time.
"""

from __future__ import annotations

from collections import Counter

from .chance import chance
from .scenario import Fault, Garbage, Kind, Scenario

_GARBAGE = tuple(Garbage)


class FaultPicker:
    """Picks the faults of one simulator and counts them: *injected* by kind."""

    def __init__(self, scenario: Scenario) -> None:
        self.injected: Counter[str] = Counter()
        self._seed = scenario.seed
        self._faults = {
            kind: tuple((i, fault) for i, fault in enumerate(scenario.faults) if fault.on in (None, kind))
            for kind in Kind
        }
        self._asked: Counter[tuple[Kind, str]] = Counter()
        self._fired: Counter[tuple[int, str]] = Counter()

    def pick(self, kind: Kind, live_migration_id: str, name: str | None, now: float) -> Fault | None:
        """The fault that befalls this request, in the order of the scenario; it is counted as injected.

        Args:
            kind: What the request asks for.
            live_migration_id: Of which job; empty for the root resource.
            name: The migration's name where the workflow has one.
            now: Real seconds since the simulator's start.
        """
        faults = self._faults[kind]
        if not faults:
            return None
        self._asked[kind, live_migration_id] += 1
        attempt = self._asked[kind, live_migration_id]
        for index, fault in faults:
            if fault.migration is not None and fault.migration not in (live_migration_id, name):
                continue
            if now < fault.after or (fault.until is not None and now > fault.until):
                continue
            if fault.times is not None and self._fired[index, live_migration_id] >= fault.times:
                continue
            if self._chance(index, kind, live_migration_id, attempt) >= fault.share:
                continue
            if fault.times is not None:
                self._fired[index, live_migration_id] += 1
            self.injected[fault.kind] += 1
            return fault
        return None

    def garbage(self, fault: Fault, kind: Kind, live_migration_id: str) -> Garbage:
        """What the garbage of *fault* looks like this time."""
        if fault.body is not None:
            return fault.body
        share = self._chance(-1, kind, live_migration_id, self._asked[kind, live_migration_id])
        return _GARBAGE[int(share * len(_GARBAGE))]

    def _chance(self, index: int, kind: Kind, live_migration_id: str, attempt: int) -> float:
        return chance(self._seed, index, kind, live_migration_id, attempt)
