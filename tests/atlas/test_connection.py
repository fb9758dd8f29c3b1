"""What happens below HTTP: broken connections, certificates, redirects, proxies, timeouts and cancellation."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
import trustme

from orchestrator.atlas.client import AtlasClient
from orchestrator.atlas.connection import ClientSettings, open_session
from orchestrator.atlas.errors import (
    AnswerLostError,
    AnswerTimeoutError,
    ApiError,
    AtlasError,
    BadAnswerError,
    NotSentError,
)
from orchestrator.atlas.shares import Priority
from orchestrator.core.errors import InputError
from orchestrator.core.settings import ApiKey, Secret
from orchestrator.simulator import Scenario
from orchestrator.simulator.scenario import Fault, FaultKind, Kind

from .servers import GROUP, KEYS, LIVE, Raw, atlas, client_of, http, job_document, live, raw_server

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

KEY = ApiKey(public_key=Secret(KEYS[0]), private_key=Secret(KEYS[1]))
CHALLENGE = 'Digest realm="r", domain="", nonce="n1", algorithm=MD5, qop="auth", stale=false'


async def put(client: object, number: int = 0) -> object:
    """Cut migration *number* over by *client*."""
    reservation = await client.reserve(GROUP)  # type: ignore[attr-defined]
    try:
        return await client.cutover(GROUP, live(number), reservation)  # type: ignore[attr-defined]
    finally:
        reservation.give_back()


@pytest.mark.parametrize("dropped", ["PUT", "GET"])
async def test_aiohttp_repeats_nothing_when_a_kept_connection_drops(dropped: str) -> None:
    """A PUT on a reused connection that drops is sent exactly once; a read only as often as we say."""

    async def answer(raw: Raw) -> bytes | None:
        return None if len(raw.requests) > 1 and raw.requests[-1].startswith(dropped) else http(200, job_document(raw))

    async with raw_server(answer) as raw, client_of(raw.base_url) as client:
        await client.job(GROUP, live(0))
        with pytest.raises(AnswerLostError):
            await (put(client) if dropped == "PUT" else client.job(GROUP, live(0)))
        assert raw.count("PUT") == (dropped == "PUT")
        assert raw.count("GET") == (1 if dropped == "PUT" else 1 + 4)


async def test_a_put_on_a_connection_that_the_server_has_closed_is_sent_once() -> None:
    """The server closes right after its answer, without having said so."""

    async def answer(raw: Raw) -> bytes:
        raw.closing = raw.requests[-1].startswith("GET")
        return http(200, job_document(raw))

    async with raw_server(answer) as raw, client_of(raw.base_url) as client:
        for _ in range(5):
            await client.job(GROUP, live(0))
            await anyio.sleep(0.1)
        await put(client)
        assert (raw.connections, raw.count("PUT")) == (6, 1)


async def test_redirects_are_not_followed() -> None:
    """Neither requests nor credentials reach the place that a redirect names."""

    async def accept(raw: Raw) -> bytes:
        return http(200, job_document(raw))

    async with raw_server(accept) as elsewhere:

        async def redirect(raw: Raw) -> bytes:
            if "Authorization" not in raw.headers[-1]:
                return http(401, WWW_Authenticate=CHALLENGE)
            return http(307, Location=f"{elsewhere.base_url}/there")

        async with raw_server(redirect) as raw, client_of(raw.base_url) as client:
            for call in (client.job(GROUP, live(0)), put(client), client.check_access()):
                with pytest.raises(ApiError, match=r"redirects are not followed: check `atlas\.base_url`") as caught:
                    await call
                assert caught.value.status == 307
            assert not elsewhere.requests
            assert raw.count("PUT") == 1


async def test_a_server_is_only_trusted_by_its_ca(tmp_path: Path) -> None:
    """With `ca_file` it is; without, the error says which setting is missing, and nothing was sent."""
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))

    async def answer(raw: Raw) -> bytes:
        return http(200, job_document(raw))

    async with raw_server(answer, tls=tls) as raw:
        async with client_of(raw.base_url, ca_file=ca_file) as client:
            assert (await client.job(GROUP, live(0))).ready
        seen = len(raw.requests)
        async with client_of(raw.base_url) as client:
            with pytest.raises(NotSentError, match=r"atlas\.ca_file"):
                await put(client)
        assert len(raw.requests) == seen


async def test_a_certificate_for_another_host_is_refused(tmp_path: Path) -> None:
    """The CA alone is not enough."""
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("elsewhere.example.com").configure_cert(tls)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))

    async def answer(raw: Raw) -> bytes:
        return http(200, job_document(raw))

    async with raw_server(answer, tls=tls) as raw, client_of(raw.base_url, ca_file=ca_file) as client:
        with pytest.raises(NotSentError, match="certificate"):
            await put(client)
        assert not raw.requests


@pytest.mark.parametrize("kind", ["SSL_CERT_FILE", "SSL_CERT_DIR", "ca_file"])
async def test_authorities_that_somebody_else_could_name_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """By the environment as by the config: whoever vouches for a server reads what is sent to it. Neither has to be there yet."""
    shared = tmp_path / "shared"
    shared.mkdir()
    named = shared / ("certs" if kind == "SSL_CERT_DIR" else "ca.pem")
    if kind == "ca_file":
        trustme.CA().cert_pem.write_to_path(str(named))
        settings = ClientSettings(base_url="https://x/api/atlas/v2", credentials=KEY, ca_file=named)
    else:
        monkeypatch.setenv(kind, str(named))
        settings = ClientSettings(base_url="https://x/api/atlas/v2", credentials=KEY)
    async with open_session(settings):
        pass
    shared.chmod(0o777)
    with pytest.raises(InputError, match=rf"{named}: .*lies in {shared}, which can be written by everybody"):
        async with open_session(settings):
            pass


@pytest.mark.parametrize(
    ("kind", "name"), [("SSL_CERT_FILE", "ca.pem"), ("SSL_CERT_DIR", ""), ("SSL_CERT_DIR", "certs")]
)
async def test_authorities_that_somebody_else_could_add_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, name: str
) -> None:
    """The sticky bit lets everybody do so: OpenSSL reads them by their names when it needs them."""
    shared = tmp_path / "shared"
    shared.mkdir()
    monkeypatch.setenv(kind, str(shared / name))
    settings = ClientSettings(base_url="https://x/api/atlas/v2", credentials=KEY)
    async with open_session(settings):
        pass
    shared.chmod(0o1777)
    with pytest.raises(InputError, match=f"is named by {kind}, but .*can be written by everybody"):
        async with open_session(settings):
            pass


async def test_what_connections_are_encrypted_with_is_written_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`SSLKEYLOGFILE` is for other programs; certificates and names are verified as ever."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    async with open_session(ClientSettings(base_url="https://x/api/atlas/v2", credentials=KEY)) as session:
        assert isinstance(session.connector, aiohttp.TCPConnector)
        context = session.connector._ssl
    assert isinstance(context, ssl.SSLContext)
    assert not context.keylog_filename
    assert not (tmp_path / "keys").exists()
    monkeypatch.delenv("SSLKEYLOGFILE")
    usual = ssl.create_default_context()
    for name in ("verify_mode", "check_hostname", "verify_flags", "options", "minimum_version"):
        assert getattr(context, name) == getattr(usual, name)


async def test_loopback_never_goes_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rehearsal works on a machine with a proxy that is not even there."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    async with atlas() as it:
        await it.client.check_access()


async def test_a_proxy_that_refuses_means_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its `CONNECT` is seen, no request is."""

    async def answer(_: Raw) -> bytes:
        return http(403)

    async with raw_server(answer) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.origin)
        async with client_of("https://atlas.example.com/api/atlas/v2") as client:
            with pytest.raises(NotSentError, match=r"the proxy .* refused the connection"):
                await put(client)
        assert proxy.requests == ["CONNECT atlas.example.com:443"]


async def test_a_refused_connection_means_not_sent() -> None:
    """Nobody listens; the token is not lost for ever and the next call works the same way."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with client_of(f"http://127.0.0.1:{port}/api/atlas/v2") as client:
        for _ in range(2):
            with pytest.raises(NotSentError):
                await put(client)


async def test_a_connection_that_is_not_accepted_means_not_sent() -> None:
    """The connect timeout is not mistaken for a lost answer, however short the request timeout is."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        port = listening.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        try:
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", port))
            for timeout in (3.0, 30.0):
                base_url = f"http://127.0.0.1:{port}/api/atlas/v2"
                async with client_of(base_url, request_timeout=timeout) as client:
                    began = anyio.current_time()
                    with pytest.raises(NotSentError):
                        await put(client)
                    assert anyio.current_time() - began <= min(timeout / 2, 10.0) + 1.0  # aiohttp rounds up
        finally:
            for filler in fillers:
                filler.close()


async def test_a_put_is_asked_once_more_when_it_has_its_connection() -> None:
    """Making one may take seconds, in which the run is paused or what was read gets old: not a byte leaves then."""
    answers = iter([True, False])

    async def answer(_: Raw) -> bytes:
        return http(202)

    async with raw_server(answer) as raw, client_of(raw.base_url) as client:
        with pytest.raises(NotSentError):
            await client.cutover(GROUP, live(0), await client.reserve(GROUP), may_leave=lambda: next(answers))
        await put(client)
        assert (raw.count("PUT"), len(raw.requests), raw.connections) == (1, 1, 2)


async def test_a_handshake_that_never_ends_means_not_sent(tmp_path: Path) -> None:
    """TLS belongs to the connection: without it nothing has been sent."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(5)
        base_url = f"https://127.0.0.1:{listening.getsockname()[1]}/api/atlas/v2"
        async with client_of(base_url, request_timeout=5.0) as client:
            with pytest.raises(NotSentError):
                await put(client)


async def test_a_put_that_waits_for_a_connection_is_not_one_without_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """With few file descriptors, all of them in requests that hang: its time begins when it can leave."""
    monkeypatch.setattr("orchestrator.atlas.connection.connections_at_most", lambda _: 2)
    silent = asyncio.Event()

    async def answer(raw: Raw) -> bytes:
        if "Authorization" not in raw.headers[-1]:
            return http(401, WWW_Authenticate=CHALLENGE)
        if raw.requests[-1].startswith("GET") and raw.count("GET") > served + 1:
            await silent.wait()
        if raw.requests[-1].startswith("PUT"):
            await anyio.sleep(1.0)
        return http(200, job_document(raw))

    async with raw_server(answer) as raw, client_of(raw.base_url, request_timeout=4.0) as client:
        served = 300  # more than enough of them to show that many may be out at once
        for number in range(served):
            await client.job(GROUP, live(number))
        async with anyio.create_task_group() as group:
            for number in range(3):
                group.start_soon(client.job, GROUP, live(number))
            while raw.count("GET") < served + 3:  # noqa: ASYNC110 - nobody tells
                await anyio.sleep(0.01)
            accepted: Any = await put(client)
            assert accepted.http_status == 200
            assert raw.count("PUT") == 1
            group.cancel_scope.cancel()


async def test_a_slow_drip_ends_at_the_request_timeout() -> None:
    """A server that always sends one byte more does not hold a request for ever."""

    async def answer(_: Raw) -> bytes:
        return b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{"

    async with raw_server(answer) as raw, client_of(raw.base_url, request_timeout=4.0) as client:
        began = anyio.current_time()
        with pytest.raises(AnswerTimeoutError):
            await put(client)
        assert anyio.current_time() - began == pytest.approx(4.0, abs=0.2)
        assert raw.count("PUT") == 1


async def test_a_put_that_was_challenged_and_may_not_leave_again_is_not_in_doubt() -> None:
    """What may have changed meanwhile is asked before each wire request: the challenge says it was not carried out."""

    async def answer(_: Raw) -> bytes:
        return http(401, WWW_Authenticate=CHALLENGE)

    async with raw_server(answer) as raw, client_of(raw.base_url) as client:
        permit = await client.reserve(GROUP)
        with pytest.raises(NotSentError):
            await client.cutover(GROUP, LIVE, permit, may_leave=lambda: not raw.requests)
        assert raw.count("PUT") == 1
        assert client.bucket(GROUP).tokens() == 1200.0


WEIRD = {
    "no http": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "bad length": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}",
    "bad chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "bad gzip": http(200, b"not gzip", Content_Encoding="gzip"),
    "long header": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
    "bad header": b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n",
    "binary status": b"HTTP/1.1 \xff\xfe\r\n\r\n",
    "bad challenge": http(401, WWW_Authenticate='Digest realm="x", algorithm=ROT13, nonce="n"'),
    "empty nonce": http(401, WWW_Authenticate='Digest realm="x", nonce=""'),
    "no nonce": http(401, WWW_Authenticate='Digest realm="x"'),
    "binary nonce": http(401, WWW_Authenticate='Digest realm="x", nonce="\xff"'),
    "bad domain": http(401, WWW_Authenticate='Digest realm="x", nonce="n", domain="http://["'),
    "other scheme": http(401, WWW_Authenticate="Basic realm=x"),
}


@pytest.mark.parametrize("name", WEIRD)
async def test_weird_answers_are_errors_of_ours(name: str) -> None:
    """Nothing foreign gets out, and the client goes on working."""
    answers = iter([WEIRD[name]] * 2)

    async def answer(raw: Raw) -> bytes:
        return next(answers, http(200, job_document(raw)))

    async with raw_server(answer) as raw, client_of(raw.base_url) as client:
        with pytest.raises(AtlasError):
            await put(client)
        assert raw.count("PUT") <= 2
        assert raw.count("PUT") == 1 or "401" in str(WEIRD[name])
        assert (await client.job(GROUP, live(0))).ready


async def test_a_compressed_answer_is_read() -> None:
    """Compression is HTTP's business, not garbage."""

    async def answer(raw: Raw) -> bytes:
        return http(200, gzip.compress(job_document(raw)), Content_Encoding="gzip")

    async with raw_server(answer) as raw, client_of(raw.base_url) as client:
        assert (await client.job(GROUP, live(0))).ready


async def test_a_page_instead_of_a_document_is_a_bad_answer() -> None:
    """A portal that answers 200 with HTML is not taken for Atlas."""

    async def answer(_: Raw) -> bytes:
        return http(200, b"<html>Please log in</html>", Content_Type="text/html")

    async with raw_server(answer) as raw, client_of(raw.base_url) as client:
        with pytest.raises(BadAnswerError, match="not JSON"):
            await client.check_access()


@pytest.mark.parametrize("after", [0.0, 0.5, 1.5, 2.5, 3.5, 4.5])
@pytest.mark.parametrize("kind", [FaultKind.SLOW, FaultKind.HANG_BEFORE])
async def test_cancellation_in_any_stage_leaves_the_client_whole(after: float, kind: FaultKind) -> None:
    """Tokens and places come back: afterwards as much can be had as before."""
    faults = (Fault(on=None, kind=kind, delay=1.0, until=6.0),)
    async with atlas(Scenario(faults=faults), count=30, burst=200, requests=100, per=60.0) as it:
        with anyio.move_on_after(after):
            async with anyio.create_task_group() as group:
                for number in range(30):
                    group.start_soon(_ignoring_errors, it.client, number)
        await anyio.sleep(60)
        bucket = it.client.bucket(GROUP)
        assert (bucket.waiting, bucket.account.out, bucket.account.unsent) == (0, 0, 0)
        assert bucket.tokens() >= 199.0
        assert await most_at_once(it.client) == 94
        async with anyio.create_task_group() as group:
            for number in range(30):
                group.start_soon(it.client.job, GROUP, live(number))


async def most_at_once(client: AtlasClient) -> int:
    """How many reads of one kind have a place on the wire at once."""
    permits = []
    with anyio.move_on_after(60):
        while True:
            permits.append(await client.bucket(GROUP).take(Priority.POLL))
    for permit in permits:
        assert permit is not None
        permit.give_back()
    return len(permits)


async def _ignoring_errors(client: object, number: int) -> None:
    try:
        await (client.job(GROUP, live(number)) if number % 2 else put(client, number))  # type: ignore[attr-defined]
    except AtlasError:
        return


async def test_a_permit_is_used_once_or_given_back() -> None:
    """A token is never spent twice, and giving it back twice gives it back once."""
    async with atlas(burst=2) as it:
        permit = await it.client.reserve(GROUP)
        permit.give_back()
        permit.give_back()
        with pytest.raises(RuntimeError, match="has been used"):
            await it.client.cutover(GROUP, LIVE, permit)
        assert it.client.bucket(GROUP).tokens() == 2.0


def test_the_private_key_is_not_shown() -> None:
    """Not even by the settings that hold it."""
    from orchestrator.atlas.connection import ClientSettings
    from orchestrator.core.settings import ApiKey, Secret

    key = ApiKey(public_key=Secret("abc"), private_key=Secret("secret-key"))
    settings = ClientSettings(base_url="https://x/api/atlas/v2", credentials=key)
    assert "secret-key" not in repr(settings)


@pytest.mark.parametrize("kind", [Kind.READ, Kind.CUTOVER])
async def test_a_timeout_while_reading_the_body_is_a_timeout(kind: Kind) -> None:
    """The answer's head has come, its end has not: for a PUT that is an answer lost in time."""

    async def answer(_: Raw) -> bytes:
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

    async with raw_server(answer) as raw, client_of(raw.base_url, request_timeout=2.0) as client:
        with pytest.raises(AnswerTimeoutError):
            await (put(client) if kind is Kind.CUTOVER else client.job(GROUP, live(0)))
        assert len(raw.requests) == (1 if kind is Kind.CUTOVER else 4)


async def test_what_the_other_side_echoes_of_the_credentials_goes_no_further() -> None:
    """Error details, messages of jobs and broken answers are cleared where they come in."""
    echo = f'Digest username="{KEYS[0]}", response="0123456789abcdef0123456789abcdef"'

    async def answer(raw: Raw) -> bytes:
        if raw.count("PUT"):
            return http(400, json.dumps({"detail": f"bad header Authorization: {echo}", "errorCode": KEYS[1]}).encode())
        return http(200, job_document(raw, status=f"ODD {KEYS[1]}", errorMessage=f"proxy saw {echo}"))

    async with raw_server(answer) as raw, client_of(raw.base_url) as client:
        job = await client.job(GROUP, LIVE)
        reservation = await client.reserve(GROUP)
        with pytest.raises(ApiError) as caught:
            await client.cutover(GROUP, LIVE, reservation)
    said = f"{job} {caught.value} {caught.value.error_code}"
    assert "[redacted]" in said
    assert not [secret for secret in (*KEYS, "0123456789abcdef") if secret in said]
