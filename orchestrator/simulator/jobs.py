"""The life of one simulated push live migration as a function of simulated time. Pure: no clock, no I/O.

    NEW ─▶ WORKING, lag falling ─▶ WORKING, ready ─▶ [cutover] ─▶ WORKING, no lag ─▶ COMPLETE or FAILED
                                        └─ nobody cuts it over within `expires_after` ─▶ EXPIRED

Source of the states: schema ``LiveMigrationResponse`` of the Atlas Administration API v2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

NEVER = math.inf
EXPIRY = 120 * 3600.0  # "If readyForCutover is true, this synchronization starts a timer of 120 hours"
_NEW_SHARE = 0.1  # of the time until a job is ready, spent as NEW


class JobStatus(StrEnum):
    """The words of v2."""

    NEW = "NEW"
    WORKING = "WORKING"
    COMPLETE = "COMPLETE"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"


FINAL = frozenset({JobStatus.COMPLETE, JobStatus.FAILED, JobStatus.EXPIRED})


class Refusal(StrEnum):
    """Why a cutover is answered 409; the value is the error document's ``errorCode``."""

    NOT_READY = "LIVE_MIGRATION_NOT_READY_FOR_CUTOVER"
    UNDER_WAY = "LIVE_MIGRATION_CUTOVER_ALREADY_STARTED"
    OVER = "LIVE_MIGRATION_ALREADY_FINISHED"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlan:
    """What will become of a job. All times in simulated seconds; `NEVER` is a time too.

    Args:
        ready_after: From the job's start until it is ready for cutover.
        lag_start: Replication lag at the start.
        lag_ready: Replication lag once it is ready.
        cutover_seconds: From the processed cutover to the end.
        ends: How the cutover ends, COMPLETE or FAILED.
        error_message: Why it failed (v1.0 shows it).
        expires_after: How long a ready job waits for its cutover.
        fixed: The job's status from its start, where it is over already.
        ready_in_cutover: Whether ``readyForCutover`` stays true in the cutover phase.
        null_lag: Whether a lag that is not there is null rather than missing; clients meet both.
    """

    ready_after: float = 0.0
    lag_start: float = 60.0
    lag_ready: float = 1.0
    cutover_seconds: float = 10.0
    ends: JobStatus = JobStatus.COMPLETE
    error_message: str | None = None
    expires_after: float = EXPIRY
    fixed: JobStatus | None = None
    ready_in_cutover: bool = False
    null_lag: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What had become of a job before the simulator began.

    Args:
        cut_over_at: When its cutover was carried out, in Unix seconds; None: it was not.
        ended: The final status it was seen to have; None: none, so a cutover takes the course of the job's plan.
        error_message: Why it had failed.
    """

    cut_over_at: float | None = None
    ended: JobStatus | None = None
    error_message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """What a read shows. *lag* in whole seconds, None where Atlas does not return it."""

    status: JobStatus
    ready: bool
    lag: int | None


def view(plan: JobPlan, age: float, cutover_age: float | None) -> JobView:
    """The job at *age* seconds after its start, *cutover_age* seconds after its cutover (None: not cut over)."""
    if plan.fixed is not None:
        return JobView(status=plan.fixed, ready=False, lag=None)
    if cutover_age is not None:
        if cutover_age >= plan.cutover_seconds:
            return JobView(status=plan.ends, ready=False, lag=None)
        return JobView(status=JobStatus.WORKING, ready=plan.ready_in_cutover, lag=None)
    if age >= plan.ready_after + plan.expires_after:
        return JobView(status=JobStatus.EXPIRED, ready=False, lag=None)
    if age >= plan.ready_after:
        return JobView(status=JobStatus.WORKING, ready=True, lag=math.ceil(plan.lag_ready))
    if age < plan.ready_after * _NEW_SHARE:
        return JobView(status=JobStatus.NEW, ready=False, lag=None)
    left = 1.0 if plan.ready_after == NEVER else 1 - age / plan.ready_after
    lag = plan.lag_ready + left * max(plan.lag_start - plan.lag_ready, 0.0)
    return JobView(status=JobStatus.WORKING, ready=False, lag=math.ceil(lag))


class Job:
    """One job and the record of what was done to it. Times in simulated seconds, those of the record in real ones."""

    __slots__ = (
        "created_at",
        "cutover_at",
        "first_final_read",
        "group_id",
        "live_migration_id",
        "name",
        "plan",
        "put_times",
        "puts_processed",
        "puts_refused",
        "reads",
    )

    def __init__(
        self, *, name: str | None, group_id: str, live_migration_id: str, plan: JobPlan, created_at: float = 0.0
    ) -> None:
        self.name = name
        self.group_id = group_id
        self.live_migration_id = live_migration_id
        self.plan = plan
        self.created_at = created_at
        self.cutover_at: float | None = None
        self.puts_processed = 0
        self.puts_refused = 0
        self.put_times: list[float] = []
        self.reads = 0
        self.first_final_read: float | None = None

    def view(self, now: float) -> JobView:
        """What a read shows of the job as it is, or was, at simulated time *now*."""
        begun = self.cutover_at is not None and self.cutover_at <= now
        cutover_age = now - self.cutover_at if begun and self.cutover_at is not None else None
        return view(self.plan, max(0.0, now - self.created_at), cutover_age)

    def cutover(self, now: float, *, repeat: bool = False) -> Refusal | None:
        """Process a cutover at simulated time *now*; None when it was accepted.

        Args:
            now: Simulated seconds.
            repeat: Accept and count a cutover that comes again, instead of refusing it; the first one's course stands.
        """
        if self.cutover_at is None:
            seen = self.view(now)
            if seen.status in FINAL:
                self.puts_refused += 1
                return Refusal.OVER
            if not seen.ready:
                self.puts_refused += 1
                return Refusal.NOT_READY
            self.cutover_at = now
        elif not repeat:
            self.puts_refused += 1
            return Refusal.OVER if self.view(now).status in FINAL else Refusal.UNDER_WAY
        self.puts_processed += 1
        return None

    def was_cut_over(self, at: float, *, put_at: float) -> None:
        """A cutover was carried out before the simulator began: at simulated time *at*, which is *put_at* in real time."""
        self.cutover_at = at
        self.put_times.append(put_at)
        self.puts_processed += 1

    def final_at(self, now: float) -> float | None:
        """When the job came to its end, in simulated seconds; None while it is under way at *now*."""
        plan = self.plan
        if plan.fixed is not None:
            return self.created_at
        if self.cutover_at is not None:
            end = self.cutover_at + plan.cutover_seconds
        else:
            end = self.created_at + plan.ready_after + plan.expires_after
        return end if end <= now else None
