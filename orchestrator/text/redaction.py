"""The last line of defence for keys: whatever comes from outside, or goes into a log, is searched for them once more.

Nothing in this program hands keys to the log on purpose; an error message of a library, a hook's output or a server
that echoes headers might. A session has one redactor that knows all of its secrets, whosever they are: keys, secrets and access tokens,
addresses of notifications, a proxy's password. Every text is searched for these, and for what the ways of asking make of keys that
nobody has named: a scheme with its parameter, which no sentence has by chance.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, MutableMapping
from html import escape
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus, unquote

REDACTED = "[redacted]"

SHORTEST_SECRET = 4
"""Shorter secrets are not searched for: they would blacken innocent words, and no API key is that short."""

LONG_SECRET = 12
"""So long a secret is found in capitals and small letters, encoded, and cut off as well: no word is taken for it."""

_HEADERS = frozenset({"authorization", "proxy-authorization", "www-authenticate", "proxy-authenticate", "cnonce"})
# what one of the patterns below needs; looked for first, because it is quick and hardly ever there
_SUSPICIOUS = (
    "auth",
    "nonce",
    "response",
    "digest ",
    "basic ",
    "bearer ",
    "mdb_sa_sk_",
    "eyj",
    "_token",
    "client_secret",
)
# Whoever sends us text must not stop the program with it: what may come in any number is bounded, or given back by nobody.
_NEAR = "{0,512}"
"""So many characters of a key, or of a header's parameters, tell what it is: else each beginning would be looked for to the end."""
_LIKE_A_KEY = rf"(?=[^\s\"',;]{_NEAR}(?:[0-9][^\s\"',;0-9]{_NEAR}[0-9]|=|[a-z][A-Z]))"
"""What no word of a sentence has: "basic authentication is required" keeps its words."""
_LIKE_A_BARE_KEY = rf"(?=[^\s\"',;]{_NEAR}[a-z][A-Z])(?=[^\s\"',;]{_NEAR}[0-9])[^\s\"',;]{{16,}}"
"""The same where no scheme says that a key follows."""
_OF_A_DIGEST = rf"(?=[^\r\n]{_NEAR}\b(?:username|nonce|cnonce|response)\b)"
_SAYS_SO = r"(?i:(?:authorization|authenticate)[\"']?\s*+[:=,]\s*+)"
_OPENED = r"[\\\"'\[(]*+"
_PATTERNS = (
    re.compile(rf"({_SAYS_SO})" + r"(?=(?i:[\\\"'\[(\s]*+digest\s+[a-z]+=))" + _OF_A_DIGEST + r"[^\r\n]+"),
    re.compile(rf"({_SAYS_SO}{_OPENED}(?i:basic|bearer)\s+)" + _LIKE_A_KEY + r"[^\s\"',;]{8,}"),
    re.compile(rf"({_SAYS_SO}{_OPENED})" + _LIKE_A_BARE_KEY),
    re.compile(rf"(?im)({_SAYS_SO}{_OPENED})(?:digest|basic|bearer)\s+" + r"[^\s\"',\\]++(?=[^\S\n]*+$|[\"'\\])"),
    re.compile(r"(?i)(\bdigest\s+)(?=[a-z]+=)" + _OF_A_DIGEST + r"[^\r\n]+"),
    re.compile(r"((?i:\b(?:basic|bearer)\s+))" + _LIKE_A_KEY + r"[A-Za-z0-9._~+/-]{12,}=*"),
    re.compile(r"(?i)(\bcnonce[\"']?\s*+[:=]\s*+\\?[\"'])[^\"'\\]+"),
    re.compile(r"(?i)(\bresponse[\"']?\s*+[:=]\s*+\\?[\"'])[0-9a-f]{8,}+(?=\\?[\"'])"),
    re.compile(r"(?i)(\b(?:cnonce|response)\s*+=\s*+)[0-9a-f]{8,}"),
    re.compile(
        r"(?i)(\b(?:access_token|refresh_token|client_secret)\\?[\"']?\s*+[:=]\s*+\\?[\"'])[^\s\"'\\]++(?=\\?[\"'])"
    ),
    re.compile(r"((?i:\b(?:access_token|refresh_token|client_secret|token)=))" + _LIKE_A_KEY + r"[^\s\"'&]{8,}"),
    re.compile(r"(?i)()\bmdb_sa_sk_[a-z0-9_-]+"),
    re.compile(r"()\beyJ[A-Za-z0-9_-]{10,2048}+(?:\.[A-Za-z0-9_-]+)+"),  # a JSON web token
)


class Redactor:
    """A structlog processor that replaces the *secrets*, `Authorization` headers and digest responses by `[redacted]`."""

    __slots__ = ("_beginnings", "_folded", "_known", "_patterns", "_secrets", "_told")

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._told: Counter[str] = Counter()  # how often each was told of and not yet taken back
        self._known: dict[str, _Searched] = {}
        self._secrets: tuple[str, ...] = ()
        self._folded: tuple[str, ...] = ()
        self._beginnings: tuple[str, ...] = ()
        self._patterns: tuple[re.Pattern[str], ...] = ()
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """From now on *secrets* are looked for, too, without the blanks around them: a session's access tokens come while it works."""
        for secret in secrets:
            self._told.update(_parts(secret))
        self._look_for_what_was_told()

    def forget(self, *secrets: str) -> None:
        """Whoever has told of these takes that back; they are looked for as long as anybody else has told of them.

        A server may give us as its token what is a key of ours.
        """
        for secret in secrets:
            self._told.subtract(_parts(secret))
        self._told = +self._told
        self._look_for_what_was_told()

    def holds_secret(self, text: str) -> bool:
        """Whether *text* has one of the secrets in it, in any form; what merely looks like one is none."""
        if any(secret in text for secret in self._secrets):
            return True
        plain = text.lower()
        return any(secret in plain for secret in self._folded)

    def looks_secret(self, text: str) -> bool:
        """Whether *text* has something in it that looks like a secret, and is not left to a shell to put in (`$TOKEN`)."""
        found = (match[0] for pattern in _PATTERNS for match in pattern.finditer(text))
        return any("$" not in one and "`" not in one for one in found)

    def _look_for_what_was_told(self) -> None:
        if self._told.keys() == self._known.keys():
            return
        # new ones: others may be reading the old ones
        known = {one: self._known.get(one) or _Searched.of(one) for one in _longest_first(self._told)}
        self._patterns = tuple(searched.pattern for searched in known.values())
        self._secrets = tuple(form for searched in known.values() for form in searched.exact)
        self._folded = tuple(form.lower() for searched in known.values() for form in searched.folded)
        self._beginnings = tuple(
            {start[:LONG_SECRET].lower() for searched in known.values() for start in searched.beginnings}
        )
        self._known = known

    def __call__(self, _logger: object, _method: str, event_dict: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """`entry`, as structlog calls its processors."""
        return self.entry(event_dict)

    def entry(self, event_dict: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """*event_dict* with every text in it cleared, in place."""
        texts = list(event_dict)
        for value in event_dict.values():
            if isinstance(value, str):
                texts.append(value)
            elif value is not None and value.__class__ not in _HARMLESS:
                texts.append(str(value))
        if self._is_suspicious("\n".join(texts)):  # one search for all of an entry, which hardly ever finds anything
            for key, value in event_dict.items():
                event_dict[key] = self._member(key, value)
        return event_dict

    def text(self, text: str) -> str:
        """*text* without what is secret in it."""
        if not self._is_suspicious(text):
            return text
        for known in self._patterns:
            text = known.sub(REDACTED, text)
        for pattern in _PATTERNS:
            text = pattern.sub(rf"\1{REDACTED}", text)
        return text

    def anything(self, value: Any) -> Any:
        """*value* with every text in it cleared, at any depth; what is neither container nor plain is taken as text."""
        if isinstance(value, str):
            return self.text(value)
        if value is None or value.__class__ in _HARMLESS:
            return value
        if isinstance(value, dict):
            return {self.anything(key): self._member(key, member) for key, member in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self.anything(member) for member in value]
        if isinstance(value, bytes):
            return self.text(value.decode(errors="replace"))
        return self.text(str(value))

    def _member(self, key: Any, value: Any) -> Any:
        if isinstance(key, str) and key.lower() in _HEADERS and value is not None:
            return REDACTED
        return self.anything(value)

    def _is_suspicious(self, text: str) -> bool:
        for secret in self._secrets:
            if secret in text:
                return True
        plain = text.lower()
        for part in (*self._folded, *self._beginnings):
            if part in plain:
                return True
        for word in _SUSPICIOUS:  # noqa: SIM110 - a generator costs more than the search
            if word in plain:
                return True
        return False


_HARMLESS = frozenset({int, float, bool})


class _Searched(NamedTuple):
    """What is searched for of one secret: whole in its *exact* forms, in any case in its *folded* ones, and by its *beginnings*."""

    exact: tuple[str, ...]
    folded: tuple[str, ...]
    beginnings: tuple[str, ...]
    pattern: re.Pattern[str]

    @classmethod
    def of(cls, secret: str) -> _Searched:
        """What there is of *secret*."""
        exact = _longest_first({*_forms(secret), *_encoded(secret)})
        folded = _longest_first({*_forms(secret), secret.encode().hex()}) if len(secret) >= LONG_SECRET else ()
        beginnings = _longest_first(_beginnings(secret))
        parts = (
            *map(re.escape, exact),
            *(f"(?i:{re.escape(form)})" for form in folded),
            *(f"(?i:{re.escape(start)}{_REST if len(start) == _LONGEST_BEGINNING else ''})" for start in beginnings),
        )
        return cls(exact, folded, beginnings, re.compile("|".join(parts)))


def _parts(secret: str) -> set[str]:
    """What is known of *secret* as it came, maybe with a line end: itself, and where it has several lines, each that no word is."""
    lines = [line.strip() for line in secret.strip().splitlines()]
    whole = {secret.strip()} if len(secret.strip()) >= SHORTEST_SECRET else set()
    return whole | {
        line for line in lines if len(line) >= LONG_SECRET and not line.startswith("-----") and len(lines) > 1
    }


def _forms(secret: str) -> set[str]:
    """How *secret* may be written: as it is, in a URL, in a form, inside a quoted text of JSON or Python, in HTML, and a UUID without its hyphens."""
    marked_up = escape(secret)
    quoted = {
        secret.replace("\\", "\\\\").replace('"', '\\"'),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
    }
    return {
        secret,
        *quoted,
        *(json.dumps(one)[1:-1] for one in quoted),  # JSON within JSON
        *(one.replace("/", "\\/") for one in quoted),  # as PHP writes it
        *(one.translate(_AS_GO_WRITES) for one in quoted),
        repr(secret)[1:-1],
        ascii(secret)[1:-1],
        repr(secret.encode("utf-8", "replace"))[2:-1],
        *(_in_url(secret, encoding) for encoding in ("utf-8", "latin-1")),
        *(quote_plus(secret, encoding=encoding, errors="replace") for encoding in ("utf-8", "latin-1")),
        _in_url(secret, "utf-8").replace("-", "%2D"),
        marked_up,
        marked_up.replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),  # as templates write them
        secret.translate(_BY_NUMBER),
        secret.replace("-", "") if _A_UUID.fullmatch(secret) else secret,
    }


_AS_GO_WRITES = {ord(each): f"\\u{ord(each):04x}" for each in "<>&"}
_BY_NUMBER = {ord(each): f"&#{ord(each)};" for each in "<>&\"'"}


def _in_url(secret: str, encoding: str) -> str:
    return quote(secret, safe="", encoding=encoding, errors="replace")


def _encoded(secret: str) -> set[str]:
    """What of *secret* is in every text that is encoded with it: in base64, of either alphabet, wherever it begins, padded or not."""
    if len(secret) < LONG_SECRET:
        return set()
    found = set()
    for before in range(3):
        data = bytes(before) + secret.encode("utf-8", "replace")
        text = b64encode(data).decode().rstrip("=")
        text = text[-(-before * 8 // 6) : len(data) * 8 // 6]
        found |= {text, text.translate(_URL_SAFE)}
    return found


def _beginnings(secret: str) -> tuple[str, ...]:
    """What is left of *secret* where somebody has cut it off; none where that could be words, or the address of a service."""
    if not _LIKE_A_KEYS_BEGINNING.match(secret):
        return ()
    return tuple(secret[:length] for length in range(LONG_SECRET, min(len(secret), _LONGEST_BEGINNING + 1)))


_A_UUID = re.compile(r"(?i)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # as private keys of Atlas are
_LONGEST_BEGINNING = (
    64  # what follows of a longer one goes with it: a pattern for each letter of a long token would be large
)
_REST = r"[\w.~+/=-]*"
_URL_SAFE = str.maketrans("+/", "-_")
_LIKE_A_KEYS_BEGINNING = re.compile(
    r"(?=.{0,11}[A-Za-z])(?=.{0,10}[0-9].{0,10}[0-9])[A-Za-z0-9_-]{12}|[0-9]{8}-[0-9]{3}(?=[0-9a-fA-F]-)"  # of a UUID maybe without a letter
)


def _longest_first(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(texts, key=lambda text: (-len(text), text)))


def secret_parts(url: str) -> tuple[str, ...]:
    """What of an address nobody may see: all of it, its password, and what looks like a token, wherever in it services have theirs.

    That may be the user (ntfy), the host (Pushover, Slack), the path, a value of the query. What is called a password or a token there is one,
    whatever it looks like.
    """
    rest = url.partition("://")[2] or url
    authority, path = re.split(r"(?=[/?#])|$", rest, maxsplit=1)
    credentials, _, host = authority.rpartition("@")
    user, _, password = credentials.partition(":")
    _, _, query = path.partition("?")
    named = [
        value
        for name, mark, value in (each.partition("=") for each in re.split(r"[&#]", query))
        if mark and _SAYS_TOKEN.search(name)
    ]
    if (of_bot := _OF_A_BOT.match(authority)) is not None:
        named.append(of_bot[1])
    words = [*re.split(r"[/?&=#]", path), user, *([] if credentials and "." in host else [host, authority])]
    found = (*map(unquote, named), *(word for word in map(unquote, words) if _LIKE_A_TOKEN.fullmatch(word)))
    return (url, *(part for part in (unquote(password), *found) if len(part) >= SHORTEST_SECRET))


_LIKE_A_TOKEN = re.compile(
    r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9._~+:-]{8,}|[A-Za-z0-9_-]{20,}"
    r"|(?=(?:[A-Za-z]*?[a-z][A-Z]){3})[A-Za-z_-]{12,}"  # no digit, and capitals as no name has them
)
_SAYS_TOKEN = re.compile(r"(?i)pass|pwd|token|key|secret|auth|sig|cred")
_OF_A_BOT = re.compile(r"[0-9]{6,}:([\w-]{8,})")  # Telegram's
