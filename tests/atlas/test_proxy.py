"""The way through a proxy: what the environment may say, what cannot be used, and that no password is ever told."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import aiohttp.resolver
import anyio
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from orchestrator.atlas.errors import NotSentError
from orchestrator.atlas.proxy import proxy_for
from orchestrator.core.errors import InputError
from orchestrator.core.settings import Secret, ServiceAccount

from .servers import GROUP, LIVE, Raw, client_of, http, job_document, raw_server

ATLAS = URL("https://cloud.mongodb.com/api/atlas/v2")
PROXY = "http://proxy.example.com:3128"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"HTTPS_PROXY": PROXY}, PROXY),
        ({"https_proxy": PROXY, "HTTPS_PROXY": "http://other:1"}, PROXY),
        ({"https_proxy": "", "HTTPS_PROXY": PROXY}, None),
        ({"HTTP_PROXY": PROXY}, None),
        ({"ALL_PROXY": PROXY}, PROXY),
        ({"all_proxy": "http://other:1", "https_proxy": PROXY}, PROXY),
        ({"HTTPS_PROXY": "", "ALL_PROXY": PROXY}, None),
        ({"HTTPS_PROXY": "proxy.example.com:3128"}, PROXY),
        ({"HTTPS_PROXY": "//proxy.example.com:3128"}, PROXY),
        ({"HTTPS_PROXY": " HTTP://proxy.example.com:3128/ "}, PROXY),
        ({"HTTPS_PROXY": "https://proxy.example.com"}, "https://proxy.example.com"),
        ({"HTTPS_PROXY": "10.0.0.1"}, "http://10.0.0.1"),
        ({"HTTPS_PROXY": "[2001:db8::1]:3128"}, "http://[2001:db8::1]:3128"),
    ],
)
def test_the_proxy_is_that_of_the_environment(environ: dict[str, str], expected: str | None) -> None:
    """By curl's names and rules; without a scheme it is http."""
    assert proxy_for(ATLAS, environ) == (URL(expected) if expected else None)


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "127.9.9.9", "localhost:1", "[::1]:9", "LOCALHOST"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_loopback_has_no_proxy(scheme: str, host: str) -> None:
    """Not even one that could not be used."""
    environ = {"ALL_PROXY": "socks5://proxy", "http_proxy": PROXY, "https_proxy": PROXY}
    assert proxy_for(URL(f"{scheme}://{host}/api/atlas/v2"), environ) is None


@pytest.mark.parametrize(
    ("no_proxy", "host", "exempt"),
    [
        ("*", "cloud.mongodb.com", True),
        ("cloud.mongodb.com", "cloud.mongodb.com", True),
        ("CLOUD.MongoDB.com", "cloud.mongodb.com", True),
        ("mongodb.com", "cloud.mongodb.com", True),
        (".mongodb.com", "cloud.mongodb.com", True),
        ("*.mongodb.com", "cloud.mongodb.com", True),
        ("a.example, .mongodb.com ,b", "cloud.mongodb.com", True),
        ("a.example mongodb.com", "cloud.mongodb.com", True),
        ("cloud.mongodb.com:443", "cloud.mongodb.com", True),
        ("mongodb.com:443", "cloud.mongodb.com", True),
        ("cloud.mongodb.com:8443", "cloud.mongodb.com", False),
        ("cloud.mongodb.com", "cloud.mongodb.com.", True),
        ("ongodb.com", "cloud.mongodb.com", False),
        ("cloud.mongodb.com.evil", "cloud.mongodb.com", False),
        ("", "cloud.mongodb.com", False),
        (" , ,.", "cloud.mongodb.com", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.1/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/8", "cloud.mongodb.com", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("2001:db8::/32", "[2001:db8::7]", True),
        ("[2001:db8::7]", "[2001:db8::7]", True),
        ("[2001:db8::7]:443", "[2001:db8::7]", True),
        ("2001:db8::7", "[2001:db8::7]", True),
        ("2001:DB8:0::7", "[2001:db8::7]", True),
        ("[2001:db8:0:0::7]:443", "[2001:db8::7]", True),
        ("2001:db8::8", "[2001:db8::7]", False),
        ("a/b/c, x/8", "10.1.2.3", False),
    ],
)
@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_no_proxy_names_hosts_in_all_usual_forms(name: str, no_proxy: str, host: str, exempt: bool) -> None:
    """Domains, ports, addresses, networks, separated by commas or blanks."""
    found = proxy_for(URL(f"https://{host}/api/atlas/v2"), {"HTTPS_PROXY": PROXY, name: no_proxy})
    assert (found is None) == exempt


SECRET = "s3cret-w0rd"


@pytest.mark.parametrize(
    "value",
    [
        f"socks5://user:{SECRET}@proxy.example.com:1080",
        f"http://user:{SECRET}@xn--:3128",
        f"http://user:{SECRET}@xn--proxy-.example.com:3128",
        f"socks5h://user:{SECRET}@proxy.example.com",
        f"user:{SECRET}://proxy",
        f"ftp://user:{SECRET}@proxy.example.com",
        f"http://user:{SECRET}@",
        f"http://user:{SECRET}",
        f"http://user:{SECRET}@proxy.example.com:{SECRET}",
        f"http://user:{SECRET}@proxy.example.com:99999",
        f"http://user:{SECRET}@proxy example.com",
        f"http://user:{SECRET}@[::1",
        f"http://us%3Aer:{SECRET}@proxy.example.com",
        f"http://user:{SECRET}%E2%82%AC@proxy.example.com",
        f"http://user:{SECRET}@" + "x" * 300,
        "http://",
    ],
)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_that_cannot_be_used_is_told_by_the_name_of_its_variable(variable: str, value: str) -> None:
    """And by nothing of its value."""
    with pytest.raises(InputError) as caught:
        proxy_for(ATLAS, {variable: value})
    told = str(caught.value)
    assert told.startswith(f"environment: {variable}: ")
    assert SECRET not in told
    assert "NO_PROXY" in told
    assert "key" not in told
    assert [problem.key for problem in caught.value.problems] == [variable]


@pytest.mark.parametrize(
    "value",
    [
        f"http://user:{SECRET}@proxy.example.com:3128/x@evil.example.com",
        f"http://user:{SECRET}@proxy.example.com?x@evil.example.com",
        f"http://user:{SECRET}@proxy.example.com#@evil.example.com",
        f"http://user:{SECRET}@proxy.example.com\\@evil.example.com",
        f"http://user:{SECRET}@more@proxy.example.com",
        f"http://user:80/{SECRET}@proxy.example.com",
        f"http://user:80?{SECRET}@proxy.example.com",
        f"http://user:80#{SECRET}@proxy.example.com",
        f"http://user:80\\{SECRET}@proxy.example.com",
        f"http://us/er:{SECRET}@proxy.example.com",
        f"user:{SECRET}@proxy.example.com/@evil.example.com",
        f"//user:{SECRET}@proxy.example.com/@evil.example.com",
        "http://proxy.example.com:3128/x@evil.example.com",
    ],
)
def test_a_proxy_of_which_it_is_not_certain_which_host_is_meant_is_not_used(value: str) -> None:
    """What ends a host, or a password, for one program does not for another: the password would be sent to whom nobody meant."""
    with pytest.raises(InputError) as caught:
        proxy_for(ATLAS, {"HTTPS_PROXY": value})
    told = str(caught.value)
    assert told.startswith("environment: HTTPS_PROXY: ")
    assert "%40 %2F %3F %23 %5C" in told
    assert SECRET not in told
    assert "evil" not in told


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_value_is_a_proxy_or_an_input_error(value: str, no_proxy: str) -> None:
    """Nothing else comes out."""
    try:
        proxy = proxy_for(ATLAS, {"HTTPS_PROXY": value, "NO_PROXY": no_proxy})
    except InputError:
        return
    assert proxy is None or proxy.scheme in ("http", "https")


PASSWORDS = {
    "plain": ("pass", "pass"),
    "reserved, as they are": ("p!ss:wo;r,d&=+%$", "p!ss:wo;r,d&=+%$"),
    "reserved, encoded": ("p%40ss%3Aw%2Fo%3Fr%23d%5C", "p@ss:w/o?r#d\\"),
    "blank and umlaut": ("grün%20er", "grün er"),
    "a host in it": ("x%40evil.example.com:80%2F", "x@evil.example.com:80/"),
    "empty": ("", ""),
}


@pytest.mark.anyio
@pytest.mark.usefixtures("virtual_time")
@pytest.mark.parametrize("name", PASSWORDS)
async def test_passwords_reach_the_proxy_as_they_are(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With reserved characters, encoded or not, and to no other host."""
    written, meant = PASSWORDS[name]

    async def answer(_: Raw) -> bytes:
        return http(403)

    async with raw_server(answer) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.origin.replace("://", f"://us%40er:{written}@"))
        async with client_of("https://atlas.example.com/api/atlas/v2") as client:
            with pytest.raises(NotSentError, match=r"the proxy .* refused the connection \(403 Forbidden\)"):
                await client.cutover(GROUP, LIVE, await client.reserve(GROUP))
        assert proxy.requests == ["CONNECT atlas.example.com:443"]
        scheme, _, credentials = proxy.headers[0]["Proxy-Authorization"].partition(" ")
        assert (scheme, base64.b64decode(credentials).decode("latin-1")) == ("Basic", f"us@er:{meant}")


async def refused_by(proxy: Raw, monkeypatch: pytest.MonkeyPatch) -> str:
    """What is said of a PUT that *proxy*, which is given a password, lets not through: it has not left."""
    monkeypatch.setenv("HTTPS_PROXY", proxy.origin.replace("://", f"://user:{SECRET}@"))
    async with client_of("https://atlas.example.com/api/atlas/v2") as client:
        with pytest.raises(NotSentError) as caught:
            await client.cutover(GROUP, LIVE, await client.reserve(GROUP))
    return str(caught.value)


@pytest.mark.anyio
@pytest.mark.usefixtures("virtual_time")
async def test_a_proxy_that_wants_credentials_says_so_without_blame_for_atlas(monkeypatch: pytest.MonkeyPatch) -> None:
    """407: nothing was sent, the message speaks of the proxy variable, and holds nothing that the proxy echoes."""

    async def answer(raw: Raw) -> bytes:
        echo = raw.headers[-1]["Proxy-Authorization"]
        return f"HTTP/1.1 407 No {SECRET} {echo}\r\nContent-Length: 0\r\n\r\n".encode()

    async with raw_server(answer) as proxy:
        told = await refused_by(proxy, monkeypatch)
    assert "407 Proxy Authentication Required" in told
    assert "are in the proxy variable" in told
    assert SECRET not in told
    assert "dXNlcj" not in told  # "user" in Basic's clothes
    assert "API key" not in told


@asynccontextmanager
async def a_proxy(tls: ssl.SSLContext | None, port: int) -> AsyncIterator[str]:
    """A proxy that is spoken to with *tls*, and leads every CONNECT to *port* of this machine."""
    tasks: set[asyncio.Task[Any]] = set()

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"CONNECT ")
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(pipe(reader, up_writer))
                group.create_task(pipe(up_reader, writer))
        except* OSError:
            pass  # reset: the client has gone
        finally:
            for each in (up_writer, writer):
                each.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


@pytest.mark.anyio
@pytest.mark.usefixtures("virtual_time")
async def test_a_proxy_may_be_spoken_to_with_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS inside of TLS; both certificates are verified."""
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "atlas.example.com").configure_cert(tls)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    async def answer(raw: Raw) -> bytes:
        return http(200, job_document(raw))

    async with (
        raw_server(answer, tls=tls) as raw,
        a_proxy(tls, int(raw.origin.rpartition(":")[2])) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        async with client_of("https://atlas.example.com/api/atlas/v2", ca_file=tmp_path / "ca.pem") as client:
            assert (await client.job(GROUP, LIVE)).ready
            await client.cutover(GROUP, LIVE, await client.reserve(GROUP))
        assert raw.connections == 1


def tls_of(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    """A server's, with a certificate of *authority* for *names*."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(tls)
    return tls


@pytest.mark.anyio
@pytest.mark.usefixtures("virtual_time")
@pytest.mark.parametrize("whose", ["proxy", "server"])
async def test_a_certificate_for_another_host_is_blamed_on_whose_it_is(
    whose: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy's name stands in its variable and not in `atlas.base_url`; that of the server behind it does."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    right = tls_of(authority, "127.0.0.1", "atlas.example.com")
    wrong = tls_of(authority, "elsewhere.example.com")

    async def answer(raw: Raw) -> bytes:
        return http(200, job_document(raw))

    async with (
        raw_server(answer, tls=wrong if whose == "server" else right) as raw,
        a_proxy(wrong if whose == "proxy" else None, int(raw.origin.rpartition(":")[2])) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        async with client_of("https://atlas.example.com/api/atlas/v2", ca_file=tmp_path / "ca.pem") as client:
            with pytest.raises(NotSentError) as caught:
                await client.cutover(GROUP, LIVE, await client.reserve(GROUP))
    told = str(caught.value)
    assert f"the {whose}'s certificate is for another host" in told
    assert ("`atlas.base_url`" in told, "the proxy variable" in told) == (whose == "server", whose == "proxy")


@pytest.mark.anyio
@pytest.mark.usefixtures("virtual_time")
@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 400 plain\r\n\r\n"])
async def test_a_proxy_that_opens_a_way_and_hangs_up_is_named(first: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one is not let through, it is the proxy that hangs up, or says something else, in the server's place."""

    async def answer(raw: Raw) -> bytes:
        raw.closing = True
        return b"HTTP/1.1 200 Connection established\r\n\r\n" + first

    async with raw_server(answer) as proxy:
        told = await refused_by(proxy, monkeypatch)
    assert f"the proxy {proxy.origin.removeprefix('http://')} " in told
    assert "atlas.example.com:443" in told
    assert SECRET not in told


async def silent(_: Raw) -> bytes:
    """Nothing is ever answered."""
    await anyio.sleep_forever()
    raise AssertionError


async def hung_up(_: Raw) -> None:
    """Not a byte comes."""


@pytest.mark.anyio
@pytest.mark.usefixtures("virtual_time")
@pytest.mark.parametrize("answer", [silent, hung_up])
@pytest.mark.parametrize("account", [False, True])
async def test_a_proxy_that_makes_no_connection_is_named_with_its_variable(
    answer: Any, account: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It took the connection, and said nothing to CONNECT, or hung up; a service account, which asks for a token first, hears the same."""
    asks = ServiceAccount(client_id="mdb_sa_id_eu", client_secret=Secret("mdb_sa_sk_eu"))
    credentials: dict[str, Any] = {"credentials": asks} if account else {}
    async with raw_server(answer) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.origin.replace("://", f"://user:{SECRET}@"))
        async with client_of("https://atlas.example.com/api/atlas/v2", **credentials) as client:
            with pytest.raises(NotSentError) as caught:
                await client.cutover(GROUP, LIVE, await client.reserve(GROUP))
    told = str(caught.value)
    assert f"the proxy {proxy.origin.removeprefix('http://')} (HTTPS_PROXY)" in told
    assert SECRET not in told
    assert "user" not in told


@pytest.mark.anyio
@pytest.mark.usefixtures("virtual_time")
async def test_a_proxy_of_which_the_name_is_not_known_is_named_with_its_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is the proxy's name that is not known, and not Atlas's."""

    async def resolve(*_: Any, **__: Any) -> list[Any]:
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr(aiohttp.resolver.DefaultResolver, "resolve", resolve)
    monkeypatch.setenv("ALL_PROXY", f"http://user:{SECRET}@proxy.example.com:3128")
    async with client_of("https://atlas.example.com/api/atlas/v2") as client:
        with pytest.raises(NotSentError) as caught:
            await client.cutover(GROUP, LIVE, await client.reserve(GROUP))
    told = str(caught.value)
    assert "no connection to the proxy proxy.example.com:3128 (ALL_PROXY)" in told
    assert SECRET not in told
