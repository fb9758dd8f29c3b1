"""What a request asks for, read strictly, and answers in the form it asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from .documents import api_error, encode
from .jobs import Job
from .scenario import Api, Kind
from .tokens import REVOKE_PATH, TOKEN_PATH

VERSION = "2023-01-01"
V2_CONTENT_TYPE = f"application/vnd.atlas.{VERSION}+json"
JSON = "application/json"
CHALLENGE_CONTENT_TYPE = {Api.V2: JSON, Api.V1: "application/json;charset=ISO-8859-1"}
METHODS = {
    Kind.READ: "GET",
    Kind.CUTOVER: "PUT",
    Kind.ROOT: "GET",
    Kind.TOKEN: "POST",
    Kind.REVOKE: "POST",
    Kind.LIMITS: "GET",
}
LIMITS_PATH = "/api/atlas/v2/rateLimits"
LIMITS_VERSION = "2025-03-12"
_OTHERS = {TOKEN_PATH: Kind.TOKEN, REVOKE_PATH: Kind.REVOKE, LIMITS_PATH: Kind.LIMITS}
_LIMITS_QUERY = frozenset({"groupId", "endpointPath"})
ID = re.compile("[0-9a-f]{24}")
_ROUTE = re.compile(r"/api/atlas/(v2|v1\.0)(?:/groups/([^/]+)/liveMigrations/([^/]+)(/cutover)?)?/?")
_VERSIONS = re.compile(r"application/vnd\.atlas\.([0-9]{4}-[0-9]{2}-[0-9]{2})\+json")
_V1_ACCEPTED = ("application/json", "application/*", "*/*")
_V1_HEADERS = {"Vary": "Accept-Encoding", "Strict-Transport-Security": "max-age=300"}


@dataclass(slots=True, kw_only=True)
class Call:
    """One request, taken apart. *headers* go with every answer to it; *shows_end*: that its answer shows its job's end.

    *form*: what a request for a token, or to give one back, has in its body. *user*: whose credentials it came with.
    """

    request: web.BaseRequest
    method: str
    target: str
    path: str
    query: str
    api: Api
    kind: Kind
    group_id: str
    live_migration_id: str
    headers: Mapping[str, str]
    pretty: bool = False
    envelope: bool = False
    job: Job | None = None
    shows_end: bool = False
    form: Mapping[str, Any] = field(default_factory=dict)
    user: str = ""


def read_call(request: web.BaseRequest) -> Call:
    """*request* taken apart; what is not of either API is `Kind.OTHER` of v2."""
    target = request.raw_path
    path, _, query = target.partition("?")
    match = _ROUTE.fullmatch(path)
    if match is None:
        api = Api.V1 if path.startswith("/api/atlas/v1.0/") else Api.V2
        kind, group_id, live_migration_id = _OTHERS.get(path, Kind.OTHER), "", ""
    else:
        word, group_id, live_migration_id, cutover = match.groups(default="")
        api = Api.V2 if word == "v2" else Api.V1
        kind = Kind.CUTOVER if cutover else Kind.READ if live_migration_id else Kind.ROOT
    return Call(
        request=request,
        method=request.method,
        target=target,
        path=path,
        query=query,
        api=api,
        kind=kind,
        group_id=group_id,
        live_migration_id=live_migration_id,
        headers=_NO_HEADERS,
    )


def refusal_of_form(call: Call) -> web.Response | None:
    """The answer to a *call* that is malformed; None, and its flags are set, where it is not."""
    if call.kind is Kind.OTHER:
        return error(call, 404, "RESOURCE_NOT_FOUND", f"Cannot find resource {call.path}.")
    if call.method != METHODS[call.kind]:
        return error(call, 405, "METHOD_NOT_ALLOWED", f"{call.method} is not allowed for {call.path}.")
    if call.kind is Kind.LIMITS:
        return _refusal_of_limits(call)
    flags, wrong = read_flags(call.query)
    if wrong is not None:
        return error(call, 400, "INVALID_QUERY_PARAMETER", wrong)
    call.pretty, call.envelope = flags
    accept = call.request.headers.get("Accept", "")
    if not (admits_version(accept) if call.api is Api.V2 else admits_json(accept)):
        return error(call, 406, "INVALID_VERSION_DATE", "Invalid accept header version date.")
    if call.kind is not Kind.ROOT:
        if not ID.fullmatch(call.group_id):
            return error(call, 400, "INVALID_GROUP_ID", f"An invalid group ID {call.group_id} was specified.")
        if not ID.fullmatch(call.live_migration_id):
            detail = f"An invalid live migration ID {call.live_migration_id} was specified."
            return error(call, 400, "INVALID_LIVE_MIGRATION_ID", detail)
    return None


def _refusal_of_limits(call: Call) -> web.Response | None:
    query = dict(parse_qsl(call.query, keep_blank_values=True))
    if unknown := query.keys() - _LIMITS_QUERY:
        return error(call, 400, "INVALID_QUERY_PARAMETER", f"Invalid query parameter {min(unknown)} specified.")
    call.group_id = query.get("groupId", "")
    if not ID.fullmatch(call.group_id):
        return error(call, 400, "INVALID_GROUP_ID", f"An invalid group ID {call.group_id} was specified.")
    versions = _VERSIONS.findall(call.request.headers.get("Accept", ""))
    if not any(version >= LIMITS_VERSION for version in versions):
        return error(call, 406, "INVALID_VERSION_DATE", "Invalid accept header version date.")
    return None


@lru_cache(maxsize=256)
def read_flags(query: str) -> tuple[tuple[bool, bool], str | None]:
    """`pretty` and `envelope` in *query*, and what is wrong with it."""
    flags = {"pretty": False, "envelope": False}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in flags:
            return (False, False), f"Invalid query parameter {name} specified."
        if value not in ("true", "false"):
            return (False, False), f"Query parameter {name} has to be true or false."
        flags[name] = value == "true"
    return (flags["pretty"], flags["envelope"]), None


@lru_cache(maxsize=256)
def admits_version(accept: str) -> bool:
    """Whether *accept* names a dated version of v2 that has these resources; ``*/*`` and plain JSON name none."""
    for text in _VERSIONS.findall(accept):
        try:
            date.fromisoformat(text)
        except ValueError:
            continue
        if text >= VERSION:
            return True
    return False


@lru_cache(maxsize=256)
def admits_json(accept: str) -> bool:
    """Whether *accept* admits plain JSON, as v1.0 sends it."""
    return not accept or any(part.split(";")[0].strip() in _V1_ACCEPTED for part in accept.split(","))


def document(call: Call, status: int, content: Any) -> web.Response:
    """*content* (None: no body) with *status*, in an envelope where *call* asks for one."""
    content_type = V2_CONTENT_TYPE if call.api is Api.V2 else JSON
    if call.kind is Kind.LIMITS:
        content_type = f"application/vnd.atlas.{LIMITS_VERSION}+json"
    headers = {"Content-Type": content_type, **call.headers}
    if call.api is Api.V1:
        headers.update(_V1_HEADERS)
    if call.envelope:
        content = {"status": status, "envelope": {} if content is None else content}
        status = 200
    body = b"" if content is None else encode(content, pretty=call.pretty)
    return web.Response(status=status, body=body, headers=headers)


def error(call: Call, status: int, code: str, detail: str) -> web.Response:
    """An ``ApiError``, in an envelope where *call* asks for one."""
    content: Any = api_error(status, code, detail)
    if call.envelope:
        content = {"status": status, "envelope": content}
        status = 200
    return plain(call, status, content)


def plain(call: Call, status: int, content: Any, **extra: str) -> web.Response:
    """*content* as plain JSON, never in an envelope; *extra* headers, underscores in their names for hyphens."""
    headers = {"Content-Type": JSON, **call.headers}
    headers.update((name.replace("_", "-"), value) for name, value in extra.items())
    return web.Response(status=status, body=encode(content, pretty=call.pretty), headers=headers)


_NO_HEADERS: Mapping[str, str] = {}
