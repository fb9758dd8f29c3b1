"""A running account of a run for those who show it: kept event by event, so that nothing is counted over and over."""

from __future__ import annotations

from bisect import insort
from collections import Counter, deque
from dataclasses import dataclass, field

from ...core.estimate import Estimate, Pace, estimate_waves, pace
from ...core.events import (
    BudgetWaiting,
    CutoversConfirmed,
    CutoversStopped,
    Event,
    HookFinished,
    MigrationEvent,
    MigrationFinished,
    RateLimited,
    RunResumed,
    RunStarted,
    RunUnpaused,
    WaveFinished,
    WaveStarted,
    WindowOpened,
)
from ...core.holds import Held, holds
from ...core.migration import Phase
from ...core.outcomes import CUT_OVER, Outcome
from ...core.run import RunState
from ...core.standing import MOVING, SKIPPED, WORDS, standing
from ...core.times import cutover_seconds
from ...text.counts import plural
from ...text.durations import rough_duration

ENDS_KEPT = 1000
"""Ends of one wave's migrations: two rounds of a concurrency of 500."""

TO_COME = WORDS[Phase.NEW]
AT_GATE = frozenset({WORDS[Phase.GATE], WORDS[Phase.READY]})
"""Where a migration is before its PUT; READY counts as the gate's end."""

_ORDER = (*(str(outcome) for outcome in Outcome), *(WORDS[phase] for phase in MOVING), TO_COME, SKIPPED)
_MOVING = frozenset(WORDS[phase] for phase in MOVING)
_CUT_OVER = frozenset(str(outcome) for outcome in CUT_OVER)


@dataclass(slots=True, kw_only=True)
class WaveTally:
    """One wave's selected migrations by how they stand. *concurrency* is what the wave allows."""

    name: str
    total: int = 0
    concurrency: int = 1
    stages: Counter[str] = field(default_factory=Counter)
    active: bool = False
    ended: deque[float] = field(default_factory=lambda: deque(maxlen=ENDS_KEPT))  # since nothing held them up

    @property
    def finished(self) -> int:
        """How many have an outcome, or are not to be started any more."""
        return self.total - self.stages[TO_COME] - self.moving

    @property
    def moving(self) -> int:
        """How many are under way or at their gates."""
        return sum(self.stages[word] for word in _MOVING)

    @property
    def under_way(self) -> int:
        """How many are past their gates and have no outcome yet."""
        return sum(self.stages[word] for word in _MOVING - AT_GATE)

    def counts(self) -> dict[str, int]:
        """The numbers above zero: outcomes in their order, then the stages."""
        return {word: self.stages[word] for word in _ORDER if self.stages[word]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """The run waits for *what* since *since* (Unix seconds). *wants_somebody*: a person can end it."""

    what: str
    since: float
    wants_somebody: bool = False


class Tally:
    """Counts by wave, who is under way, and how long cutovers took.

    Each event costs the same however many there are, and what several have made of one migration is counted once, when somebody asks.
    """

    def __init__(self) -> None:
        self._waves: dict[str, WaveTally] = {}
        self._under_way: dict[str, str] = {}
        self._moved: dict[str, RunState] = {}  # what is to be counted anew when somebody asks, with where it is known
        self.durations: list[float] = []  # of finished cutovers, ascending, in seconds
        self._timed: set[str] = set()
        self._stage: dict[str, str] = {}
        self._wave: dict[str, WaveTally] = {}
        self._limited: dict[str, tuple[float, float]] = {}  # scope: since, until
        self._budget: dict[str, tuple[float, float]] = {}  # the same
        self._stopped = False  # no further cutover starts

    @property
    def waves(self) -> dict[str, WaveTally]:
        """The waves that have selected migrations, by name."""
        self._count_moved()
        return self._waves

    @property
    def under_way(self) -> dict[str, str]:
        """How each migration stands that is under way, in the order in which they began."""
        self._count_moved()
        return self._under_way

    @property
    def total(self) -> int:
        """How many migrations are selected."""
        return len(self._stage)

    @property
    def finished(self) -> int:
        """How many have an outcome, or are not to be started any more."""
        return sum(wave.finished for wave in self.waves.values())

    @property
    def cut_over(self) -> int:
        """How many are cut over, good or not."""
        return sum(wave.stages[word] for wave in self.waves.values() for word in _CUT_OVER)

    @property
    def being_cut_over(self) -> int:
        """How many are past their gates and have no outcome yet."""
        return sum(wave.under_way for wave in self.waves.values())

    def stages(self) -> Counter[str]:
        """All selected migrations by how they stand."""
        total: Counter[str] = Counter()
        for wave in self.waves.values():
            total += wave.stages
        return total

    def take(self, event: Event, state: RunState) -> None:
        """Take *event* in, after it was folded into *state*."""
        match event:
            case RunStarted() | RunResumed():
                self._count_all(state)
            case MigrationFinished():
                self._move(event.migration, state)  # now, as it may be taken up again before somebody asks
                if event.outcome is not Outcome.NOT_STARTED and event.migration in self._wave:
                    self._wave[event.migration].ended.append(event.at)
            case RunUnpaused() | WindowOpened() | CutoversConfirmed():
                for wave in self._waves.values():
                    wave.ended.clear()  # what held the run up was no slowness of Atlas
            case MigrationEvent():
                self._moved[event.migration] = state
            case HookFinished(migration=str(name)):
                self._moved[name] = state
            case WaveStarted() | WaveFinished() if event.wave in self._waves:
                self._waves[event.wave].active = isinstance(event, WaveStarted)
                if isinstance(event, WaveStarted):
                    self._waves[event.wave].concurrency = max(1, event.concurrency)
            case RateLimited():
                self._limited[event.scope] = (event.at, event.at + event.retry_after)
            case BudgetWaiting():
                self._budget[event.scope] = (event.at, event.at + event.wait)
            case CutoversStopped():
                self._stopped = True

    def waits(self, state: RunState, now: float) -> list[Wait]:
        """What is being waited for, what a person can do something about first."""
        found = []
        for hold in holds(state):
            person = hold.held is not Held.WINDOW
            if person or (state.window_opens is not None and now < state.window_opens):
                more = "" if person else f", which opens in {rough_duration((state.window_opens or now) - now)}"
                if hold.until is not None and now < hold.until:
                    more = f", which counts as rejected in {rough_duration(hold.until - now)}"
                found.append(Wait(what=hold.awaited + more, since=hold.since or now, wants_somebody=person))
        for scope, (since, until) in self._limited.items():
            if now < until:
                what = f"Atlas' rate limit ({scope}), {rough_duration(max(1.0, until - now))} more"
                found.append(Wait(what=what, since=since))
        for scope, (since, until) in self._budget.items():
            if now < until:
                what = f"the request budget ({scope}), {rough_duration(max(1.0, until - now))} more"
                found.append(Wait(what=what, since=since))
        gates = [name for name, stage in self.under_way.items() if stage in AT_GATE]
        if gates and state.migrations[gates[0]].phase is Phase.GATE:
            since = state.migrations[gates[0]].gate_since or now
            found.append(Wait(what=plural(len(gates), "gate"), since=since))
        return found

    def estimate(self) -> Estimate | None:
        """How long the cutovers of all waves that are left may take."""
        left = [
            (wave.concurrency, wave.under_way if self._stopped else wave.total - wave.finished)
            for wave in self.waves.values()
        ]
        return estimate_waves(self.durations, left)

    def paces(self, state: RunState) -> dict[str, Pace]:
        """How fast each wave goes that is under way, by name; none while something holds the run, or no cutover starts any more."""
        if state.stopped is not None or next(holds(state), None) is not None:
            return {}
        found = (
            (wave.name, pace(list(wave.ended), concurrency=wave.concurrency, left=wave.total - wave.finished))
            for wave in self.waves.values()
            if wave.active
        )
        return {name: its for name, its in found if its is not None}

    def _count_all(self, state: RunState) -> None:
        self._waves, self._under_way, self._moved, self._stage, self._wave = {}, {}, {}, {}, {}
        self._stopped = False
        self._limited, self._budget = {}, {}
        for wave in state.workflow.waves:
            tally = WaveTally(name=wave.name, concurrency=wave.concurrency or max(1, len(wave.migrations)))
            for migration in wave.migrations:
                if migration.name in state.selected:
                    tally.total += 1
                    self._wave[migration.name] = tally
                    self._set(migration.name, standing(state.migrations[migration.name]))
            if tally.total:
                self._waves[wave.name] = tally

    def _count_moved(self) -> None:
        moved, self._moved = self._moved, {}
        for name, state in moved.items():
            self._move(name, state)

    def _move(self, name: str, state: RunState) -> None:
        known = state.migrations.get(name)
        before = self._stage.get(name)
        if known is None or before is None:
            return
        stage = standing(known)
        if stage == before:
            return
        self._wave[name].stages[before] -= 1
        self._set(name, stage)
        seconds = cutover_seconds(known)
        if seconds is not None and name not in self._timed:  # one that is verified again was not cut over again
            self._timed.add(name)
            insort(self.durations, seconds)

    def _set(self, name: str, stage: str) -> None:
        self._stage[name] = stage
        self._wave[name].stages[stage] += 1
        if stage in _MOVING:
            self._under_way[name] = stage
        else:
            self._under_way.pop(name, None)
