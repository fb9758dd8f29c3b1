"""Characters that are not what they look like, or that YAML takes in another way than people do: which, where, and what to type."""

from __future__ import annotations

import re
import unicodedata

from ..text.likeness import lookalike

_DIGITS = {"O": "0", "o": "0", "l": "1", "I": "1", "|": "1"}
_HEX = frozenset("0123456789abcdef")
_NAMES = {"\t": "a tab", "\n": "a line end", "\r": "a line end", "\x85": "a next line control (U+0085)"}
_HALF = re.compile(r"(?<!\\)(?:\\\\)*\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})", re.IGNORECASE)

_ODD_SPACE = "[\u00a0\u1680\u180e\u2000-\u200f\u202f\u205f\u2060\u3000\ufeff]"
_MISPLACED_SPACE = re.compile(rf"^\s*{_ODD_SPACE}|^[ ]*(?:-[ ]+)*-{_ODD_SPACE}|^[^'\"#]*:{_ODD_SPACE}")
_TAB_AFTER_DASH = re.compile(r"^[ ]*(?:-[ ]+)*-[ ]*\t")
_DASH = re.compile(r"^[ ]*([\u2010-\u2015\u2212\ufe58\ufe63\uff0d])[ ]")
_RESERVED = re.compile(r"(?:^[ ]*|[:,\[{-][ ]+)([@`%])(?!YAML)")
_NO_SPACE_AFTER_DASH = re.compile(r"^[ ]*-([A-Za-z_]+):(?:[ ]|$)")
_NO_SPACE = re.compile(r"^[ ]*(?:-[ ]+)*([A-Za-z_]+):(?![/\s]|$)")
_TWO_COLONS = re.compile(r"^[ ]*(?:-[ ]+)*[A-Za-z_]+:[ ]+[^\s'\"{\[|>#&*!][^'\"#]*?(:)(?:[ ]|$)")


def shown(character: str) -> str:
    """*character* for a message, with its code and name where it is none of ASCII: `a no-break space (U+00A0)`."""
    if character in _NAMES:
        return _NAMES[character]
    if character.isascii() and character.isprintable():
        return repr(character)
    name = unicodedata.name(character, "a character without a name").lower()
    if character.isprintable() and not character.isspace():
        return f"'{character}' (U+{ord(character):04X}, {name})"
    article = "an" if name[0] in "aeio" else "a"
    return f"{article} {name} (U+{ord(character):04X})"


def first_odd(text: str) -> str | None:
    """What is to be said of the first character of *text* that only looks like one of ASCII, or like none; None: all are what they seem."""
    for place, character in enumerate(text, start=1):
        plain = lookalike(character)
        if plain is not None:
            typed = f"; type {plain!r}" if plain.strip() else "; type a space" if plain else "; take it away"
            return f"its character {place} is {shown(character)}{typed}"
    return None


def no_hex_digit(text: str) -> str | None:
    """What is to be said of the first character of *text* that is no hexadecimal digit; None: all are, in small letters."""
    for place, character in enumerate(text, start=1):
        if character in _HEX:
            continue
        plain = lookalike(character)
        meant = _DIGITS.get(character) or (plain if plain is None else _DIGITS.get(plain, plain.lower()))
        if meant in ("", " "):
            return f"its character {place} is {shown(character)}, which does not belong here: take it away"
        if meant is not None and meant in _HEX:
            return f"its character {place} is {shown(character)}; type {meant!r}"
        return f"its character {place} is {shown(character)}, which is none"
    return None


def culprit(text: str, line: int) -> tuple[int, str] | None:
    """What in *text* YAML stumbled over most likely, when it gave up at *line*: the line, and what to say. None: nothing known."""
    lines = re.split(r"\r\n|\r|\n", text)
    for number in range(min(line, len(lines)), max(0, line - 3), -1):
        if (said := _said_of(lines[number - 1])) is not None:
            return number, said
    return None


def _said_of(written: str) -> str | None:
    if found := _MISPLACED_SPACE.search(written):
        character = next(c for c in found.group() if re.fullmatch(_ODD_SPACE, c))
        column = written.index(character) + 1
        typed = "type a space" if lookalike(character) == " " else "take it away"
        return f"column {column} is {shown(character)}, which YAML takes for a letter: {typed}"
    if found := _TAB_AFTER_DASH.search(written):
        return f"column {found.end()} is a tab after a dash: type a space"
    if "\t" in written[: len(written) - len(written.lstrip())]:
        return "a tab cannot indent, use spaces"
    if found := _DASH.search(written):
        return f"column {found.end() - 1} is {shown(found[1])}, and an item of a list begins with a plain one: type '-'"
    if found := _RESERVED.search(written):
        return f"column {found.start(1) + 1} is {found[1]!r}, with which no plain value begins: put the value in quotes"
    if found := _NO_SPACE_AFTER_DASH.search(written):
        return f"column {found.start(1) + 1} follows a dash directly: put a space between them"
    if found := _NO_SPACE.search(written):
        return f"column {found.end() + 1} follows a colon directly: put a space between a key's colon and its value"
    if found := _TWO_COLONS.search(written):
        return f"mapping values are not allowed here: column {found.start(1) + 1} is a second colon; put the value in quotes"
    return None


def with_whole_characters(text: str) -> str:
    r"""*text* with a character in the place of each pair of escapes ``\ud83d\ude80``, as JSON writes what is beyond 65,536."""
    return _HALF.sub(_whole, text)


def _whole(found: re.Match[str]) -> str:
    before = found.group()[: -len("\\ud83d\\ude80")]
    return before + bytes.fromhex(found[1] + found[2]).decode("utf-16-be")
