"""Of however programs write a secret, the redactor leaves nothing."""

from __future__ import annotations

import base64
import html
import json
import random
import shlex
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.text.redaction import REDACTED, Redactor

SECRETS = (
    "P@ss!w0rd",
    "p@ss/w0",
    "P@ss'w0rd(1)",
    "a+b/c=d1234567890X",
    "it's&a<b>c\"d12345",
    "sécrét&w0rd12345",
    "S3cret Pass+w0rd99",
    "back\\slash\\\\99pw",
    "$om3~P^ss`w0rd|{}",
    "tab\there\nline99",
    "100%25 sure&amp;12",
    "c4lm😀&smile",
)


def each(text: str, letters: str, write: Callable[[str], str]) -> str:
    """*text* with *write* of those of its letters that are in *letters* or beyond ASCII."""
    return "".join(write(letter) if letter in letters or ord(letter) > 127 else letter for letter in text)


def in_halves(letter: str) -> list[int]:
    """*letter* as UTF-16 has it."""
    data = letter.encode("utf-16-be")
    return [int.from_bytes(data[at : at + 2]) for at in range(0, len(data), 2)]


def with_small_letters(text: str) -> str:
    """What is encoded in *text*, a URL's, in small letters."""
    before, *parts = text.split("%")
    return "%".join((before, *(part[:2].lower() + part[2:] for part in parts)))


MARKS = "<>&\"'"
WAYS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "quote": quote,
    "quote, nothing safe": lambda text: quote(text, safe=""),
    "quote in small letters": lambda text: with_small_letters(quote(text, safe="")),
    "encodeURIComponent": lambda text: quote(text, safe="!*'()~"),
    "encodeURI": lambda text: quote(text, safe=";/?:@&=+$,#!*'()~"),
    "a URL within a URL": lambda text: quote(quote(text, safe=""), safe=""),
    "Latin-1": lambda text: quote(text, safe="", encoding="latin-1", errors="ignore" if "😀" in text else "strict"),
    "a form": quote_plus,
    "a form in small letters": lambda text: with_small_letters(quote_plus(text)),
    "html.escape": html.escape,
    "XML": lambda text: html.escape(text).replace("&#x27;", "&apos;"),
    "PHP": lambda text: html.escape(text).replace("&#x27;", "&#039;"),
    "HTML's text": lambda text: html.escape(text, quote=False),
    "HTML within HTML": lambda text: html.escape(html.escape(text)),
    "HTML in numbers": lambda text: each(text, MARKS, lambda letter: f"&#{ord(letter)};"),
    "HTML in hexadecimal": lambda text: each(text, MARKS, lambda letter: f"&#x{ord(letter):X};"),
    "HTML in ASCII": lambda text: html.escape(text).encode("ascii", "xmlcharrefreplace").decode(),
    "JSON": json.dumps,
    "JSON in Unicode": lambda text: json.dumps(text, ensure_ascii=False),
    "JSON within JSON": lambda text: json.dumps(json.dumps(text)),
    "JSON of PHP": lambda text: json.dumps(text).replace("/", "\\/"),
    "JSON of Go": lambda text: "".join(
        f"\\u{ord(one):04x}" if one in "<>&" else one for one in json.dumps(text, ensure_ascii=False)
    ),
    "JSON of .NET": lambda text: each(
        text, "\t\n\\+`" + MARKS, lambda letter: "".join(f"\\u{half:04X}" for half in in_halves(letter))
    ),
    "HTML in JSON of Go": lambda text: json.dumps(html.escape(text)).replace("&", "\\u0026"),
    "repr": repr,
    "ascii": ascii,
    "bytes": lambda text: repr(text.encode()),
    "repr of JSON": lambda text: repr(json.dumps(text)),
    "JSON of repr": lambda text: json.dumps(repr(text)),
    "repr of repr": lambda text: repr(repr(text)),
    "a shell's": shlex.quote,
    "bash -x": lambda text: "'" + text.replace("'", "'\\''") + "'",
    "bytes in octal": lambda text: each(text, "\t\n", lambda one: "".join(f"\\{byte:03o}" for byte in one.encode())),
}


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("way", [way for way in WAYS if way != "Latin-1"])
def test_a_secret_is_known_however_programs_write_it(way: str, secret: str) -> None:
    """Nothing is left of it, and nothing else goes."""
    written = WAYS[way](secret)
    shown = Redactor([secret]).text(f"said {written} here")
    assert REDACTED in shown
    assert shown.startswith("said ")
    assert shown.endswith(" here")
    assert not set(shown.replace(REDACTED, "")) - set("said here\"'\\b")
    assert Redactor([secret]).holds_secret(written)


@pytest.mark.parametrize("secret", [secret for secret in SECRETS if "😀" not in secret])
def test_a_secret_is_known_in_a_url_of_latin_1(secret: str) -> None:
    """As older programs write addresses."""
    assert Redactor([secret]).text(WAYS["Latin-1"](secret)) == REDACTED


def ways_of(letter: str) -> list[str]:
    """However one letter is written."""
    if letter.isascii() and letter.isalnum():
        return [letter]
    code = ord(letter)
    halves = "".join(f"\\u{half:04x}" for half in in_halves(letter))
    return [
        letter,
        quote(letter, safe=""),
        "".join(f"%{byte:02x}" for byte in letter.encode()),
        "".join(f"%25{byte:02X}" for byte in letter.encode()),
        "".join(f"\\x{byte:02x}" for byte in letter.encode()),
        f"&#{code};",
        f"&#00{code};",
        f"&#x{code:X};",
        f"&amp;#x0{code:x};",
        halves,
        halves.replace("\\", "\\\\").upper().replace("U", "u"),
        *([] if letter == "\\" else [f"\\{letter}", f"\\\\\\{letter}"]),
    ]


@given(
    st.text(st.sampled_from("aB7!@/'\"<>;#=+-_ é😀"), min_size=6, max_size=40).filter(lambda one: len(one.strip()) > 5),
    st.data(),
)
def test_a_secret_is_known_in_any_mixture(secret: str, data: st.DataObject) -> None:
    """Each letter of it may be written in another way: text goes through several programs."""
    secret = secret.strip()
    written = "".join(data.draw(st.sampled_from(ways_of(letter))) for letter in secret)
    assert Redactor([secret]).text(written) == REDACTED
    assert Redactor([secret]).holds_secret(written)


@given(st.text(min_size=4).filter(lambda one: len(one.strip()) >= 4), st.text(), st.text())
@example("0000", "\x1b", "")
@example("AAAA", "\x1b", "")
def test_any_text_can_be_a_secret(secret: str, before: str, after: str) -> None:
    """And is known as it was told."""
    assert secret.strip() not in Redactor([secret]).text(before + secret + after).replace(REDACTED, "\0")
    assert Redactor([secret]).holds_secret(before + secret + after)


@pytest.mark.parametrize("length", [12, 13, 17])
@pytest.mark.parametrize(
    "secret", ["a+b/c=d1234567890X", "$om3~P^ss`w0rd|{}", "sécrét&2-9<'>\"d1x", "b4ck\\sl4sh99pw[1]"]
)
@pytest.mark.parametrize("write", [str, str.upper, json.dumps, html.escape, quote_plus])
def test_a_secret_of_odd_signs_that_was_cut_off_is_known(write: Callable[[str], str], secret: str, length: int) -> None:
    """Where its first 12 characters have a letter and two digits."""
    written = write(secret[:length])
    if write is str.upper and "é" in secret:
        written = secret[:length].replace("s", "S")
    shown = Redactor([secret]).text(f"got {written} ... back").replace('"', "")
    assert shown == f"got {REDACTED} ... back"


@pytest.mark.parametrize("length", [12, 20, 31])
def test_a_uuid_without_its_hyphens_that_was_cut_off_is_known(length: int) -> None:
    """As a list of keys shows them."""
    key = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
    assert Redactor([key]).text(f"got {key.replace('-', '')[:length]}... back") == f"got {REDACTED}... back"


def test_the_beginning_of_an_address_is_no_secret() -> None:
    """Its service and host are what says which one failed; with digits in it, too."""
    redactor = Redactor(["u1://h1.net:3/hook/S3cret9"])
    assert redactor.text("u1://h1.net:3/ is down") == "u1://h1.net:3/ is down"


ODD = "".join(random.Random(1).choice("<>&\"'\\/%+=aB1") for _ in range(8192))
TOKEN = "eyJh" + "aB3x_-9" * 1200


@pytest.mark.parametrize("write", [str, json.dumps, quote, repr, html.escape])
@pytest.mark.parametrize("token", [ODD, TOKEN])
def test_of_a_token_of_thousands_of_letters_nothing_is_left(token: str, write: Callable[[str], str]) -> None:
    """What follows its first letters goes with them, and the words behind it stay."""
    shown = Redactor([token]).text(f"got {write(token)} back")
    assert shown.replace('"', "").replace("'", "") == f"got {REDACTED} back"


@pytest.mark.parametrize("token", [ODD, TOKEN])
def test_of_a_long_token_in_base64_nothing_is_left(token: str) -> None:
    """What is around it is."""
    for before in ("", "u:", "u"):
        encoded = base64.b64encode(f"{before}{token}".encode()).decode()
        shown = Redactor([token]).text(f"got {encoded} back")
        assert shown.endswith(f"{REDACTED} back")
        assert len(shown) < 30


@pytest.mark.timeout(20)  # where each costs a second, as a list of all its spellings did, this takes minutes
def test_long_tokens_are_learnt_at_once() -> None:
    """A token endpoint that gives such ones must not hold up what is under way."""
    redactor = Redactor()
    for n in range(100):
        redactor.add(f"{n}{ODD}")
        redactor.forget(f"{n}{ODD}")
    redactor.add(ODD)
    assert redactor.holds_secret(ODD)


@pytest.mark.timeout(30)  # a text that is read again from each place takes hours
@pytest.mark.parametrize(
    "secret", ["\\" * 300, '"\\' * 20, "%25" * 80, "&amp;" * 50, "'" * 20, "&#38;&#59;" * 20, "+ " * 20]
)
@pytest.mark.parametrize("part", ["\\", "%", "%25", "&#", "&amp;", "&#0", "\\u", "\\u005c", "'\"'\"'", "'", "+"])
def test_no_text_takes_longer_than_it_is_long(secret: str, part: str) -> None:
    """Whatever the secret: a server that is not Atlas may have chosen both."""
    text = part * (50_000 // len(part))
    Redactor([secret]).text(text)
    Redactor([secret]).text(f"{secret[:-1]}{text}")
