from __future__ import annotations

import re
from hashlib import md5

import pytest

from orchestrator.simulator import digest
from orchestrator.simulator.digest import CredentialVerdict, DigestGuard, NonceRules, parse_credentials

TARGET = "/api/atlas/v2/groups/g/liveMigrations/l/cutover?pretty=true"


def hashed(text: str) -> str:
    """MD5 in hexadecimal digits."""
    return md5(text.encode(), usedforsecurity=False).hexdigest()


class Client:
    """The client's side, by the book; each field of the header can be bent."""

    def __init__(self, rules: NonceRules) -> None:
        self.now = 0.0
        self.rules = rules
        self.guard = DigestGuard(keys={"user": "secret"}, rules=rules, now=lambda: self.now)
        self.nonce = self.new_nonce()

    def new_nonce(self) -> str:
        """The nonce of a fresh challenge."""
        found = re.search(r'nonce="([^"]+)"', self.guard.challenge(stale=False))
        assert found is not None
        return found.group(1)

    def header(self, count: int = 1, **bent: str) -> str:
        """The header for *count*; *bent* fields replace those of the book, an empty one is left out."""
        password = bent.pop("password", "secret")
        fields = {
            "username": '"user"',
            "realm": '"MMS Public API"',
            "nonce": f'"{self.nonce}"',
            "uri": f'"{TARGET}"',
            "algorithm": "MD5",
        }
        ha1, ha2 = hashed(f"user:MMS Public API:{password}"), hashed(f"PUT:{TARGET}")
        if self.rules.qop:
            fields |= {"qop": "auth", "nc": f"{count:08x}", "cnonce": '"abc"'}
            response = hashed(f"{ha1}:{self.nonce}:{count:08x}:abc:auth:{ha2}")
        else:
            response = hashed(f"{ha1}:{self.nonce}:{ha2}")
        fields["response"] = f'"{response}"'
        fields |= bent
        return "Digest " + ", ".join(f"{name}={value}" for name, value in fields.items() if value)

    def send(self, count: int = 1, **bent: str) -> CredentialVerdict:
        """What the guard says to that header."""
        return self.guard.check(method="PUT", target=TARGET, authorization=self.header(count, **bent))


@pytest.fixture
def client() -> Client:
    """A client in front of the usual rules."""
    return Client(NonceRules())


def test_correct_credentials_are_accepted_in_any_order_of_counts(client: Client) -> None:
    """Clients are concurrent: a later count may arrive first."""
    assert [client.send(count) for count in (1, 5, 2, 4, 3)] == [CredentialVerdict.ACCEPTED] * 5


def test_a_count_that_comes_twice_is_a_replay(client: Client) -> None:
    """The same nonce and count are good for one request."""
    assert [client.send(1), client.send(2), client.send(1)] == [
        CredentialVerdict.ACCEPTED,
        CredentialVerdict.ACCEPTED,
        CredentialVerdict.REPLAYED,
    ]


@pytest.mark.parametrize(
    ("bent", "verdict"),
    [
        ({"username": '"other"'}, CredentialVerdict.WRONG_USER),
        ({"realm": '"elsewhere"'}, CredentialVerdict.WRONG_REALM),
        ({"uri": f'"{TARGET.partition("?")[0]}"'}, CredentialVerdict.WRONG_URI),
        ({"algorithm": "SHA-256"}, CredentialVerdict.WRONG_ALGORITHM),
        ({"qop": ""}, CredentialVerdict.WRONG_QOP),
        ({"qop": "auth-int"}, CredentialVerdict.WRONG_QOP),
        ({"nc": "1"}, CredentialVerdict.WRONG_COUNT),
        ({"nc": "0000000g"}, CredentialVerdict.WRONG_COUNT),
        ({"cnonce": ""}, CredentialVerdict.WRONG_COUNT),
        ({"nonce": '"made up"'}, CredentialVerdict.UNKNOWN_NONCE),
        ({"nonce": '"1.0x0p+0.ffff"'}, CredentialVerdict.UNKNOWN_NONCE),
        ({"password": "wrong"}, CredentialVerdict.WRONG_RESPONSE),
        ({"response": ""}, CredentialVerdict.MALFORMED),
        ({"nc": '"00000001"'}, CredentialVerdict.MALFORMED),
        ({"username": "user"}, CredentialVerdict.MALFORMED),
    ],
)
def test_a_wrong_field_is_refused_for_what_it_is(
    client: Client, bent: dict[str, str], verdict: CredentialVerdict
) -> None:
    """Strict where a client could go wrong."""
    assert client.send(1, **bent) is verdict
    assert client.send() is CredentialVerdict.ACCEPTED


def test_another_method_or_no_header_is_refused(client: Client) -> None:
    """The response covers the method; a request without credentials gets its challenge."""
    assert (
        client.guard.check(method="GET", target=TARGET, authorization=client.header())
        is CredentialVerdict.WRONG_RESPONSE
    )
    assert client.guard.check(method="PUT", target=TARGET, authorization=None) is CredentialVerdict.MISSING


def test_a_nonce_wears_out_by_uses() -> None:
    """After its uses a nonce is stale, and a new one works."""
    client = Client(NonceRules(uses=2, seconds=None))
    assert [client.send(count) for count in (1, 2, 3)] == [
        CredentialVerdict.ACCEPTED,
        CredentialVerdict.ACCEPTED,
        CredentialVerdict.STALE,
    ]
    client.nonce = client.new_nonce()
    assert client.send(1) is CredentialVerdict.ACCEPTED


def test_a_nonce_wears_out_by_age() -> None:
    """A nonce is stale after its seconds, used or not; a wrong password is not told so."""
    client = Client(NonceRules(seconds=60.0))
    assert client.send(1) is CredentialVerdict.ACCEPTED
    client.now = 60.5
    assert client.send(2) is CredentialVerdict.STALE
    assert client.send(2, password="wrong") is CredentialVerdict.WRONG_RESPONSE


def test_the_form_without_qop_works_where_none_was_offered() -> None:
    """The v1.0 page's challenge says `op`; then RFC 2617's older response is the right one, and the only one."""
    client = Client(NonceRules(qop=False))
    assert 'op="auth"' in client.guard.challenge(stale=False)
    assert "qop" not in client.guard.challenge(stale=False)
    assert [client.send(), client.send()] == [CredentialVerdict.ACCEPTED, CredentialVerdict.ACCEPTED]
    assert client.send(qop="auth", nc="00000001", cnonce='"abc"') is CredentialVerdict.WRONG_QOP


def test_the_challenge_is_the_one_that_atlas_prints(client: Client) -> None:
    """Parameters and their order are those of the page."""
    pattern = r'Digest realm="MMS Public API", domain="", nonce="[^"]+", algorithm=MD5, qop="auth", stale=(true|false)'
    for stale in (True, False):
        found = re.fullmatch(pattern, client.guard.challenge(stale=stale))
        assert found is not None
        assert found.group(1) == str(stale).lower()


def test_what_is_remembered_of_nonces_and_counts_is_bounded(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old nonces and old counts become stale, never acceptable a second time."""
    monkeypatch.setattr(digest, "_MOST_NONCES", 3)
    monkeypatch.setattr(digest, "_MOST_COUNTS", 8)
    monkeypatch.setattr(digest, "_WINDOW", 4)
    assert {client.send(count) for count in range(1, 100)} == {CredentialVerdict.ACCEPTED}
    assert client.send(1) is CredentialVerdict.STALE
    assert client.send(99) is CredentialVerdict.REPLAYED
    first = client.nonce
    for _ in range(5):
        client.nonce = client.new_nonce()
        assert client.send(1) is CredentialVerdict.ACCEPTED
    client.nonce = first
    assert client.send(200) is CredentialVerdict.STALE
    assert len(client.guard._in_use) == 3


@pytest.mark.parametrize("text", ["Basic abc", "Digest", "Digest a", 'Digest a="b', "Digest a=b c=d", "Digest a=b,"])
def test_a_header_that_breaks_the_grammar_is_none(text: str) -> None:
    """Nothing is guessed from a malformed header."""
    assert parse_credentials(text) is None


def test_escapes_and_widespread_quoting_are_understood() -> None:
    """`qop` and `algorithm` in quotes, as some clients send them, are let pass."""
    text = r'digest username="a\"b",qop="auth" , algorithm="MD5"'
    assert parse_credentials(text) == {"username": 'a"b', "qop": "auth", "algorithm": "MD5"}
