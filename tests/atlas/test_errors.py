"""Every error of aiohttp becomes one of ours, and the class says what may be concluded about a PUT."""

from __future__ import annotations

import asyncio
import errno
import inspect
import ssl
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from yarl import URL

from orchestrator.atlas.errors import (
    AnswerLostError,
    AnswerTimeoutError,
    ApiError,
    AtlasError,
    BadAnswerError,
    NotSentError,
    RateLimitedError,
    RequestVerdict,
    said_by,
    translate,
)
from orchestrator.core.errors import CutoverError
from orchestrator.core.outcomes import ExitCode

KEY: Any = ConnectionKey("cloud.example.com", 443, True, True, None, None, None)
REQUEST: Any = SimpleNamespace(real_url=URL("https://cloud.example.com/"))
OS = OSError(111, "Connection refused")
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "connection_key": (KEY, OS),
    "request_info": (REQUEST, ()),
    "certificate": (KEY, ssl.SSLCertVerificationError(1, "self-signed certificate")),
    "fingerprint": (b"a", b"b", "cloud.example.com", 443),
    "unix": ("/run/socket", KEY, OS),
}


def _classes(base: type[BaseException]) -> Iterator[type[BaseException]]:
    yield base
    for sub in base.__subclasses__():
        if sub.__module__.startswith(("aiohttp", "builtins", "ssl", "socket", "asyncio")):
            yield from _classes(sub)


FOREIGN = sorted(
    {*_classes(aiohttp.ClientError), *_classes(OSError), asyncio.TimeoutError}, key=lambda c: c.__qualname__
)
NOT_SENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    aiohttp.ClientHttpProxyError,
)


def _make(cls: type[BaseException]) -> Any:
    """An instance of *cls* with arguments of the kind that aiohttp gives it."""
    for arguments in (*ARGUMENTS.values(), ("https://x y",), ("closed",), ()):
        try:
            error = cls(*arguments)
            str(error)
            repr(error)
        except (TypeError, AttributeError):
            continue
        return error
    raise AssertionError(f"cannot make {cls} {inspect.signature(cls)}")


@pytest.mark.parametrize("cls", FOREIGN, ids=lambda cls: cls.__qualname__)
def test_every_error_of_aiohttp_and_the_system_is_translated(cls: type[BaseException]) -> None:
    """No foreign class gets past the client, and only what certainly never left is said not to have been sent."""
    error = translate(_make(cls), method="PUT", path="/api/atlas/v2/x", clean=str)
    assert isinstance(error, AtlasError)
    assert (error.method, error.path) == ("PUT", "/api/atlas/v2/x")
    assert str(error).startswith("PUT /api/atlas/v2/x: ")
    certain = issubclass(cls, (*NOT_SENT, ssl.SSLCertVerificationError))
    assert isinstance(error, NotSentError) == certain
    if not certain:
        assert isinstance(error, AnswerLostError)
        assert isinstance(error, AnswerTimeoutError) == issubclass(cls, TimeoutError)


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_certificate_that_cannot_be_verified_comes_with_advice(wrapped: bool) -> None:
    """The message names the setting that helps."""
    cause = ssl.SSLCertVerificationError(1, "self-signed")
    cause.verify_code = 18  # as OpenSSL says of a self-signed one
    error = aiohttp.ClientConnectorCertificateError(KEY, cause) if wrapped else cause
    assert "atlas.ca_file" in str(translate(error, method="GET", path="/", clean=str))


@pytest.mark.parametrize("number", [errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH])
def test_a_connection_that_the_kernel_gave_up_is_a_timeout(number: int) -> None:
    """It has waited as long as we would have: what was sent may be on its way."""
    for cls in (aiohttp.ClientOSError, OSError):
        error = translate(cls(number, "gone"), method="PUT", path="/", clean=str)
        assert isinstance(error, AnswerTimeoutError)
    refused = aiohttp.ClientConnectorError(KEY, OSError(number, "gone"))
    assert isinstance(translate(refused, method="PUT", path="/", clean=str), NotSentError)


def test_an_api_error_keeps_what_atlas_said() -> None:
    """Status, code, detail, method and path are there to be read, and in the message."""
    error = ApiError(method="GET", path="/p", status=404, error_code="NO_JOB", detail="no such job", retry_after=3.0)
    assert (error.status, error.error_code, error.detail, error.retry_after) == (404, "NO_JOB", "no such job", 3.0)
    assert str(error) == "GET /p: 404 NO_JOB: no such job"
    assert str(ApiError(method="GET", path="/p", status=502)) == "GET /p: 502"


ORIGIN = {400, 402, 403, 404, 405, 406, *range(409, 418), 422, 423, 424, 428, 431}
MEANINGS = {
    RequestVerdict.ACCEPTED: set(range(200, 300)),
    RequestVerdict.NOT_CARRIED_OUT: {401, 429},
    RequestVerdict.REFUSED: ORIGIN,
}


def test_a_status_that_is_not_the_origin_servers_word_is_no_verdict() -> None:
    """407, 408, 421, 425, 451, 520, 524 and whatever nobody knows say nothing about the job; so do redirects and 5xx."""
    known = set().union(*MEANINGS.values())
    for verdict, statuses in MEANINGS.items():
        assert {status for status in range(100, 1000) if said_by(status) is verdict} == statuses
    assert {status for status in range(100, 1000) if said_by(status) is RequestVerdict.INCONCLUSIVE} == set(
        range(100, 1000)
    ) - known


def test_refusals_are_those_where_asking_again_is_no_use() -> None:
    """What Atlas says of the request itself, and keys that it does not take."""
    refused = {s for s in range(100, 1000) if ApiError(method="PUT", path="/", status=s).lasting}
    assert refused == ORIGIN | {401}


def test_the_tree_of_errors() -> None:
    """One base, which is a `CutoverError` with exit code 6."""
    limited = RateLimitedError(method="PUT", path="/", retry_after=5.0)
    assert isinstance(limited, ApiError)
    assert (limited.status, limited.retry_after) == (429, 5.0)
    for error in (
        limited,
        BadAnswerError("x", method="GET", path="/"),
        NotSentError("x", method="GET", path="/"),
    ):
        assert isinstance(error, CutoverError)
        assert error.exit_code is ExitCode.UNREACHABLE


def test_a_connection_that_ends_while_tls_is_agreed_on_says_so() -> None:
    """As a server does that speaks TLS 1.1 alone: the system has no words for that, and aiohttp writes None."""
    error = translate(aiohttp.ClientConnectorError(KEY, ConnectionResetError()), method="GET", path="/x", clean=str)
    assert isinstance(error, NotSentError)
    assert "None" not in str(error)
    assert "hung up while TLS was being agreed on" in str(error)
    assert "TLS 1.2" in str(error)
    refused = translate(aiohttp.ClientConnectorError(KEY, OS), method="GET", path="/x", clean=str)
    assert "TLS 1.2" not in str(refused)
    assert "Connection refused" in str(refused)


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("UNSUPPORTED_PROTOCOL", "speaks no TLS 1.2"),
        ("LEGACY_SIGALG_DISALLOWED_OR_UNSUPPORTED", "speaks no TLS 1.2"),
        ("WRONG_VERSION_NUMBER", "does not answer with TLS: is the port that of plain HTTP?"),
    ],
)
def test_a_handshake_that_openssl_ends_says_what_is_wrong_with_the_other_side(reason: str, advice: str) -> None:
    """OpenSSL's words for it name no cause that anybody could do something about."""
    cause = ssl.SSLError(1, "[SSL] made up")
    cause.reason = reason
    error = translate(aiohttp.ClientConnectorSSLError(KEY, cause), method="GET", path="/x", clean=str)
    assert isinstance(error, NotSentError)
    assert advice in str(error)
    cause.reason = "SOMETHING_ELSE"
    assert advice not in str(translate(aiohttp.ClientConnectorSSLError(KEY, cause), method="GET", path="/x", clean=str))
