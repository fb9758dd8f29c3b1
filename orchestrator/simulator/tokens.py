"""The token endpoint of service accounts: OAuth 2.0 client credentials, strict.

Sources: RFC 6749, sections 2.3.1, 4.4 and 5; RFC 7009 for revocation; Atlas's pages on service accounts for the
life of tokens, how many an account may have, and how often they may be asked for.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus

from .documents import Document, api_error

TOKEN_PATH = "/api/oauth/token"  # noqa: S105 - a path
REVOKE_PATH = "/api/oauth/revoke"
_MINUTE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRules:
    """Tokens live for *life* real seconds; an account has *most* at once, and asks *per_minute* times (None: no limit)."""

    life: float = 3600.0
    most: int = 100
    per_minute: int | None = 50


@dataclass(slots=True)
class _Account:
    secret: str = field(repr=False)
    live: dict[str, float] = field(default_factory=dict, repr=False)  # tokens, and when they end
    asked: deque[float] = field(default_factory=deque)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAnswer:
    """What the endpoint says: a status, a document (None: no body) and headers."""

    status: int
    document: Document | None
    headers: Mapping[str, str] = field(default_factory=dict)


class TokenDesk:
    """Hands out tokens and takes them back.

    Args:
        accounts: Secrets by client id.
        rules: How long tokens live, and how many there may be.
        now: A clock in real seconds.
    """

    def __init__(self, accounts: Mapping[str, str], rules: TokenRules, *, now: Callable[[], float]) -> None:
        self._accounts = {client_id: _Account(secret) for client_id, secret in accounts.items()}
        self._rules = rules
        self._now = now
        self.issued = 0
        self.revoked = 0

    def holder(self, token: str) -> str | None:
        """The client id of the account whose live token *token* is."""
        now = self._now()
        for client_id, account in self._accounts.items():
            if account.live.get(token, now) > now:
                return client_id
        return None

    def live(self) -> int:
        """How many tokens are good at this moment."""
        now = self._now()
        return sum(end > now for account in self._accounts.values() for end in account.live.values())

    def end_all(self) -> None:
        """All tokens are worth nothing from now on, as when an account is suspended or its secret withdrawn."""
        for account in self._accounts.values():
            account.live.clear()

    def replace_secret(self, client_id: str, secret: str) -> None:
        """The secret of *client_id* is *secret* from now on."""
        self._accounts[client_id].secret = secret

    def issue(self, headers: Mapping[str, str], form: Mapping[str, Any]) -> TokenAnswer:
        """A token for who asks with *headers* and *form*."""
        account = self._authenticated(headers)
        if account is None:
            return _invalid_client()
        if wrong := _wrong_form(headers, form, {"grant_type"}):
            return _refused(400, "invalid_request", wrong)
        if form["grant_type"] != "client_credentials":
            return _refused(400, "unsupported_grant_type", "The grant type is not supported.")
        now = self._now()
        while account.asked and account.asked[0] <= now - _MINUTE:
            account.asked.popleft()
        if self._rules.per_minute is not None and len(account.asked) >= self._rules.per_minute:
            return TokenAnswer(status=429, document=too_many_token_requests(self._rules.per_minute))
        account.asked.append(now)
        account.live = {token: end for token, end in account.live.items() if end > now}
        if len(account.live) >= self._rules.most:
            return _refused(403, "access_denied", "The service account has too many active access tokens.")
        token = f"eyJ{secrets.token_urlsafe(12)}.{secrets.token_urlsafe(40)}.{secrets.token_urlsafe(30)}"
        account.live[token] = now + self._rules.life
        self.issued += 1
        document = {"access_token": token, "expires_in": int(self._rules.life), "token_type": "Bearer"}
        return TokenAnswer(status=200, document=document, headers={"Cache-Control": "no-store"})

    def revoke(self, headers: Mapping[str, str], form: Mapping[str, Any]) -> TokenAnswer:
        """End the token in *form*; one that is not known is no mistake (RFC 7009, section 2.2)."""
        account = self._authenticated(headers)
        if account is None:
            return _invalid_client()
        if wrong := _wrong_form(headers, form, {"token", "token_type_hint"}):
            return _refused(400, "invalid_request", wrong)
        if account.live.pop(str(form["token"]), None) is not None:
            self.revoked += 1
        return TokenAnswer(status=200, document=None)

    def _authenticated(self, headers: Mapping[str, str]) -> _Account | None:
        scheme, _, encoded = headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            client_id, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        account = self._accounts.get(unquote_plus(client_id))
        if account is None or not colon:
            return None
        return account if hmac.compare_digest(unquote_plus(secret).encode(), account.secret.encode()) else None


def too_many_token_requests(per_minute: int) -> Document:
    """The 429 of the token endpoint: requests in a number of minutes."""
    detail = f"Rate limit of {per_minute} requests per 1 minutes exceeded for {TOKEN_PATH}."
    return api_error(429, "RATE_LIMITED", detail, (TOKEN_PATH, per_minute, 1))


def _wrong_form(headers: Mapping[str, str], form: Mapping[str, Any], expected: set[str]) -> str | None:
    if headers.get("Content-Type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        return "The content type has to be application/x-www-form-urlencoded."
    if "application/json" not in headers.get("Accept", "*/*") and "*/*" not in headers.get("Accept", "*/*"):
        return "The answer is application/json."
    return None if form.keys() == expected else f"The form has to have {', '.join(sorted(expected))}."


def _invalid_client() -> TokenAnswer:
    answer = _refused(401, "invalid_client", "Client authentication failed.")
    return TokenAnswer(status=401, document=answer.document, headers={"WWW-Authenticate": 'Basic realm="oauth"'})


def _refused(status: int, error: str, description: str) -> TokenAnswer:
    return TokenAnswer(status=status, document={"error": error, "error_description": description})
