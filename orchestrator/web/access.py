"""Who may see the page and press its buttons. Pure but for the random numbers.

One token opens everything. It is printed at start; opening the address with it sets a session cookie, which is derived
from the token, so that the server keeps no list of sessions. A request that changes something needs more than the
cookie: it has to come from the page itself (`may_change`) and carry the session's second secret (`csrf_token`).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from ..core.errors import InputError

SHORTEST_TOKEN = 16
CSRF_HEADER = "X-CSRF-Token"
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; worker-src 'self'; img-src 'self' data:; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""On every answer, refusals included."""


def new_token() -> str:
    """A token that nobody guesses: 256 random bits, safe in an address."""
    return secrets.token_urlsafe(32)


def read_token(path: Path) -> str:
    """The token in the file *path*: its text without the white space around it.

    Raises:
        InputError: The file cannot be read, or its token is too short, or not of letters that an address can carry.
    """
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise InputError(f"--token-file {path}: cannot be read: {why}") from None
    if len(text) < SHORTEST_TOKEN:
        raise InputError(
            f"--token-file {path}: the token has {len(text)} characters, at least {SHORTEST_TOKEN} are needed; "
            "`python3 -c 'import secrets; print(secrets.token_urlsafe(32))'` makes one"
        )
    if not all(c.isascii() and (c.isalnum() or c in "-._~") for c in text):
        raise InputError(f"--token-file {path}: only letters, digits and - . _ ~ can be in a token")
    return text


def others_can_read(path: Path) -> bool:
    """Whether the file *path* is open to more users than its owner."""
    return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def is_loopback(host: str) -> bool:
    """Whether *host* names this machine alone."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


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
    """What is allowed at a page that listens on *host* and *port* with this *token*.

    *machine* is the machine's own name, which a page that listens on all interfaces also answers to.
    """

    token: str
    host: str
    port: int
    machine: str = ""

    @property
    def cookie(self) -> str:
        """The cookie's name. Cookies do not keep ports apart, so two pages on one machine need two names."""
        return f"atlas_cutover_{self.port}"

    def opens(self, token: str) -> bool:
        """Whether *token* is the right one."""
        return hmac.compare_digest(token.encode(errors="replace"), self.token.encode())

    def new_session(self) -> str:
        """The value of a new session's cookie: a random number and its seal."""
        number = secrets.token_urlsafe(16)
        return f"{number}.{self._seal('session', number)}"

    def knows(self, session: str) -> bool:
        """Whether *session* is a cookie that was made with this token."""
        number, _, seal = session.partition(".")
        return hmac.compare_digest(seal.encode(errors="replace"), self._seal("session", number).encode())

    def csrf_token(self, session: str) -> str:
        """What a request of *session* that changes something has to carry in the header `CSRF_HEADER`."""
        return self._seal("csrf", session)

    def is_addressed(self, host_header: str) -> bool:
        """Whether a request's ``Host`` is this page: a foreign name that was made to point here is refused.

        A page on all interfaces is reached by whatever address the machine has. Addresses are safe: only a name can be
        made to point somewhere else.
        """
        found = split_host(host_header)
        if found is None or found[1] != self.port:
            return False
        name = found[0]
        if name in LOCAL_NAMES or name == self.host.lower():
            return True
        if self.host in ("0.0.0.0", "::"):  # noqa: S104 - compared with, not bound to
            return name == self.machine.lower() or _is_address(name)
        return False

    def may_change(self, headers: Mapping[str, str], session: str) -> str | None:
        """Why a POST with *headers* in *session* is refused; None: it came from the page itself."""
        origin, site = headers.get("Origin"), headers.get("Sec-Fetch-Site")
        if origin is None and site is None:
            return "the request does not say where it comes from (Origin)"
        if origin is not None and origin.lower() != f"http://{headers.get('Host', '')}".lower():
            return "the request comes from another page (Origin)"
        if site is not None and site != "same-origin":
            return "the request comes from another page (Sec-Fetch-Site)"
        given = headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(given.encode(errors="replace"), self.csrf_token(session).encode()):
            return f"the request does not carry the session's token ({CSRF_HEADER}): load the page again"
        return None

    def _seal(self, purpose: str, text: str) -> str:
        return hmac.new(self.token.encode(), f"{purpose}:{text}".encode(), hashlib.sha256).hexdigest()


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
