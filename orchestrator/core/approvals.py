"""Which migrations somebody has let start who approved their wave, and how long a wave waits for that. Pure.

An approval is for what the session that it is given in may still cut over of the wave: that is the number which whoever approves is
told, or types. What a later session may cut over besides is asked for again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import sha256

from .migration import UNDER_WAY, starts_afresh
from .run_facts import RunFacts
from .workflow import Wave


def covered(run: RunFacts, wave: Wave, *, between_sessions: bool) -> tuple[str, ...]:
    """The migrations of *wave* that an approval is for which is given as *run* stands.

    Where the session is about none of the wave's, it is for all of the wave: nobody can have meant a part.
    *between_sessions*: no session works on the run, so what kept the last one from sending requests counts for nothing.
    """
    left = [m.name for m in wave.migrations if _may_get_a_put(run, m.name, between_sessions=between_sessions)]
    if not any(migration.name in run.selected for migration in wave.migrations):
        return tuple(left)
    return tuple(name for name in left if name in run.selected)


def mark_of(names: Iterable[str]) -> str:
    """A word for the migrations of these *names* and no others, by which whoever approves says which they were told of."""
    return sha256(json.dumps(sorted(names)).encode()).hexdigest()[:16]


def to_approve(run: RunFacts, wave: Wave) -> int:
    """How many migrations of *wave* an approval is for that is given now, in the session that works on *run*: what whoever approves is told, or types."""
    return len(covered(run, wave, between_sessions=False))


def is_approved(run: RunFacts, wave: Wave) -> bool:
    """Whether all that this session may still cut over of *wave* is covered by approvals, of which there are some."""
    approvals = run.waves[wave.name].approvals
    return bool(approvals) and not any(is_uncovered(run, wave, migration.name) for migration in wave.migrations)


def is_uncovered(run: RunFacts, wave: Wave, name: str) -> bool:
    """Whether migration *name* of *wave* may still get a PUT in this session, and no approval was for it."""
    if name not in run.selected or name in run.waves[wave.name].approvals:
        return False
    return _may_get_a_put(run, name, between_sessions=False)


def expires_at(run: RunFacts, wave: Wave) -> float | None:
    """When *wave*, which waits for approval, counts as rejected where nobody has answered (Unix seconds); None: it waits for ever, or not at all.

    Later where something else holds the run then: its time is looked at when the wave could start but for its approval.
    """
    since = run.waves[wave.name].approval_since
    if since is None or wave.approval_timeout is None:
        return None
    return since + wave.approval_timeout


def _may_get_a_put(run: RunFacts, name: str, *, between_sessions: bool) -> bool:
    """One that has had a PUT may get another, if it shows that the first came to nothing."""
    state = run.migrations[name]
    if state.phase not in UNDER_WAY and not starts_afresh(state, retry_failed=False):
        return False
    return (state.skipped if between_sessions else run.withdrawn(name)) is None
