from __future__ import annotations

import pytest

from orchestrator.core.events import (
    CutoverAccepted,
    CutoverInDoubt,
    CutoverNotBegun,
    CutoverRequested,
    Event,
    HookFinished,
    MigrationFinished,
)
from orchestrator.core.migration import MigrationState
from orchestrator.core.migration_fold import apply, reopen
from orchestrator.core.outcomes import Outcome
from orchestrator.core.times import cutover_seconds, downtime_seconds
from orchestrator.core.workflow import NO_HOOKS, Hooks

HOOKS = Hooks(before=(("stop",),), after_success=(("start",), ("tell",)), after_failure=(("back",),))
PUT = CutoverRequested(at=100.0, migration="a")
ACCEPTED = CutoverAccepted(at=100.5, migration="a", http_status=202, status=None)


def hook(name: str, at: float, *, took: float = 5.0, code: int = 0, interrupted: bool = False) -> HookFinished:
    """A hook of the migration that ended at *at*."""
    return HookFinished(
        at=at, hook=name, argv=("x",), exit_code=code, seconds=took, migration="a", interrupted=interrupted
    )


def ended(outcome: Outcome, at: float = 112.0) -> MigrationFinished:
    """The end of the migration."""
    return MigrationFinished(at=at, migration="a", outcome=outcome, status="X", error_message=None, polls=1)


def after(*events: Event) -> MigrationState:
    """The migration after *events*."""
    state = MigrationState()
    for event in events:
        state = apply(state, event)
    return state


@pytest.mark.parametrize(
    ("events", "seconds"),
    [
        ((PUT, ACCEPTED, ended(Outcome.SUCCESS)), 12.0),
        ((PUT, ended(Outcome.SUCCESS)), 12.0),  # its answer was lost, the job is COMPLETE
        ((PUT, ACCEPTED, ended(Outcome.FAILED)), 12.0),
        ((PUT, ended(Outcome.FAILED)), None),  # the job may have failed without this PUT
        ((PUT, ACCEPTED, ended(Outcome.TIMED_OUT)), None),
        ((PUT, CutoverInDoubt(at=101.0, migration="a", reason="reset", settle=4.0), ended(Outcome.IN_DOUBT)), None),
        ((PUT, CutoverNotBegun(at=101.0, migration="a", reason="400"), ended(Outcome.FAILED)), None),
        ((ended(Outcome.SUCCESS),), None),  # it was COMPLETE before
        ((PUT, ACCEPTED), None),
    ],
)
def test_cutover_time_is_that_of_a_cutover_which_atlas_brought_to_its_end(
    events: tuple[Event, ...], seconds: float | None
) -> None:
    """Of anything else nobody knows when it ended."""
    assert cutover_seconds(after(*events)) == seconds


def test_a_doubt_that_a_later_session_settles_has_no_end_before_that() -> None:
    """When the first session gave up is not when the cutover ended, whatever it recorded."""
    given_up = after(
        PUT, CutoverInDoubt(at=101.0, migration="a", reason="reset", settle=4.0), ended(Outcome.IN_DOUBT, 7300.0)
    )
    state = reopen(given_up, at=7400.0, retry_failed=False, settle=4.0)
    assert (state.finished_at, state.ended_at) == (None, None)
    state = apply(state, ended(Outcome.SUCCESS, 7500.0))
    assert (state.finished_at, state.ended_at, cutover_seconds(state)) == (7500.0, 7500.0, 7400.0)


def test_downtime_runs_from_the_first_before_hook_to_the_last_after_success_hook() -> None:
    """The time that the hooks take is downtime, too; until the last has run, it is not known."""
    before = (hook("before", 90.0), PUT, ACCEPTED, ended(Outcome.SUCCESS))
    assert downtime_seconds(after(*before), HOOKS) is None
    assert downtime_seconds(after(*before, hook("after_success", 120.0)), HOOKS) is None
    last = (hook("after_success", 120.0), hook("after_success", 140.0, interrupted=True), hook("after_success", 150.0))
    assert downtime_seconds(after(*before, *last), HOOKS) == 150.0 - 85.0


def test_downtime_without_hooks_is_the_cutover_time() -> None:
    """From the PUT to the read that showed the end."""
    state = after(PUT, ACCEPTED, ended(Outcome.SUCCESS))
    assert downtime_seconds(state, NO_HOOKS) == cutover_seconds(state) == 12.0


def test_what_was_undone_before_the_put_is_no_downtime_of_the_cutover() -> None:
    """The writers ran again in between."""
    state = after(hook("before", 20.0), hook("after_failure", 30.0), hook("before", 90.0), PUT, ended(Outcome.SUCCESS))
    only_before = Hooks(before=HOOKS.before)
    assert downtime_seconds(state, only_before) == 112.0 - 85.0


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.TIMED_OUT, Outcome.IN_DOUBT])
def test_there_is_no_downtime_without_success(outcome: Outcome) -> None:
    """When the application wrote again is not in the journal."""
    assert downtime_seconds(after(PUT, ACCEPTED, ended(outcome)), NO_HOOKS) is None
