"""Finds the command lines in pages, scripts and unit files, to see that the parser understands them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from orchestrator.cli.commands import all_commands

PROGRAM = "atlas-cutover"
NAMES = frozenset(command.name for command in all_commands()) | {"--version", "--help"}

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_CONDITIONAL = re.compile(r'\$\{(\w+):\+([^}]*?)"?\$\w+"?\}')
_OPERATORS = frozenset("();<>|&")


def shell_blocks(page: str) -> Iterator[str]:
    """The fenced blocks of a Markdown *page* that a reader is to type."""
    for language, text in _FENCE.findall(page):
        if language in {"sh", "console"}:
            yield text


def commands_in(text: str) -> list[list[str]]:
    """The arguments of every call of the program in *text*, a shell script or lines like it."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        if PROGRAM in line and not line.lstrip().startswith("#"):
            found += list(_commands(_words(line)))
    return found


def _words(line: str) -> list[str]:
    plain = _CONDITIONAL.sub(r"\2 value", line)  # ${NAME:+--option "$NAME"}
    lexer = shlex.shlex(plain, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError:  # an apostrophe in a sentence: not a command line
        return []


def _commands(words: list[str]) -> Iterator[list[str]]:
    for place, word in enumerate(words[:-1]):
        if word.rpartition("/")[2].rpartition("=")[2] != PROGRAM or words[place + 1] not in NAMES:
            continue
        arguments: list[str] = []
        for argument in words[place + 1 :]:
            if set(argument) <= _OPERATORS:
                if arguments[-1] == "2":  # of `2>`
                    arguments.pop()
                break
            arguments.append(argument)
        yield arguments
