from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.text.redaction import REDACTED, Redactor
from orchestrator.text.tokens_in import secret_parts

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


@pytest.mark.parametrize("around", ["{}\n", "{}\r\n", " {}\t", "\n{}"])
def test_blanks_around_a_secret_are_none_of_it(around: str) -> None:
    """A variable or a file has a line end behind it, and what sends the key takes that away."""
    redactor = Redactor([around.format(KEY)])
    assert redactor.text(f"the key {KEY} is refused") == f"the key {REDACTED} is refused"
    assert redactor.holds_secret(KEY)
    redactor.forget(around.format(KEY))
    assert not redactor.holds_secret(KEY)
    assert Redactor(["\n", "    ", " ab \n"]).text("an ab    \n") == "an ab    \n"


def test_a_secret_of_several_lines_is_known_by_each_of_them() -> None:
    """Output is read line by line; the lines that every such file begins and ends with are no secret."""
    first, last = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "Zb5kQ1Vt"
    pem = f"-----BEGIN PRIVATE KEY-----\n{first}\n{last}\n-----END PRIVATE KEY-----\n"
    redactor = Redactor([pem])
    assert redactor.text(f"read {first}") == f"read {REDACTED}"
    assert redactor.text(pem.strip()) == REDACTED
    told = f"{last}, -----BEGIN PRIVATE KEY-----"
    assert redactor.text(told) == told
    redactor.forget(pem)
    assert redactor.text(first) == first


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


def test_what_several_have_told_of_is_looked_for_until_the_last_of_them_takes_it_back() -> None:
    """A token endpoint may give the account's own secret as a token, which ends, or the same token twice."""
    redactor = Redactor([KEY])
    redactor.add(KEY)
    redactor.forget(KEY)
    assert redactor.text(KEY) == REDACTED
    redactor.forget("never-told-of-1", "never-told-of-1")
    redactor.add("never-told-of-1")
    assert redactor.text("never-told-of-1") == REDACTED
    redactor.add("never-told-of-1")
    redactor.forget("never-told-of-1")
    assert redactor.text("never-told-of-1") == REDACTED
    redactor.forget("never-told-of-1")
    assert redactor.text(f"never-told-of-1 {KEY}") == f"never-told-of-1 {REDACTED}"


def test_of_two_secrets_one_within_the_other_nothing_is_left() -> None:
    """The longer one is taken out first, whichever came first."""
    for secrets in ((KEY, f"{KEY}-and-more"), (f"{KEY}-and-more", KEY)):
        assert Redactor(secrets).text(f"({KEY}-and-more)") == f"({REDACTED})"


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
        (
            "tgram://123456789:abcdefg_hijklmnop/12315544/",
            {"123456789:abcdefg_hijklmnop", "abcdefg_hijklmnop"},
            {"tgram"},
        ),
        (
            "ntfys://tk_AgQdq7mVBoFD37zQVN29RhuMzNIz2@ntfy.example.com/night",
            {"tk_AgQdq7mVBoFD37zQVN29RhuMzNIz2"},
            {"ntfy.example.com", "night"},
        ),
        (
            "pover://uQiRzpo4DXghDmr9QzzfQu27cmVRsG@azGDORePK8gMaC0QOYAMyEEuzJnyUi",
            {"uQiRzpo4DXghDmr9QzzfQu27cmVRsG", "azGDORePK8gMaC0QOYAMyEEuzJnyUi"},
            {"pover"},
        ),
        ("jsons://hooks01.example.com/cluster-eu1/x", set(), {"hooks01.example.com", "cluster-eu1"}),
        ("slack://night@T1JJ3T3L2/A1BRTD4JD/x/", {"T1JJ3T3L2", "A1BRTD4JD"}, {"night"}),
        ("gotifys://push.example.com/AbCdEfGhIjKlMnO", {"AbCdEfGhIjKlMnO"}, {"push.example.com"}),
        (
            "mailtos://mail.example.com?user=bob&pass=hunterxy&to=ops",
            {"hunterxy"},
            {"bob", "ops", "mail.example.com"},
        ),
        (
            "json://hooks.example.com/AtlasNightWatch?+X-Token=letmein&+Content-Type=text",
            {"letmein"},
            {"AtlasNightWatch", "text"},
        ),
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


LONG = "0a1b2c3d-ke?y>-4e5f-6789"


@pytest.mark.parametrize("before", ["", "u", "us"])
@pytest.mark.parametrize("alphabet", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("padding", ["", "="])
def test_a_secret_is_known_in_base64_wherever_it_begins(
    before: str, alphabet: Callable[[bytes], bytes], padding: str
) -> None:
    """Of either alphabet, padded or not; what is left of it is a letter or two."""
    encoded = alphabet(f"{before}{LONG}:more".encode()).decode().rstrip("=") + padding
    assert encoded[4:30] not in Redactor([LONG]).text(f"got {encoded} back")
    assert Redactor([LONG]).holds_secret(encoded)


@pytest.mark.parametrize("form", [LONG.encode().hex(), LONG.encode().hex().upper(), LONG.upper(), LONG.title()])
def test_a_secret_is_known_in_hex_and_in_any_case(form: str) -> None:
    """As servers and tools echo it."""
    assert Redactor([LONG]).text(f"got {form} back") == f"got {REDACTED} back"
    assert Redactor([LONG]).holds_secret(form)


@pytest.mark.parametrize(
    ("secret", "written"),
    [
        ("3f2504e0-4f89-41d3-9a0c-0305e82c3301", "3f2504e04f8941d39a0c0305e82c3301"),
        ("3f2504e0-4f89-41d3-9a0c-0305e82c3301", "3F2504E04F8941D39A0C0305E82C3301"),
        ("it's <b>&", "it&#x27;s &lt;b&gt;&amp;"),
        ('a "b" \'c', "a &#34;b&#34; &#39;c"),
        ("correct horse/battery", "correct+horse%2Fbattery"),
    ],
)
def test_a_secret_is_known_in_pages_and_forms_and_without_its_hyphens(secret: str, written: str) -> None:
    """As a page, a form, or a list of keys has it; a secret with hyphens that is no UUID may be words without them."""
    assert Redactor([secret]).text(f"said: {written}, no more") == f"said: {REDACTED}, no more"
    assert Redactor(["well-known-word1"]).text("wellknownword1") == "wellknownword1"


AWKWARD = "svc:Grüße&Ge<im>77/\\\"'-x\t€"


@pytest.mark.parametrize(
    "written",
    [
        AWKWARD,
        json.dumps(AWKWARD),
        json.dumps(AWKWARD, ensure_ascii=False),
        json.dumps(json.dumps(AWKWARD)),
        json.dumps(AWKWARD).replace("/", "\\/"),  # PHP
        json.dumps(AWKWARD, ensure_ascii=False)
        .replace("<", "\\u003c")
        .replace(">", "\\u003e")
        .replace("&", "\\u0026"),  # Go
        repr(AWKWARD),
        ascii(AWKWARD),
        repr(AWKWARD.encode()),
        quote(AWKWARD, safe=""),
        quote_plus(AWKWARD),
        html.escape(AWKWARD),
        AWKWARD.replace("&", "&#38;")
        .replace("<", "&#60;")
        .replace(">", "&#62;")
        .replace('"', "&#34;")
        .replace("'", "&#39;"),
    ],
)
def test_a_secret_with_awkward_letters_is_known_however_programs_write_it(written: str) -> None:
    """Hooks print their environment as JSON, Atlas echoes what it got, a page has it in HTML."""
    told = Redactor([AWKWARD]).text(f"({written})")
    assert "77" not in told
    assert "Ge" not in told


def test_a_secret_is_known_in_latin_1_and_with_its_hyphens_encoded() -> None:
    """As older programs write addresses."""
    assert Redactor(["Grüße-77-x"]).text(quote("Grüße-77-x", encoding="latin-1")) == REDACTED
    assert Redactor(["a-b-c-7777-x"]).text("a%2Db%2Dc%2D7777%2Dx") == REDACTED


def test_a_key_that_begins_without_a_letter_is_known_when_it_was_cut_off() -> None:
    """As one in a hundred of Atlas's private keys does."""
    key = "11112222-3333-4444-5555-66667777888a"
    assert Redactor([key]).text(f"cut: {key[:20]}") == f"cut: {REDACTED}"


@pytest.mark.parametrize("length", [12, 13, 18])
def test_a_secret_that_was_cut_off_is_known(length: int) -> None:
    """By its first 12 characters, and no more of the text goes than what is of it."""
    secret = "0a1b2c3d-4e5f-6789-abcd"
    assert Redactor([secret]).text(f"got {secret[:length]}... back") == f"got {REDACTED}... back"
    assert Redactor([secret]).text(f"got {secret[:11]}... back") == f"got {secret[:11]}... back"


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ("json://hooks.example.com/x1y2z3", "json://hooks.example.com is down"),
        ("correct-horse-battery-staple", "correct-horse is a word"),
        ("Passw0rd", "a passw0rd is asked for"),
    ],
)
def test_words_that_a_secret_begins_with_stay(secret: str, text: str) -> None:
    """What says which service it was, and what is short, is hidden only as it was given."""
    assert Redactor([secret]).text(text) == text


@pytest.mark.parametrize(
    ("text", "looks"),
    [
        (f"--secret={SECRET}", True),
        ('curl -H "Authorization: Bearer $TOKEN" https://host', False),
        ('curl -H "Authorization: Bearer $(cat /run/secrets/token)" https://host', False),
        (f'curl -H "Authorization: Bearer {TOKEN}" https://host', True),
        ("kubectl scale deployment/shop --replicas=0", False),
    ],
)
def test_what_looks_secret_is_told_from_what_a_shell_puts_in(text: str, looks: bool) -> None:
    """A hook that reads its token from elsewhere has none in its command."""
    assert Redactor().looks_secret(text) is looks


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


@pytest.mark.timeout(60)  # with one character after another looked for to the text's end, each takes longer by far
@pytest.mark.parametrize(
    "part",
    ["(", " ", "digest a= ", "authorization:(", "-eyJ", "token=&", "basic 1", 'cnonce="'],
)
def test_a_long_text_of_beginnings_is_read_once(part: str) -> None:
    """Whoever answers us, or writes a hook, must not hold the program up with a text that is never quite a key."""
    text = "Authorization:" + part * (100_000 // len(part))
    assert Redactor([KEY]).text(text).startswith("Authorization:")


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization:{' ' * 300}Basic YWJjZGVmZ2g6cHJpdmF0ZQ==",
        f"Authorization: [[[(({DIGEST}))]]]",
        "Authorization: basic YWJjZGVmZ2g\nnext line",
        "Authorization: basic YWJjZGVmZ2g  \t\nnext line",
        "access_token=" + "a" * 300 + "1b2c3d4e5f",
        "eyJ" + "a" * 2000 + ".payload.signature",
    ],
)
def test_what_is_bounded_is_wide_enough(text: str) -> None:
    """Keys behind much space, brackets, and long ones."""
    shown = Redactor().text(text)
    assert REDACTED in shown
    assert not any(part in shown for part in ("YWJjZGVmZ2g", "0a1b2c3d4e5f", "1b2c3d4e5f", "payload"))


@pytest.mark.parametrize(
    "sequence", ["\x1b[1m", "\x1b[0;31;4m", "\x1b]0;title\x07", "\x1b]8;;https://x\x1b\\", "\x1bM"]
)
def test_a_secret_that_a_terminals_sequence_splits_is_whole_again_without_it(sequence: str) -> None:
    """Reports leave sequences out. Where nothing is hidden, a text stays as it came."""
    redactor = Redactor(["made-up-secret-9911"])
    split = f"said: made-{sequence}up-secret-9911, and so on"
    assert redactor.text(split) == f"said: {REDACTED}, and so on"
    assert redactor({}, "info", {"event": "x", "detail": split})["detail"] == f"said: {REDACTED}, and so on"
    assert redactor.holds_secret(split)
    assert redactor.text(f"a {sequence}word") == f"a {sequence}word"


def test_a_broken_sequence_takes_nothing_of_a_secret_along() -> None:
    """What a terminal would make of its first letters is looked at when it has been found."""
    redactor = Redactor(["made-up-secret-9911", "another-secret-42"])
    for broken in ("\x1b[", "\x1b"):
        said = redactor.text(f"x{broken}made-up-secret-9911 and another-\x1b[1msecret-42")
        assert "secret" not in said
        assert "ade-up" not in said
