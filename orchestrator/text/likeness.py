"""What somebody probably meant to type, and what looks like something else. Pure."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable

from .confusables import prototypes

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


_ALSO_ALIKE = {
    "i": "l",  # as its capital does
    "_": "-",
    "\u30fc": "-",  # for Unicode an em dash looks like this one
    "\u00b4": "'",
    **dict(zip("\u0138\u1d1b\ua793\u03c7\u0299\u029c\u025c", "ktexbh3", strict=True)),
    "\u028d": "rn",  # as m is
}
"""What people take for each other at a glance, and Unicode does not: mostly small letters of other alphabets that have a capital's form."""

_BLANK = "\u2800"
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Unicode's `Default_Ignorable_Code_Point` (15.0): takes no room where it is shown, though some of it counts as a letter."""


def is_blank(text: str) -> bool:
    """Whether nothing of *text* is seen."""
    return not _UNSEEN.sub("", text).replace(_BLANK, " ").strip()


def skeletons(name: str) -> frozenset[str]:
    """What is left of *name* where width, accents' order and characters that look alike are no difference: as it is, and in one letter case.

    Two names that have a skeleton in common are easily taken for each other (UTS 39, section 4). There are two, because a capital may look
    like another letter than the small one does (Greek nu).
    """
    plain = _UNSEEN.sub("", unicodedata.normalize("NFKD", name)).replace(_BLANK, " ")
    return frozenset((_skeleton(plain), _skeleton(plain.casefold())))


def _skeleton(plain: str) -> str:
    alike = unicodedata.normalize("NFD", plain.translate(prototypes())).casefold()
    alike = "".join(_ALSO_ALIKE.get(character, character) for character in alike)
    return unicodedata.normalize("NFD", " ".join(alike.split()))


def lookalike(character: str) -> str | None:
    """The character of ASCII that *character* is easily taken for; empty: nobody sees it; None: it is of ASCII, or like none of it."""
    if character.isascii():
        return None
    if unicodedata.category(character) in ("Cf", "Mn") or _UNSEEN.match(character):
        return ""
    if character == _BLANK:
        return " "
    plain = unicodedata.normalize("NFKD", character)
    if len(plain) != 1 or not plain.isascii():
        plain = prototypes().get(ord(character), character)
        if plain == "l" and character.isupper():
            plain = "I"
        if not plain.isascii():
            plain = _ALSO_ALIKE.get(plain, plain)
        if plain == "rn":
            plain = "m"
    return plain if len(plain) == 1 and plain.isascii() else None


def as_it_looks(text: str) -> str:
    """*text* with characters of ASCII in the places of those that look like them."""
    return "".join(character if (plain := lookalike(character)) is None else plain for character in text)
