"""How a config file is written: one model per mapping, every scalar parsed from its text, and the JSON Schema of it."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, model_validator

from ..core.log_choices import DEFAULT_LOG_LEVEL, LOG_FORMATS, LOG_LEVELS
from ..core.settings import (
    DEFAULT_POLLING,
    DEFAULT_RATE_LIMITS,
    DEFAULT_REQUEST_TIMEOUT,
    DEFAULT_SETTLE,
    DEFAULT_STATE_DIR,
    Api,
    Engine,
    Temporal,
)
from ..text.durations import format_duration
from ..text.hosts import is_loopback
from ..text.likeness import as_it_looks
from .fields import BOOLEAN_SCHEMA, Text, TextModel, duration, json_schema, one_of
from .scalars import parse_boolean, parse_choice, parse_count, parse_decimal, parse_key, parse_line, parse_name

_HOST = re.compile(r"[A-Za-z0-9_.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]")
_VISIBLE = re.compile("[!-~]{1,2000}")
_PATHS = {"/api/atlas/v2": Api.V2, "/api/atlas/v1.0": Api.V1}
_DEFAULT_PATH = "/api/atlas/v2"
_V1, _V2 = DEFAULT_RATE_LIMITS[Api.V1], DEFAULT_RATE_LIMITS[Api.V2]
_TEMPORAL = Temporal()
SHORTEST_LEASE = 2.0
"""Seconds: within 0.3 of a lease a PUT leaves."""
_ADDRESS = re.compile(r"(?:[A-Za-z0-9_.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}")
_SCOPES = ("group", "account")


def api_of(base_url: str) -> Api:
    """The API that the path of *base_url* names (which `parse_base_url` made)."""
    return _PATHS[urlsplit(base_url).path]


def parse_base_url(text: str) -> str:
    """The address of the API without a slash at its end.

    Raises:
        ValueError: Not https (http: only to this machine), user, query or fragment in it, or another path than
            ``/api/atlas/v2`` (which a host alone means) or ``/api/atlas/v1.0``.
    """
    if not _VISIBLE.fullmatch(text):
        raise ValueError("expected an address such as https://cloud.mongodb.com/api/atlas/v2")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("expected an address such as https://cloud.mongodb.com/api/atlas/v2") from None
    if parts.scheme not in ("https", "http"):
        raise ValueError("expected an address that begins with https://")
    if "@" in parts.netloc:
        raise ValueError("expected an address without a user name or password; keys have their own settings")
    if "?" in text or "#" in text:
        raise ValueError("expected an address without '?' and '#'")
    if port == 0:
        raise ValueError("expected a port from 1 to 65535, or none")
    host = parts.netloc.removesuffix(f":{port}") if port is not None else parts.netloc
    if not _HOST.fullmatch(host):
        raise ValueError("expected an address with a host such as cloud.mongodb.com")
    _check_host(host.rstrip(".").lower())
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("expected https://; plain http is for loopback hosts alone (127.0.0.1, ::1, localhost)")
    path = parts.path.rstrip("/") or _DEFAULT_PATH
    if path not in _PATHS:
        raise ValueError(f"expected a host alone, or an address that ends with {' or '.join(_PATHS)}")
    return f"{parts.scheme}://{parts.netloc}{path}"


def _check_host(host: str) -> None:
    """Raise where *host* is not what it looks like: a number that is an address in disguise, or letters of another alphabet."""
    last = host.rpartition(".")[2]
    if last.isdigit() or last.startswith("0x"):
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            raise ValueError("expected a host's name, or an address of four numbers such as 10.0.0.1") from None
    if any(label.startswith("xn--") for label in host.split(".")):
        try:
            shown = host.encode("ascii").decode("idna")
        except UnicodeError:
            shown = host
        if (looks := as_it_looks(shown)).isascii():
            raise ValueError(
                f"its host looks like {looks} and is another one: it is written with letters of another alphabet"
            )


def parse_address(text: str) -> str:
    """Host and port.

    Raises:
        ValueError: It is something else.
    """
    if not _ADDRESS.fullmatch(text):
        raise ValueError("expected HOST:PORT, such as 127.0.0.1:7233")
    if not 0 < int(text.rpartition(":")[2]) < 65536:
        raise ValueError("expected a port from 1 to 65535 behind the colon")
    return text


def _parse_factor(text: str) -> float:
    value = parse_decimal(text)
    if value < 1:
        raise ValueError("expected a number of at least 1")
    return value


def _parse_jitter(text: str) -> float:
    value = parse_decimal(text)
    if value >= 1:
        raise ValueError("expected a number from 0 up to, but not including, 1")
    return value


def _choice(words: tuple[str, ...]) -> Text:
    return Text(parse_choice(*words), one_of(*words), f"expected one of {', '.join(words)}")


def _number(parse: Any, expected: str, schema: dict[str, Any]) -> Text:
    text = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$"}
    return Text(parse, {"anyOf": [schema, text]}, expected)


_Line = {"type": ["string", "number", "boolean"]}
_Url = Annotated[str, Text(parse_base_url, {"type": "string"}, "expected an address")]
_Key = Annotated[str, Text(parse_key, _Line, "expected a key")]
_ProfileName = Annotated[str, Text(parse_line, _Line, "expected the name of a profile")]
_SetName = Annotated[str, AfterValidator(parse_name)]
_File = Annotated[str, Text(parse_line, _Line, "expected the name of a file")]
_Address = Annotated[str, Text(parse_line, _Line, "expected an address as apprise writes them")]
_Directory = Annotated[str, Text(parse_line, _Line, "expected the name of a directory")]
_Seconds = Annotated[float, duration()]
_Boolean = Annotated[bool, Text(parse_boolean, BOOLEAN_SCHEMA, "expected true or false")]
_Count = Annotated[
    int,
    _number(parse_count(1), "expected a whole number of at least 1", {"type": "integer", "minimum": 1}),
]
_Factor = Annotated[float, _number(_parse_factor, "expected a number of at least 1", {"type": "number", "minimum": 1})]
_Jitter = Annotated[
    float,
    _number(
        _parse_jitter,
        "expected a number from 0 up to, but not including, 1",
        {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
    ),
]


class CredentialsSpec(TextModel):
    """Credentials of one organisation, of one kind: a service account, an API key, or a profile of the Atlas CLI."""

    client_id: _Key | None = Field(None, description="Of a service account (mdb_sa_id_...).")
    client_secret: _Key | None = Field(None, description="Of a service account (mdb_sa_sk_...).")
    client_secret_file: _File | None = Field(None, description="A file that holds the secret.")
    public_key: _Key | None = Field(None, description="Of an API key.")
    public_key_file: _File | None = Field(None, description="A file that holds the public key.")
    private_key: _Key | None = Field(None, description="Of an API key.")
    private_key_file: _File | None = Field(None, description="A file that holds the private key.")
    profile: _ProfileName | None = Field(None, description="A profile of the Atlas CLI's config.toml.")


class AtlasSpec(CredentialsSpec):
    """Where Atlas is, and who asks where a workflow names no other credentials."""

    base_url: _Url | None = Field(
        None,
        description="A host such as https://cloud.mongodb.com (default), whose /api/atlas/v2 is meant, or "
        "https://…/api/atlas/v1.0; the path chooses the API.",
    )
    client_id: _Key | None = Field(
        None, description="Of a service account (mdb_sa_id_...). Default ${MONGODB_ATLAS_CLIENT_ID}."
    )
    client_secret: _Key | None = Field(
        None, description="Of a service account (mdb_sa_sk_...). Default ${MONGODB_ATLAS_CLIENT_SECRET}."
    )
    public_key: _Key | None = Field(None, description="Of an API key. Default ${MONGODB_ATLAS_PUBLIC_API_KEY}.")
    private_key: _Key | None = Field(None, description="Of an API key. Default ${MONGODB_ATLAS_PRIVATE_API_KEY}.")
    profile: _ProfileName | None = Field(
        None, description="A profile of the Atlas CLI's config.toml. Default ${MONGODB_ATLAS_PROFILE}."
    )
    request_timeout: _Seconds | None = Field(
        None, description=f"How long one request may take. Default {format_duration(DEFAULT_REQUEST_TIMEOUT)}."
    )
    settle: _Seconds | None = Field(
        None,
        description="How long after a PUT without an answer it may still arrive, or not show in reads; no second PUT "
        f"leaves earlier. Default {format_duration(DEFAULT_SETTLE)}; `request_timeout` where that is longer.",
    )
    ca_file: _File | None = Field(None, description="More certificate authorities to trust, PEM.")


class RateLimitSpec(TextModel):
    """How fast requests may be sent."""

    requests: _Count | None = Field(
        None, description=f"Requests in `per`. Default {_V2.requests} (v2), {_V1.requests} (v1.0)."
    )
    per: Annotated[float, duration(least=0.01)] | None = Field(
        None, description=f"At least 0.01s. Default {format_duration(_V2.per)}."
    )
    burst: _Count | None = Field(None, description=f"Requests at once. Default {_V2.burst} (v2), {_V1.burst} (v1.0).")
    scope: Annotated[str, _choice(_SCOPES)] | None = Field(None, description="group (default) or account.")
    learn: _Boolean | None = Field(
        None,
        description="Whether Atlas is asked for each project's own limits at the start of a run. Default true, where "
        "`requests`, `per`, `burst` and `scope: account` are not given.",
    )


class PollingSpec(TextModel):
    """How often a job is read."""

    initial: _Seconds = Field(
        DEFAULT_POLLING.initial,
        description=f"The first wait, and the shortest. Default {format_duration(DEFAULT_POLLING.initial)}.",
    )
    factor: _Factor = Field(
        DEFAULT_POLLING.factor, description=f"What each wait grows by. Default {DEFAULT_POLLING.factor:g}."
    )
    max: _Seconds = Field(
        DEFAULT_POLLING.max, description=f"The longest wait. Default {format_duration(DEFAULT_POLLING.max)}."
    )
    jitter: _Jitter = Field(
        DEFAULT_POLLING.jitter,
        description="The share of what is above `initial` by which chance shortens each wait at most. "
        f"Default {DEFAULT_POLLING.jitter:g}.",
    )

    @model_validator(mode="after")
    def _max_is_not_below_initial(self) -> Self:
        if self.max < self.initial:
            first, longest = (format_duration(wait) for wait in (DEFAULT_POLLING.initial, DEFAULT_POLLING.max))
            raise ValueError(f"max has to be at least initial (the defaults are initial {first}, max {longest})")
        return self


class LoggingSpec(TextModel):
    """The log."""

    level: Annotated[str, _choice(LOG_LEVELS)] | None = Field(None, description=f"Default {DEFAULT_LOG_LEVEL}.")
    format: Annotated[str, _choice(LOG_FORMATS)] | None = Field(
        None, description="Default: console on a terminal, json otherwise."
    )
    file: _File | None = Field(None, description="A file that gets every event as a JSON line as well.")


class NotifySpec(TextModel):
    """Who gets messages (extra `notify`)."""

    urls: list[_Address] = Field(default_factory=list, description="Addresses as apprise writes them. Default none.")


class MetricsSpec(TextModel):
    """Metrics for Prometheus (extra `metrics`)."""

    textfile: _File | None = Field(None, description="A file for node_exporter's textfile collector. Default none.")


class TemporalSpec(TextModel):
    """The Temporal cluster, for `engine: temporal` (extra `temporal`)."""

    address: Annotated[str, Text(parse_address, {"type": "string"}, "expected HOST:PORT")] | None = Field(
        None, description=f"Host and port of its frontend. Default {_TEMPORAL.address}."
    )
    namespace: Annotated[str, Text(parse_line, _Line, "expected a name")] | None = Field(
        None, description=f"Default {_TEMPORAL.namespace}."
    )
    tls: _Boolean | None = Field(
        None, description="Whether it is spoken to by TLS. Default false; true with an API key."
    )
    api_key: _Key | None = Field(None, description="Of Temporal Cloud. Default ${TEMPORAL_API_KEY}.")
    codec_key_file: _File | None = Field(
        None, description="A file with a key of 64 hex digits that hides what travels through Temporal. Default none."
    )
    lease: Annotated[float, duration()] | None = Field(
        None,
        description="How long a worker may be silent before its work is another's, 2s at least. Default "
        f"{format_duration(_TEMPORAL.lease)}.",
    )

    @model_validator(mode="after")
    def _a_lease_leaves_time_to_send(self) -> Self:
        if self.lease is not None and self.lease < SHORTEST_LEASE:
            raise ValueError(f"lease has to be at least {format_duration(SHORTEST_LEASE)}")
        return self


class ConfigSpec(TextModel):
    """The whole file."""

    atlas: AtlasSpec | None = None
    credentials: dict[_SetName, CredentialsSpec] | None = Field(
        None, description="More credentials by name, for workflows over several organisations (`credentials: NAME`)."
    )
    rate_limit: RateLimitSpec | None = None
    polling: PollingSpec | None = None
    state_dir: _Directory | None = Field(None, description=f"Where runs are kept. Default {DEFAULT_STATE_DIR}.")
    logging: LoggingSpec | None = None
    notify: NotifySpec | None = None
    metrics: MetricsSpec | None = None
    engine: Annotated[str, _choice(tuple(Engine))] | None = Field(
        None, description="What works on a run: local (default), or temporal."
    )
    temporal: TemporalSpec | None = None


# The model under each key, for 'did you mean'.
MODELS: dict[str, type[BaseModel]] = {
    "": ConfigSpec,
    "atlas": AtlasSpec,
    "credentials": CredentialsSpec,
    "rate_limit": RateLimitSpec,
    "polling": PollingSpec,
    "logging": LoggingSpec,
    "notify": NotifySpec,
    "metrics": MetricsSpec,
    "temporal": TemporalSpec,
}


def config_schema() -> dict[str, Any]:
    """The JSON Schema of a config file, as an editor's YAML parser types it; ``${NAME}`` may be used anywhere."""
    schema = json_schema(ConfigSpec, "atlas-cutover config")
    tables = [schema["properties"], *(definition["properties"] for definition in schema["$defs"].values())]
    for table in tables:
        for key, value in table.items():
            if "$ref" not in str(value):
                text = value.pop("description", "")
                table[key] = {"description": text, "anyOf": [value, {"type": "string", "pattern": r"\$\{"}]}
    return schema
