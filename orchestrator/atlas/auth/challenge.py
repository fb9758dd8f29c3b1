"""Which of the challenges in a 401 is answered: the first digest that aiohttp can compute, and never another scheme.

A server may offer several, in one `WWW-Authenticate` header or in many (RFC 9110, section 11.6.1; RFC 7616, section 3.7).
aiohttp's `DigestAuthMiddleware` reads the first header alone, gives up where it begins with another scheme, stumbles over
an unknown algorithm, and takes `auth-int` where that is offered beside `auth`. So it is shown one plain challenge.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from aiohttp.client_middleware_digest_auth import SUPPORTED_ALGORITHMS

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf'({_WORD})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|({_WORD}))[ \t]*(?=,|$)')
_SCHEME = re.compile(rf"({_WORD})(?:[ \t]+(?=[^ \t,])|[ \t]*(?=,|$))")
_ELEMENT = re.compile(r"[^,]*")  # what is neither, a token68 say
_ESCAPED = re.compile(r"\\(.)")
_GAP = re.compile(r"[ \t,]*")

MOST_READ = 16 * 1024
"""Characters of a 401's challenges that are read; Atlas's have 200. aiohttp lets a megabyte of them come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """What a server asks for: *scheme* and the names of *parameters* in lower case, their values unquoted."""

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)


def challenges(headers: Iterable[str]) -> Iterator[Challenge]:
    """The challenges in `WWW-Authenticate` *headers*, in order, as far as they are read. What does not follow the grammar is passed over."""
    left = MOST_READ
    for whole in headers:
        header = whole[:left]
        left -= len(header)
        current: Challenge | None = None
        position = 0
        while (position := _end(_GAP.match(header, position))) < len(header):
            if current is not None and (match := _PARAMETER.match(header, position)):
                name, quoted, plain = match.groups()
                value = plain if quoted is None else _ESCAPED.sub(r"\1", quoted)
                current.parameters.setdefault(name.lower(), value)
            elif match := _SCHEME.match(header, position):
                if current is not None:
                    yield current
                current = Challenge(scheme=match[1].lower())
            else:
                match = _ELEMENT.match(header, position)
            position = _end(match)
        if current is not None:
            yield current


def digest_challenge(offered: Iterable[Challenge]) -> str | None:
    """The first of *offered* that can be answered, as a `WWW-Authenticate` header; None where there is none.

    `domain` is left out: all requests go to one server, and the one that was challenged speaks for the others.
    """
    for challenge in offered:
        given = challenge.parameters
        if challenge.scheme != "digest" or not _can_be_answered(given):
            continue
        told: dict[str, str] = {
            name: given[name] for name in ("realm", "nonce", "opaque", "algorithm", "stale") if name in given
        }
        if qop := _qop(given):
            told["qop"] = qop
        return "Digest " + ", ".join(f"{name}={_quoted(value)}" for name, value in told.items())
    return None


def described(offered: Iterable[Challenge]) -> str:
    """*offered* in a few words, for a message."""
    words = (
        f"Digest with algorithm {challenge.parameters.get('algorithm', 'MD5')}, qop {challenge.parameters.get('qop')}"
        if challenge.scheme == "digest"
        else challenge.scheme.capitalize()
        for challenge in offered
    )
    return "; ".join(words) or "nothing that can be read"


def _can_be_answered(given: dict[str, str]) -> bool:
    return (
        "realm" in given
        and bool(given.get("nonce"))
        and all(value.isprintable() for value in given.values())
        and given.get("algorithm", "MD5").upper() in SUPPORTED_ALGORITHMS
        and _qop(given) is not None
    )


def _qop(given: dict[str, str]) -> str | None:
    """The quality of protection to answer with; empty: the form without one (RFC 2617); None: one that is not known."""
    offered = {word.strip().lower() for word in given.get("qop", "").split(",")} - {""}
    if not offered:
        return ""
    return next((word for word in ("auth", "auth-int") if word in offered), None)


def _quoted(value: str) -> str:
    escaped = value.replace("\\", r"\\").replace('"', r"\"")
    return f'"{escaped}"'


def _end(match: re.Match[str] | None) -> int:
    assert match is not None
    return match.end()
