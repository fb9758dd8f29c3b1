"""Hooks as a workflow writes them: commands, each a list of words. What looks like a line for a shell is a mistake, told with its list form."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Any

from ..core.workflow import Argv
from .scalars import shorten

EXPECTED = "expected a list of commands, each a list of words such as [/usr/bin/notify, --now]"
_FOR_A_SHELL = re.compile(r"[|&;<>$`*?~]")
_PLAIN_WORD = re.compile(r"(?!(?i:null)$)(?:[A-Za-z0-9_./]|--?[A-Za-z0-9])[A-Za-z0-9_./=:@%+-]*(?<!:)")
_LONGEST_FORM = 200


def parse_commands(value: Any) -> tuple[Argv, ...]:
    """The commands that *value* is: a list of them, or one without the outer brackets.

    Raises:
        ValueError: It is something else, or one of them is a single text with spaces.
    """
    match value:
        case None:
            return ()
        case str() if " " in value.strip():
            raise ValueError(_as_list(value.strip(), f"[{_list_form(value)}]"))
        case list():
            pass
        case _:
            raise ValueError(EXPECTED)
    texts = [word for word in value if isinstance(word, str)]
    flat = bool(value) and len(texts) == len(value)
    if flat and _is_line(texts):
        raise ValueError(_as_list(texts[0], f"[{', '.join(map(_list_form, texts))}]"))
    return tuple(_command(number, command) for number, command in enumerate([value] if flat else value, start=1))


def _command(number: int, command: Any) -> Argv:
    if isinstance(command, str) and " " in command.strip():
        raise ValueError(f"command {number} {_as_list(command, _list_form(command))}")
    if not isinstance(command, list) or not command:
        raise ValueError(f"command {number} is {shorten(command) if command else 'empty'}; {EXPECTED}")
    for word in command:
        if not isinstance(word, str) or "\0" in word:
            raise ValueError(f"command {number} holds {shorten(word)}; {EXPECTED}")
    if not command[0]:
        raise ValueError(f"command {number} names no program; {EXPECTED}")
    if _is_line(command):
        raise ValueError(f"command {number} {_as_list(command[0], _list_form(command[0], command[1:]))}")
    return tuple(command)


def _is_line(command: Sequence[str]) -> bool:
    """Whether the first word of *command* is a whole line. `[/opt/my tools/run, --now]` is a program with a space in its path."""
    program, *arguments = command
    _, space, last = program.strip().rpartition(" ")
    return bool(space) and not (arguments and "/" in last)


def _as_list(line: str, form: str) -> str:
    shown = form if len(form) <= _LONGEST_FORM else "a list of words"
    return f"is one text with spaces ({shorten(line)}), and no shell takes it apart; write {shown}"


def _list_form(line: str, more: Sequence[str] = ()) -> str:
    """The list that *line* means; what only a shell understands is given to one."""
    if _FOR_A_SHELL.search(line):
        words = ["sh", "-c", line.strip()]
    else:
        try:
            words = shlex.split(line)
        except ValueError:  # a quote that does not end
            words = line.split()
    return f"[{', '.join(_word(word) for word in (*words, *more))}]"


def _word(word: str) -> str:
    return word if _PLAIN_WORD.fullmatch(word) else "'" + word.replace("'", "''") + "'"
