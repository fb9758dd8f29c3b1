"""The variables that name a proxy hold its password, and everything that this process starts can read them."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from urllib.parse import unquote


def proxy_secrets(environ: Mapping[str, str]) -> Iterator[str]:
    """The passwords in the variables of *environ* that name a proxy: as they are written, as they are meant, and as a header has them."""
    for name, value in environ.items():
        if not name.lower().endswith("_proxy"):
            continue
        _, scheme, rest = value.partition("://")
        user, _, written = (rest if scheme else value.lstrip("/")).rpartition("@")[0].partition(":")
        for password in {written, unquote(written)} - {""}:
            pair = f"{unquote(user)}:{password}"
            yield from (password, pair, base64.b64encode(pair.encode("latin-1", "replace")).decode())
