"""A strict server side of HTTP digest authentication: MD5, ``qop=auth``, and the form without ``qop``.

RFC 7616 and RFC 2617. Strict where a client could go wrong: the nonce has to be one that this server gave out, the
``uri`` has to be the request target to the letter, no nonce count may come twice (out of order is fine, clients are
concurrent), and a nonce wears out by uses and by age.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import md5, sha256

REALM = "MMS Public API"
_MOST_NONCES = 10_000  # nonces in use that are remembered; older ones are stale
_MOST_COUNTS = 8_192  # counts remembered of one nonce
_WINDOW = 4_096  # how far behind the highest count one may come late
_PARAMETER = re.compile(r'\s*([A-Za-z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))\s*(,|$)')
_COUNT = re.compile(r"[0-9a-fA-F]{8}")
_UNESCAPE = re.compile(r"\\(.)")
_QUOTED = frozenset({"username", "realm", "nonce", "uri", "response", "cnonce"})


@dataclass(frozen=True, slots=True, kw_only=True)
class NonceRules:
    """When a nonce is stale: after *uses* requests or *seconds* (real), None: never for that reason.

    *qop* False prints ``op="auth"`` in the challenge, as the page of v1.0 does, and takes the form without ``qop``.
    """

    uses: int | None = None
    seconds: float | None = 300.0
    qop: bool = True


class CredentialVerdict(StrEnum):
    """What became of a request's credentials."""

    ACCEPTED = "accepted"
    MISSING = "no credentials"
    STALE = "stale nonce"
    MALFORMED = "malformed header"
    WRONG_USER = "wrong username"
    WRONG_REALM = "wrong realm"
    WRONG_URI = "uri is not the request target"
    WRONG_ALGORITHM = "wrong algorithm"
    WRONG_QOP = "wrong qop"
    WRONG_COUNT = "malformed nonce count or cnonce"
    UNKNOWN_NONCE = "unknown nonce"
    WRONG_RESPONSE = "wrong response"
    REPLAYED = "nonce count used before"
    UNKNOWN_BEARER = "no such token, or its time is over"
    FOREIGN = "another organisation's project"


class DigestGuard:
    """Hands out challenges and checks credentials.

    Args:
        keys: Passwords (private keys) by user name (public key); only hashes of them are kept.
        rules: When nonces are stale.
        now: A clock in real seconds.
    """

    def __init__(self, *, keys: Mapping[str, str], rules: NonceRules, now: Callable[[], float]) -> None:
        self._ha1 = {public: _md5(f"{public}:{REALM}:{private}") for public, private in keys.items()}
        self._rules = rules
        self._now = now
        self._secret = secrets.token_bytes(16)
        self._serial = 0
        self._forgotten = 0  # every nonce up to this serial that is not in use counts as worn out
        self._in_use: OrderedDict[str, _Nonce] = OrderedDict()

    def challenge(self, *, stale: bool) -> str:
        """A ``WWW-Authenticate`` header with a fresh nonce, in the page's order of parameters."""
        qop = "qop" if self._rules.qop else "op"
        return (
            f'Digest realm="{REALM}", domain="", nonce="{self._new_nonce()}", algorithm=MD5, {qop}="auth", '
            f"stale={'true' if stale else 'false'}"
        )

    def check(self, *, method: str, target: str, authorization: str | None) -> CredentialVerdict:
        """Whether the header *authorization* proves the key for a request of *method* for *target* (path and query)."""
        if authorization is None:
            return CredentialVerdict.MISSING
        given = parse_credentials(authorization)
        if given is None:
            return CredentialVerdict.MALFORMED
        wrong = self._wrong_field(given, target)
        if wrong is not None:
            return wrong
        serial_and_time = self._opened(given["nonce"])
        if serial_and_time is None:
            return CredentialVerdict.UNKNOWN_NONCE
        ha1, ha2 = self._ha1[given["username"]], _md5(f"{method}:{target}")
        if self._rules.qop:
            text = f"{ha1}:{given['nonce']}:{given['nc']}:{given['cnonce']}:auth:{ha2}"
        else:
            text = f"{ha1}:{given['nonce']}:{ha2}"
        if not hmac.compare_digest(_md5(text), given["response"]):
            return CredentialVerdict.WRONG_RESPONSE
        return self._use(given["nonce"], *serial_and_time, int(given.get("nc", "0"), 16))

    def _wrong_field(self, given: dict[str, str], target: str) -> CredentialVerdict | None:
        if given.get("username") not in self._ha1:
            return CredentialVerdict.WRONG_USER
        if given.get("realm") != REALM:
            return CredentialVerdict.WRONG_REALM
        if given.get("uri") != target:
            return CredentialVerdict.WRONG_URI
        if given.get("algorithm", "MD5") != "MD5":
            return CredentialVerdict.WRONG_ALGORITHM
        if "nonce" not in given or not given.get("response", "").isascii() or "response" not in given:
            return CredentialVerdict.MALFORMED
        if given.get("qop") != ("auth" if self._rules.qop else None):
            return CredentialVerdict.WRONG_QOP
        if self._rules.qop and not (_COUNT.fullmatch(given.get("nc", "")) and given.get("cnonce")):
            return CredentialVerdict.WRONG_COUNT
        return None

    def _use(self, nonce: str, serial: int, issued: float, count: int) -> CredentialVerdict:
        rules = self._rules
        if rules.seconds is not None and self._now() - issued > rules.seconds:
            self._in_use.pop(nonce, None)
            self._forgotten = max(self._forgotten, serial)
            return CredentialVerdict.STALE
        state = self._in_use.get(nonce)
        if state is None:
            if serial <= self._forgotten:
                return CredentialVerdict.STALE
            state = self._remember(nonce, serial)
        if rules.qop and count in state.counts:
            return CredentialVerdict.REPLAYED
        if (rules.uses is not None and state.uses >= rules.uses) or (rules.qop and count <= state.floor):
            return CredentialVerdict.STALE
        state.uses += 1
        if rules.qop:
            state.add(count)
        return CredentialVerdict.ACCEPTED

    def _remember(self, nonce: str, serial: int) -> _Nonce:
        if len(self._in_use) >= _MOST_NONCES:
            _, oldest = self._in_use.popitem(last=False)
            self._forgotten = max(self._forgotten, oldest.serial)
        state = self._in_use[nonce] = _Nonce(serial)
        return state

    def _new_nonce(self) -> str:
        """A nonce that carries its serial number and time of issue, signed: nothing is kept until it is used."""
        self._serial += 1
        text = f"{self._serial:x}.{self._now().hex()}"
        return f"{text}.{self._signature(text)}"

    def _opened(self, nonce: str) -> tuple[int, float] | None:
        text, _, signature = nonce.rpartition(".")
        if not nonce.isascii() or not hmac.compare_digest(self._signature(text), signature):
            return None
        serial, _, issued = text.partition(".")
        return int(serial, 16), float.fromhex(issued)

    def _signature(self, text: str) -> str:
        return sha256(self._secret + text.encode()).hexdigest()[:32]


class _Nonce:
    """One nonce in use: how often, and which counts. *floor*: counts up to it can no longer be told from replays."""

    __slots__ = ("counts", "floor", "serial", "uses")

    def __init__(self, serial: int) -> None:
        self.serial = serial
        self.uses = 0
        self.counts: set[int] = set()
        self.floor = 0

    def add(self, count: int) -> None:
        self.counts.add(count)
        if len(self.counts) > _MOST_COUNTS:
            self.floor = max(self.floor, sorted(self.counts)[-_WINDOW] - 1)
            self.counts = {seen for seen in self.counts if seen > self.floor}


def parse_credentials(header: str) -> dict[str, str] | None:
    """The parameters of a ``Digest`` header; None where it is another scheme or breaks the grammar of RFC 7616.

    ``nc`` in quotes is a mistake; ``qop`` and ``algorithm`` in quotes are let pass, as widespread clients send them so.
    """
    scheme, _, rest = header.partition(" ")
    if scheme.lower() != "digest":
        return None
    given: dict[str, str] = {}
    position = 0
    for match in _PARAMETER.finditer(rest):
        if match.start() != position:
            return None
        position = match.end()
        written, quoted, token, comma = match.groups()
        name = written.lower()
        if name in given or (quoted is None and name in _QUOTED) or (quoted is not None and name == "nc"):
            return None
        given[name] = token if quoted is None else _UNESCAPE.sub(r"\1", quoted) if "\\" in quoted else quoted
        if not comma:
            break
    else:
        return None
    return given if position == len(rest) else None


def _md5(text: str) -> str:
    return md5(text.encode(errors="surrogateescape"), usedforsecurity=False).hexdigest()
