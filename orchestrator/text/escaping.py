"""Foreign text made safe to show: Atlas's messages and hooks' output must not move a cursor, colour or forge a line."""

from __future__ import annotations

import re
import unicodedata

# What a terminal would obey (ECMA-48): CSI sequences, strings (OSC, DCS, SOS, PM, APC), which end with their line where their end is
# missing, and escapes with intermediates (`ESC ( B`, as `tput sgr0` prints) or without
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b\r\n]*(?:\x07|\x1b\\)?|[ -/]+[0-~]|[0-Z\\`-~])")
# C0, DEL, C1, line and paragraph separators, marks that turn the direction of writing, lone surrogates
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_CONTROL_IN_LINES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_MISLEADING = re.compile("[\x80-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_JOINER, _AS_PICTURE = "\u200d", "\ufe0f"
_LINE_ENDS = re.compile(r"\r\n?")


def one_line(text: str) -> str:
    r"""*text* on one line: every control character becomes a visible escape such as ``\x1b`` or ``\n``."""
    if text.isascii() and text.isprintable():
        return text
    return _CONTROL.sub(_escape, text)


def shown_lines(text: str) -> str:
    r"""*text* with its lines kept: every other control character becomes a visible escape such as ``\x1b``."""
    return _CONTROL_IN_LINES.sub(_escape, text)


def without_joiners_of_emoji(text: str) -> str:
    """*text* without those U+200D that join two emoji to one, as of a person with a profession: they are invisible, and hide nothing."""
    return "".join(
        sign
        for place, sign in enumerate(text)
        if sign != _JOINER
        or not (_ends_an_emoji(text[place - 1 : place]) and _begins_an_emoji(text[place + 1 : place + 2]))
    )


def _begins_an_emoji(sign: str) -> bool:
    return sign != "" and unicodedata.category(sign) == "So"


def _ends_an_emoji(sign: str) -> bool:
    return _begins_an_emoji(sign) or sign == _AS_PICTURE or "\U0001f3fb" <= sign <= "\U0001f3ff"  # colours of skin


def without_sequences(text: str) -> str:
    """*text* without what a terminal would obey."""
    return _ANSI.sub("", text)


def lines_of_text(text: str) -> str:
    """*text* with its lines kept: terminal sequences are dropped, other control characters become U+FFFD."""
    return _CONTROL_IN_LINES.sub("\N{REPLACEMENT CHARACTER}", _LINE_ENDS.sub("\n", without_sequences(text)))


def visible(text: str) -> str:
    r"""*text*, which may have lines and colours of our own, with what no line of ours has as escapes such as ``\u202e``.

    These are the marks that turn the direction of writing, C1 codes, and halves of characters. The escapes are JSON's, so a JSON
    document means the same afterwards.
    """
    return text if text.isascii() else _MISLEADING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape", "surrogatepass").decode("ascii")
