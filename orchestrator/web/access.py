"""Who may see the page and press its buttons. Pure but for random numbers.

A *visitor* has a token, and with it a name and a role. Who has shown it (in a form, or by a code that works once) gets two things: a cookie
that is derived from the token and a secret of this page, so that the server keeps no list of sessions, and a *key*, which the browser keeps for
this address and port alone. Cookies do not know ports: what listens on another port of the same host gets the cookie too. So the cookie opens
nothing but the page's frame; all that is known of runs, and every button, wants the key as well.

Tabs that are open when the server ends send both to whoever listens on its port next. So they are worth nothing by then: the next server has another secret.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from ..core.errors import InputError
from ..files.input_file import why_unreadable
from ..machine.trusted_files import read_bytes

SHORTEST_TOKEN, SHORTEST_HEX, FEWEST_SIGNS = 22, 32, 8
"""128 bits as letters and digits, as hexadecimal digits, and of how many different ones at least."""
ROLES = ("view", "steer")
LARGEST_FILE = 1 << 20  # characters; ten thousand visitors
CODE_SECONDS = 600.0
"""For how long the printed address opens the page, once."""
_MAKE_ONE = "`python3 -c 'import secrets; print(secrets.token_urlsafe(32))'` makes one"
KEY_HEADER = "X-Page-Key"
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; worker-src 'self'; img-src 'self' data:; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with none at all, browsers leave out where the form of the token comes from
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""On every answer of ours, refusals included. What is no HTTP is answered by aiohttp: 400, a line of plain text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Whoever has *token*. *name* is what log and report call them, None: what they call themselves. *steers*: may press buttons."""

    token: str
    name: str | None = None
    steers: bool = True


def new_token() -> str:
    """A token that nobody guesses: 256 random bits."""
    return secrets.token_urlsafe(32)


def read_tokens(path: Path) -> tuple[Visitor, ...]:
    """The visitors in the file *path*: a line ``NAME ROLE TOKEN`` each (ROLE: `view` or `steer`), or one token alone.

    Raises:
        InputError: The file cannot be read, or says something that cannot be; a token has less than 128 bits.
    """
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"--token-file {path}: is not UTF-8 text") from None
    except (OSError, ValueError) as error:
        raise InputError(f"--token-file {path}: {why_unreadable(error)}") from None
    if len(text) > LARGEST_FILE:
        raise InputError(
            f"--token-file {path}: is larger than {LARGEST_FILE >> 20} MiB; expected a line for each visitor"
        )
    lines = [(number, line.split()) for number, line in enumerate(text.splitlines(), start=1)]
    lines = [(number, words) for number, words in lines if words and not words[0].startswith("#")]
    if not lines:
        raise InputError(f"--token-file {path}: there is no token in it; {_MAKE_ONE}")
    if len(lines) == 1 and len(lines[0][1]) == 1:
        return (Visitor(token=_strong(lines[0][1][0], f"--token-file {path}")),)
    found = [_visitor(words, f"--token-file {path}, line {number}") for number, words in lines]
    for what, values in (("name", [each.name for each in found]), ("token", [each.token for each in found])):
        if len(set(values)) < len(values):
            raise InputError(f"--token-file {path}: two lines have the same {what}")
    return tuple(found)


def _visitor(words: list[str], where: str) -> Visitor:
    if len(words) != 3 or words[1] not in ROLES:
        raise InputError(f"{where}: expected NAME ROLE TOKEN, with the role {' or '.join(ROLES)}")
    name, role, token = words
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,59}", name):
        raise InputError(f"{where}: a name has letters, digits and . _ @ - (60 at most)")
    return Visitor(name=name, steers=role == "steer", token=_strong(token, where))


def _strong(token: str, where: str) -> str:
    """*token*, where it can have 128 bits.

    Raises:
        InputError: It cannot.
    """
    if not re.fullmatch(r"[A-Za-z0-9._~-]+", token):
        raise InputError(f"{where}: only letters, digits and - . _ ~ can be in a token")
    hexadecimal = re.fullmatch(r"[0-9a-fA-F]+", token) is not None
    least = SHORTEST_HEX if hexadecimal else SHORTEST_TOKEN
    if len(token) < least or len(set(token)) < FEWEST_SIGNS:
        kind = "hexadecimal digits" if hexadecimal else "characters"
        raise InputError(
            f"{where}: the token has {len(token)} {kind}; 128 bits take at least {least} random ones; {_MAKE_ONE}"
        )
    return token


def others_can_read(path: Path) -> bool:
    """Whether the file *path* is open to more users than its owner."""
    return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def split_host(header: str) -> tuple[str, int] | None:
    """Name and port of a ``Host`` header (port 80 where it names none); None where it is none."""
    try:
        parts = urlsplit(f"//{header}")
        port = parts.port
    except ValueError:
        return None
    if parts.netloc != header or parts.username is not None or not parts.hostname:
        return None
    return parts.hostname, 80 if port is None else port


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who is let in at a page that listens on *host*, a numeric address, and *port*.

    *name* is what *host* was called when it was asked for, which the page also answers to. *secret* is of this page alone: no
    session outlives it. *machine* is the machine's own name, which a page that listens on all interfaces also answers to.
    """

    visitors: tuple[Visitor, ...]
    host: str
    port: int
    name: str = ""
    machine: str = ""
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    @property
    def cookie(self) -> str:
        """The cookie's name: two pages on one machine need two."""
        return f"atlas_cutover_{self.port}"

    def opens(self, token: str) -> Visitor | None:
        """Whose *token* that is; None: nobody's."""
        given, found = token.encode(errors="replace"), None
        for visitor in self.visitors:  # all of them: how long it takes tells nothing
            if hmac.compare_digest(given, visitor.token.encode()):
                found = visitor
        return found

    def new_session(self, visitor: Visitor) -> str:
        """The value of a new session's cookie: a random number, and its seal with the visitor's token and the page's secret."""
        number = secrets.token_urlsafe(16)
        return f"{number}.{self._seal(visitor, 'session', number)}"

    def knows(self, session: str) -> Visitor | None:
        """Whose cookie *session* is; None: it was made with none of the tokens, or by another page."""
        if not session.isascii():
            return None
        number, _, seal = session.partition(".")
        given, found = seal.encode(errors="replace"), None
        for visitor in self.visitors:
            if hmac.compare_digest(given, self._seal(visitor, "session", number).encode()):
                found = visitor
        return found

    def key(self, visitor: Visitor, session: str) -> str:
        """What a request of *session* that reads or changes something has to carry besides the cookie."""
        return self._seal(visitor, "key", session)

    def has_key(self, visitor: Visitor, session: str, given: str) -> bool:
        """Whether *given* is the session's key."""
        return hmac.compare_digest(given.encode(errors="replace"), self.key(visitor, session).encode())

    def _seal(self, visitor: Visitor, purpose: str, text: str) -> str:
        signed = self.secret + f"{purpose}:{text}".encode()  # the secret's length is always the same
        return hmac.new(visitor.token.encode(), signed, hashlib.sha256).hexdigest()

    def is_addressed(self, host_header: str) -> bool:
        """Whether a request's ``Host`` is this page: a foreign name that was made to point here is refused.

        A page on all interfaces is reached by whatever address the machine has. Addresses are safe: only a name can be
        made to point somewhere else.
        """
        found = split_host(host_header)
        if found is None or found[1] != self.port:
            return False
        name = found[0]
        if name in LOCAL_NAMES or name in (self.host, self.name.lower()):
            return True
        if self.host in ("0.0.0.0", "::"):  # noqa: S104 - compared with, not bound to
            return name == self.machine.lower() or _is_address(name)
        return False

    def is_entered_from_elsewhere(self, headers: Mapping[str, str]) -> bool:
        """Whether a form with *headers* was sent by another page: it would sign somebody in as somebody else, without a word.

        Browsers say so where the page has no TLS, too (Origin); what is no browser need not say anything.
        """
        origin, site = headers.get("Origin"), headers.get("Sec-Fetch-Site", "same-origin")
        here = origin is None or origin.partition("://")[2].lower() == headers.get("Host", "").lower()
        return site != "same-origin" or not here

    def is_from_here(self, headers: Mapping[str, str]) -> str | None:
        """Why a POST with *headers* is refused; None: it came from the page itself."""
        origin, site = headers.get("Origin"), headers.get("Sec-Fetch-Site")
        if origin is None and site is None:
            return "the request does not say where it comes from (Origin)"
        if origin is not None and origin.lower() != f"http://{headers.get('Host', '')}".lower():
            return "the request comes from another page (Origin)"
        if site is not None and site != "same-origin":
            return "the request comes from another page (Sec-Fetch-Site)"
        return None


class Code:
    """A code that opens the page once, in the first `CODE_SECONDS`: what stays of it in a browser's history opens nothing.

    *now*: seconds of a clock that nobody sets.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.text = new_token()
        self._now = now
        self._until = now() + CODE_SECONDS
        self._used = False

    def spend(self, given: str) -> bool:
        """Whether *given* is the code, in time and for the first time."""
        right = hmac.compare_digest(given.encode(errors="replace"), self.text.encode())
        if not right or self._used or self._now() > self._until:
            return False
        self._used = True
        return True


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
