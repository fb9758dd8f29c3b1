"""What somebody probably meant to type, and what looks like something else. Pure."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable

_LONGEST = 100


def closest(word: str, known: Iterable[str], *, at_least: float = 0.6) -> str | None:
    """The one of *known* that *word* is most like, letter case apart; None: it is like none of them.

    *at_least*: from 0 to 1, as `difflib` reckons likeness.
    """
    spelled = {name.casefold(): name for name in known}
    found = difflib.get_close_matches(word[:_LONGEST].casefold(), spelled, n=1, cutoff=at_least)
    return spelled[found[0]] if found else None


def composed(text: str) -> str:
    """*text* in Unicode's composed form (NFC): an e with an accent is one letter, however it was typed or copied."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


_ALIKE = {
    "0": "o",
    "1": "l",
    "i": "l",
    "|": "l",
    "\u0131": "l",
    **dict(
        zip(
            "\u0430\u0441\u0501\u0435\u04bb\u0456\u0458\u043a\u04cf\u043c\u043e\u0440\u051b\u0455\u0442\u0443\u0475\u051d\u0445",
            "acdehljklmopqstyvwx",
            strict=True,
        )
    ),
    **dict(zip("\u03b1\u03b5\u03b9\u03ba\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7", "aelkvoptux", strict=True)),
    **dict(zip("\u0432\u043d\u0437\u0585\u057d\u0578\u057c", "bh3ounn", strict=True)),
    **dict.fromkeys("\u00ad\u2010\u2011\u2012\u2013\u2014\u2212_", "-"),
    **dict.fromkeys("\u2018\u2019\u02bc\u0060\u00b4", "'"),
}
"""Characters that are taken for others, after case and width are gone: an excerpt of the confusables of UTS 39 for letters that names
have: Latin, Cyrillic, Greek, Armenian, digits, dashes, quotes."""


def skeleton(name: str) -> str:
    """What is left of *name* where letter case, width, accents' order and characters that look alike are no difference.

    Two names with one skeleton are easily taken for each other (UTS 39, section 4).
    """
    plain = unicodedata.normalize("NFKD", name).casefold()
    alike = "".join(_ALIKE.get(character, character) for character in plain)
    return unicodedata.normalize("NFD", " ".join(alike.replace("rn", "m").split()))


def lookalike(character: str) -> str | None:
    """The character of ASCII that *character* is easily taken for; empty: nobody sees it; None: it is of ASCII, or like none of it."""
    if character.isascii():
        return None
    if unicodedata.category(character) in ("Cf", "Mn"):
        return ""
    plain = unicodedata.normalize("NFKD", character)
    if len(plain) != 1 or not plain.isascii():
        alike = _ALIKE.get(character) or _ALIKE.get(character.lower())
        plain = alike.upper() if alike and character.isupper() else alike or ""
    return plain if len(plain) == 1 and plain.isascii() else None
