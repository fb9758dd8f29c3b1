"""How programs write a text that came from elsewhere: a URL, a form, HTML, JSON, a program's or a shell's quoted text each has its own.

They differ in what they leave as it is, in capitals, in zeros, and one may have written what another one had written already. So a pattern
is made for each letter, of all that may stand for it, and not for each program. A letter that was read is not read again in another way
(possessive, atomic), whatever the text: a place of it is looked at for as long as the pattern is, and no longer.
"""

from __future__ import annotations

import re
from functools import cache
from html.entities import html5

_PIECE = re.compile(r"\\+|%(?:25)*|&(?:amp;)*|.", re.DOTALL)
_BACKSLASHES = r"\\{0,16}+"  # a quoted text within another one doubles them
_AGAIN = "{0,2}+"  # what has been encoded already may be encoded again
_SHORT = dict(zip("\a\b\t\n\v\f\r\x1b\0", "abtnvfre0", strict=True))
_OF_A_SHELL = r"""'"'"'|'\\''"""


def pieces(text: str) -> list[str]:
    """*text* cut up into what `spelling` takes: its letters, but those that cannot be told from how the one before is written go with that."""
    return _PIECE.findall(text)


def spelling(piece: str) -> str:
    """A pattern for *piece*, however it is written. Letters and digits of ASCII stay as they are everywhere."""
    letter, more = piece[0], len(piece)
    if letter.isascii() and letter.isalnum():
        return letter
    if letter == "\\":
        return rf"(?>(?:{_BACKSLASHES}(?:{_encoded(letter)})){{{more}}}|\\{{{more},}}+)"
    if letter not in "%&":
        return rf"{_BACKSLASHES}(?>{_encoded(letter)}|{_itself(letter)})"
    tail = "25" if letter == "%" else "amp;"
    again = piece[1:].count(tail)
    rest = "".join(map(spelling, piece[1:]))
    return (
        rf"{_BACKSLASHES}(?>(?:{_encoded(letter)}){rest}(?:{tail}){_AGAIN}|{letter}(?:{tail}){{{again},{again + 2}}}+)"
    )


def _itself(letter: str) -> str:
    match letter:
        case " ":
            return "[ +]"
        case "'":
            return f"{_OF_A_SHELL}|'"
        case _:
            return re.escape(letter)


def _encoded(letter: str) -> str:
    """A pattern for *letter* where something else stands for it; the backslashes before it have been read."""
    code = ord(letter)
    named = "|".join((f"#0{{0,6}}+{code}", f"#[xX]0{{0,6}}+{_hex(code)}", *_names().get(letter, ())))
    ways = [
        rf"(?<=\\)(?:{_escaped(letter)})",
        *("".join(map(_byte, data)) for data in _in_bytes(letter)),
        rf"(?:&|(?<=\\)u0026)(?:amp;){_AGAIN}(?:{named});",
    ]
    return "|".join(ways)


def _escaped(letter: str) -> str:
    """What is behind a backslash for *letter*: in JSON, Python, JavaScript and C."""
    code = ord(letter)
    ways = [f"U{_hex(code, 8)}", rf"u\{{0{{0,6}}+{_hex(code)}\}}"]
    if code < 0x10000:
        ways.append(f"u{_hex(code, 4)}")
    else:  # two halves, as UTF-16 has it
        high, low = divmod(code - 0x10000, 0x400)
        ways.append(rf"u{_hex(0xD800 + high, 4)}\\{{1,16}}+u{_hex(0xDC00 + low, 4)}")
    if letter in _SHORT:
        ways.append(_SHORT[letter])
    return "|".join(ways)


def _in_bytes(letter: str) -> set[bytes]:
    """*letter* in UTF-8 and in Latin-1, or the byte that it stands for where that is of neither."""
    code = ord(letter)
    found = {letter.encode("utf-8", "surrogatepass")}
    if code < 0x100:
        found.add(bytes([code]))
    elif 0xDC80 <= code <= 0xDCFF:
        found.add(bytes([code - 0xDC00]))
    return found


def _byte(byte: int) -> str:
    written = _hex(byte, 2)
    percent = "" if byte == ord("%") else f"%(?:25){_AGAIN}{written}|"  # that is what `spelling` makes of it
    return rf"{_BACKSLASHES}(?:{percent}(?<=\\)(?:x{written}|{byte:03o}))"


def _hex(number: int, digits: int = 0) -> str:
    """*number* in hexadecimal, capitals or not."""
    return "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in f"{number:0{digits}x}")


@cache
def _names() -> dict[str, list[str]]:
    """What HTML calls a letter, by that letter; `&amp;` is what `spelling` makes of an `&`."""
    found: dict[str, list[str]] = {}
    for name, meant in html5.items():
        if name.endswith(";") and len(meant) == 1 and name != "amp;":
            found.setdefault(meant, []).append(name[:-1])
    return found
