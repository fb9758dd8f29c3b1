"""The simulated Atlas as one request handler: limit, credentials, form, faults, and then the job itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import anyio
from aiohttp import web

from ..text.hosts import is_loopback
from .answers import CHALLENGE_CONTENT_TYPE, ID, JSON, METHODS, Call, document, error, plain, read_call, refusal_of_form
from .bucket import Buckets
from .clock import Clock
from .digest import CredentialVerdict, DigestGuard, parse_credentials
from .documents import (
    api_error,
    bare_live_migration,
    encode,
    live_migration,
    older_live_migration,
    rate_limited,
    rate_limits,
    system_status,
)
from .faults import FaultPicker
from .jobs import FINAL, Job, Refusal
from .mishaps import Stage, drop
from .organisations import Organisations
from .record import Tally, build_record
from .scenario import Api, Documents, FaultKind, Kind, Scenario
from .tokens import TokenDesk

_OAUTH = frozenset({Kind.TOKEN, Kind.REVOKE})
RECORD_PATH = "/__simulator__/record"
_REFUSALS = {
    Refusal.NOT_READY: "The live migration is not ready for cutover.",
    Refusal.UNDER_WAY: "The cutover of the live migration has already been started.",
    Refusal.OVER: "The live migration is over.",
}
_SHAPES = {
    Documents.FULL: live_migration,
    Documents.OLDER: older_live_migration,
    Documents.BARE: bare_live_migration,
}
_OWNER = "ORG_OWNER"
_UNAUTHORIZED = "You are not authorized for this resource."


class App:
    """Answers requests of both APIs, and of the record of what it did.

    Args:
        organisations: Who may ask for what.
        scenario: What this Atlas is like.
        jobs: The jobs that exist from the start.
        clock: Simulated and real time.
        closing: Set when the simulator stops.
        wall_clock: Unix seconds, for the record alone.
    """

    def __init__(
        self,
        *,
        organisations: Organisations,
        scenario: Scenario,
        jobs: Iterable[Job],
        clock: Clock,
        closing: anyio.Event,
        wall_clock: Callable[[], float],
    ) -> None:
        self._organisations = organisations
        self._scenario = scenario
        self._jobs = {job.live_migration_id: job for job in jobs}
        self._clock = clock
        self._started_at = wall_clock()
        self._limits = {api: scenario.limit(api) for api in Api}
        self._buckets = Buckets()
        self._guard = DigestGuard(keys=organisations.keys, rules=scenario.nonce, now=clock.real)
        self.tokens = TokenDesk(organisations.accounts, scenario.tokens, now=clock.real)
        self._picker = FaultPicker(scenario)
        self._stage = Stage(closing)
        self._tally = Tally()
        self._asked: Counter[tuple[Kind, str]] = Counter()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer to *request*; the connection may be gone by then."""
        call = read_call(request)
        if call.path == RECORD_PATH:
            return self._record_answer(request)
        self._tally.kinds[call.kind] += 1
        if call.kind in _OAUTH:
            call.form = await request.post()
        rest = self._latency_of(call)
        answer: web.Response | None = self._turned_away(call)
        if answer is None:
            rest /= 2
            answer = await self._answered(call, rest)
        if not await self._passes(rest) or answer is None:
            self._tally.statuses["dropped"] += 1
            drop(call)
            return web.Response()
        self._tally.statuses[str(answer.status)] += 1
        if call.job is not None and call.shows_end and call.job.first_final_read is None:
            call.job.first_final_read = self._clock.real()
        return answer

    def record(self) -> dict[str, Any]:
        """What happened so far (docs/simulator.md)."""
        return build_record(
            jobs=self._jobs.values(),
            tokens=self.tokens,
            tally=self._tally,
            injected=self._picker.injected,
            clock=self._clock,
            started_at=self._started_at,
        )

    def _latency_of(self, call: Call) -> float:
        """The real seconds that the answer to *call* takes."""
        latency = self._scenario.latency
        if latency is None:
            return 0.0
        who = call.kind, call.live_migration_id
        self._asked[who] += 1
        return latency.draw(self._scenario.seed, *who, self._asked[who])

    async def _passes(self, seconds: float) -> bool:
        """Wait *seconds*, real ones; False when the simulator stops before they are over."""
        return not seconds or await self._stage.hold(seconds)

    def _turned_away(self, call: Call) -> web.Response | None:
        """The answer to a *call* that never gets as far as a job. A 401 takes no token, as recorded at Atlas; others do."""
        if call.kind in _OAUTH and call.method == METHODS[call.kind]:
            return None  # who asks there is looked at with what they ask for
        return self._unauthorized(call) or self._over_limit(call) or refusal_of_form(call) or self._missing(call)

    def _over_limit(self, call: Call) -> web.Response | None:
        limit = self._limits[call.api]
        if limit is None:
            return None
        now = self._clock.real()
        project = call.group_id if ID.fullmatch(call.group_id) else ""
        bucket = self._buckets.of(f"{call.api}:{project}", limit, now)
        admitted = bucket.take(now)
        if limit.headers:
            call.headers = {
                "RateLimit-Limit": str(limit.capacity),
                "RateLimit-Remaining": str(bucket.remaining),
            }
        if admitted:
            return None
        self._tally.limited += 1
        wait = bucket.retry_after(now)
        content = rate_limited(call.path.lstrip("/"), limit, wait)
        return plain(call, 429, content, Retry_After=str(wait))

    def _unauthorized(self, call: Call) -> web.Response | None:
        if not self._scenario.auth:
            return None
        user, verdict = self._who(call)
        if user is not None and call.group_id and not self._organisations.hosts(user, call.group_id):
            verdict = CredentialVerdict.FOREIGN
        call.user = user or ""
        self._tally.credentials[verdict] += 1
        if verdict is CredentialVerdict.ACCEPTED:
            return None
        return plain(
            call,
            401,
            api_error(401, "UNAUTHORIZED", _UNAUTHORIZED),
            WWW_Authenticate=self._guard.challenge(stale=verdict is CredentialVerdict.STALE),
            Content_Type=CHALLENGE_CONTENT_TYPE[call.api],
        )

    def _who(self, call: Call) -> tuple[str | None, CredentialVerdict]:
        """Whose credentials *call* has (None: nobody's), and what is to be said of them."""
        authorization = call.request.headers.get("Authorization")
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() == "bearer":
            user = self.tokens.holder(token)
            return user, CredentialVerdict.UNKNOWN_BEARER if user is None else CredentialVerdict.ACCEPTED
        verdict = self._guard.check(method=call.method, target=call.target, authorization=authorization)
        given = parse_credentials(authorization or "") or {}
        return (given["username"] if verdict is CredentialVerdict.ACCEPTED else None), verdict

    async def _answered(self, call: Call, delay: float) -> web.Response | None:
        """The answer to a well-formed *call*, carried out after *delay* real seconds, faults included; None: it is lost."""
        job = call.job
        if job is not None and call.kind is Kind.CUTOVER:
            job.put_times.append(self._clock.real())
        elif job is not None:
            job.reads += 1
        name = None if job is None else job.name
        fault = self._picker.pick(call.kind, call.live_migration_id, name, self._clock.real())
        if not await self._passes(delay):
            return None
        if fault is None or fault.kind is FaultKind.STALE:
            return self._processed(call, True, age=fault.age if fault else 0.0)
        garbage = self._picker.garbage(fault, call.kind, call.live_migration_id)
        limit = self._limits[call.api]
        return await self._stage.play(call, fault, garbage, limit, lambda shown: self._processed(call, shown))

    def _missing(self, call: Call) -> web.Response | None:
        """The answer to a *call* for a job that is not there; None where it is, or none is asked for."""
        if call.kind in (Kind.ROOT, Kind.LIMITS):
            return None
        call.job = self._job(call)
        if call.job is not None:
            return None
        detail = f"No live migration with ID {call.live_migration_id} exists in group {call.group_id}."
        return error(call, 404, "LIVE_MIGRATION_NOT_FOUND", detail)

    def _job(self, call: Call) -> Job | None:
        job = self._jobs.get(call.live_migration_id)
        if job is None and self._scenario.unknown_jobs:
            job = self._jobs[call.live_migration_id] = Job(
                name=None,
                group_id=call.group_id,
                live_migration_id=call.live_migration_id,
                plan=self._scenario.plan(call.live_migration_id),
                created_at=self._clock.now(),
            )
        return job if job is not None and job.group_id == call.group_id else None

    def _processed(self, call: Call, shown: bool, *, age: float = 0.0) -> web.Response:
        """Carry *call* out. *shown*: the client gets to see the answer as it is; a read shows the job as of *age* seconds ago."""
        job = call.job
        if call.kind in _OAUTH:
            return self._token_answer(call)
        if call.kind is Kind.LIMITS:
            return self._limits_answer(call)
        if job is None:
            return document(call, 200, system_status(call.user, self._role(call)))
        now = self._clock.now()
        if call.kind is Kind.CUTOVER and self._role(call) != _OWNER:
            return error(call, 403, "USER_UNAUTHORIZED", _UNAUTHORIZED)
        if call.kind is Kind.CUTOVER:
            refusal = job.cutover(now, repeat=self._scenario.repeat_puts)
            if refusal is not None:
                return error(call, 409, refusal.value, _REFUSALS[refusal])
            if call.api is Api.V2 or self._scenario.documents is Documents.FULL:
                return document(call, 202, None)
        seen = job.view(now - age * self._clock.speed)
        if shown and seen.status in FINAL:
            call.shows_end = True
        return document(call, 200, _SHAPES[self._scenario.documents](job, seen))

    def _limits_answer(self, call: Call) -> web.Response:
        if call.user and not self._organisations.hosts(call.user, call.group_id):
            return error(call, 401, "UNAUTHORIZED", _UNAUTHORIZED)
        limit = self._limits[Api.V2]
        return document(
            call, 200, {"links": [], "results": [], "totalCount": 0} if limit is None else rate_limits(limit)
        )

    def _role(self, call: Call) -> str:
        organisation = self._organisations.of(call.user)
        return _OWNER if organisation is None else organisation.role

    def _token_answer(self, call: Call) -> web.Response:
        answer = (self.tokens.issue if call.kind is Kind.TOKEN else self.tokens.revoke)(call.request.headers, call.form)
        if answer.document is None:
            return web.Response(status=answer.status)
        return web.Response(
            status=answer.status,
            body=encode(answer.document, pretty=False),
            headers={"Content-Type": JSON, **answer.headers},
        )

    def _record_answer(self, request: web.BaseRequest) -> web.Response:
        headers = {"Content-Type": JSON}
        if request.remote is None or not is_loopback(request.remote):
            return web.Response(status=403, headers=headers, body=encode(api_error(403, "FORBIDDEN", ""), pretty=False))
        return web.Response(headers=headers, body=encode(self.record(), pretty=False))
