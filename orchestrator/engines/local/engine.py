"""One run, in one process: does what the pure core says (`core.next_actions`), and asks it again after every event."""

from __future__ import annotations

from collections import Counter

import anyio
from anyio.abc import TaskGroup

from ...core.agenda import Action, Agenda, Drive, HookOf, Record, RunGroupHook
from ...core.events import (
    ApplicationWaiting,
    BudgetWaiting,
    ClockSet,
    CutoversStopped,
    Event,
    HookFinished,
    HookStarted,
    MigrationEvent,
    RateLimited,
    RequestRetried,
)
from ...core.next_actions import next_actions, to_drive
from ...core.run import RunState
from ...core.standstill import Whose, standstills, to_tell
from ...core.steered import STEERS_A_MIGRATION
from ...core.workflow import HookKind, Migration, Wave
from .driver import Driver
from .session import CLOCK_CHECK, Session

_NO_NEWS = (ApplicationWaiting, BudgetWaiting, RateLimited, RequestRetried)
"""Events that nobody waits for."""


class LocalEngine:
    """Carries one session out."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._state = session.state
        self._changed = anyio.Event()
        self._begun: set[Action] = set()
        self._drivers: dict[str, Driver] = {}
        self._at_work: Counter[str | HookOf] = Counter()  # drivers by wave, and hooks of waves and the run
        session.recorder.listen(self._notice)

    async def execute(self) -> None:
        """Work until every selected migration has ended, or no more may be started."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._watch_the_clock)
            group.start_soon(self._watch_for_standstills)
            while not (agenda := self._agenda()).over:
                for action in agenda.actions:
                    self._carry_out(group, action)
                await self._news(agenda.look_again)
            group.cancel_scope.cancel()

    # -- what happens ------------------------------------------------------------------------------------------------

    def _notice(self, event: Event, _: RunState) -> None:
        """Something has happened: whoever waits for it goes on."""
        self._changed.set()
        migration = event.migration if isinstance(event, (MigrationEvent, HookStarted, HookFinished)) else None
        if migration is not None:
            driver = self._drivers.get(migration)
            if driver is not None:
                driver.notice()
                if isinstance(event, STEERS_A_MIGRATION):
                    driver.steer()
        elif not isinstance(event, _NO_NEWS):
            if isinstance(event, CutoversStopped):
                self._session.interrupt()
            for driver in self._drivers.values():
                driver.notice()

    async def _news(self, until: float | None) -> None:
        """Wait until something happens, or until the wall clock shows *until* (Unix seconds)."""
        with anyio.move_on_after(CLOCK_CHECK if until is not None else None) as limit:
            if until is not None:
                limit.deadline = min(limit.deadline, anyio.current_time() + until - self._session.clock.wall())
            await self._changed.wait()
        self._changed = anyio.Event()

    async def _watch_the_clock(self) -> None:
        """Tell when somebody sets the wall clock."""
        session = self._session
        while True:
            by = session.clock.was_set()
            if by is not None:
                session.recorder.record(ClockSet(at=session.now(), by=round(by, 3)))
            await anyio.sleep(CLOCK_CHECK)

    async def _watch_for_standstills(self) -> None:
        """Tell of applications that stand still while their PUT does not leave."""
        session = self._session
        told: dict[Whose, float] = {}
        while True:
            await anyio.sleep(CLOCK_CHECK)
            for event in to_tell(standstills(self._state, session.clock.wall()), told, session.now()):
                told[event.wave, event.migration] = event.at
                session.recorder.record(event)

    # -- what is to be done ------------------------------------------------------------------------------------------

    def _agenda(self) -> Agenda:
        """What is to be done now, when all that there was to record has been recorded."""
        session = self._session
        while True:
            agenda = next_actions(self._state, session.now(), session.clock.wall(), self._at_work)
            events = [action.event for action in agenda.actions if isinstance(action, Record)]
            if not events:
                return agenda
            session.recorder.record(*events)

    def _carry_out(self, group: TaskGroup, action: Action) -> None:
        """Begin *action*, unless that has been done."""
        if action in self._begun:
            return
        self._begun.add(action)
        match action:
            case RunGroupHook(wave=whose):
                self._at_work[HookOf(whose)] += 1
                group.start_soon(self._group_hook, action)
            case Drive(wave=name):
                wave = self._state.wave(name)
                for migration in to_drive(self._state, wave):
                    if migration.name not in self._drivers:
                        driver = self._drivers[migration.name] = Driver(self._session, wave, migration)
                        self._at_work[name] += 1
                        group.start_soon(self._drive, driver, wave, migration)

    async def _group_hook(self, action: RunGroupHook) -> None:
        try:
            await self._run_group_hook(action)
        finally:
            self._leave(HookOf(action.wave))

    async def _run_group_hook(self, action: RunGroupHook) -> None:
        session = self._session
        wave = None if action.wave is None else self._state.wave(action.wave)
        if action.hook is HookKind.BEFORE:
            recorded = await session.commit(session.hooks.start_of(wave, None, action.hook, action.index))
            if not recorded or self._state.stopped is not None:
                self._begun.discard(action)
                return
        finished = await session.hooks.run_for_group(wave, action.hook, action.index, outcome=action.outcome)
        self._begun.discard(action)
        session.recorder.record(finished)

    async def _drive(self, driver: Driver, wave: Wave, migration: Migration) -> None:
        try:
            await driver.run()
        finally:
            del self._drivers[migration.name]
            self._leave(wave.name)

    def _leave(self, whose: str | HookOf) -> None:
        self._at_work[whose] -= 1
        if not self._at_work[whose]:
            del self._at_work[whose]
        self._changed.set()
