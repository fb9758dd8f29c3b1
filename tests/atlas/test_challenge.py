"""Whatever else a server offers, its digest challenge is answered, and nothing but digest ever is."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from aiohttp.client_middleware_digest_auth import parse_header_pairs
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.atlas.auth.challenge import MOST_READ, Challenge, challenges, digest_challenge
from orchestrator.atlas.errors import ApiError
from orchestrator.simulator.digest import CredentialVerdict, DigestGuard, NonceRules

from .servers import GROUP, KEYS, LIVE, Raw, client_of, http, job_document, raw_server

DIGEST = 'Digest realm="MMS Public API", domain="", nonce="n1", algorithm=MD5, qop="auth", stale=false'
BASIC = 'Basic realm="MMS Public API"'
OFFERS: dict[str, Callable[[str], list[str]]] = {  # of the simulator's own challenge, what a server might make
    "as recorded": lambda digest: [digest],
    "basic before it": lambda digest: [BASIC, digest],
    "basic before it, in one header": lambda digest: [f"{BASIC}, {digest}"],
    "basic after it": lambda digest: [digest, f'{BASIC}, charset="UTF-8"'],
    "basic after it, in one header": lambda digest: [f"{digest}, {BASIC}"],
    "negotiate and bearer": lambda digest: [f"Negotiate YIIabc==, Bearer, NTLM, {digest}"],
    "an unknown algorithm first": lambda digest: [digest.replace("MD5", "SHA-512-256"), digest],
    "an unknown algorithm first, in one header": lambda digest: [f"{digest.replace('MD5', 'ROT13')}, {digest}"],
    "a quality that is not known first": lambda digest: [digest.replace('"auth"', '"auth-conf"'), digest],
    "a nonce that is missing first": lambda digest: ["Digest realm=x", 'Digest realm=x, nonce=""', digest],
    "auth and auth-int": lambda digest: [digest.replace('qop="auth"', 'qop="auth,auth-int"')],
    "auth-int and auth": lambda digest: [digest.replace('qop="auth"', 'qop="auth-int, auth"')],
    "a bare quality": lambda digest: [digest.replace('qop="auth"', "qop=auth")],
    "no algorithm": lambda digest: [digest.replace("algorithm=MD5, ", "")],
    "an algorithm in quotes": lambda digest: [digest.replace("MD5", '"MD5"')],
    "small letters": lambda digest: [digest.replace("Digest", "digest").replace("realm", "REALM")],
    "blanks": lambda digest: ["  , ," + digest.replace("=", " = ").replace(", ", " ,\t")],
    "another domain": lambda digest: [digest.replace('domain=""', 'domain="/elsewhere https://["')],
}


@pytest.mark.anyio
@pytest.mark.usefixtures("virtual_time")
@pytest.mark.parametrize("qop", [True, False], ids=["qop", "op"])
@pytest.mark.parametrize("name", OFFERS)
async def test_a_digest_challenge_is_answered_whatever_is_offered_beside_it(name: str, qop: bool) -> None:
    """A strict server takes it, the next request brings it along, and nothing leaves as Basic."""
    guard = DigestGuard(keys=dict([KEYS]), rules=NonceRules(qop=qop), now=lambda: 0.0)
    verdicts = []

    async def answer(raw: Raw) -> bytes:
        method, _, target = raw.requests[-1].partition(" ")
        verdict = guard.check(method=method, target=target, authorization=raw.headers[-1].get("Authorization"))
        verdicts.append(verdict)
        if verdict is CredentialVerdict.ACCEPTED:
            return http(200, job_document(raw))
        offered = OFFERS[name](guard.challenge(stale=False))
        fields = "".join(f"WWW-Authenticate: {one}\r\n" for one in offered)
        return f"HTTP/1.1 401 Unauthorized\r\n{fields}Content-Length: 0\r\n\r\n".encode()

    async with raw_server(answer) as raw, client_of(raw.base_url) as client:
        for _ in range(2):
            assert (await client.job(GROUP, LIVE)).ready
        reservation = await client.reserve(GROUP)
        assert (await client.cutover(GROUP, LIVE, reservation)).http_status == 200
    assert verdicts == [CredentialVerdict.MISSING, *[CredentialVerdict.ACCEPTED] * 3]
    assert_no_key_in(raw)


@pytest.mark.anyio
@pytest.mark.usefixtures("virtual_time")
@pytest.mark.parametrize(
    ("offered", "words"),
    [
        ([BASIC], "Basic"),
        (["Basic"], "Basic"),
        ([BASIC, DIGEST.replace("MD5", "ROT13")], "Basic; Digest with algorithm ROT13, qop auth"),
        ([DIGEST.replace('"auth"', '"auth-conf"')], "Digest with algorithm MD5, qop auth-conf"),
        (["=, ;;"], "nothing that can be read"),
    ],
)
async def test_without_a_digest_that_is_known_no_key_leaves_and_the_message_says_why(
    offered: list[str], words: str
) -> None:
    """One request each, without credentials; what the server offers is told."""

    async def answer(_: Raw) -> bytes:
        fields = "".join(f"WWW-Authenticate: {one}\r\n" for one in offered)
        return f"HTTP/1.1 401 Unauthorized\r\n{fields}Content-Length: 2\r\n\r\n{{}}".encode()

    async with raw_server(answer) as raw, client_of(raw.base_url) as client:
        reservation = await client.reserve(GROUP)
        with pytest.raises(ApiError) as caught:
            await client.cutover(GROUP, LIVE, reservation)
        assert f"no digest authentication that is known here ({words})" in str(caught.value)
        assert raw.count("PUT") == 1
        assert not any("Authorization" in headers for headers in raw.headers)
    assert_no_key_in(raw)


def assert_no_key_in(raw: Raw) -> None:
    """Neither as it is nor in Basic's clothes."""
    pair = base64.b64encode(":".join(KEYS).encode()).decode()
    sent = repr(raw.headers) + repr(raw.requests)
    assert not [secret for secret in (KEYS[1], pair, "Basic") if secret in sent]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], []),
        (["Basic"], [Challenge(scheme="basic")]),
        (["A, B"], [Challenge(scheme="a"), Challenge(scheme="b")]),
        (["Newauth a=b, c=\"d, \\\"e\\\"\", Basic x=y"], [
            Challenge(scheme="newauth", parameters={"a": "b", "c": 'd, "e"'}),
            Challenge(scheme="basic", parameters={"x": "y"}),
        ]),
        (["Negotiate abc=="], [Challenge(scheme="negotiate")]),
        (["x=y"], []),
        (["Digest a=1, a=2"], [Challenge(scheme="digest", parameters={"a": "1"})]),
    ],
)  # fmt: skip
def test_challenges_are_read_as_rfc_9110_has_them(headers: list[str], expected: list[Challenge]) -> None:
    """Several in a header, several headers, quoted commas, tokens of 68 characters."""
    assert list(challenges(headers)) == expected


@pytest.mark.parametrize("header", ["Basic " + ",a" * 4000, 'Digest x="' + "y" * 8100, "=" * 8000])
def test_of_a_flood_of_challenges_no_more_is_read_than_anybody_needs(header: str) -> None:
    """Each header may have 8 KiB, and there may be 128: reading all of that would hold up every request."""
    found = list(challenges([header] * 128))
    assert sum(len(each.scheme) + sum(map(len, each.parameters.values())) for each in found) <= MOST_READ
    assert len(found) < MOST_READ
    assert digest_challenge(challenges([DIGEST, *[header] * 127])) is not None


@given(st.lists(st.text(max_size=80), max_size=3))
def test_any_header_is_read(headers: list[str]) -> None:
    """Nonsense is passed over."""
    digest_challenge(challenges(headers))


PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF).filter(str.isprintable), max_size=20)


@given(realm=PRINTABLE, nonce=PRINTABLE.filter(bool), opaque=PRINTABLE)
def test_what_aiohttp_is_told_is_what_the_server_said(realm: str, nonce: str, opaque: str) -> None:
    """Whatever has to be quoted in it."""
    given = {"realm": realm, "nonce": nonce, "opaque": opaque}
    told = digest_challenge([Challenge(scheme="digest", parameters=given)])
    assert told is not None
    assert next(challenges([told])).parameters == given
    assert parse_header_pairs(told.removeprefix("Digest ")) == given
