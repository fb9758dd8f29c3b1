"""What of an address, or of a word in it, nobody may see: notification services have their tokens in any part of it."""

from __future__ import annotations

import re
from urllib.parse import unquote

from .redaction import SHORTEST_SECRET


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
    words = [
        *re.split(r"[/?&=#]", path),
        user,
        *([] if "." in host and (credentials or _A_DOMAIN.fullmatch(host)) else [host, authority]),
    ]
    found = (*map(unquote, named), *filter(looks_like_token, map(unquote, words)))
    return (url, *(part for part in (unquote(password), *found) if len(part) >= SHORTEST_SECRET))


def looks_like_token(word: str) -> bool:
    """Whether *word* is what services give out as a token, and no name of a person, a host or a cluster."""
    return _LIKE_A_TOKEN.fullmatch(word) is not None


_A_DOMAIN = re.compile(r"[\w-]{1,63}(?:\.[\w-]{1,63}){0,5}\.[A-Za-z]{2,8}(?::[0-9]{1,5})?")
_LIKE_A_TOKEN = re.compile(
    r"(?=[^0-9]*[0-9][^0-9]*[0-9])(?=.*[A-Za-z])[A-Za-z0-9._~+:-]{8,}|[A-Za-z0-9_-]{20,}"
    r"|(?=(?:[A-Za-z]*?[a-z][A-Z]){3})[A-Za-z_-]{12,}"  # no digit, and capitals as no name has them
)
_SAYS_TOKEN = re.compile(r"(?i)pass|pwd|token|key|secret|auth|sig|cred")
_OF_A_BOT = re.compile(r"[0-9]{6,}:([\w-]{8,})")  # Telegram's
