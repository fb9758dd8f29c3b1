"""Atlas's documents, whatever they hold: a value or `ValueError`."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.atlas import wire
from orchestrator.atlas.wire import BucketFigures, ErrorDocument, Job, accepted
from orchestrator.core.evidence import Sign, at_gate, sign, why_closed
from orchestrator.core.settings import Api
from orchestrator.core.workflow import Gate
from orchestrator.text.redaction import Redactor

LIVE = "a659ce44c03ca1e348b1e992"
SCALARS = (
    st.none()
    | st.just(LIVE)
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats(allow_nan=True, allow_infinity=True)
    | st.text(st.characters(exclude_categories=()), max_size=20)
)
KEYS = st.sampled_from(
    (
        "_id",
        "status",
        "envelope",
        "content",
        "readyForCutover",
        "lagTimeSeconds",
        "errorMessage",
        "errorCode",
        "detail",
        "reason",
        "parameters",
    )
) | st.text(max_size=5)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=6))


@given(VALUES)
def test_any_value_is_a_job_or_a_value_error(value: Any) -> None:
    """A job that was read has a word or nothing for a status, and a lag that can be compared and written as JSON."""
    try:
        job = wire.job(value, live_migration_id=LIVE, clean=str)
    except ValueError:
        return
    assert job.status is None or isinstance(job.status, str)
    assert job.ready is None or isinstance(job.ready, bool)
    assert job.lag is None or math.isfinite(job.lag)
    f"{job.status} {job.error_message}".encode()


@given(VALUES, st.integers(100, 599))
def test_any_value_can_be_unwrapped_and_read_as_an_error(value: Any, status: int) -> None:
    """Nothing that a server puts into an envelope or an error document breaks the reading of it."""
    unwrapped, document = wire.unwrap(status, value)
    assert type(unwrapped) is int
    error = wire.error_document(document, clean=str)
    f"{error.error_code} {error.detail}".encode()
    figures = wire.bucket_figures(error)
    assert figures is None or figures.capacity >= 1


@given(st.lists(SCALARS, min_size=5, max_size=5))
def test_any_five_parameters_are_figures_or_none(parameters: list[Any]) -> None:
    """The figures of a 429 are finite and positive, or are not taken for figures."""
    error = ErrorDocument(error_code="RATE_LIMITED_TOKEN_BUCKET", parameters=tuple(parameters))
    figures = wire.bucket_figures(error)
    if figures is not None:
        assert 0 <= figures.retry_after <= wire.LONGEST_REST
        assert figures.refill >= 1
        assert 0 < figures.per < math.inf


@given(st.binary())
def test_any_bytes_are_json_or_a_value_error(body: bytes) -> None:
    """`decode` raises nothing but `ValueError`."""
    with suppress(ValueError):
        wire.decode(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"<html></html>",
        b'{"status": "WORK\xff\xfeING"}',
        b"[" * 100_000,
        b"1" * 5000,
        b'{"a": 1} x',
        b'{"status": "FAILED", "status": "COMPLETE"}',
    ],
    ids=["empty", "cut", "html", "not utf-8", "deep", "long number", "more", "a key twice"],
)
def test_what_is_not_json_is_a_value_error(body: bytes) -> None:
    """Each kind of garbage is told as such."""
    with pytest.raises(ValueError, match=r"\S"):
        wire.decode(body)


def test_a_job_of_v2() -> None:
    """`LiveMigrationResponse` as the OpenAPI file has it."""
    document = {
        "_id": LIVE,
        "lagTimeSeconds": 7,
        "migrationHosts": ["vm001.example.com"],
        "readyForCutover": True,
        "status": "WORKING",
    }
    assert wire.job(document, live_migration_id=LIVE, clean=str) == Job(status="WORKING", ready=True, lag=7.0)


def test_a_job_of_v1() -> None:
    """The response document of the cutover page, with and without its `errorMessage`."""
    document = {
        "_id": LIVE,
        "groupId": "7e68e12770616e75e6df43d0",
        "sourceGroupId": "7e68e12770616e75e6df43d0",
        "status": "PENDING",
    }
    assert wire.job(document, live_migration_id=LIVE, clean=str) == Job(status="PENDING")
    failed = wire.job(document | {"status": "FAILED", "errorMessage": "no disk"}, live_migration_id=LIVE, clean=str)
    assert failed == Job(status="FAILED", error_message="no disk")


@pytest.mark.parametrize(
    ("document", "job"),
    [
        ({}, Job(status=None)),
        ({"status": None, "lagTimeSeconds": None, "readyForCutover": None, "errorMessage": None}, Job(status=None)),
        ({"status": "RECONCILING"}, Job(status="RECONCILING")),
        ({"status": "WORKING", "lagTimeSeconds": 2.5}, Job(status="WORKING", lag=2.5)),
        ({"status": "WORKING", "lagTimeSeconds": math.inf}, Job(status="WORKING", lag=wire.LONGEST_LAG)),
        ({"status": "WORKING", "lagTimeSeconds": 10**400}, Job(status="WORKING", lag=wire.LONGEST_LAG)),
        ({"status": "WORKING", "lagTimeSeconds": 1e308}, Job(status="WORKING", lag=wire.LONGEST_LAG)),
        ({"status": "FAILED", "errorMessage": ""}, Job(status="FAILED")),
        ({"status": "FAILED", "errorMessage": ["x"]}, Job(status="FAILED")),
        ({"status": "COMPLETE", "lagTimeSeconds": -1, "readyForCutover": "yes"}, Job(status="COMPLETE")),
        ({"status": "COMPLETE", "readyForCutover": False}, Job(status="COMPLETE", ready=False)),
        ({"status": "FAILED", "errorMessage": "\ud83d lone"}, Job(status="FAILED", error_message="\ufffd lone")),
    ],
)
def test_nulls_unknown_words_and_wrong_types(document: dict[str, Any], job: Job) -> None:
    """A word that is not known here is kept as it is; what is said of a job's lag when it is over means nothing."""
    assert wire.job({"_id": LIVE} | document, live_migration_id=LIVE, clean=str) == job


@pytest.mark.parametrize("status", [None, "NEW", "WORKING", "PENDING", "RECONCILING"])
@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("lagTimeSeconds", True, "true"),
        ("lagTimeSeconds", "soon", "soon"),
        ("lagTimeSeconds", "3", "3"),
        ("lagTimeSeconds", -1, "-1"),
        ("lagTimeSeconds", math.nan, "of type float"),
        ("lagTimeSeconds", -(10**400), "of type int"),
        ("lagTimeSeconds", [3], "of type list"),
        ("readyForCutover", "true", "true"),
        ("readyForCutover", 1, "1"),
        ("readyForCutover", {}, "of type dict"),
    ],
)
def test_a_lag_or_readiness_that_makes_no_sense_is_no_evidence(
    status: str | None, key: str, value: Any, shown: str
) -> None:
    """It would else be taken for one that is not there: a gate would open, or a cutover seem to have begun."""
    document = {"_id": LIVE, "status": status, "readyForCutover": True, "lagTimeSeconds": 1} | {key: value}
    with pytest.raises(ValueError, match=f"expected {key} to be .*, but it is {shown}$"):
        wire.job(document, live_migration_id=LIVE, clean=str)


def test_no_half_of_a_secret_is_told_of_another_jobs_id() -> None:
    """It is cleared of secrets before it is cut."""
    secret = "d7c1f0aa-15ab-4a0e-9f39-0c2f6a4f1f55"
    with pytest.raises(ValueError, match="another job") as caught:
        wire.job({"_id": "x" * 30 + secret}, live_migration_id=LIVE, clean=Redactor([secret]).text)
    assert "x" * 30 + "[redacted]" in str(caught.value)
    assert secret[:8] not in str(caught.value)


@pytest.mark.parametrize("lag", [1e306, 10**400, math.inf])
def test_a_lag_beyond_all_reason_is_still_a_lag(lag: float) -> None:
    """The gate stays closed with it, and after a PUT it is no sign that the cutover has begun, as a lag that is gone would be."""
    document = {"_id": LIVE, "status": "WORKING", "readyForCutover": True, "lagTimeSeconds": lag}
    job = wire.job(document, live_migration_id=LIVE, clean=str)
    assert not at_gate(job, Gate(), reported_lag=False).is_open
    assert sign(job, reported_lag=True, reported_ready=True) is Sign.NOT_BEGUN
    assert why_closed(job, Gate(), reported_lag=True) == "the lag is 36500d, and at most 10s is allowed"


@pytest.mark.parametrize("document", [None, [], [{}], "WORKING", 3, True, {"status": 7}, {"status": ["x"]}])
def test_what_is_no_job_is_a_value_error(document: Any) -> None:
    """Another shape of JSON is not taken for a job."""
    if isinstance(document, dict):
        document = {"_id": LIVE} | document
    with pytest.raises(ValueError, match="expected"):
        wire.job(document, live_migration_id=LIVE, clean=str)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"status": 409, "envelope": {"errorCode": "X"}}, (409, {"errorCode": "X"})),
        ({"status": 200, "content": {"status": "PENDING"}}, (200, {"status": "PENDING"})),
        ({"status": 202, "envelope": {}}, (202, {})),
        ({"status": 202}, (202, None)),
        ({"status": "WORKING"}, (200, {"status": "WORKING"})),
        ({"status": True, "envelope": {}}, (200, {"status": True, "envelope": {}})),
        ({"status": 7, "lagTimeSeconds": 1}, (200, {"status": 7, "lagTimeSeconds": 1})),
        ({"status": 7, "envelope": {}}, (200, {"status": 7, "envelope": {}})),
        ({"status": 10**9}, (200, {"status": 10**9})),
        ([], (200, [])),
        (None, (200, None)),
    ],
)
def test_an_envelope_is_taken_off_and_its_status_honoured(document: Any, expected: tuple[int, Any]) -> None:
    """Only what looks like an envelope is one."""
    assert wire.unwrap(200, document) == expected


@pytest.mark.parametrize(
    ("identity", "got"),
    [
        ({}, "one without an _id"),
        ({"_id": None}, "one without an _id"),
        ({"id": LIVE}, "one without an _id"),
        ({"_id": LIVE[:-1] + "0"}, rf"one of another job \(_id {LIVE[:-1]}0\)"),
        ({"_id": [LIVE]}, r"one of another job \(_id of type list\)"),
    ],
)
def test_a_document_without_the_jobs_id_is_no_job(identity: dict[str, Any], got: str) -> None:
    """Another job's, or nobody's: it says nothing of this one, however good it looks; the message tells the two apart."""
    with pytest.raises(ValueError, match=rf"expected the document of live migration {LIVE}, got {got}"):
        wire.job({"status": "COMPLETE", **identity}, live_migration_id=LIVE, clean=str)


@pytest.mark.parametrize("status", [401, 409, 429, 500, 302])
def test_an_http_error_is_one_whatever_its_envelope_says(status: int) -> None:
    """A status in a body makes no success of it."""
    for document in ({"status": 200, "envelope": {"a": 1}}, {"status": 202, "content": {"a": 1}}):
        assert wire.unwrap(status, document) == (status, {"a": 1})


def test_long_texts_are_cut_after_secrets_were_taken_out() -> None:
    """What goes into every journal, log and report has an end; half a secret would be one."""
    secret = "5f0c1a5e-secret"
    long = "x" * (wire.LONGEST_TEXT - 5) + secret + "y" * 100_000
    document = {"_id": LIVE, "status": long, "errorMessage": long, "errorCode": long, "detail": long}

    def clean(text: str) -> str:
        return text.replace(secret, "")

    job = wire.job(document, live_migration_id=LIVE, clean=clean)
    error = wire.error_document(document, clean=clean)
    texts = (job.status, job.error_message, error.error_code, error.detail)
    assert [text for text in texts if text != "x" * (wire.LONGEST_TEXT - 5) + "yyyyy …"] == []


def test_an_error_document() -> None:
    """Code and detail of an `ApiError`; the reason stands in for a missing detail."""
    full = {"error": 404, "errorCode": "NOT_FOUND", "detail": "no such job", "reason": "Not Found", "parameters": [1]}
    assert wire.error_document(full, clean=str) == ErrorDocument(
        error_code="NOT_FOUND", detail="no such job", parameters=(1,)
    )
    assert wire.error_document({"reason": "Not Found", "detail": None}, clean=str) == ErrorDocument(detail="Not Found")
    assert (
        wire.error_document({"errorCode": 3, "detail": [], "reason": 4, "parameters": {}}, clean=str) == ErrorDocument()
    )
    assert wire.error_document("gateway", clean=str) == ErrorDocument()


def test_the_figures_of_a_429() -> None:
    """The document of the reference page."""
    document = json.loads(
        '{"detail": "Rate limit exceeded.", "error": 429, "errorCode": "RATE_LIMITED_TOKEN_BUCKET",'
        ' "parameters": ["api/atlas/v2/orgs", 55, 10, 5, 60], "reason": "Too Many Requests"}'
    )
    figures = wire.bucket_figures(wire.error_document(document, clean=str))
    assert figures == BucketFigures(retry_after=55.0, capacity=10, refill=5, per=60.0)


@pytest.mark.parametrize(
    "parameters",
    [
        (),
        ("x", 55, 10, 5),
        ("x", "55", 10, 5, 60),
        ("x", True, 10, 5, 60),
        ("x", -1, 10, 5, 60),
        ("x", 55, 0, 5, 60),
        ("x", 55, 10, 0, 60),
        ("x", 55, 10, 5, 0),
        ("x", 55, 10, 5, 86400),
        ("x", 55, math.inf, 5, 60),
        ("x", math.nan, 10, 5, 60),
        ("x", 55, 10, 5, 10**400),
    ],
)
def test_figures_that_make_no_sense_are_none(parameters: tuple[Any, ...]) -> None:
    """A bucket is never corrected by nonsense."""
    error = ErrorDocument(error_code="RATE_LIMITED_TOKEN_BUCKET", parameters=parameters)
    assert wire.bucket_figures(error) is None
    assert wire.bucket_figures(ErrorDocument(error_code="RATE_LIMITED", parameters=("x", 55, 10, 5, 60))) is None


def test_each_api_has_its_accept_header() -> None:
    """v2 is versioned by its media type, v1.0 is plain JSON."""
    assert accepted(Api.V2) == "application/vnd.atlas.2023-01-01+json"
    assert accepted(Api.V1) == "application/json"
