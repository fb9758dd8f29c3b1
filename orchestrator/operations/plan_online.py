"""`plan --online`: what a run would do, and whether Atlas would let it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from http import HTTPStatus

import anyio

from ..atlas.clients import Clients, open_clients
from ..atlas.errors import ApiError, AtlasError, KeysRefusedError
from ..atlas.identity import Identity
from ..atlas.refused_keys import KEYS_REFUSED
from ..atlas.shares import Priority
from ..atlas.wire import Job
from ..core.arguments import moment
from ..core.errors import JournalError
from ..core.evidence import at_gate, lag_is_gone
from ..core.outcomes import ExitCode, RemoteStatus, normalise
from ..core.seen import Seen, SeenJobs
from ..core.settings import Settings
from ..core.workflow import Migration, Workflow
from ..store.journal import journal_in, open_journal
from ..text.counts import names_listed
from ..text.durations import rough_duration
from .find import settings_or_usual, workflow_given
from .plan import Plan, plan
from .target import atlas_target, who_asks

NO_ROLE = "without the role Organization Owner"
NOT_READ = "not read this time"
LAG_GONE = "without the lag it had before, as during a cutover"
LACKS = ("not found", "not readable", NO_ROLE, "failed or expired", LAG_GONE, NOT_READ, "not ready", "cut over already")
"""Why a job could not be cut over now, the worst first."""

_ELSEWHERE = (
    " (Atlas takes these credentials, but not here: another organisation hosts the project, or their role in it is too small; "
    "`credentials:` in the workflow names others)"
)


class Verdict(StrEnum):
    """Whether a job could be cut over now."""

    READY = "ready"
    WAITING = "waiting"  # it is not ready yet, its lag is too large for its gate, or there was no answer that tells
    FINISHED = "finished"  # it has been cut over
    MISSING = "missing"  # Atlas knows no such job
    REFUSED = "refused"  # Atlas refuses to show it (a 4xx, the credentials), or would refuse its cutover
    FAILED = "failed"  # or expired


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """A job as Atlas shows it: *text* in words; *lacks* (one of `LACKS`) says why it could not be cut over now.

    *status*, *ready*, *lag* (seconds) are Atlas's, *error* what came in their place or stands in the way. WAITING without a
    status: the job could not be read, which says nothing of it.
    """

    verdict: Verdict
    text: str
    lacks: str | None = None
    status: str | None = None
    ready: bool | None = None
    lag: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlinePlan:
    """The *plan*, and the *jobs* as they are at Atlas, by the names of their migrations."""

    plan: Plan
    jobs: Mapping[str, JobState]

    @property
    def exit_code(self) -> ExitCode:
        """What `plan --online` ends with: all could be cut over now, some are not ready yet, or one cannot be."""
        verdicts = {job.verdict for job in self.jobs.values()}
        if verdicts - {Verdict.READY, Verdict.WAITING}:
            return ExitCode.FAILED
        return ExitCode.INCOMPLETE if Verdict.WAITING in verdicts else ExitCode.SUCCESS


async def plan_online(workflow: Workflow, settings: Settings | None = None, *, now: float | None = None) -> OnlinePlan:
    """As `plan`; each job is read once, and the root resource with each set of credentials; nothing else is sent.

    The journal remembers what the jobs show, so that it is known later when each was first seen ready, and whether one that has no lag had one before.

    Args:
        workflow: What is to be cut over.
        settings: Where, how fast, and with which keys; None: what environment and defaults say.
        now: Unix seconds; it tells which opening of a recurring window is next. None: now.

    Raises:
        InputError: There are not all credentials that *workflow* needs, or it is no workflow.
        AtlasError: Atlas is not reachable or refuses all of them. Where it refuses some, the plan's notes say so, and the jobs of the others
            are read.
    """
    workflow_given(workflow)
    settings = settings_or_usual(settings)
    now = time.time() if now is None else moment("now", now)
    jobs, refused = await _read_jobs(workflow, settings, _seen(settings))
    unwritten = _remember(workflow, settings, jobs, at=now)
    planned = plan(workflow, settings, now=now)
    waiting = {name for name, job in jobs.items() if job.verdict in (Verdict.READY, Verdict.WAITING)}
    return OnlinePlan(
        plan=replace(
            planned,
            expiring=tuple(each for each in planned.expiring if each.migration in waiting),
            notes=(*refused, *planned.notes, *unwritten),
        ),
        jobs=jobs,
    )


def _remember(workflow: Workflow, settings: Settings, jobs: Mapping[str, JobState], *, at: float) -> Iterable[str]:
    """Remember what *jobs* show; what keeps us from it is said, and keeps nobody from the plan."""
    shown = {
        (m.group_id, m.live_migration_id): jobs[m.name]
        for _, m in workflow.migrations()
        if jobs[m.name].status is not None
    }
    try:
        if any(job.ready or job.lag is not None for job in shown.values()) or journal_in(settings.state_dir):
            with open_journal(settings.state_dir) as journal:
                journal.shown(shown, base_url=settings.atlas.base_url, at=at)
    except JournalError as error:
        return (f"what jobs show (that they are ready, their lag) could not be remembered: {error}",)
    return ()


def _seen(settings: Settings) -> SeenJobs:
    """What is remembered of jobs; nothing where that cannot be read, which is said when it is to be written."""
    with suppress(JournalError):
        if journal_in(settings.state_dir):
            with open_journal(settings.state_dir) as journal:
                return journal.seen_jobs()
    return {}


async def _read_jobs(
    workflow: Workflow, settings: Settings, seen: SeenJobs
) -> tuple[dict[str, JobState], tuple[str, ...]]:
    """The jobs by the names of their migrations, and what is to be said of sets of credentials with which none could be read.

    Raises:
        AtlasError: With no set at all.
    """
    target = atlas_target(workflow, settings)
    states: dict[str, JobState] = {}

    async with open_clients(target.settings, target.sets, wall=time.time) as clients:
        told = await who_asks(clients, target.base_url)
        failures = {name: said for name, said in told.items() if isinstance(said, AtlasError)}
        if len(failures) == len(told):
            raise next(iter(failures.values()))

        async def read(migration: Migration) -> None:
            said = told[migration.credentials]
            if isinstance(said, AtlasError):
                states[migration.name] = _not_asked(migration.credentials, said)
            else:
                before = seen.get((migration.group_id, migration.live_migration_id), Seen())
                states[migration.name] = _with_role(await _read(clients, migration, before), said)

        async with anyio.create_task_group() as group:
            for _, migration in workflow.migrations():
                group.start_soon(read, migration)
    notes = ((name, (error.message, *getattr(error, "__notes__", ()))) for name, error in failures.items())
    return states, tuple(f"{_called(name)}: {'. '.join(said)}" for name, said in notes)


def _called(name: str | None) -> str:
    return "credentials of atlas" if name is None else f"credentials {name!r}"


def _not_asked(name: str | None, error: AtlasError) -> JobState:
    """A job that was not read, as nothing can be read with the set *name*."""
    if isinstance(error, ApiError) and error.status in KEYS_REFUSED:
        text = f"{_called(name)} are refused"
        return JobState(verdict=Verdict.REFUSED, text=text, lacks="not readable", error=f"{text}: {error.message}")
    return _not_read(f"{_called(name)}: {error.message}", error)


def _with_role(state: JobState, who: Identity) -> JobState:
    """*state*, unless *who* asks lacks the role without which Atlas would refuse the cutover, by what it tells."""
    if not who.lacks_owner or state.verdict not in (Verdict.READY, Verdict.WAITING):
        return state
    roles = names_listed([role.name for role in who.roles or ()])
    return replace(
        state,
        verdict=Verdict.REFUSED,
        text=f"{state.text}, but {NO_ROLE}",
        lacks=NO_ROLE,
        error=f"the API key lacks the role Organization Owner (it has: {roles})",
    )


async def _read(clients: Clients, migration: Migration, seen: Seen) -> JobState:
    client = clients.of(migration.credentials)
    try:
        job = await client.job(migration.group_id, migration.live_migration_id, priority=Priority.START)
    except ApiError as error:
        text = f"{error.status} {error.error_code or ''}".strip()
        if error.status == HTTPStatus.NOT_FOUND:
            return JobState(verdict=Verdict.MISSING, text=text, lacks="not found", error=error.message)
        if error.lasting or error.status in KEYS_REFUSED:
            why = error.message + (
                _ELSEWHERE if isinstance(error, KeysRefusedError) and error.everywhere is False else ""
            )
            return JobState(verdict=Verdict.REFUSED, text=text, lacks="not readable", error=why)
        return _not_read(text, error)
    except AtlasError as error:
        return _not_read(error.message, error)
    return _job_state(job, migration, seen)


def _not_read(text: str, error: AtlasError) -> JobState:
    """A job of which *error* says nothing: a run would wait at its gate, and read it again."""
    return JobState(verdict=Verdict.WAITING, text=f"{NOT_READ}: {text}", lacks=NOT_READ, error=error.message)


def _job_state(job: Job, migration: Migration, seen: Seen) -> JobState:
    lag = "" if job.lag is None else f", lag {rough_duration(job.lag)}"

    def state(verdict: Verdict, text: str, lacks: str | None = None) -> JobState:
        return JobState(
            verdict=verdict,
            text=text,
            lacks=lacks,
            status=job.status,
            ready=job.ready,
            lag=job.lag,
            error=job.error_message,
        )

    match normalise(job.status):
        case RemoteStatus.SUCCESS:
            return state(Verdict.FINISHED, f"{job.status}{lag}", "cut over already")
        case RemoteStatus.FAILED:
            return state(Verdict.FAILED, f"{job.status}{lag}", "failed or expired")
    ready = {True: ", ready", False: ", not ready", None: ""}[job.ready]
    gone = lag_is_gone(job, reported_lag=seen.reported_lag)
    text = f"{job.status}{ready}{', its lag is gone' if gone else lag}"
    if migration.gate is None or at_gate(job, migration.gate, reported_lag=seen.reported_lag).is_open:
        return state(Verdict.READY, text)
    return state(Verdict.WAITING, text, LAG_GONE if gone else "not ready")
