"""The last line of defence for keys: whatever reaches a log is searched for them once more.

Nothing in this program hands keys to the log on purpose; an error message of a library, a hook's output or a server
that echoes headers might. So every text of an entry, at any depth, is searched for the known keys and for what the
digest scheme makes of them, and for what service accounts ask with: secrets and access tokens, which come and go.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, MutableMapping
from typing import Any
from urllib.parse import quote

REDACTED = "[redacted]"

SHORTEST_SECRET = 4
"""Shorter secrets are not searched for: they would blacken innocent words, and no API key is that short."""

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
_LIKE_A_KEY = r"(?=[^\s\"']*(?:[0-9=]|[a-z][A-Z]))"
"""What no word of a sentence has: "basic authentication is required" keeps its words."""
_PATTERNS = (
    re.compile(r"(?i:((?:authorization|authenticate)[\"']?\s*[:=,]\s*))(?=(?i:[\\\"'\[(\s]*digest\s+[a-z]+=))[^\r\n]+"),
    re.compile(
        r"((?i:(?:authorization|authenticate)[\"']?\s*[:=,]\s*[\\\"'\[(]*(?:[a-z0-9-]+\s+)?))"
        + _LIKE_A_KEY
        + r"[^\s\"',;]{8,}"
    ),
    re.compile(
        r"(?im)((?:authorization|authenticate)[\"']?\s*[:=,]\s*[\\\"'\[(]*)(?:digest|basic|bearer)\s+[^\s\"',\\]+(?=\s*$|[\"'\\])"
    ),
    re.compile(r"(?i)(\bdigest\s+)(?=[a-z]+=)[^\r\n]+"),
    re.compile(r"((?i:\b(?:basic|bearer)\s+))" + _LIKE_A_KEY + r"[A-Za-z0-9._~+/-]{8,}=*"),
    re.compile(r"(?i)(\b(?:cnonce|response)[\"']?\s*[:=]\s*\\?[\"'])[^\"'\\]+"),
    re.compile(r"(?i)(\b(?:cnonce|response)\s*=\s*)[0-9a-f]{8,}"),
    re.compile(r"(?i)(\b(?:access_token|refresh_token|client_secret)\\?[\"']?\s*[:=]\s*\\?[\"'])[^\"'\\]+"),
    re.compile(r"(?i)(\b(?:access_token|refresh_token|client_secret|token)=)[^\s\"'&]{8,}"),
    re.compile(r"(?i)()\bmdb_sa_sk_[a-z0-9_-]+"),
    re.compile(r"()\beyJ[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]+)+"),  # a JSON web token
)


class Redactor:
    """A structlog processor that replaces the *secrets*, `Authorization` headers and digest responses by `[redacted]`."""

    __slots__ = ("_pattern", "_secrets")

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets if len(secret) >= SHORTEST_SECRET for form in _forms(secret)}
        self._secrets = tuple(sorted(forms, key=lambda form: (-len(form), form)))
        self._pattern = re.compile("|".join(map(re.escape, self._secrets))) if self._secrets else None

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
        if self._pattern is not None:
            text = self._pattern.sub(REDACTED, text)
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
        for word in _SUSPICIOUS:  # noqa: SIM110 - a generator costs more than the search
            if word in plain:
                return True
        return False


_HARMLESS = frozenset({int, float, bool})


def _forms(secret: str) -> set[str]:
    """How *secret* may be written: as it is, as part of a URL, and inside a quoted text."""
    return {secret, quote(secret, safe=""), secret.replace("\\", "\\\\").replace('"', '\\"'), repr(secret)[1:-1]}
