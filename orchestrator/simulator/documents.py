"""The documents that a simulated Atlas answers with, as plain data.

Sources: schemas ``LiveMigrationResponse``, ``SystemStatus`` and ``ApiError`` of the Atlas Administration API v2, the first of
them in v1.0's own OpenAPI file as well; the page "Start the Migration Cutover" of v1.0, and the client
go-client-mongodb-atlas, which knows `readyForCutover` on v1.0 and no lag; the page "Atlas Administration API Rate Limits" for the 429 document.
"""

from __future__ import annotations

import json
from hashlib import sha256
from http.client import responses
from typing import Any

from .bucket import RateLimit
from .jobs import Job, JobStatus, JobView

Document = dict[str, Any]

HOSTS = ["vm001.example.com"]
_PRETTY = json.JSONEncoder(indent=2).encode
_COMPACT = json.JSONEncoder(separators=(",", ":")).encode
_V1_STATUS = {JobStatus.COMPLETE: "SUCCESS", JobStatus.FAILED: "FAILED", JobStatus.EXPIRED: "FAILED"}
_EXPIRED = "The live migration expired before it was cut over."
_PUBLIC_KEY_LENGTH = 8  # an API key's document cannot hold another one


def live_migration(job: Job, seen: JobView) -> Document:
    """``LiveMigrationResponse``, of both APIs."""
    document: Document = {
        "_id": job.live_migration_id,
        "migrationHosts": HOSTS,
        "readyForCutover": seen.ready,
        "status": seen.status.value,
    }
    if seen.lag is not None or job.plan.null_lag:
        document["lagTimeSeconds"] = seen.lag
    return document


def older_live_migration(job: Job, seen: JobView) -> Document:
    """A document of v1.0 that knows `readyForCutover` and no lag."""
    return {**bare_live_migration(job, seen), "readyForCutover": seen.ready}


def bare_live_migration(job: Job, seen: JobView) -> Document:
    """The document of the v1.0 page."""
    document: Document = {
        "_id": job.live_migration_id,
        "groupId": job.group_id,
        "sourceGroupId": source_group_id(job.group_id),
        "status": _V1_STATUS.get(seen.status, "PENDING"),
    }
    if seen.status is JobStatus.EXPIRED:
        document["errorMessage"] = _EXPIRED
    elif seen.status is JobStatus.FAILED:
        document["errorMessage"] = job.plan.error_message
    return document


def source_group_id(group_id: str) -> str:
    """The source project that migrates into *group_id*: made up, and always the same."""
    return sha256(f"source of {group_id}".encode()).hexdigest()[:24]


def system_status(public_key: str, role: str) -> Document:
    """``SystemStatus``; ``apiKey`` is null where *public_key* is not of the length that the schema asks for."""
    api_key: Document | None = None
    if len(public_key) == _PUBLIC_KEY_LENGTH:
        api_key = {
            "accessList": [],
            "id": sha256(public_key.encode()).hexdigest()[:24],
            "publicKey": public_key,
            "roles": [{"orgId": "5d1fe3a59ccf64a4f6e5a3c1", "roleName": role}],
        }
    return {
        "apiKey": api_key,
        "appName": "MongoDB Atlas",
        "build": sha256(b"orchestrator.simulator").hexdigest()[:40],
        "links": [],
        "throttling": False,
    }


def rate_limits(limit: RateLimit) -> Document:
    """``PaginatedRateLimitEndpointSets``: the one set of one project that live migrations are in."""
    own = "/api/atlas/v2/groups/{groupId}/liveMigrations"
    endpoints = (
        ("GET", f"{own}/{{liveMigrationId}}"),
        ("GET", f"{own}/validate/{{validationId}}"),
        ("POST", own),
        ("POST", f"{own}/validate"),
        ("PUT", f"{own}/{{liveMigrationId}}/cutover"),
    )
    return {
        "links": [],
        "results": [
            {
                "capacity": {"value": limit.capacity},
                "endpointSetId": "cloudMigrationService_group",
                "endpointSetName": "Cloud Migration Service",
                "endpoints": [{"method": method, "path": path} for method, path in endpoints],
                "refillDurationSeconds": {"value": max(1, round(limit.per))},
                "refillRate": {"value": limit.refill},
                "scope": "GROUP",
            }
        ],
        "totalCount": 1,
    }


def phrase(status: int) -> str:
    """What HTTP calls *status*; balancers have statuses of their own, such as 499 and 524."""
    return responses.get(status, "Unknown")


def api_error(status: int, code: str, detail: str, parameters: tuple[object, ...] = ()) -> Document:
    """``ApiError``."""
    return {
        "detail": detail,
        "error": status,
        "errorCode": code,
        "parameters": list(parameters),
        "reason": phrase(status),
    }


def rate_limited(path: str, limit: RateLimit, retry_after: int) -> Document:
    """The 429 document of a token bucket; *path* is the endpoint's, without a slash in front."""
    per = int(limit.per) if limit.per == int(limit.per) else limit.per
    detail = (
        f"Rate limit exceeded for {path}. Please retry after {retry_after} seconds. "
        f"Request capacity: {limit.capacity}. Refill rate: {limit.refill} per {per} seconds."
    )
    parameters = (path, retry_after, limit.capacity, limit.refill, per)
    return api_error(429, "RATE_LIMITED_TOKEN_BUCKET", detail, parameters)


def rate_limited_older() -> Document:
    """The older kind of 429 document, without figures."""
    return api_error(429, "RATE_LIMITED", "Rate limit exceeded. Please retry later.")


def encode(document: Any, *, pretty: bool) -> bytes:
    """*document* as the bytes of an answer."""
    return (_PRETTY if pretty else _COMPACT)(document).encode()
