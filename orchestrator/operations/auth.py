"""`auth`: which credentials there are, where they come from, and what Atlas says of them. Never a secret."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import anyio

from ..atlas.clients import open_client
from ..atlas.errors import ApiError, AtlasError
from ..atlas.identity import Identity
from ..atlas.shares import Priority
from ..core.errors import InputError
from ..core.settings import ApiKey, Credentials, CredentialSet, ServiceAccount, Settings
from ..core.workflow import Migration, Workflow
from .target import client_settings, sets_of

SHOWN = 4  # characters of a public key at most, as in the question before a run


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One set of credentials. *name*: None is that of `atlas`.

    *kind*: `service account` or `API key`. *who*: a client id, or how a public key begins. *source*: where it comes from. *problems*: why it cannot be used. *needed*: by the workflow, if one
    was given.
    """

    name: str | None
    kind: str | None
    who: str | None
    source: str
    problems: tuple[str, ...]
    needed: bool
    org_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectSeen:
    """Whether a project of the workflow can be read; *error* says why not."""

    group_id: str
    readable: bool
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What Atlas says of a set. *error*: it is not taken, or Atlas was not reached. *identity* is what the root resource tells."""

    name: str | None
    identity: Identity = field(default_factory=Identity)
    projects: tuple[ProjectSeen, ...] = ()
    error: str | None = None

    @property
    def usable(self) -> bool:
        """Whether cutovers could be requested with it, by all that is known."""
        return self.error is None and not self.identity.lacks_owner and all(one.readable for one in self.projects)


def find(settings: Settings, workflow: Workflow | None) -> list[Found]:
    """All sets that the config has, and those that *workflow* needs; that of `atlas` first. Nothing is sent."""
    needed = sets_of(workflow) if workflow is not None else []
    names: list[str | None] = [None, *settings.credentials]
    own = settings.atlas.credentials
    if None not in needed and own.credentials is None and (workflow is not None or (names[1:] and not own.given)):
        names.remove(None)  # nobody asks with it
    clean = settings.redactor.text  # a profile's name, a variable's: somebody may have put the secret there
    return [
        _found(name, settings.credential_set(name), needed=name in needed, clean=clean)
        for name in dict.fromkeys((*names, *needed))
    ]


async def look(settings: Settings, workflow: Workflow | None) -> list[Seen]:
    """What Atlas says of each usable set, by GETs alone: the root resource, and one job of each project that *workflow* asks for with it.

    Raises:
        InputError: Nothing can be asked: a proxy variable, say, that cannot be used.
    """
    seen: dict[str | None, Seen] = {}
    mistakes: list[InputError] = []

    async def one(name: str | None, credentials: Credentials) -> None:
        try:
            seen[name] = await _look(settings, name, credentials, _of_each_project(workflow, name))
        except InputError as mistake:  # the same for each of them
            mistakes.append(mistake)

    usable = {found.name: settings.credential_set(found.name).credentials for found in find(settings, workflow)}
    async with anyio.create_task_group() as group:
        for name, credentials in usable.items():
            if credentials is not None:
                group.start_soon(one, name, credentials)
    if mistakes:
        raise mistakes[0]
    return [seen[name] for name in usable if name in seen]


async def _look(
    settings: Settings, name: str | None, credentials: Credentials, migrations: Sequence[Migration]
) -> Seen:
    target = client_settings(settings, settings.atlas.base_url, credentials)
    projects: dict[str, ProjectSeen] = {}
    try:
        async with open_client(target, wall=time.time) as client:
            who = await client.check_access()

            async def read(migration: Migration) -> None:
                group_id, error = migration.group_id, None
                try:
                    await client.job(group_id, migration.live_migration_id, priority=Priority.START)
                except ApiError as failed:
                    if failed.status != 404 or failed.error_code == "GROUP_NOT_FOUND":
                        error = str(failed)
                except AtlasError as failed:
                    error = str(failed)
                projects[group_id] = ProjectSeen(group_id=group_id, readable=error is None, error=error)

            async with anyio.create_task_group() as group:
                for migration in migrations:
                    group.start_soon(read, migration)
    except AtlasError as failed:
        return Seen(name=name, error=str(failed))
    return Seen(name=name, identity=who, projects=tuple(projects[m.group_id] for m in migrations))


def _of_each_project(workflow: Workflow | None, name: str | None) -> list[Migration]:
    """The first migration of each project that is asked for with the set *name*."""
    first: dict[str, Migration] = {}
    for _, migration in workflow.migrations() if workflow is not None else ():
        if migration.credentials == name:
            first.setdefault(migration.group_id, migration)
    return list(first.values())


def _found(name: str | None, one: CredentialSet, *, needed: bool, clean: Callable[[str], str]) -> Found:
    kind, who = described(one.credentials)
    problems = tuple(clean(str(problem)) for problem in one.problems)
    if one.credentials is None and not problems:
        problems = ("there are no credentials",)
    return Found(
        name=name, kind=kind, who=who, source=clean(one.source), problems=problems, needed=needed, org_id=one.org_id
    )


def described(credentials: Credentials | None) -> tuple[str | None, str | None]:
    """The kind of *credentials*, and who they are, without a secret."""
    match credentials:
        case ServiceAccount(client_id=client_id):
            return "service account", client_id
        case ApiKey(public_key=key):
            text = key.reveal()
            return "API key", f"{text[: min(SHOWN, len(text) // 2)]}..."
        case None:
            return None, None
