"""Where a session's requests go: Atlas, or for a rehearsal the built-in simulator."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from ..atlas.client import AtlasClient
from ..atlas.clients import Clients
from ..atlas.connection import ClientSettings
from ..atlas.errors import ApiError, AtlasError, KeysRefusedError
from ..atlas.identity import Identity
from ..core.arguments import expect, number
from ..core.consent import Intention
from ..core.errors import InputError, Problem
from ..core.migration import UNDER_WAY, MigrationState, Phase
from ..core.outcomes import Outcome, RemoteStatus, normalise
from ..core.run import RunState
from ..core.settings import ApiKey, Credentials, Secret, Settings
from ..core.speeds import HIGHEST_SPEED, REHEARSAL_SPEED
from ..core.workflow import Workflow
from ..reports.words import plain
from ..text.counts import names_listed, plural

if TYPE_CHECKING:
    from ..simulator.jobs import Past
    from ..simulator.scenario import Scenario
    from ..simulator.server import RunningSimulator


LEARNING = 10.0
"""Seconds that a run waits at its start for what Atlas says of the limits of its projects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """A run against the built-in simulator.

    *scenario* says what Atlas is like (None: calm), *speed* how fast its time passes. *approves*: it gives each approval by itself.
    *workers*: so many processes work on it, where that is at Temporal.
    """

    scenario: Scenario | None = None
    speed: float = REHEARSAL_SPEED
    approves: bool = False
    workers: int = 1


def rehearsal_given(rehearsal: Rehearsal | None) -> Rehearsal:
    """*rehearsal*; None: a calm one.

    Raises:
        InputError: It is something else, or time does not pass in it.
    """
    found = Rehearsal() if rehearsal is None else expect("rehearsal", rehearsal, Rehearsal)
    number("rehearsal.speed", found.speed, over=0, most=HIGHEST_SPEED)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where requests go (*settings*), and with which credentials, by the names of their *sets* (None: they are not there, and are not needed). *simulator*: the one that is there for a rehearsal."""

    settings: ClientSettings
    sets: Mapping[str | None, Credentials | None]
    simulator: RunningSimulator | None = None

    @property
    def base_url(self) -> str:
        """Where the API is."""
        return self.settings.base_url


def sets_of(workflow: Workflow) -> list[str | None]:
    """The names of the sets of credentials that *workflow* names, in its order; None is that of `atlas`."""
    return list(dict.fromkeys(migration.credentials for _, migration in workflow.migrations()))


def atlas_target(
    workflow: Workflow,
    settings: Settings,
    needed: Collection[str | None] | None = None,
    *,
    one_will_do: bool = False,
) -> Target:
    """Atlas, with the credentials that *workflow* names. *needed*: the sets that have to be there (None: all), or where *one_will_do* one of them.

    Raises:
        InputError: Some of them are not; all that is missing is told.
    """
    found: dict[str | None, Credentials | None] = {}
    problems: list[Problem] = []
    for name in sets_of(workflow):
        known = settings.credential_set(name)
        found[name] = known.credentials
        if known.credentials is not None or not (needed is None or name in needed):
            continue
        if known.problems:
            problems += known.problems
        else:
            what = (
                "there are no credentials for Atlas" if name is None else "the config has no credentials of this name"
            )
            problems.append(
                Problem(file="config", line=0, key="atlas" if name is None else f"credentials.{name}", message=what)
            )
    there = one_will_do and any(found[name] is not None for name in (found if needed is None else needed))
    if problems and not there:
        raise InputError(problems=sorted(set(problems)))
    return Target(settings=client_settings(settings, settings.atlas.base_url, next(iter(found.values()))), sets=found)


def refuse_missing(intention: Intention, settings: Settings) -> None:
    """Tell at once what credentials lack for *intention*, before anybody is asked about it.

    Raises:
        InputError: Some of them are not there.
    """
    follows = (*intention.repeats, *intention.elsewhere, *intention.follows)
    names = follows or intention.starts
    needed = {migration.credentials for _, migration in intention.workflow.migrations() if migration.name in names}
    atlas_target(intention.workflow, settings, needed, one_will_do=bool(follows))


@asynccontextmanager
async def open_target(
    workflow: Workflow,
    settings: Settings,
    rehearsal: Rehearsal | None,
    *,
    so_far: RunState,
    needed: Collection[str | None] | None = None,
    one_will_do: bool = False,
    wall: Callable[[], float],
) -> AsyncIterator[Target]:
    """Where the requests go: Atlas, or for a *rehearsal* a simulator that lives as long as this context.

    The simulator begins where the run that it is for has brought its jobs *so_far*. *needed* and *one_will_do*: as for `atlas_target`.
    """
    if rehearsal is None:
        yield atlas_target(workflow, settings, needed, one_will_do=one_will_do)
        return
    from ..simulator.scenario import Scenario
    from ..simulator.server import Simulator

    keys = (secrets.token_hex(4), secrets.token_hex(16))
    scenario = rehearsal.scenario or Scenario()
    simulator = Simulator(
        workflow=workflow,
        keys=keys,
        scenario=scenario,
        speed=rehearsal.speed,
        past={name: _past(state) for name, state in so_far.migrations.items()},
        wall_clock=wall,
    )
    async with simulator.serve() as running:
        key = ApiKey(public_key=Secret(keys[0]), private_key=Secret(keys[1]))
        yield Target(
            settings=client_settings(settings, running.base_url(settings.atlas.api), key),
            sets=dict.fromkeys(sets_of(workflow), key),
            simulator=running,
        )


def _past(state: MigrationState) -> Past:
    """What had become of the job of a migration of which *state* is known, before the session that begins now.

    A PUT whose answer was lost counts as carried out: the simulator that knew better is gone.
    """
    from ..simulator.jobs import JobStatus, Past

    if state.phase in UNDER_WAY or state.outcome in (Outcome.IN_DOUBT, Outcome.TIMED_OUT):
        return Past(cut_over_at=state.requested_at)
    meaning = normalise(state.remote_status)
    if state.phase is not Phase.FINISHED or meaning is RemoteStatus.PENDING:  # no PUT, or one that came to nothing
        return Past()
    if meaning is RemoteStatus.SUCCESS:
        return Past(cut_over_at=state.requested_at, ended=JobStatus.COMPLETE)
    ended = JobStatus.EXPIRED if state.remote_status == JobStatus.EXPIRED else JobStatus.FAILED
    return Past(cut_over_at=state.requested_at, ended=ended, error_message=state.error_message)


def client_settings(settings: Settings, base_url: str, credentials: Credentials | None) -> ClientSettings:
    """What a client needs to know, from the settings and the credentials to use."""
    limit = settings.rate_limit
    return ClientSettings(
        base_url=base_url,
        credentials=credentials,
        request_timeout=settings.atlas.request_timeout,
        ca_file=settings.atlas.ca_file,
        requests=limit.requests,
        per=limit.per,
        burst=limit.burst,
        scope=limit.scope,
        read_interval=settings.polling.initial,
        redactor=settings.redactor,
    )


async def learn_limits(clients: Clients, workflow: Workflow) -> None:
    """Ask for the limits of each of *workflow*'s projects, all at once, for a few seconds at most."""
    asked = {migration.group_id: migration.credentials for _, migration in workflow.migrations()}
    with anyio.move_on_after(LEARNING):
        async with anyio.create_task_group() as group:
            for group_id, credentials in asked.items():
                group.start_soon(clients.of(credentials).learn_limits, group_id)


Prove = Callable[[str | None, Callable[[], Awaitable[object]]], Awaitable[None]]
"""Waits until the set of credentials of that name is proved good: by the given call, or by something else that proves it."""


async def reach_atlas(
    clients: Clients,
    base_url: str,
    *,
    needed: Collection[str | None] | None = None,
    one_will_do: bool = False,
    so_far: RunState | None = None,
    prove: Prove | None = None,
) -> None:
    """See before anything else that Atlas answers at *base_url* and takes the keys of every set, all of them asked at once.

    *needed*: the sets that are asked (None: all); *one_will_do*: nothing is raised where one of them is good. *so_far*: what is known of the run that is to be worked on, if any. *prove*: what else
    proves them (None: nothing).

    Raises:
        AtlasError: It does not; a note of the error says what became of the cutovers, and what to look at. Of several sets,
            it is the first one's.
    """
    names = clients.all() if needed is None else needed
    asked = await _reach_each(clients, names, base_url, so_far, _by_asking if prove is None else prove)
    failures = [failure for failure in asked.values() if failure is not None]
    if failures and not (one_will_do and len(failures) < len(asked)):
        raise failures[0]


async def who_asks(clients: Clients, base_url: str) -> dict[str | None, Identity | AtlasError]:
    """Who Atlas at *base_url* says is asking with each set, or why that is not known; a note of the error says what to look at."""
    told: dict[str | None, Identity] = {}

    async def prove(name: str | None, _: Callable[[], Awaitable[object]]) -> None:
        told[name] = await clients.of(name).check_access()

    asked = await _reach_each(clients, clients.all(), base_url, None, prove)
    return {name: told[name] if failure is None else failure for name, failure in asked.items()}


async def _by_asking(_: str | None, check: Callable[[], Awaitable[object]]) -> None:
    await check()


async def _reach_each(
    clients: Clients, names: Collection[str | None], base_url: str, so_far: RunState | None, prove: Prove
) -> dict[str | None, AtlasError | None]:
    """What went wrong with each set of *names*, if anything, all of them asked at once."""
    failures: dict[str | None, AtlasError] = {}

    async def reach(name: str | None) -> None:
        try:
            await _reach(clients.of(name), name, base_url, so_far, prove)
        except AtlasError as error:
            failures[name] = error

    async with anyio.create_task_group() as group:
        for name in names:
            group.start_soon(reach, name)
    return {name: failures.get(name) for name in names}


async def _reach(client: AtlasClient, name: str | None, base_url: str, so_far: RunState | None, prove: Prove) -> None:
    called = "" if name is None else f" {name!r}"
    try:
        await prove(name, client.check_access)
    except ApiError as error:
        if isinstance(error, KeysRefusedError):
            error.add_note(
                f"Atlas at {base_url} gives no access token for the service account{called}; {_left(so_far)}. Check that id and "
                "secret belong together, and that the secret has not ended (`atlas-cutover auth --online`)"
            )
        elif error.status in (401, 403) and client.asks_with_token:
            error.add_note(
                f"Atlas at {base_url} refuses the service account{called}; {_left(so_far)}. Check that its access list has "
                "this machine's address"
            )
        elif error.status in (401, 403):
            error.add_note(
                f"Atlas at {base_url} refuses the API keys{called}; {_left(so_far)}. Check that both belong together, and "
                "that the key's access list has this machine's address"
            )
        raise
    except AtlasError as error:
        error.add_note(
            f"Atlas was not reached at {base_url}; {_left(so_far)}. Check atlas.base_url, network and proxy, "
            "then start again"
        )
        raise


def _left(so_far: RunState | None) -> str:
    """What a session that could not begin leaves of the cutovers of the run in the state *so_far*."""
    states = {} if so_far is None else so_far.migrations
    unseen = [name for name, m in states.items() if m.phase in UNDER_WAY or m.outcome is Outcome.IN_DOUBT]
    if so_far is None or not unseen:
        return "nothing was cut over"
    count = plural(len(unseen), "cutover")
    return (
        f"this session has sent no cutover, but {count} of run {so_far.run_id} may be under way there, seen by nobody "
        f"({names_listed([plain(name) for name in unseen])})"
    )
