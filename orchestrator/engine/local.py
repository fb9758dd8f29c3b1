"""One run, in one process: waves one after another, the migrations of a wave side by side.

execute
├── window keeper             opens the valve, and stops it when the window closes
├── followers                 what an earlier session left under way, at once, whatever wave it belongs to
└── waves, in order           approval, wave hooks, then a task group with a driver for each migration
"""

from __future__ import annotations

from datetime import UTC, datetime

import anyio
from anyio.abc import TaskGroup

from ..cutover import Done, Phase, next_step
from ..events import (
    ApprovalWaiting,
    CutoverInDoubt,
    MigrationFinished,
    WaveApproved,
    WaveFinished,
    WaveStarted,
    WindowOpened,
    WindowWaiting,
)
from ..outcomes import Outcome
from ..run import UNDER_WAY
from ..workflow import Migration, Wave
from .migration import Driver
from .session import Session, settle_unknown

_CLOCK_CHECK = 30.0  # seconds; a long sleep looks at the wall clock again, which may be set meanwhile


class LocalEngine:
    """Carries one session out."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._approved = {wave.name: anyio.Event() for wave in session.state.workflow.waves}
        self._followed: dict[str, list[anyio.Event]] = {wave.name: [] for wave in session.state.workflow.waves}

    def approve(self, wave: str, who: str) -> bool:
        """Let *wave* start; False when there is no such wave, or it has been approved already."""
        state = self._session.state.waves.get(wave)
        if state is None or state.approved_by is not None:
            return False
        self._session.recorder.record(WaveApproved(at=self._session.wall(), wave=wave, who=who))
        self._approved[wave].set()
        return True

    async def execute(self) -> None:
        """Work until every selected migration has ended, or no more may be started."""
        async with anyio.create_task_group() as keepers:
            keepers.start_soon(self._keep_window)
            async with anyio.create_task_group() as followers:
                self._follow_what_is_under_way(followers)
                await self._waves()
            keepers.cancel_scope.cancel()

    def doubt_earlier_puts(self, earlier: dict[tuple[str, str], tuple[str, float]]) -> None:
        """Put in doubt what *another run* has sent a PUT for (`Journal.earlier_puts`): it is read before anything else."""
        session = self._session
        for _, migration in session.state.rows():
            put = earlier.get((migration.group_id, migration.live_migration_id))
            if put is not None and session.state.migrations[migration.name].phase is Phase.NEW:
                run_id, at = put
                session.recorder.record(
                    CutoverInDoubt(
                        at=session.wall(),
                        migration=migration.name,
                        reason=f"run {run_id} sent a PUT at {_utc(at)}",
                        settle=settle_unknown(session.polling.initial, session.request_timeout),
                    )
                )

    # -- the window --------------------------------------------------------------------------------------------------

    async def _keep_window(self) -> None:
        session = self._session
        window = session.state.workflow.window
        if window is None:
            session.valve.open_window()
            return
        span = window.span_at_or_after(session.wall())
        if span is None:
            session.stop("the window has closed")
            return
        if span.opens > session.wall():
            session.recorder.record(WindowWaiting(at=session.wall(), opens=span.opens, closes=span.closes))
            await self._sleep_until(span.opens)
        session.recorder.record(WindowOpened(at=session.wall(), closes=span.closes))
        session.valve.open_window()
        await self._sleep_until(span.closes)
        session.stop(f"the window closed at {_utc(span.closes)}")

    async def _sleep_until(self, instant: float) -> None:
        left = instant - self._session.wall()
        while left > 0:
            await anyio.sleep(min(left, _CLOCK_CHECK))
            left = instant - self._session.wall()

    # -- waves -------------------------------------------------------------------------------------------------------

    def _follow_what_is_under_way(self, group: TaskGroup) -> None:
        session = self._session
        for wave in session.state.workflow.waves:
            for place, migration in enumerate(wave.migrations):
                state = session.state.migrations[migration.name]
                hooks_left = state.phase is Phase.FINISHED and not isinstance(
                    next_step(state, session.policy(migration), session.wall()), Done
                )
                if migration.name in session.state.selected and (state.phase in UNDER_WAY or hooks_left):
                    done = anyio.Event()
                    self._followed[wave.name].append(done)
                    group.start_soon(self._follow, Driver(session, wave, migration, place), done)

    async def _follow(self, driver: Driver, done: anyio.Event) -> None:
        try:
            await driver.run()
        finally:
            done.set()

    async def _waves(self) -> None:
        session = self._session
        left = {wave.name: self._left(wave) for wave in session.state.workflow.waves}
        if any(left.values()) and await session.valve.passage() and not await self._hook_allows(None, "before"):
            session.stop("the run's before hook failed")
        for wave in session.state.workflow.waves:
            session.stop_if_too_many_failed(wave)
            if left[wave.name] or self._followed[wave.name]:
                await self._wave(wave, left[wave.name])
        if any(left.values()):
            await self._hook_allows(None, "after_failure" if session.state.exit_code() else "after_success")

    def _left(self, wave: Wave) -> list[tuple[int, Migration]]:
        """The migrations of *wave* that have not been started, with their places."""
        state = self._session.state
        return [
            (place, migration)
            for place, migration in enumerate(wave.migrations)
            if migration.name in state.selected
            and state.migrations[migration.name].phase in (Phase.NEW, Phase.GATE, Phase.READY)
        ]

    async def _wave(self, wave: Wave, left: list[tuple[int, Migration]]) -> None:
        session = self._session
        if left and not await self._may_start(wave):
            left = []
        if left:
            concurrency = min(wave.concurrency or len(left), len(left))
            session.recorder.record(
                WaveStarted(at=session.wall(), wave=wave.name, migrations=len(left), concurrency=concurrency)
            )
            if await self._hook_allows(wave, "before"):
                async with anyio.create_task_group() as group:
                    for place, migration in left:
                        group.start_soon(Driver(session, wave, migration, place).run)
            else:
                self._fail(left, "the wave's before hook failed")
                session.stop_if_too_many_failed(wave)
        for followed in self._followed[wave.name]:
            await followed.wait()
        if not left and not self._followed[wave.name]:
            return
        counts = session.state.counts(wave)
        session.recorder.record(WaveFinished(at=session.wall(), wave=wave.name, counts=counts))
        if left:
            await self._hook_allows(wave, "after_success" if set(counts) == {Outcome.SUCCESS} else "after_failure")

    async def _may_start(self, wave: Wave) -> bool:
        """Wait for the window and for approval; False: the wave does not start any more."""
        session = self._session
        if not await session.valve.passage():
            return False
        if wave.approval and session.state.waves[wave.name].approved_by is None:
            session.recorder.record(ApprovalWaiting(at=session.wall(), wave=wave.name))
            with session.valve.starting():
                await self._approved[wave.name].wait()
        return await session.valve.passage()

    def _fail(self, migrations: list[tuple[int, Migration]], why: str) -> None:
        session = self._session
        for _, migration in migrations:
            session.recorder.record(
                MigrationFinished(
                    at=session.wall(), migration=migration.name, outcome=Outcome.FAILED, status=None, error_message=why
                )
            )

    async def _hook_allows(self, wave: Wave | None, hook: str) -> bool:
        """Run the hooks of *wave* (None: of the run); False as soon as one fails, which matters for `before`."""
        session = self._session
        hooks = wave.hooks if wave else session.state.workflow.hooks
        for index in range(len(getattr(hooks, hook))):
            outcome = None if hook == "before" else "SUCCESS" if hook == "after_success" else "FAILED"
            finished = await session.hooks.run_for_group(wave, hook, index, outcome=outcome)
            session.recorder.record(finished)
            if not finished.ok:
                return False
        return True


def _utc(instant: float) -> str:
    return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
