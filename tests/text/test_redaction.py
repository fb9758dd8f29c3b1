from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.text.redaction import REDACTED, Redactor, secret_parts

KEY = "pri/vate-ke\"y'1"
DIGEST = 'Digest username="abcdefgh", realm="MMS Public API", nonce="n1", cnonce="c1", response="0a1b2c3d4e5f"'


def cleared(**entry: Any) -> dict[str, Any]:
    """*entry* after redaction."""
    return dict(Redactor([KEY, "abcdefgh"])(None, "info", entry))


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: {DIGEST}",
        f"{{'Authorization': '{DIGEST}', 'Accept': '*/*'}}",
        f"('authorization', '{DIGEST}')",
        f"WWW-Authenticate: {DIGEST}",
        DIGEST,
        'the answer had response="0a1b2c3d4e5f" in it',
        "response=0a1b2c3d4e5f",
        'cnonce=\\"c1\\" response=\\"0a1b2c3d4e5f\\"',
        "Authorization: Basic YWJjZGVmZ2g6cHJpdmF0ZQ==",
        f"key {KEY}!",
        "https://abcdefgh:pri%2Fvate-ke%22y%271@host/",
        repr(KEY),
    ],
)
def test_texts_with_credentials_lose_them(text: str) -> None:
    """However they were written."""
    shown = cleared(text=text)["text"]
    assert REDACTED in shown
    for bad in ("0a1b2c3d4e5f", "YWJj", "vate-ke", "abcdefgh", "c1"):
        assert bad not in shown


TOKEN = "eyJhbGciOiJFUzUxMiJ9.eyJpc3MiOiJodHRwcyJ9.QyJ1c2VyIjoi-_x"
SECRET = "mdb_sa_sk_4vZ9ee_Xyz-0abc"


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {TOKEN}",
        f"authorization=bearer {TOKEN}",
        f"{{'Authorization': 'Bearer {TOKEN}', 'Accept': '*/*'}}",
        f"('authorization', 'Bearer {TOKEN}')",
        f'{{"access_token": "{TOKEN}", "expires_in": 3600}}',
        f'"{{\\"access_token\\": \\"{TOKEN}\\"}}"',
        f"token={TOKEN}&token_type_hint=access_token",
        f"it sent {TOKEN} and was refused",
        "Bearer QyJ1c2VyIjoi-_x",
        "Authorization: QyJ1c2VyIjoi-_x7",
        f"client_secret={SECRET}",
        f"the secret {SECRET} has ended",
        f"mdb_sa_id_65f:{SECRET}@host",
        "Authorization: Basic bWRiX3NhX2lkOjR2WjllZV9YeXo=",
    ],
)
def test_tokens_and_secrets_of_service_accounts_are_known_by_their_looks(text: str) -> None:
    """Nobody has to have named them: tokens come and go."""
    shown = Redactor().text(text)
    assert REDACTED in shown
    for bad in ("QyJ1c2V", "eyJ", "4vZ9ee", "bWRiX3N"):
        assert bad not in shown


@pytest.mark.parametrize(
    "text",
    [
        "authorization: user lacks role backup",
        "Authorization: the user lacks the role ORG_OWNER",
        "authorization, network and authentication: see the page",
        "basic authentication is required",
        "Authorization: Bearer authentication is not enabled for this organization",
        "the bearer credentials are gone",
        "atlas.client_secret: is missing: set MONGODB_ATLAS_CLIENT_SECRET, or client_secret_file",
        "no access token: POST /api/oauth/token: 500: Unexpected error.",
        "the access token lasts 5m30s more",
        "service account mdb_sa_id_65f0a1 of organisation 1",
        'the response: "the cluster is busy, try later"',
        "response = 'not ready for the cutover'",
        "Digest algorithm=SHA-512 is not supported here",
        "authorization: needs GROUP_OWNER2 in project 65f0a1",
        "authorization: 2026-11-28T01:00:00.000Z is over",
        "Authorization: OAuth2 is not enabled for this project",
        "client_secret: 'is missing in the request'",
        "token=of-the-page is asked for",
        "basic v2.0beta of the API",
    ],
)
def test_words_of_atlas_and_of_this_program_stay(text: str) -> None:
    """What says why a request was refused is what an operator needs."""
    assert Redactor().text(text) == text


@pytest.mark.parametrize("name", ["Authorization", "authorization", "WWW-Authenticate", "cnonce"])
def test_a_field_of_that_name_is_cleared_whole(name: str) -> None:
    """At any depth."""
    assert cleared(**{name: "x"}) == {name: REDACTED}
    assert cleared(request={"headers": [{name: "x", "Accept": "y"}]}) == {
        "request": {"headers": [{name: REDACTED, "Accept": "y"}]}
    }


def test_innocent_entries_stay_as_they_are() -> None:
    """Words that merely look alike are not blackened."""
    entry = {"message": "the response was 200, authority unknown, basic plan", "n": 1, "ok": True, "none": None}
    assert cleared(**entry) == entry


def test_what_comes_while_a_session_works_is_looked_for_until_it_is_forgotten() -> None:
    """Access tokens come and go."""
    redactor = Redactor([KEY])
    assert redactor.text("opaque-token-1 of abc") == "opaque-token-1 of abc"
    redactor.add("opaque-token-1", "x")
    assert redactor.text("opaque-token-1 of x") == f"{REDACTED} of x"
    assert redactor.holds_secret("(opaque-token-1)")
    redactor.forget("opaque-token-1")
    assert redactor.text(f"opaque-token-1 {KEY}") == f"opaque-token-1 {REDACTED}"
    assert not redactor.holds_secret("Authorization: Bearer QyJ1c2VyIjoi-_x7")


@pytest.mark.parametrize(
    ("url", "secret", "open_"),
    [
        (
            "mailto://night:p%40ss@mail.example.com?to=ops@example.com",
            {"p@ss"},
            {"mail.example.com", "night", "ops@example.com"},
        ),
        (
            "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#night",
            {"TIiajkdnlazkcOXrIdevi7FQ"},
            {"night", "slack"},
        ),
        ("tgram://123456789:abcdefg_hijklmnop/12315544/", {"123456789:abcdefg_hijklmnop"}, {"tgram"}),
        (
            "json://hooks.example.com/cutover?token=a1b2c3d4e5",
            {"a1b2c3d4e5"},
            {"hooks.example.com", "cutover", "token"},
        ),
    ],
)
def test_of_an_address_of_notifications_the_secret_parts_are_known(url: str, secret: set[str], open_: set[str]) -> None:
    """An error of the service names the part alone; host and channel are what says which one failed."""
    parts = set(secret_parts(url))
    assert {url} | secret <= parts
    assert not open_ & parts


def test_the_redactor_does_not_show_its_secrets() -> None:
    """Nor does its repr."""
    assert KEY not in repr(Redactor([KEY]))


def test_short_and_empty_secrets_blacken_nothing() -> None:
    """An empty secret is in every text."""
    assert Redactor(["", "1"]).text("2026-11-28") == "2026-11-28"


values = st.recursive(
    st.one_of(st.none(), st.integers(), st.text(), st.text().map(lambda t: t + KEY + t)),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner), st.tuples(inner, inner)),
    max_leaves=8,
)


@given(st.dictionaries(st.text(min_size=1), values))
def test_no_secret_survives_at_any_depth(entry: dict[str, Any]) -> None:
    """Whatever the shape of the entry."""
    assert repr(KEY)[1:-1] not in repr(Redactor([KEY])(None, "info", entry))
