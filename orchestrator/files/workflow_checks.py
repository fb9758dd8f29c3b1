"""What has to hold between the parts of a workflow: names and live migrations occur once, no wave is empty, groups are known.

The checks look at the data as it was read, before any model, so that one mistake does not hide another.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import MOST_FOUND, InputError, Problem, not_looked_at
from ..core.vars import variable_key
from ..machine.trusted_files import read_bytes
from . import csv_file as csvfile
from .input_file import decode, why_unreadable
from .scalars import did_you_mean, format_key, parse_name, parse_object_id, parse_variable, shorten
from .yaml_file import KeyPath, YamlDocument


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The CSV file of one wave: its bytes, its rows, and what is wrong with it."""

    file: str
    source: bytes = b""
    rows: tuple[csvfile.Row, ...] = ()
    problems: tuple[Problem, ...] = ()


def read_tables(document: YamlDocument, directory: Path) -> dict[int, Table]:
    """The CSV files that *document* names, by the number of the wave; those that cannot be read have problems."""
    tables = {}
    for number, wave in _mappings(document.data, "waves"):
        name = wave.get("migrations_file")
        if isinstance(name, str) and name.strip():
            key: KeyPath = ("waves", number, "migrations_file")
            tables[number] = _read_table(directory / name, document.file, document.line_of(key), format_key(key))
    return tables


def _read_table(path: Path, workflow: str, line: int, key: str) -> Table:
    file = str(path)
    try:
        source = read_bytes(path)
    except (OSError, ValueError) as error:
        message = f"{file!r} {why_unreadable(error)}"
        return Table(file=file, problems=(Problem(file=workflow, line=line, key=key, message=message),))
    try:
        text = decode(source, file)
    except InputError as error:
        return Table(file=file, source=source, problems=error.problems)
    rows, problems = csvfile.parse_csv(text, file)
    return Table(file=file, source=source, rows=tuple(rows), problems=tuple(problems))


def _mappings(data: Any, key: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The mappings in the list under *key* of *data*, with their numbers; nothing where it is no such list."""
    items = data.get(key) if isinstance(data, dict) else None
    for number, item in enumerate(items if isinstance(items, list) else ()):
        if isinstance(item, dict):
            yield number, item


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One migration as it was read, wherever it stands; a value that is not well formed is None."""

    file: str
    line: int
    key: str
    name: str | None
    group_id: str | None
    live_migration_id: str | None

    def problem(self, key: str, message: str, line: int = 0) -> Problem:
        place = f"{self.key}.{key}" if self.key else key
        return Problem(file=self.file, line=line or self.line, key=place, message=message)


class Checks:
    """What has to hold between the parts of a workflow, and that the config has the *credentials* which it names."""

    def __init__(
        self, document: YamlDocument, tables: dict[int, Table], *, credentials: Collection[str] | None
    ) -> None:
        self._credentials = credentials
        self._document = document
        self._tables = tables
        self._problems: list[Problem] = []
        self._names: dict[str, str] = {}
        self._jobs: dict[tuple[str, str], str] = {}

    def all(self) -> list[Problem]:
        """Every mistake that no single mapping shows."""
        data = self._document.data
        if not isinstance(data, dict):
            return []
        if data.get("waves") == []:
            self._wrong(("waves",), "expected at least one wave")
        waves = list(_mappings(data, "waves"))
        self._check_credentials(("defaults",), data.get("defaults"))
        for number, wave in waves:
            self._check_credentials(("waves", number), wave)
            for position, item in _mappings(wave, "migrations"):
                self._check_credentials(("waves", number, "migrations", position), item)
            self._check_wave(number, wave)
            if len(self._problems) >= MOST_FOUND:
                return self._cut_short()
        for number, wave in waves:
            for entry in self._entries(number, wave, data.get("defaults")):
                self._check_entry(entry)
                if len(self._problems) >= MOST_FOUND:
                    return self._cut_short()
        self._check_forecast_by(data, waves)
        return self._problems

    def _cut_short(self) -> list[Problem]:
        last = self._problems[-1]
        return [*self._problems, not_looked_at(last.file, last.line)]

    def _wrong(self, path: KeyPath, message: str) -> None:
        line = self._document.line_of(path)
        self._problems.append(Problem(file=self._document.file, line=line, key=format_key(path), message=message))

    def _check_credentials(self, path: KeyPath, level: Any) -> None:
        name = _valid(parse_name, level.get("credentials")) if isinstance(level, dict) else None
        if name is None or self._credentials is None or name in self._credentials:
            return
        known = did_you_mean(name, self._credentials) if self._credentials else "it has none"
        self._wrong((*path, "credentials"), f"the config has no credentials called {shorten(name)}; {known}")

    def _check_forecast_by(self, data: dict[str, Any], waves: list[tuple[int, dict[str, Any]]]) -> None:
        """The variable that forecasts go by is one that some migration has."""
        name = _valid(parse_variable, data.get("forecast_by"))
        if name is None or any(table.problems for table in self._tables.values()):
            return
        members = [item for _, wave in waves for _, item in _mappings(wave, "migrations")]
        levels = [data, data.get("defaults"), *(wave for _, wave in waves), *members]
        known = {word for level in levels for word in _variables(level)}
        known |= {word for table in self._tables.values() for row in table.rows for word in row.vars}
        if variable_key(name) not in {variable_key(word) for word in known}:
            ask = did_you_mean(name, known) if known else "none of them has any"
            self._wrong(("forecast_by",), f"no migration has a variable {shorten(name)}; {ask}")

    def _check_wave(self, number: int, wave: dict[str, Any]) -> None:
        place: KeyPath = ("waves", number)
        listed = wave.get("migrations")
        if not listed and (listed is None or isinstance(listed, list)) and wave.get("migrations_file") is None:
            where = (*place, "migrations") if "migrations" in wave else place
            self._wrong(where, "the wave is empty; expected migrations or migrations_file")
        name = _valid(parse_name, wave.get("name"))
        if name is None:
            return
        line = self._document.line_of((*place, "name"))
        if first := self._names.get(name):
            self._wrong((*place, "name"), f"the name {shorten(name)} is taken; it was first given to {first}")
        else:
            self._names[name] = f"a wave in {self._document.file}:{line}"

    def _entries(self, number: int, wave: dict[str, Any], defaults: Any) -> Iterator[_Entry]:
        outer = [defaults] if isinstance(defaults, dict) else []
        group = next((level["group_id"] for level in (wave, *outer) if level.get("group_id") is not None), None)
        for position, item in _mappings(wave, "migrations"):
            path: KeyPath = ("waves", number, "migrations", position)
            own = item.get("group_id")
            yield from self._entry(
                self._document.file,
                self._document.line_of(path),
                format_key(path),
                item.get("name"),
                group if own is None else own,
                item.get("live_migration_id"),
            )
        table = self._tables.get(number)
        for row in table.rows if table else ():
            own = group if row.group_id is None else row.group_id
            yield from self._entry(table.file if table else "", row.line, "", row.name, own, row.live_migration_id)

    def _entry(self, file: str, line: int, key: str, name: Any, group: Any, job: Any) -> Iterator[_Entry]:
        entry = _Entry(
            file=file,
            line=line,
            key=key,
            name=_valid(parse_name, name),
            group_id=_valid(parse_object_id, group),
            live_migration_id=_valid(parse_object_id, job),
        )
        if group is None:
            self._problems.append(
                entry.problem("group_id", "is required, but missing; give it here, on the wave or in defaults")
            )
        yield entry

    def _check_entry(self, entry: _Entry) -> None:
        here = f"{entry.file}:{entry.line}"
        if entry.name is not None:
            if first := self._names.get(entry.name):
                message = f"the name {shorten(entry.name)} is taken; it was first given to {first}"
                self._problems.append(entry.problem("name", message))
            else:
                self._names[entry.name] = f"a migration in {here}"
        if entry.group_id is not None and entry.live_migration_id is not None:
            job = (entry.group_id, entry.live_migration_id)
            if first := self._jobs.get(job):
                message = f"the live migration {job[1]} is listed twice, first in {first}"
                self._problems.append(entry.problem("live_migration_id", message))
            else:
                self._jobs[job] = here


def _variables(level: Any) -> Iterator[str]:
    """The names of the variables that are given at *level*."""
    given = level.get("vars") if isinstance(level, dict) else None
    for name, value in given.items() if isinstance(given, dict) else ():
        if isinstance(name, str) and value is not None:
            yield name


def _valid(parse: Callable[[str], str], value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        return parse(value)
    except ValueError:
        return None  # its model tells it
