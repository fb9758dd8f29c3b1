"""The program's own settings: where Atlas is, with which keys, how fast, and where things are kept and logged.

Taken, the nearest first, from the command line, the environment, the config file, and the defaults, which are defined here and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from ..text.hosts import is_loopback
from ..text.redaction import Redactor
from ..text.tokens_in import secret_parts
from .errors import Problem
from .log_choices import DEFAULT_LOG_LEVEL

PUBLIC_KEY_VARIABLE = "MONGODB_ATLAS_PUBLIC_API_KEY"
PRIVATE_KEY_VARIABLE = "MONGODB_ATLAS_PRIVATE_API_KEY"
CLIENT_ID_VARIABLE = "MONGODB_ATLAS_CLIENT_ID"
CLIENT_SECRET_VARIABLE = "MONGODB_ATLAS_CLIENT_SECRET"  # noqa: S105 - a name
PROFILE_VARIABLE = "MONGODB_ATLAS_PROFILE"
TEMPORAL_KEY_VARIABLE = "TEMPORAL_API_KEY"
TEMPORAL_ADDRESS_VARIABLE = "ATLAS_CUTOVER_TEMPORAL_ADDRESS"
KEY_VARIABLE = re.compile(
    r"(?:MONGODB_ATLAS|MCLI|TF_VAR_MONGODB_?ATLAS)_(?:\w+_)?(?:API_KEY|P(?:UBLIC|RIVATE)_KEY|CLIENT_SECRET|(?:ACCESS|REFRESH)_TOKEN)"
    r"|TF_VAR_(?:CLIENT_SECRET|ACCESS_TOKEN)|TEMPORAL_(?:\w+_)?(?:API_KEY|KEY_DATA)",
    re.IGNORECASE,
)
"""What variables with a key in them are called by this program, the Atlas CLI (and `mongocli` before it), Terraform's provider and Temporal.

https://www.mongodb.com/docs/atlas/cli/current/atlas-cli-env-variables/
https://registry.terraform.io/providers/mongodb/mongodbatlas/latest/docs
https://docs.temporal.io/references/client-environment-configuration
"""

WITHHELD_VARIABLE = re.compile(
    r"TEMPORAL_(?:(?:\w+_)?TLS_(?:\w+_)?KEY|GRPC_META_\w+|CODEC_(?:AUTH|HEADERS?))", re.IGNORECASE
)
"""Variables of Temporal's that may hold a key, or lead to one, and may hold a plain word: hooks get none, and their values are nothing to redact."""

LONG_KEY = 16
"""A key of this length inside a longer value is no coincidence."""

DEFAULT_BASE_URL = "https://cloud.mongodb.com/api/atlas/v2"
DEFAULT_REQUEST_TIMEOUT = 30.0
DEFAULT_SETTLE = 30.0
DEFAULT_STATE_DIR = "~/.local/state/atlas-cutover"


class Api(StrEnum):
    """Which of Atlas's two APIs is spoken."""

    V1 = "v1.0"
    V2 = "v2"


class Secret:
    """A text that shows itself only to who asks by `reveal`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('**********')"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> Any:
        raise TypeError("a secret is not pickled")

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """An API key of Atlas, both halves of it: requests prove it by HTTP digest authentication."""

    public_key: Secret
    private_key: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccount:
    """A service account of Atlas: requests carry a token that it is given for its id and secret (OAuth 2.0)."""

    client_id: str
    client_secret: Secret


Credentials = ApiKey | ServiceAccount


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialSet:
    """Credentials of one organisation, as far as they were found.

    *source*: where they come from, in words. *given*: whether somebody gave any, good or not. *problems*: why there are none, which is told where they are needed. *org_id*,
    *project_id*: what a profile of the Atlas CLI says beside them.
    """

    credentials: Credentials | None = None
    source: str = field(default="", compare=False)
    given: bool = field(default=True, compare=False)
    problems: tuple[Problem, ...] = ()
    org_id: str | None = None
    project_id: str | None = None


NO_CREDENTIALS = CredentialSet()


@dataclass(frozen=True, slots=True, kw_only=True)
class AtlasSettings:
    """Where Atlas is and who asks. *base_url* ends without a slash; *request_timeout* in seconds.

    *settle*: how many seconds after a PUT without an answer it may still arrive at Atlas, or not show in reads; at least
    *request_timeout*.
    """

    base_url: str
    api: Api
    credentials: CredentialSet
    request_timeout: float = DEFAULT_REQUEST_TIMEOUT
    settle: float = DEFAULT_SETTLE
    ca_file: Path | None = None


LimitScope = Literal["group", "account"]
"""Whose requests a budget counts: those for one project, or for all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """*requests* may be sent in *per* seconds, *burst* of them at once, for each *scope* (``group`` or ``account``).

    *learn*: Atlas is asked for each project's own figures first; these are what holds where it does not tell.
    """

    requests: int
    per: float
    burst: int
    scope: LimitScope
    learn: bool = False


DEFAULT_RATE_LIMITS = {
    Api.V2: RateLimit(requests=500, per=60.0, burst=1200, scope="group"),
    Api.V1: RateLimit(requests=100, per=60.0, burst=100, scope="group"),
}
"""What Atlas allows, by its API."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Polling:
    """The wait between two reads of one job grows from *initial* to *max* seconds by *factor*, spread by *jitter*."""

    initial: float = 2.0
    factor: float = 1.5
    max: float = 30.0
    jitter: float = 0.1


DEFAULT_POLLING = Polling()


@dataclass(frozen=True, slots=True, kw_only=True)
class Logging:
    """*format* None: console on a terminal, JSON otherwise. *file* always gets JSON lines."""

    level: str = DEFAULT_LOG_LEVEL
    format: str | None = None
    file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observers:
    """Who else is told: *notify* are apprise addresses (they hold tokens), *metrics* is a Prometheus textfile."""

    notify: tuple[Secret, ...] = ()
    metrics: Path | None = None


class Engine(StrEnum):
    """What works on a run: a process of this machine, or workers of a Temporal cluster."""

    LOCAL = "local"
    TEMPORAL = "temporal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Temporal:
    """Where the Temporal cluster is.

    *codec_key_file* hides what travels through it. *lease*: seconds of silence after which a worker's work is another's.
    """

    address: str = "127.0.0.1:7233"
    namespace: str = "default"
    tls: bool = False
    api_key: Secret | None = None
    codec_key_file: Path | None = None
    lease: float = 10.0

    @property
    def in_clear(self) -> bool:
        """Whether others can read what goes there: beyond this machine, without TLS."""
        return not self.tls and not is_loopback(self.address.rpartition(":")[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the program wants to know about itself.

    *credentials*: further sets by name, beside that of `atlas`. *warnings* are for the operator; nothing is wrong.
    *spare*: keys that lie about in the environment, and others than these are used.
    *redactor*: knows all that is secret in them, and what a session adds to it.
    """

    atlas: AtlasSettings
    rate_limit: RateLimit
    polling: Polling
    state_dir: Path
    logging: Logging
    observers: Observers = Observers()
    engine: Engine = Engine.LOCAL
    temporal: Temporal = Temporal()
    warnings: tuple[str, ...] = ()
    credentials: Mapping[str, CredentialSet] = field(default_factory=dict)
    spare: tuple[Secret, ...] = field(default=(), compare=False, repr=False)
    redactor: Redactor = field(default_factory=Redactor, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Whoever has the settings has what keeps their secrets."""
        words = (part for url in self.observers.notify for part in secret_parts(url.reveal()))
        self.redactor.add(*self.secrets(), *words)

    def credential_set(self, name: str | None) -> CredentialSet:
        """The set called *name*; None: that of `atlas`."""
        return self.atlas.credentials if name is None else self.credentials.get(name, NO_CREDENTIALS)

    def secrets(self) -> list[str]:
        """What no hook may see, whatever variable it is in.

        Words of addresses are not: those that look like a token may be a word elsewhere, of a path that a hook needs.
        """
        return list(
            dict.fromkeys(secret.reveal() for secrets in self.secrets_by_place().values() for secret in secrets)
        )

    def secrets_by_place(self) -> dict[str, tuple[Secret, ...]]:
        """The same by where they come from, as an operator calls that."""
        return {
            "the keys of atlas": _of_set(self.atlas.credentials),
            **{f"credentials.{name}": _of_set(one) for name, one in self.credentials.items()},
            "the API key of temporal": () if self.temporal.api_key is None else (self.temporal.api_key,),
            "a key in the environment that is not used": self.spare,
            NOTIFY_URLS: self.observers.notify,
        }


NOTIFY_URLS = "notify.urls"


def _of_set(one: CredentialSet) -> tuple[Secret, ...]:
    match one.credentials:
        case ApiKey(public_key=public, private_key=private):
            return public, private
        case ServiceAccount(client_secret=secret):
            return (secret,)
        case None:
            return ()


def holds_key(name: str, value: str, keys: Iterable[str]) -> bool:
    """Whether the variable *name* with *value* is kept from hooks: it is one of *keys*, or has a long one in it.

    `PATH` never is: without it another program would be run than the one that is meant.
    """
    return name != "PATH" and any(value.strip() == key or (len(key) >= LONG_KEY and key in value) for key in keys)
