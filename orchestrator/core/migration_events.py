"""What happens to one migration: its gate, its PUT, what is read of its job, its end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from .event import MigrationEvent
from .outcomes import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class GateWaiting(MigrationEvent):
    """The gate is closed: the job is not ready, lags too much, or could not be read (*note*).

    *lag_gone*: when it was read last, it lacked its lag, as during a cutover. *unread*: it could not be read for too long to say who is in charge.
    """

    name: ClassVar[str] = "gate_waiting"
    status: str | None
    ready: bool | None
    lag: float | None
    max_lag: float | None
    note: str | None = None
    lag_gone: bool = False
    unread: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GateOpened(MigrationEvent):
    """The job was read and its cutover may be requested."""

    name: ClassVar[str] = "gate_opened"
    status: str | None
    ready: bool | None
    lag: float | None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CutoverAdmitted(MigrationEvent):
    """The migration has one of its wave's slots (`concurrency`): its `before` hooks and its PUT come next."""

    name: ClassVar[str] = "cutover_admitted"
    journaled: ClassVar[bool] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CutoverRequested(MigrationEvent):
    """The PUT is about to leave. On disk before it does."""

    name: ClassVar[str] = "cutover_requested"


class Evidence(StrEnum):
    """What shows that Atlas has accepted a PUT."""

    ANSWER = "answer"
    JOB = "job"


@dataclass(frozen=True, slots=True, kw_only=True)
class CutoverAccepted(MigrationEvent):
    """Atlas accepted the PUT: by its answer (*http_status*), or, the answer lost, by what the job shows (*evidence*)."""

    name: ClassVar[str] = "cutover_accepted"
    http_status: int | None
    status: str | None
    evidence: Evidence = Evidence.ANSWER


@dataclass(frozen=True, slots=True, kw_only=True)
class CutoverInDoubt(MigrationEvent):
    """The PUT may or may not have been carried out: the job is read until it shows which.

    *elsewhere*: the address that it was sent to, where that is another server than the one that is read.
    """

    name: ClassVar[str] = "cutover_in_doubt"
    reason: str
    settle: float
    elsewhere: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutoverRefused(MigrationEvent):
    """Atlas answered the PUT with a 4xx. Before that counts, the job is read: something on the way may have sent it twice.

    *settle*: as with a doubt, where the 4xx is a 409 or there was a doubt before.
    """

    name: ClassVar[str] = "cutover_refused"
    http_status: int | None
    reason: str
    settle: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CutoverNotBegun(MigrationEvent):
    """There is evidence that the last PUT was not carried out, so another is allowed.

    *http_status*: of the answer that says so (None: the job does, or there was no answer). Not *sent*: it never left.
    """

    name: ClassVar[str] = "cutover_not_begun"
    reason: str
    sent: bool = True
    http_status: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusPolled(MigrationEvent):
    """One read of the job; *error* where it gave nothing. In the log at debug, never in the journal.

    *took*: seconds from the request to its answer, which is as old as that.
    """

    name: ClassVar[str] = "status_polled"
    journaled: ClassVar[bool] = False
    status: str | None = None
    ready: bool | None = None
    lag: float | None = None
    error: str | None = None
    took: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChanged(MigrationEvent):
    """The job's status word is another than before, or a look at it has shown that a cutover may have begun (*lag_gone*), or not, or nothing at all.

    *lag_gone* None: that follows from the rest. *unread*: the look has shown nothing.
    """

    name: ClassVar[str] = "status_changed"
    status: str | None
    previous: str | None
    lag: float | None = None
    lag_gone: bool | None = None
    unread: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationStarted(MigrationEvent):
    """Atlas says that the cutover is complete (*status*), and the migration's `verify` hooks have to prove it good."""

    name: ClassVar[str] = "verification_started"
    status: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationSkipped(MigrationEvent):
    """*who* does not want it to be started any more, for *reason*."""

    name: ClassVar[str] = "migration_skipped"
    who: str
    reason: str = ""
    between_sessions: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationRetried(MigrationEvent):
    """*who* wants it taken up again, for *reason*: skipped, FAILED without a PUT, or UNVERIFIED (which is verified again)."""

    name: ClassVar[str] = "migration_retried"
    who: str
    reason: str = ""
    between_sessions: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GateChanged(MigrationEvent):
    """*who* gave it another gate, for *reason*: *max_lag* and *timeout* in seconds, both None: none."""

    name: ClassVar[str] = "gate_changed"
    max_lag: float | None
    timeout: float | None
    who: str
    reason: str = ""
    between_sessions: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationFinished(MigrationEvent):
    """The migration has its outcome. *polls*: how often its job was read, in all sessions.

    *lag_gone*: a cutover of somebody else's may have begun, by what was read at the end; None: a version has recorded it that did not say so.
    *unread*: the read before its end gave nothing, so nobody knows.
    """

    name: ClassVar[str] = "migration_finished"
    outcome: Outcome
    status: str | None
    error_message: str | None = None
    polls: int = 0
    lag_gone: bool | None = None
    unread: bool = False
