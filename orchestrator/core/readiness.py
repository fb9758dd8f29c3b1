"""Which jobs Atlas may let expire before they are cut over. Pure.

A live migration expires 120 hours after it became ready, unless its time is extended in the Atlas UI. The API tells no moment of that, so it
is remembered when each was first *seen* ready: it expires then plus 120 hours, or sooner.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..text.counts import plural
from ..text.instants import in_words
from .workflow import Workflow

LIFE = 120 * 3600.0
"""Seconds for which a job that is ready waits for its cutover (MongoDB Atlas, "Live Migrate Your Deployment")."""

SOON = 24 * 3600.0
"""Without a window, jobs are named that expire within so many seconds."""

_NAMES = 20

FirstSeen = Mapping[tuple[str, str], float]
"""When each live migration (project and id) was first seen ready, Unix seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiring:
    """*migration*'s job was *first_seen* ready then, and expires at *expires_by* at the latest (Unix seconds)."""

    migration: str
    first_seen: float
    expires_by: float


def expiring(workflow: Workflow, first_seen: FirstSeen, *, until: float) -> tuple[Expiring, ...]:
    """The migrations of *workflow* whose jobs will have been ready for 120 hours *until* then (Unix seconds), the first of them first."""
    found = [
        Expiring(migration=migration.name, first_seen=seen, expires_by=seen + LIFE)
        for _, migration in workflow.migrations()
        if (seen := first_seen.get((migration.group_id, migration.live_migration_id))) is not None
        and seen + LIFE <= until
    ]
    return tuple(sorted(found, key=lambda each: each.expires_by))


def expiry_in_words(jobs: Sequence[Expiring], *, closes: float | None) -> str | None:
    """What is to be said about *jobs*, which expire before the window *closes* (None: there is no window); nothing about none."""
    if not jobs:
        return None
    when = "within a day" if closes is None else f"before the window closes at {in_words(closes)}"
    more = f", and {len(jobs) - _NAMES} more" if len(jobs) > _NAMES else ""
    named = ", ".join(
        f"{each.migration} (first seen ready {in_words(each.first_seen)}, expires by {in_words(each.expires_by)})"
        for each in jobs[:_NAMES]
    )
    return (
        f"{plural(len(jobs), 'job')} will have been ready for 120 hours {when}, and Atlas lets a job expire then: {named}{more}. "
        "Extend the time in the Atlas UI, or cut over before"
    )
