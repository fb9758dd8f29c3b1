"""The last line of defence for keys: whatever comes from outside, or goes into a log, is searched for them once more.

Nothing in this program hands keys to the log on purpose; an error message of a library, a hook's output or a server
that echoes headers might. A session has one redactor that knows all of its secrets, whosever they are: keys, secrets and access tokens,
addresses of notifications, a proxy's password. Every text is searched for these, and for what the ways of asking make of keys that
nobody has named: a scheme with its parameter, which no sentence has by chance.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

from .escaping import without_sequences
from .spellings import pieces, spelling

REDACTED = "[redacted]"
_ESCAPE = "\x1b"

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

    __slots__ = ("_known", "_needles", "_searched", "_told", "_without_needle")

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._told: Counter[str] = Counter()  # how often each was told of and not yet taken back
        self._known: dict[str, tuple[_Form, ...]] = {}
        self._searched: tuple[tuple[str, _Form], ...] = ()
        self._needles: tuple[str, ...] = ()
        self._without_needle: tuple[_Form, ...] = ()
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
        return any(self._is_in(one) for one in {text, without_sequences(text)})

    def _is_in(self, text: str) -> bool:
        plain = text.lower()
        return any(needle in plain and form.pattern.search(text) for needle, form in self._searched)

    def looks_secret(self, text: str) -> bool:
        """Whether *text* has something in it that looks like a secret, and is not left to a shell to put in (`$TOKEN`)."""
        found = (match[0] for pattern in _PATTERNS for match in pattern.finditer(text))
        return any("$" not in one and "`" not in one for one in found)

    def _look_for_what_was_told(self) -> None:
        if self._told.keys() == self._known.keys():
            return
        # new ones: others may be reading the old ones
        known = {one: self._known.get(one) or _forms(one) for one in _longest_first(self._told)}
        searched = tuple((form.needle, form) for forms in known.values() for form in forms)
        self._needles = tuple({needle for needle, _ in searched if len(needle) >= _SHORTEST_NEEDLE})
        self._without_needle = tuple(form for needle, form in searched if len(needle) < _SHORTEST_NEEDLE)
        self._searched = searched
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
        """*text* without what is secret in it.

        Reports leave out a terminal's sequences, so that a secret which one splits would be whole again there. Then they are left out here.
        """
        hidden = self._hidden(text)
        if _ESCAPE in hidden:
            bare = without_sequences(hidden)
            if (whole := self._hidden(bare)) != bare:
                return whole
        return hidden

    def _hidden(self, text: str) -> str:
        plain = text.lower()
        for needle, form in self._searched:
            if needle in plain:
                text = form.pattern.sub(REDACTED, text)
        if any(word in plain for word in _SUSPICIOUS):
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
        plain = text.lower()
        for part in (*self._needles, *_SUSPICIOUS, _ESCAPE):  # a generator costs more than the search
            if part in plain:
                return True
        return any(form.needle in plain and form.pattern.search(text) for form in self._without_needle)


_HARMLESS = frozenset({int, float, bool})


_SHORTEST_NEEDLE = 4
"""What is shorter is in too many texts to say anything."""
_SPELLED = 256
"""So many characters of a long secret are looked for, and what follows goes with them: tokens have thousands."""
_LONGEST_BEGINNING = 64
"""The same of one that may be cut off."""
_LETTERS = re.compile("[a-z0-9]*")
_A_UUID = re.compile(r"(?i)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # as private keys of Atlas are
_UNRESERVED = frozenset("-._~")
_REST_OF_BASE64 = r"(?:[\w+/=-]|%[0-9A-Fa-f]{2})*+"


class _Form:
    """One form in which a secret is looked for. *needle*: small letters and digits that are in every text which has it, quick to look for.

    The pattern is made when it is first asked for, which for most tokens is never.
    """

    __slots__ = ("_flags", "_make", "_pattern", "needle")

    def __init__(self, needle_of: str, make: Callable[[], str], flags: re.RegexFlag = re.NOFLAG) -> None:
        self.needle = max(_LETTERS.findall(needle_of.lower()), key=len)
        self._make = make
        self._flags = flags
        self._pattern: re.Pattern[str] | None = None

    @property
    def pattern(self) -> re.Pattern[str]:
        """What is taken out of a text."""
        if self._pattern is None:
            self._pattern = re.compile(self._make(), self._flags)
        return self._pattern


def _forms(secret: str) -> tuple[_Form, ...]:
    """What is looked for of *secret*: it, and what of it is in every text that was encoded with it in it."""
    head = secret[:_SPELLED]
    if len(secret) < LONG_SECRET:
        return (_Form(head, lambda: _spelled(secret)),)
    cut_off = _may_be_cut_off(secret)
    data = head.encode("utf-8", "replace")
    longer = len(secret) > _SPELLED
    in_hex = data.hex()
    return (
        _Form(head[:LONG_SECRET] if cut_off else head, lambda: _spelled(secret, cut_off=cut_off), re.IGNORECASE),
        _Form(in_hex, lambda: in_hex + "[0-9a-f]*+" * longer, re.IGNORECASE),
        *(_in_base64(data, before, longer=longer) for before in range(3)),
    )


def _spelled(secret: str, *, cut_off: bool = False) -> str:
    """A pattern for *secret*, however it is written. *cut_off*: or for its beginning."""
    is_uuid = _A_UUID.fullmatch(secret) is not None
    head = secret[: _LONGEST_BEGINNING if cut_off else _SPELLED]
    parts = pieces(head)
    written = [f"(?:{spelling(part)})?+" if is_uuid and part == "-" else spelling(part) for part in parts]
    end = _rest(secret, len(head))
    if cut_off:
        seen = 0
        needed = next(n for n, part in enumerate(parts, 1) if (seen := seen + len(part)) >= LONG_SECRET)
        for one in reversed(written[needed:]):
            end = f"(?:{one}{end})?+"
        written = written[:needed]
    # A run of backslashes is looked at from its beginning only. What looks as if it was encoded is found as it is, too.
    first = r"(?<!\\)" if head.startswith("\\") else ""
    return f"{re.escape(secret[:_SPELLED])}{_rest(secret, _SPELLED)}|{first}{''.join(written)}{end}"


def _rest(secret: str, seen: int) -> str:
    """A pattern for what may follow the *seen* characters of *secret*, and is not between the words of a text."""
    letters = {letter for letter in secret[seen:] if not letter.isspace()}
    if not letters:
        return ""
    odd = {letter for letter in letters if not letter.isalnum()}
    encoded = "\\%" if odd <= _UNRESERVED else "\\%&#;+"
    return rf"[\w{re.escape(''.join(sorted(odd)))}{re.escape(encoded)}]{{0,{10 * (len(secret) - seen)}}}+"


def _in_base64(data: bytes, before: int, *, longer: bool) -> _Form:
    """Of *data* in base64, of either alphabet, padded or not, what is the same whatever is around it, where it begins behind *before* bytes."""
    whole = bytes(before) + data
    text = b64encode(whole).decode().rstrip("=")[-(-before * 8 // 6) : len(whole) * 8 // 6]
    of_urls = {"+": "-", "/": "_"}

    def pattern() -> str:
        letters = (f"(?:{spelling(one)}|{of_urls[one]})" if one in of_urls else one for one in text)
        return "".join(letters) + _REST_OF_BASE64 * longer

    return _Form(text, pattern)


def _may_be_cut_off(secret: str) -> bool:
    """Whether what *secret* begins with says enough: it could not be words, nor the address of a service."""
    first = secret[:LONG_SECRET]
    if _A_UUID.fullmatch(secret):
        return True
    return (
        "://" not in secret
        and not any(letter.isspace() for letter in first)
        and len(re.findall("[0-9]", first)) > 1
        and re.search("[A-Za-z]", first) is not None
    )


def _parts(secret: str) -> set[str]:
    """What is known of *secret* as it came, maybe with a line end: itself, and where it has several lines, each that no word is."""
    lines = [line.strip() for line in secret.strip().splitlines()]
    whole = {secret.strip()} if len(secret.strip()) >= SHORTEST_SECRET else set()
    return whole | {
        line for line in lines if len(line) >= LONG_SECRET and not line.startswith("-----") and len(lines) > 1
    }


def _longest_first(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(texts, key=lambda text: (-len(text), text)))
