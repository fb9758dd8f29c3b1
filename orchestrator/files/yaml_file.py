"""YAML text to plain data in which every scalar is text, with the line of every key and item.

YAML would read ``012``, ``1e5``, ``off`` or ``12:30`` as something else than what is written there. Here they stay what
they look like, and the model that knows the key gives them their type. The tree is built from the parser's events, so
no object is ever constructed, depth is bounded, and an alias costs nothing until it would grow too large.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ..core.errors import MOST_FOUND, InputError, Problem, not_looked_at
from .input_file import decode, read_input
from .odd_characters import culprit, shown, with_whole_characters
from .scalars import format_key

Data = str | None | list["Data"] | dict[str, "Data"]
Place = tuple[int, Any]  # the line, and the places of what is inside: a dict, a list, or None
KeyPath = tuple[str | int, ...]

MAX_DEPTH = 32
MAX_ALIASED_VALUES = 100_000
MAX_VALUES = 1_000_000

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TAGS = frozenset({None, "!", *(f"tag:yaml.org,2002:{kind}" for kind in ("str", "map", "seq"))})
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_OTHER_BREAK = re.compile("[\x85\u2028\u2029]")
_NO_KEY = object()  # the next scalar of this mapping is a key
_BAD_KEY = object()  # the next value of this mapping has no usable key


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlDocument:
    """What a YAML file says: *data* (text, None, lists, dicts), and where.

    *problems* are mistakes that leave the data readable (a duplicate key, an unknown alias); `read_yaml` raises them.
    """

    data: Data
    lines: Place
    file: str
    problems: tuple[Problem, ...] = ()

    def line_of(self, path: KeyPath) -> int:
        """The line of the key or item at *path*, or of the nearest thing around it that is there."""
        line, inside = self.lines
        for step in path:
            known = range(len(inside)) if isinstance(inside, list) else inside or ()
            if step not in known:
                break
            line, inside = inside[step]
        return line


def read_yaml(path: str | Path) -> YamlDocument:
    """The one document in the file *path*.

    Raises:
        InputError: Missing, unreadable, not UTF-8, not YAML, more than one document, duplicate keys, tags, merge keys,
            aliases that are unknown, recursive or expand beyond 100,000 values, nesting beyond 32 levels.
    """
    path = Path(path)
    document = parse_yaml(read_input(path), str(path))
    if document.problems:
        raise InputError(problems=document.problems)
    return document


def parse_yaml(data: bytes, file: str) -> YamlDocument:
    """The one document in *data*; *file* is the name used in problems.

    Raises:
        InputError: Nothing sensible can be read from it. Lesser mistakes are in the document's `problems`.
    """
    text = decode(data, file)
    try:
        return _parsed(text, file)
    except _BrokenEscapeError:
        return _parsed(with_whole_characters(text), file)


def _parsed(text: str, file: str) -> YamlDocument:
    builder = _Builder(file)
    if bad := _UNPRINTABLE.search(text):
        line = text.count("\n", 0, bad.start()) + 1
        raise builder.fatal(line, f"holds the control character {bad.group()!r}, which YAML does not allow")
    if bad := _OTHER_BREAK.search(text):
        line = text.count("\n", 0, bad.start()) + 1
        raise builder.fatal(line, f"holds {shown(bad.group())}, which ends a line for YAML alone: take it away")
    try:
        for event in _events(text):
            builder.take(event)
            if builder.finished:
                break
    except yaml.MarkedYAMLError as error:
        if "Unicode character escape" in str(error.problem) and with_whole_characters(text) != text:
            raise _BrokenEscapeError from None
        raise builder.fatal(*_explained(error, text)) from error
    except yaml.YAMLError as error:
        raise builder.fatal(0, "is not valid YAML") from error
    root, place = builder.root
    return YamlDocument(data=root, lines=place, file=file, problems=tuple(sorted(builder.problems)))


class _BrokenEscapeError(Exception):
    """A character is written as two escapes, each of half of it."""


def _events(text: str) -> Iterator[Any]:
    yield from yaml.parse(text, Loader=_LOADER)


def _explained(error: yaml.MarkedYAMLError, text: str) -> tuple[int, str]:
    """The line that is wrong, and what is wrong there: where somebody has to look, which is not always where the parser gave up."""
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 0
    if (known := culprit(text, line)) is not None:
        return known[0], f"is not valid YAML: {known[1]}"
    context = error.context or ""
    began = error.context_mark.line + 1 if error.context_mark else line
    if "Unicode character escape" in str(error.problem):
        return (
            line,
            "is not valid YAML: an escape such as \\ud83d is half of a character: write both halves, or the character itself",
        )
    if "quoted scalar" in context:
        return began, "is not valid YAML: the quote that begins here is not closed, or text comes after its end"
    if "flow" in context and began != line:
        return (
            began,
            f"is not valid YAML: the bracket that opens here is not closed, or a comma is missing before line {line}",
        )
    detail = (error.problem or error.context or "syntax error").replace("\n", " ")
    return line, f"is not valid YAML: {detail}"


@dataclass(slots=True)
class _Frame:
    """A list or mapping that is still open."""

    data: Any
    places: Any
    line: int
    anchor: str | None
    key: Any = _NO_KEY
    key_line: int = 0
    size: int = 1


@dataclass(slots=True)
class _Builder:
    """Takes parser events one by one and builds the data beside the places."""

    file: str
    problems: list[Problem] = field(default_factory=list)
    root: tuple[Any, Place] = (None, (1, None))
    finished: bool = False
    _documents: int = 0
    _stack: list[_Frame] = field(default_factory=list)
    _anchors: dict[str, tuple[Any, Any, int] | None] = field(default_factory=dict)
    _aliased: int = 0
    _values: int = 0

    def take(self, event: Any) -> None:
        line = event.start_mark.line + 1
        match event:
            case yaml.ScalarEvent():
                self._check_tag(event.tag, line)
                plain_null = not event.style and event.tag is None and event.value in _NULLS
                value = None if plain_null else event.value
                if event.anchor:
                    self._anchors[event.anchor] = (value, None, 1)
                self._add(value, None, line, 1, scalar=event.value)
            case yaml.MappingStartEvent():
                self._open(_Frame(data={}, places={}, line=line, anchor=event.anchor), event.tag)
            case yaml.SequenceStartEvent():
                self._open(_Frame(data=[], places=[], line=line, anchor=event.anchor), event.tag)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                frame = self._stack.pop()
                if frame.anchor:
                    self._anchors[frame.anchor] = (frame.data, frame.places, frame.size)
                self._add(frame.data, frame.places, frame.line, frame.size)
            case yaml.AliasEvent():
                self._alias(event.anchor or "", line)
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self._problem(line, "holds more than one document; only one is allowed")
                    self.finished = True

    def fatal(self, line: int, message: str) -> InputError:
        self._problem(line, message)
        return InputError(problems=sorted(self.problems))

    def _problem(self, line: int, message: str, key: str = "") -> None:
        self.problems.append(Problem(file=self.file, line=line, key=key, message=message))
        if len(self.problems) == MOST_FOUND:
            raise InputError(problems=[*sorted(self.problems), not_looked_at(self.file, line)])

    def _check_tag(self, tag: str | None, line: int) -> None:
        if tag not in _TAGS:
            self._problem(line, "a tag (!…) is not allowed; write the plain value, or put it in quotes", self._key())

    def _open(self, frame: _Frame, tag: str | None) -> None:
        self._check_tag(tag, frame.line)
        if len(self._stack) >= MAX_DEPTH:
            raise self.fatal(frame.line, f"is nested deeper than {MAX_DEPTH} levels")
        if frame.anchor:
            self._anchors[frame.anchor] = None
        self._stack.append(frame)

    def _alias(self, anchor: str, line: int) -> None:
        if anchor not in self._anchors:
            self._problem(
                line, "an alias (*…) has to name something that comes before it; put plain text in quotes", self._key()
            )
        known = self._anchors.get(anchor, (None, None, 1))
        if known is None:
            raise self.fatal(line, "an alias is used inside what it names")
        value, places, size = known
        self._aliased += size
        if self._aliased > MAX_ALIASED_VALUES:
            raise self.fatal(line, f"its aliases expand to more than {MAX_ALIASED_VALUES:,} values")
        self._add(value, places, line, size, scalar=value if isinstance(value, str) else None)

    def _add(self, value: Any, places: Any, line: int, size: int, *, scalar: str | None = None) -> None:
        self._values += 1
        if self._values > MAX_VALUES:
            raise self.fatal(line, f"has more than {MAX_VALUES:,} values")
        if not self._stack:
            self.root = (value, (line, places))
            return
        frame = self._stack[-1]
        frame.size += size
        if isinstance(frame.data, list):
            frame.data.append(value)
            frame.places.append((line, places))
        elif frame.key is _NO_KEY:
            self._take_key(frame, scalar, line)
        else:
            if frame.key is not _BAD_KEY:
                frame.data[frame.key] = value
                frame.places[frame.key] = (frame.key_line, places)
            frame.key = _NO_KEY

    def _take_key(self, frame: _Frame, key: str | None, line: int) -> None:
        frame.key, frame.key_line = key, line
        if not key:
            self._problem(line, "a key has to be text", self._key(skip=1))
        elif key == "<<":
            self._problem(line, "merge keys are not supported; write the keys out", self._key())
        elif key in frame.data:
            self._problem(line, f"is given twice, first in line {frame.places[key][0]}", self._key())
        else:
            return
        frame.key = _BAD_KEY

    def _key(self, skip: int = 0) -> str:
        path: list[str | int] = []
        for frame in self._stack[: len(self._stack) - skip]:
            if isinstance(frame.data, list):
                path.append(len(frame.data))
            elif isinstance(frame.key, str):
                path.append(frame.key)
        return format_key(tuple(path))
