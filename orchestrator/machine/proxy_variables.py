"""The variables that name a proxy hold its password, and everything that this process starts can read them."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote

from ..text.tokens_in import looks_like_token

_LIKE_A_SCHEME = re.compile(r"^(?:[A-Za-z][A-Za-z0-9+.-]*:(?=[/\\]))?[/\\]*")
"""A scheme, also with one slash or the wrong ones: such a variable is refused, and its password is as secret."""


def proxy_secrets(environ: Mapping[str, str]) -> Iterator[str]:
    """What is secret in the variables of *environ* that name a proxy: as it is written, as it is meant, and as a header has it.

    That is the password, and where there is none, the user that looks like a token.
    """
    for name, value in environ.items():
        if not name.lower().endswith("_proxy"):
            continue
        for rest in {_LIKE_A_SCHEME.sub("", value), value.partition("://")[2] or value.lstrip("/")}:
            yield from _secrets_in(rest.rpartition("@")[0])


def _secrets_in(credentials: str) -> Iterator[str]:
    user, _, written = credentials.partition(":")
    if not written and looks_like_token(unquote(user)):
        yield from {
            user,
            unquote(user),
            base64.b64encode(f"{unquote(user)}:".encode("latin-1", "replace")).decode(),
        }
    for password in {written, unquote(written)} - {""}:
        pair = f"{unquote(user)}:{password}"
        yield from (password, pair, base64.b64encode(pair.encode("latin-1", "replace")).decode())
