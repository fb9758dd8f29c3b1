"""What a session is about to do, as the operator confirms it. Pure.

The same is reckoned twice: for the question, and under the run's locks before anything is sent. Where the two differ, something
has changed meanwhile, and what was confirmed is not what would be done.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .events import Event
from .migration import BEFORE_THE_PUT, Phase
from .run import RunState
from .window import Window
from .workflow import Workflow

_UNCLEAR = frozenset({Phase.REQUESTED, Phase.DOUBT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Intention:
    """What is done with each migration, by name and in workflow order, and where.

    *run_id*: the run that is continued (None: a new one begins), *recorded_window* its window so far. *ends*: the runs that are
    over when it begins. *starts*: get a PUT when their gates open. *repeats*: a PUT may have been carried out; they get another
    only if reads show that it was not. *elsewhere*: the same at another server, so that none shows that, and they get none. *follows*: Atlas
    has accepted their cutover.
    """

    run_id: str | None
    workflow: Workflow
    recorded_window: Window | None
    base_url: str
    ends: tuple[str, ...]
    starts: tuple[str, ...]
    repeats: tuple[str, ...]
    follows: tuple[str, ...]
    elsewhere: tuple[str, ...] = ()

    @property
    def may_put(self) -> bool:
        """Whether a PUT may leave."""
        return bool(self.starts or self.repeats)


def intended(
    before: RunState, first: Iterable[Event], *, base_url: str, ends: tuple[str, ...], now: float
) -> Intention:
    """What a session does that the events *first* begin, on a run in the state *before* them.

    *ends*: the runs that it ends; *now* in Unix seconds.
    """
    after = before.after(*first)
    return _sorted(
        after,
        run_id=before.run_id if before.started_at is not None else None,
        recorded_window=before.workflow.window,
        base_url=base_url,
        ends=ends,
        now=now,
    )


def standing(state: RunState, *, now: float) -> Intention:
    """What the session under way on the run in *state* still does; *now* in Unix seconds."""
    return _sorted(
        state, run_id=state.run_id, recorded_window=state.workflow.window, base_url=state.base_url, ends=(), now=now
    )


def _sorted(
    state: RunState,
    *,
    run_id: str | None,
    recorded_window: Window | None,
    base_url: str,
    ends: tuple[str, ...],
    now: float,
) -> Intention:
    stopped = starts_nothing(state, now)

    def within(phases: frozenset[Phase]) -> tuple[str, ...]:
        return tuple(m.name for _, m in state.rows() if state.migrations[m.name].phase in phases)

    unclear = within(_UNCLEAR)
    elsewhere = tuple(name for name in unclear if state.migrations[name].elsewhere)
    return Intention(
        run_id=run_id,
        workflow=state.workflow,
        recorded_window=recorded_window,
        base_url=base_url,
        ends=ends,
        starts=() if stopped else tuple(name for name in within(BEFORE_THE_PUT) if state.withdrawn(name) is None),
        repeats=() if stopped else tuple(name for name in unclear if name not in elsewhere),
        follows=within(frozenset({Phase.ACCEPTED}) if not stopped else _UNCLEAR | {Phase.ACCEPTED}),
        elsewhere=() if stopped else elsewhere,
    )


def starts_nothing(state: RunState, now: float) -> bool:
    """Whether no cutover starts in a session that begins with *state*."""
    return (
        state.aborted_by is not None
        or state.window_over(now)
        or any(state.too_many_failures(wave) for wave in state.workflow.waves)
    )
