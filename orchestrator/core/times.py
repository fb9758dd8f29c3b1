"""How long a migration took: the one definition each of cutover time, of downtime, and of the time that it holds a slot. Pure.

*Cutover time* is what Atlas needs: from the PUT to the read that shows the end. *Downtime* is what the application feels: from the
first `before` hook, which stops its writers, to the last `verify` and `after_success` hook, which lets them write to the new cluster.
"""

from __future__ import annotations

from .migration import MigrationState
from .outcomes import CUT_OVER, Outcome
from .workflow import Hooks


def cutover_seconds(state: MigrationState) -> float | None:
    """Seconds from the last PUT to the final status; None where Atlas has not brought this PUT's cutover to an end.

    So there is none after a refused PUT, in doubt, or past the timeout: nobody knows then when it ended.
    """
    if state.requested_at is None or state.ended_at is None:
        return None
    if state.came_to_nothing:
        return None  # that PUT came to nothing
    if state.outcome in CUT_OVER or (state.outcome is Outcome.FAILED and state.accepted_at is not None):
        return max(0.0, state.ended_at - state.requested_at)
    return None


def downtime_seconds(state: MigrationState, hooks: Hooks) -> float | None:
    """Seconds for which the application stood still; None unless its migration is SUCCESS, and its last hook has ended.

    From the start of its first `before` hook (its PUT, if it has none) to the end of its last `verify` and `after_success` hook
    (the final read, if it has none).
    """
    since = state.requested_at if state.down_since is None else state.down_since
    until = state.hooks_ended_at if hooks.after_success else state.finished_at
    if state.outcome is not Outcome.SUCCESS or since is None or until is None:
        return None
    if state.after_hooks_done < len(hooks.after_success):
        return None
    return max(0.0, until - since)


def slot_seconds(state: MigrationState, hooks: Hooks, *, soaks: bool) -> float | None:
    """Seconds for which it held one of its wave's slots; None where its cutover has no end (`cutover_seconds`).

    From the start of its first `before` hook (its PUT) to the end of its last hook; where the wave *soaks*, to the final status,
    since what comes after that waits for the other cutovers and keeps no slot from them.
    """
    took = cutover_seconds(state)
    if took is None or state.requested_at is None:
        return None
    down = None if soaks else downtime_seconds(state, hooks)
    before = 0.0 if state.down_since is None else max(0.0, state.requested_at - state.down_since)
    return before + took if down is None else down
