"""Live migrations from a CSV file: header ``name,group_id,live_migration_id``, one migration a row.

The group may be left out, or empty in a row, where the workflow has a default for it. Further columns are the migration's `vars`;
an empty cell of them says nothing. The heads of all columns may be in capitals, as databases and spreadsheets write them.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from ..core.errors import MOST_FOUND, Problem, not_looked_at
from ..core.vars import variable_key
from ..text.likeness import closest
from .scalars import parse_name, parse_object_id, parse_value, parse_variable, shorten

COLUMNS = ("name", "group_id", "live_migration_id")
_PARSERS: dict[str, Callable[[str], str]] = {
    "name": parse_name,
    "group_id": parse_object_id,
    "live_migration_id": parse_object_id,
}


SETTINGS = frozenset(
    {"gate", "max_lag", "timeout", "hooks", "concurrency", "max_failures", "approval", "credentials", "vars"}
)
"""Keys of a workflow that a column of this name would be taken for, though it would set nothing."""
MOST_COLUMNS = 256
"""In a list of migrations; a workflow with as many variables is somebody else's file."""

MOST_LINES = 1_000_000
"""Lines of a list, empty ones included: more are no list of migrations."""
_MOST_SEPARATORS = 10_000  # in a line, which is too many columns by far, and read in one piece
_ALIKE = 0.75
_SEPARATOR = re.compile(r"\"?sep=([,;|\t])\"?[ ]*\r?(?:\n|$)")
"""A first line by which spreadsheets tell each other what separates the columns; not a part of the table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One migration, as the file gives it; *group_id* None: not given. A value that is wrong is the empty text."""

    line: int
    name: str
    group_id: str | None
    live_migration_id: str
    vars: dict[str, str] = field(default_factory=dict)


def parse_csv(text: str, file: str) -> tuple[list[Row], list[Problem]]:
    """The rows of *text*, and everything that is wrong with it; *file* is the name used in problems."""
    problems: list[Problem] = []
    rows: list[Row] = []
    lines = io.StringIO(text, newline="")
    separator = _SEPARATOR.match(text)
    if separator is not None:
        lines.readline()
    before = 0 if separator is None else 1
    reader = csv.reader(_bounded(lines), strict=True, delimiter="," if separator is None else separator[1])
    columns: list[str] | None = None
    line = 1 + before
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                if columns is None:
                    columns = [_column(cell.strip()) for cell in cells]
                    problems += _header_problems(columns, cells, file, line)
                    if problems:
                        return [], problems
                else:
                    rows.append(_row(columns, cells, file, line, problems))
                    if len(problems) >= MOST_FOUND:
                        return rows, [*problems, not_looked_at(file, line)]
            line = reader.line_num + before + 1
    except csv.Error as error:
        problems.append(Problem(file=file, line=line, key="", message=f"is not valid CSV: {error}"))
        return rows, problems
    if columns is None:
        problems.append(
            Problem(file=file, line=0, key="", message=f"is empty, expected the header {','.join(COLUMNS)}")
        )
    elif not rows:
        problems.append(Problem(file=file, line=0, key="", message="has no migrations below its header"))
    return rows, problems


def _bounded(lines: Iterable[str]) -> Iterator[str]:
    """The *lines* of a list, as long as it can be one.

    Raises:
        csv.Error: It cannot: there are too many, or one has too many columns.
    """
    for number, line in enumerate(lines):
        if number >= MOST_LINES:
            raise csv.Error(f"it has more than {MOST_LINES:,} lines")
        if len(line) > _MOST_SEPARATORS and sum(map(line.count, ",;|\t")) > _MOST_SEPARATORS:
            raise csv.Error(f"a line has more than {_MOST_SEPARATORS:,} separators")
        yield line


def _column(head: str) -> str:
    """The column that *head* means: `NAME` is `name`, and `CLUSTER` the variable `cluster`."""
    return head.lower() if head.isupper() or head.lower() in COLUMNS else head


def _header_problems(columns: list[str], cells: list[str], file: str, line: int) -> list[Problem]:
    if len(cells) == 1 and (other := next((mark for mark in ";\t|" if mark in cells[0]), None)):
        message = f"its columns are separated by {other!r}, expected commas: {','.join(COLUMNS)}"
        return [Problem(file=file, line=line, key="", message=message)]
    if not {"name", "live_migration_id"} & set(columns):  # nor is any of it shown: it may be a key, or somebody's file
        message = f"is no list of migrations: its first line has neither name nor live_migration_id; expected the header {','.join(COLUMNS)}"
        return [Problem(file=file, line=line, key="", message=message)]
    if len(columns) > MOST_COLUMNS:
        message = f"has {len(columns):,} columns, and at most {MOST_COLUMNS} are read"
        return [Problem(file=file, line=line, key="", message=message)]
    problems = []
    before: set[str] = set()
    for column in columns:
        twice = f"the column {column} is given twice" if variable_key(column) in before else None
        before.add(variable_key(column))
        wrong = twice or _why_no_column(column)
        if wrong is not None:
            problems.append(Problem(file=file, line=line, key="", message=wrong))
    for column in ("name", "live_migration_id"):
        if column not in columns:
            message = f"the column {column} is missing; expected the header {','.join(COLUMNS)}"
            problems.append(Problem(file=file, line=line, key="", message=message))
    return problems


def _why_no_column(column: str) -> str | None:
    """Why *column* can be neither one of `COLUMNS` nor a variable."""
    if column in COLUMNS:
        return None
    if close := closest(column, COLUMNS, at_least=_ALIKE):
        return f"unknown column {shorten(column)}; did you mean {close!r}? (a variable needs a name less like it)"
    if column.lower() in SETTINGS:
        return f"the column {column} would set nothing: give {column} in the workflow, on waves or in defaults"
    try:
        parse_variable(column)
    except ValueError as error:
        return f"the column {shorten(column)} {error}"
    return None


def _row(columns: list[str], cells: list[str], file: str, line: int, problems: list[Problem]) -> Row:
    def wrong(key: str, message: str) -> None:
        problems.append(Problem(file=file, line=line, key=key, message=message))

    if len(cells) != len(columns):
        wrong("", f"has {len(cells)} columns, expected {len(columns)}: {','.join(columns)}")
    values: dict[str, str] = {}
    for column, cell in zip(columns, cells, strict=False):
        value = cell.strip()
        if not value and column not in ("name", "live_migration_id"):
            continue
        try:
            values[column] = _PARSERS.get(column, parse_value)(value)
        except ValueError as error:
            values[column] = ""
            wrong(column, f"{error}, not {shorten(value)}")
    return Row(
        line=line,
        name=values.get("name", ""),
        group_id=values.get("group_id"),
        live_migration_id=values.get("live_migration_id", ""),
        vars={column: value for column, value in values.items() if column not in COLUMNS},
    )
