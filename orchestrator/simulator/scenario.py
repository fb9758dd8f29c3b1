"""What a simulated Atlas is like, as facts: its jobs, its limits, and what goes wrong. `scenariofile` reads them.

Times of jobs are simulated seconds; limits, nonces and delays are in real seconds, because they meet the client's own
timeouts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from types import MappingProxyType

from .bucket import V1_LIMIT, V2_LIMIT, RateLimit
from .digest import NonceRules
from .jobs import EXPIRY, JobPlan, JobStatus
from .latency import Latency
from .organisations import Organisation
from .tokens import TokenRules


class Api(StrEnum):
    """The two Administration APIs; the value is the last part of the base URL's path."""

    V2 = "v2"
    V1 = "v1.0"


class Documents(StrEnum):
    """What the documents of jobs look like."""

    FULL = "full"  # as both OpenAPI files have it: status, readyForCutover, lagTimeSeconds
    OLDER = "older"  # PENDING and readyForCutover alone
    BARE = "bare"  # as on the v1.0 page: a status and nothing else


class Kind(StrEnum):
    """What a request asks for."""

    READ = "read"
    CUTOVER = "cutover"
    ROOT = "root"
    TOKEN = "token"  # noqa: S105 - a word of scenario files
    REVOKE = "revoke"
    LIMITS = "limits"
    OTHER = "other"


class FaultKind(StrEnum):
    """What goes wrong with a request."""

    LOST_BEFORE = "lost_before"  # the connection drops, nothing was processed
    LOST_AFTER = "lost_after"  # processed, then the connection drops
    ERROR_BEFORE = "error_before"  # an error status, nothing was processed
    ERROR_AFTER = "error_after"  # processed, then an error status
    STATUS = "status"  # the same as error_before, under the name that suits a read
    TOO_MANY_REQUESTS = "too_many_requests"  # 429, nothing was processed
    GARBAGE = "garbage"  # processed, then an answer that is none
    SLOW = "slow"  # processed at once, answered late
    LATE = "late"  # held, then processed and answered
    HANG_BEFORE = "hang_before"  # held, then the connection drops; nothing was processed
    HANG_AFTER = "hang_after"  # processed, held, then the connection drops
    STALE = "stale"  # a read shows the job as it was some time ago, as a replica does that lags behind


class Garbage(StrEnum):
    """What a garbage answer looks like."""

    INVALID_JSON = "invalid_json"
    TRUNCATED = "truncated"  # half of the document, complete as an HTTP message
    CUT = "cut"  # the connection drops in the middle of the body
    HTML = "html"
    EMPTY = "empty"
    NOT_UTF8 = "not_utf8"
    WRONG_SHAPE = "wrong_shape"  # JSON, but a list
    WRONG_TYPES = "wrong_types"
    UNKNOWN_STATUS = "unknown_status"
    NULL_STATUS = "null_status"
    NULL_LAG = "null_lag"
    ODD_LAG = "odd_lag"


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """From *low* to *high* seconds, both included; one duration where they are equal."""

    low: float
    high: float

    def pick(self, random: Random) -> float:
        """A value of the range. Takes one number from *random* in any case, so that plans do not shift."""
        share = random.random()
        return self.low if self.low == self.high else self.low + share * (self.high - self.low)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRules:
    """How jobs fare unless `Special` says otherwise; simulated seconds. *ends*: COMPLETE or FAILED."""

    ready_after: Range = Range(low=0.0, high=3.0)
    cutover: Range = Range(low=5.0, high=20.0)
    initial_lag: Range = Range(low=60.0, high=60.0)
    ready_lag: Range = Range(low=0.0, high=1.0)
    expires_after: float = EXPIRY
    ends: JobStatus = JobStatus.COMPLETE
    ready_in_cutover: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Special:
    """What is different about one job; None: as `JobRules` says. *status*: over already, from the start."""

    ends: JobStatus | None = None
    error_message: str | None = None
    status: JobStatus | None = None
    ready_after: Range | None = None
    cutover: Range | None = None
    initial_lag: Range | None = None
    ready_lag: Range | None = None
    expires_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong.

    Args:
        on: The kind of request it befalls; None: any.
        kind: What happens.
        share: The probability, 0 to 1.
        times: At most so often for one live migration; None: no limit.
        migration: Only this one, by name or live migration id.
        status: The HTTP status of an error.
        body: What garbage looks like (None: any of them), or `html` for the page of a load balancer with an error.
        delay: Real seconds that an answer is held.
        age: How many real seconds ago the job was as a stale read shows it.
        retry_after: ``Retry-After``, real seconds, with a 429 or an error; None: no such header.
        after: Real seconds since the simulator's start before which nothing happens.
        until: Real seconds since the simulator's start after which nothing happens any more.
    """

    on: Kind | None
    kind: FaultKind
    share: float = 1.0
    times: int | None = None
    migration: str | None = None
    status: int = 500
    body: Garbage | None = None
    delay: float = 0.0
    age: float = 0.0
    retry_after: float | None = None
    after: float = 0.0
    until: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Everything a simulated Atlas needs to know; the same scenario fares the same way each time.

    Args:
        seed: Of all that is random.
        jobs: How jobs fare.
        rate_limit: The bucket of each project; None: what that API has (`limit`).
        unlimited: No rate limit at all.
        nonce: When digest nonces go stale.
        documents: What the documents of jobs look like, on both APIs.
        latency: How long every answer takes, errors and refusals too, real seconds; None: no time.
        special: What is different about single jobs, by name or live migration id.
        faults: The first that applies to a request befalls it.
        unknown_jobs: Create a job for an id that is not in the workflow, when it is first asked for.
        repeat_puts: Process a cutover that comes again (and count it), instead of refusing it.
        auth: Ask for credentials; without, whoever comes is let in (to measure what digest costs).
        tokens: How long access tokens of service accounts live, and how many there may be.
        organisations: Who may ask beside those whom the simulator is started with.
    """

    seed: int = 0
    jobs: JobRules = JobRules()
    rate_limit: RateLimit | None = None
    unlimited: bool = False
    nonce: NonceRules = field(default_factory=NonceRules)
    documents: Documents = Documents.FULL
    latency: Latency | None = None
    special: Mapping[str, Special] = field(default_factory=lambda: MappingProxyType({}))
    faults: tuple[Fault, ...] = ()
    unknown_jobs: bool = False
    repeat_puts: bool = False
    auth: bool = True
    tokens: TokenRules = field(default_factory=TokenRules)
    organisations: tuple[Organisation, ...] = ()

    def limit(self, api: Api) -> RateLimit | None:
        """The rate limit of each project on *api*; None: there is none."""
        if self.unlimited:
            return None
        return self.rate_limit or (V2_LIMIT if api is Api.V2 else V1_LIMIT)

    def plan(self, live_migration_id: str, name: str | None = None) -> JobPlan:
        """What becomes of a job: the same for the same seed and *live_migration_id*, whatever the other jobs are."""
        random = Random(f"{self.seed}:{live_migration_id}")  # noqa: S311 - made-up jobs, no secret
        special = self.special.get(live_migration_id) or self.special.get(name or "") or _NOTHING_SPECIAL
        rules = self.jobs
        ends = special.ends or rules.ends
        fixed = special.status
        failed = JobStatus.FAILED in (ends, fixed)
        return JobPlan(
            ready_after=(special.ready_after or rules.ready_after).pick(random),
            cutover_seconds=(special.cutover or rules.cutover).pick(random),
            lag_start=(special.initial_lag or rules.initial_lag).pick(random),
            lag_ready=(special.ready_lag or rules.ready_lag).pick(random),
            null_lag=random.random() < 0.5,
            ends=ends,
            fixed=fixed,
            error_message=(special.error_message or _FAILED) if failed else None,
            expires_after=rules.expires_after if special.expires_after is None else special.expires_after,
            ready_in_cutover=rules.ready_in_cutover,
        )


_NOTHING_SPECIAL = Special()
_FAILED = "The destination cluster could not be verified after the cutover."
