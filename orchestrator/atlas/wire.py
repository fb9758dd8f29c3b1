"""Atlas's documents as types, and back: what both API versions send.

Sources: "Start the Migration Cutover" (v1.0), and the OpenAPI file's `LiveMigrationResponse`, `SystemStatus` and
`ApiError` (v2). Whatever a server sends, these functions return a value or raise `ValueError`; unknown keys are ignored.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from ..core.arguments import MOST
from ..core.outcomes import RemoteStatus, is_known, normalise
from ..core.settings import Api
from ..core.stored import AMOUNT

V2_MEDIA_TYPE = "application/vnd.atlas.2023-01-01+json"
LIMITS_MEDIA_TYPE = "application/vnd.atlas.2025-03-12+json"  # of the rate limits, which no older version has
LONGEST_TEXT = 2000  # characters of a text in a document that go on into journal, log and report
_MARGIN = 8000
"""Further characters of it that are searched for secrets: none of those that are shown may be half of one."""
_LONGEST_PART = 512
"""Characters of a secret that may have been cut at the margin; of a longer one its beginning is known."""
LONGEST_LAG = AMOUNT  # seconds; the most that is told of a lag
LONGEST_REST = 86400.0  # seconds; a server that asks for a longer rest than a day is not believed
LONGEST_INTERVAL = 600.0
"""Seconds; one that says its bucket refills more seldom is not believed either: reads of what is under way would be as seldom."""


def accepted(api: Api) -> str:
    """The `Accept` header: v2 is versioned by media type."""
    return V2_MEDIA_TYPE if api is Api.V2 else "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A live migration job as Atlas describes it. *lag* in seconds; *status* is Atlas's own word or None."""

    status: str | None
    ready: bool | None = None
    lag: float | None = None
    error_message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorDocument:
    """An `ApiError` document, or what could be read of one. *parameters* carry the figures of a 429."""

    error_code: str | None = None
    detail: str | None = None
    parameters: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketFigures:
    """What a `RATE_LIMITED_TOKEN_BUCKET` document says of its bucket: seconds, tokens, tokens per *per* seconds."""

    retry_after: float
    capacity: int
    refill: int
    per: float


def decode(body: bytes) -> Any:
    """The JSON value in *body*.

    Raises:
        ValueError: *body* is not JSON in UTF-8, or says the same key twice, of which nobody knows which counts.
    """
    try:
        return json.loads(body, object_pairs_hook=_without_doubles)
    except (UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def unwrap(status: int, document: Any) -> tuple[int, Any]:
    """The HTTP status and document inside an envelope (`envelope=true`); both as they are where there is none.

    An envelope's status stands for that of a success alone: an HTTP error is one whatever its body says. The v1.0 page names the inner document `envelope`; clusters of the API in the field also send `content`.
    """
    if not isinstance(document, dict):
        return status, document
    inner = document.get("status")
    if not isinstance(inner, int) or isinstance(inner, bool) or not 100 <= inner <= 599:
        return status, document
    if not 200 <= status < 300:
        inner = status
    for key in ("envelope", "content"):
        if key in document:
            return inner, document[key]
    return (inner, None) if document.keys() == {"status"} else (status, document)


def job(document: Any, *, live_migration_id: str, clean: Callable[[str], str]) -> Job:
    """The job in *document* (`LiveMigrationResponse`, or the v1.0 page's response). *clean* takes secrets out of texts.

    Raises:
        ValueError: *document* is not about *live_migration_id*: no JSON object, without its `_id`; or its status is no word; or the job
            is not over, and what it says of lag or readiness is there and cannot be read.
    """
    if not isinstance(document, dict):
        raise ValueError(f"expected a job document, got {type(document).__name__}")  # noqa: TRY004 - callers know one error
    if (shown := document.get("_id")) != live_migration_id:
        what = "one without an _id" if shown is None else f"one of another job (_id {_short(shown, clean)})"
        raise ValueError(f"expected the document of live migration {live_migration_id}, got {what}")
    status = document.get("status")
    if status is not None and not isinstance(status, str):
        raise ValueError(f"expected a status word, got {type(status).__name__}")
    try:
        ready, lag = _readiness(document, clean)
    except ValueError:
        if normalise(status) is RemoteStatus.PENDING:
            raise
        ready = lag = None  # the job is over, whatever else is said of it
    return Job(
        status=status if is_known(status) else told(status, clean),
        ready=ready,
        lag=lag,
        error_message=told(document.get("errorMessage"), clean) or None,
    )


def error_document(document: Any, *, clean: Callable[[str], str]) -> ErrorDocument:
    """The `ApiError` in *document*; an empty one where it is something else. *clean* takes secrets out of its texts."""
    if not isinstance(document, dict):
        return ErrorDocument()
    parameters = document.get("parameters")
    detail = told(document.get("detail"), clean)
    if detail is None:
        detail = told(document.get("reason"), clean)
    return ErrorDocument(
        error_code=told(document.get("errorCode"), clean),
        detail=detail,
        parameters=tuple(parameters) if isinstance(parameters, list) else (),
    )


def project_limits(document: Any) -> BucketFigures | None:
    """The limits of live migrations in *document* (`PaginatedRateLimitEndpointSets` of one project); None: it has none.

    *retry_after* of them is 0.
    """
    results = document.get("results") if isinstance(document, dict) else None
    for one in results if isinstance(results, list) else ():
        if not isinstance(one, dict) or one.get("scope") != "GROUP" or not _has_cutover(one.get("endpoints")):
            continue
        capacity, refill, per = (
            _number(value.get("value")) if isinstance(value := one.get(name), dict) else None
            for name in ("capacity", "refillRate", "refillDurationSeconds")
        )
        if capacity is None or refill is None or per is None or min(capacity, refill, per) < 1:
            continue
        if per <= LONGEST_INTERVAL:
            return BucketFigures(retry_after=0.0, capacity=int(capacity), refill=int(refill), per=per)
    return None


def _has_cutover(endpoints: Any) -> bool:
    return isinstance(endpoints, list) and any(
        isinstance(one, dict) and one.get("method") == "PUT" and str(one.get("path")).endswith("/cutover")
        for one in endpoints
    )


def bucket_figures(error: ErrorDocument) -> BucketFigures | None:
    """The figures in a 429's document: `[endpoint, retry after, capacity, refill, per seconds]`; None without them."""
    if error.error_code != "RATE_LIMITED_TOKEN_BUCKET" or len(error.parameters) != 5:
        return None
    rest, capacity, refill, per = map(_number, error.parameters[1:])
    if rest is None or capacity is None or refill is None or per is None:
        return None
    if not 0 <= rest <= LONGEST_REST or capacity < 1 or refill < 1 or not 0.001 <= per <= LONGEST_INTERVAL:
        return None
    return BucketFigures(retry_after=rest, capacity=int(capacity), refill=int(refill), per=per)


def retry_after(text: str | None, *, now: float) -> float | None:
    """The seconds from *now* (Unix seconds) that a `Retry-After` header names, as a number or as a date; None: no sense.

    Source: RFC 9110, section 10.2.3.
    """
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = max(0.0, parsedate_to_datetime(text).timestamp() - now)
        except (ValueError, OverflowError):
            return None
    return seconds if 0 <= seconds <= LONGEST_REST else None


def _readiness(document: dict[str, Any], clean: Callable[[str], str]) -> tuple[bool | None, float | None]:
    """Whether *document*'s job is ready, and its lag.

    What is there and makes no sense is not the same as what is not there: a lag that is gone is a sign that the cutover has begun. So
    a document with such a thing is no evidence at all. A lag beyond all reason is the longest.
    """
    ready, lag = document.get("readyForCutover"), document.get("lagTimeSeconds")
    if ready is not None and not isinstance(ready, bool):
        raise ValueError(f"expected readyForCutover to be true or false, but it is {_short(ready, clean)}")
    if lag is None:
        return ready, None
    if not isinstance(lag, (int, float)) or isinstance(lag, bool) or not lag >= 0:
        raise ValueError(f"expected lagTimeSeconds to be 0 seconds or more, but it is {_short(lag, clean)}")
    return ready, float(min(lag, LONGEST_LAG))


def _number(value: Any) -> float | None:
    """*value* where it is a number that can be reckoned with and recorded (JSON as Python reads it has NaN, Infinity and integers of any length)."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not -MOST <= value <= MOST:
        return None
    return float(value)


def told(value: Any, clean: Callable[[str], str], *, longest: int = LONGEST_TEXT) -> str | None:
    """*value* where it is text, as it may go on: cleared of secrets, and then cut to *longest* characters, so that none is cut in two."""
    text = _text(value)
    if text is None:
        return None
    if whole := len(text) <= LONGEST_TEXT + _MARGIN:
        text = clean(text)
    else:  # of megabytes no more is searched than can be shown
        text = clean(text[: LONGEST_TEXT + _MARGIN])[:-_LONGEST_PART]
    return text if whole and len(text) <= longest else text[:longest] + " …"


def _short(value: Any, clean: Callable[[str], str]) -> str:
    """*value*, which is not what it should be, for a message."""
    if isinstance(value, bool):
        return str(value).lower()
    if (number := _number(value)) is not None:
        return f"{number:g}"
    return told(value, clean, longest=40) or f"of type {type(value).__name__}"


def _text(value: Any) -> str | None:
    """*value* where it is text, without lone surrogates: JSON may hold them, no log or report can."""
    if not isinstance(value, str):
        return None
    return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
