"""One run, in one process: waves one after another, the migrations of a wave side by side.

execute
├── window keeper             opens the valve, and stops it when the window closes
├── followers                 what an earlier session left under way, at once, whatever wave it belongs to;
│                             one whose PUT came to nothing waits until its wave starts
└── waves, in order           approval, wave hooks, then a task group with a driver for each migration
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import anyio
from anyio.abc import TaskGroup

from ..cutover import Done, Phase, next_step
from ..events import (
    ApprovalWaiting,
    ClockSet,
    MigrationFinished,
    WaveApproved,
    WaveFinished,
    WaveStarted,
    WindowOpened,
    WindowWaiting,
)
from ..instants import in_words
from ..migrationstate import BEFORE_THE_PUT, undo_left
from ..outcomes import Outcome
from ..run import UNDER_WAY
from ..window import Span
from ..workflow import Migration, Wave
from .migration import Driver
from .session import Session

_CLOCK_CHECK = 30.0  # seconds; a long sleep looks at the wall clock again, which may be set meanwhile


class LocalEngine:
    """Carries one session out."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._approved = {wave.name: anyio.Event() for wave in session.state.workflow.waves}
        self._followed: dict[str, set[str]] = {wave.name: set() for wave in session.state.workflow.waves}
        self._all_followed = {wave.name: anyio.Event() for wave in session.state.workflow.waves}
        self._begun = False  # the run's `before` hook has been run, or would have been

    def approve(self, wave: str, who: str) -> bool:
        """Let *wave* start; False when there is no such wave, or it has been approved already."""
        state = self._session.state.waves.get(wave)
        if state is None or state.approved_by is not None:
            return False
        self._session.recorder.record(WaveApproved(at=self._session.now(), wave=wave, who=who))
        self._approved[wave].set()
        return True

    async def execute(self) -> None:
        """Work until every selected migration has ended, or no more may be started."""
        aborted_by = self._session.state.aborted_by
        if aborted_by is not None:  # what is under way is followed to its end, and no more than that
            self._session.stop(f"aborted by {aborted_by}")
        for wave in self._session.state.workflow.waves:  # also one that an earlier session began with `--only`
            self._session.stop_if_too_many_failed(wave)
        async with anyio.create_task_group() as keepers:
            keepers.start_soon(self._keep_window)
            keepers.start_soon(self._watch_the_clock)
            async with anyio.create_task_group() as followers:
                self._follow_what_is_under_way(followers)
                await self._waves()
            keepers.cancel_scope.cancel()

    # -- the window --------------------------------------------------------------------------------------------------

    async def _keep_window(self) -> None:
        session = self._session
        window = session.state.workflow.window
        if window is None:
            session.valve.open_window()
            return
        wall, opening, told = session.clock.wall, None, None
        while True:
            now = wall()
            span = window.span_at_or_after(now)
            if span is None or (opening is not None and now >= opening.closes and span.opens > opening.closes):
                session.stop(f"the window closed at {in_words(opening.closes)}" if opening else "the window has closed")
                return
            is_open = span.holds(now)
            if told != (span, is_open):
                told = span, is_open
                session.recorder.record(
                    WindowOpened(at=session.now(), closes=span.closes)
                    if is_open
                    else WindowWaiting(at=session.now(), opens=span.opens, closes=span.closes)
                )
            if is_open:
                opening = span
                session.valve.open_window(partial(_holds, span, wall))  # again, for who saw it closed meanwhile
            await anyio.sleep(min((span.closes if is_open else span.opens) - now, _CLOCK_CHECK))

    async def _watch_the_clock(self) -> None:
        """Tell when somebody sets the wall clock."""
        session = self._session
        while True:
            by = session.clock.was_set()
            if by is not None:
                session.recorder.record(ClockSet(at=session.now(), by=round(by, 3)))
            await anyio.sleep(_CLOCK_CHECK)

    # -- waves -------------------------------------------------------------------------------------------------------

    def _follow_what_is_under_way(self, group: TaskGroup) -> None:
        """Start drivers for what an earlier session left. They start no cutover before their wave lets them."""
        session = self._session
        for wave in session.state.workflow.waves:
            for place, migration in enumerate(wave.migrations):
                state = session.state.migrations[migration.name]
                under_way = state.phase in UNDER_WAY
                hooks_left = state.phase is Phase.FINISHED and not isinstance(
                    next_step(state, session.policy(migration), session.now()), Done
                )
                if migration.name in session.state.selected and (under_way or hooks_left):
                    self._followed[wave.name].add(migration.name)
                    driver = Driver(session, wave, migration, place, under_way=under_way)
                    group.start_soon(self._follow, driver, wave, migration)

    async def _follow(self, driver: Driver, wave: Wave, migration: Migration) -> None:
        try:
            await driver.run()
        finally:
            self._followed[wave.name].discard(migration.name)
            if not self._followed[wave.name]:
                self._session.admissions[wave.name].wanted.set()
                self._all_followed[wave.name].set()

    async def _waves(self) -> None:
        session = self._session
        for wave in session.state.workflow.waves:
            session.stop_if_too_many_failed(wave)
            left = self._left(wave)
            if left or self._followed[wave.name]:
                await self._wave(wave, left)
            await self._undo(wave)
            await self._after_hooks(wave)
        await self._after_hooks(None)

    def _left(self, wave: Wave) -> list[tuple[int, Migration]]:
        """The migrations of *wave* that nobody follows and that have not been started, with their places."""
        state, followed = self._session.state, self._followed[wave.name]
        return [
            (place, migration)
            for place, migration in enumerate(wave.migrations)
            if migration.name in state.selected
            and migration.name not in followed
            and state.migrations[migration.name].phase in BEFORE_THE_PUT
        ]

    async def _wave(self, wave: Wave, left: list[tuple[int, Migration]]) -> None:
        session, followed = self._session, self._followed[wave.name]
        finishes = bool(followed)
        if not left:  # only those under way: the wave starts if one of them turns out not to have begun
            await session.admissions[wave.name].wanted.wait()
        starts = bool(left or followed) and await self._may_start(wave)
        if starts:
            await self._start(wave, left)
        if followed:
            await self._all_followed[wave.name].wait()
        if starts or finishes:
            counts = session.state.counts(wave)
            session.recorder.record(WaveFinished(at=session.now(), wave=wave.name, counts=counts))

    async def _start(self, wave: Wave, left: list[tuple[int, Migration]]) -> None:
        """Let the wave's cutovers start, if its `before` hook allows it, and see those of *left* to their end."""
        session = self._session
        members = len(left) or len(self._followed[wave.name])
        concurrency = min(wave.concurrency or members, members)
        session.recorder.record(
            WaveStarted(at=session.now(), wave=wave.name, migrations=members, concurrency=concurrency)
        )
        refusal = None if await self._before_hooks(wave) else "the wave's before hook failed"
        session.admissions[wave.name].decide(refusal)
        if refusal is not None:
            self._fail(left, refusal)
            session.stop_if_too_many_failed(wave)
        async with anyio.create_task_group() as group:
            for place, migration in left:
                group.start_soon(Driver(session, wave, migration, place).run)

    async def _may_start(self, wave: Wave) -> bool:
        """Wait for the window, the run's `before` hook and the approval; False: the wave does not start any more."""
        session = self._session
        if not await session.valve.passage():
            return False
        if not self._begun:
            self._begun = True
            if not await self._before_hooks(None):
                session.stop("the run's before hook failed")
                return False
        if wave.approval and session.state.waves[wave.name].approved_by is None:
            session.recorder.record(ApprovalWaiting(at=session.now(), wave=wave.name))
            with session.valve.starting():
                await self._approved[wave.name].wait()
        with session.valve.starting():
            while session.state.doubts_may_be_too_many(wave):  # noqa: ASYNC110 - the reads of others settle them
                await anyio.sleep(session.polling.initial)
        return await session.valve.passage()

    def _fail(self, migrations: list[tuple[int, Migration]], why: str) -> None:
        session = self._session
        for _, migration in migrations:
            session.recorder.record(
                MigrationFinished(
                    at=session.now(), migration=migration.name, outcome=Outcome.FAILED, status=None, error_message=why
                )
            )

    async def _undo(self, wave: Wave) -> None:
        """Undo what `before` hooks of an earlier session did for migrations that this one does not start."""
        session = self._session
        async with anyio.create_task_group() as group:
            for place, migration in enumerate(wave.migrations):
                if undo_left(session.state.migrations[migration.name], on_failure=len(migration.hooks.after_failure)):
                    group.start_soon(Driver(session, wave, migration, place).undo)

    # -- hooks of waves and of the run (None) --------------------------------------------------------------------------

    async def _before_hooks(self, wave: Wave | None) -> bool:
        """Run the `before` hooks; False: one has failed, so nothing starts."""
        hooks = wave.hooks if wave else self._session.state.workflow.hooks
        return await self._run_hooks(wave, "before", range(len(hooks.before)), outcome=None)

    async def _after_hooks(self, wave: Wave | None) -> None:
        """Run the `after_…` hooks that are owed, by this session or by one that did not come to them."""
        state = self._session.state
        if wave is not None and any(state.migrations[m.name].phase in UNDER_WAY for m in wave.migrations):
            return  # it is not over: something in it is in doubt that this session was not asked to look at
        hook = state.after_hook(wave)
        left = state.hooks_of(wave).left(hook)
        await self._run_hooks(wave, hook, left, outcome="SUCCESS" if hook == "after_success" else "FAILED")

    async def _run_hooks(self, wave: Wave | None, hook: str, numbers: range, *, outcome: str | None) -> bool:
        """Run the hooks of these *numbers*, as long as none fails; whether none has."""
        for number in numbers:
            if hook == "before" and self._session.valve.stopped is not None:
                return True  # nothing starts any more, and nothing was refused
            finished = await self._session.hooks.run_for_group(wave, hook, number, outcome=outcome)
            self._session.recorder.record(finished)
            if not finished.ok:
                return False
        return True


def _holds(span: Span, wall: Callable[[], float]) -> bool:
    return span.holds(wall())
