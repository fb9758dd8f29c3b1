"""Before a hook is told that the source is in charge, the job is read: somebody may have cut it over by hand meanwhile. Pure.

An `after_failure` hook may let writers in on the source. What was read of the job before a pause, an approval or a slow hook is no ground for
that. So what nothing was sent for is looked at again before such a hook of its own, its wave's or the run's; and where that shows nothing,
the hook is told that it is not known who is in charge (`hook_facts`).
"""

from __future__ import annotations

import math

from .evidence import WORD_LIFE
from .migration import MigrationState
from .next_step import GATE_LIFE, Policy
from .no_return import SIDES, Side, point_of
from .run import RunState
from .workflow import Wave


def is_owed(run: RunState, state: MigrationState, policy: Policy, now: float) -> bool:
    """Whether the job of the migration in *state* is to be read before a hook of its own may hear that the source is in charge.

    A look that gave nothing counts, too: nobody waits for Atlas with the application down; it leaves the migration in doubt (`look_failed`). Where who reads is far from here
    (`Policy.rereads`), what was read is older when it arrives: it has to be of the time since the hook is owed.
    """
    if not policy.rereads:
        return _is_unread(state, now - GATE_LIFE)
    moments = (state.finished_at, state.hooks_ended_at, run.stopped_at)
    owed_since = [moment - GATE_LIFE for moment in moments if moment is not None]
    return _is_unread(state, max([now - WORD_LIFE, *owed_since]))


def is_owed_to_group(state: MigrationState, since: float) -> bool:
    """The same before a hook of its wave, or of the run, which stands as it does *since* then (`stands_since`)."""
    return _is_unread(state, since - WORD_LIFE)


def stands_since(run: RunState, wave: Wave | None) -> float:
    """Since when (Unix seconds) nothing more starts in *wave*, or in the run (None), in this session, and no hook of it was at work, as far as that is recorded."""
    groups = [run.waves[each.name] for each in ([wave] if wave else run.workflow.waves)]
    ends = (moment for each in groups for moment in (each.finished_at, each.hooks.last_end))
    moments = (run.session_at, run.stopped_at, run.run_hooks.last_end, *ends)
    return max((moment for moment in moments if moment is not None), default=-math.inf)


def still_holds(state: MigrationState, since: float) -> bool:
    """Whether a hook may be told of the migration in *state* what its job has shown: it was read, and not before *since* (less `WORD_LIFE`)."""
    return not state.read_failed and state.known_at is not None and state.known_at >= since - WORD_LIFE


def _is_unread(state: MigrationState, since: float) -> bool:
    if SIDES[point_of(state)] is not Side.NOTHING_SENT:
        return False
    return state.read_failed or state.last_read_at is None or state.last_read_at < since
