"""What a simulated Atlas saw and did, and what is true of its jobs: the other side of a run's report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from .clock import Clock
from .jobs import Job
from .tokens import TokenDesk


class Tally:
    """Counts of all requests. *statuses*: HTTP statuses as text, and `dropped` for connections without an answer."""

    __slots__ = ("credentials", "kinds", "limited", "statuses")

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.credentials: Counter[str] = Counter()
        self.limited = 0  # 429s of the token buckets; those of faults are among the injected


def build_record(
    *,
    jobs: Iterable[Job],
    tokens: TokenDesk,
    tally: Tally,
    injected: Mapping[str, int],
    clock: Clock,
    started_at: float,
) -> dict[str, Any]:
    """The record as plain JSON data.

    Args:
        jobs: All jobs.
        tokens: Who hands out access tokens.
        tally: Counts of requests.
        injected: Faults by kind.
        clock: Of the simulator; times of the record are real seconds since its start.
        started_at: When that was, in Unix seconds.
    """
    return {
        "started_at": started_at,
        "speed": clock.speed,
        "elapsed": clock.real(),
        "requests": {
            "total": sum(tally.kinds.values()),
            "by_kind": dict(tally.kinds),
            "by_status": dict(sorted(tally.statuses.items())),
        },
        "unauthorized": tally.statuses["401"],
        "credentials": dict(tally.credentials),
        "tokens": {"issued": tokens.issued, "revoked": tokens.revoked, "live": tokens.live()},
        "too_many_requests": tally.statuses["429"],
        "rate_limited": tally.limited,
        "faults": dict(injected),
        "migrations": {job.live_migration_id: _job_record(job, clock) for job in jobs},
    }


def _job_record(job: Job, clock: Clock) -> dict[str, Any]:
    now = clock.now()
    final_at = job.final_at(now)
    plan = job.plan
    return {
        "name": job.name,
        "group_id": job.group_id,
        "status": job.view(now).status.value,
        "ends": (plan.fixed or plan.ends).value,
        "puts_received": len(job.put_times),
        "puts_processed": job.puts_processed,
        "puts_refused": job.puts_refused,
        "put_times": job.put_times,
        "processed_at": None if job.cutover_at is None else clock.to_real(job.cutover_at),
        "finished_at": None if final_at is None else clock.to_real(final_at),
        "reads": job.reads,
        "first_final_read": job.first_final_read,
    }
