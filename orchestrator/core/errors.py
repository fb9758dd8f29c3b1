"""Why the program stops before its work is done.

    CutoverError            every error of this package; `exit_code` is what the process ends with
    ├── InputError          usage, workflow or config is wrong: nothing was sent                     2
    ├── CrossedError        something else was asked of the run meanwhile: nothing was asked         2
    ├── BusyError           another active run holds this workflow or one of its live migrations     5
    ├── JournalError        the journal cannot be opened, read or written: nothing more is started   2
    │   └── JournalLockedError  another program keeps it locked: it may be asked again
    ├── TemporalError       Temporal is not reachable, or does not do what it is asked                  6
    │   └── PerhapsBegunError   whether it has begun a run is not known                              3
    └── AtlasError          (orchestrator.atlas.errors) what went wrong with one request             6

Each message says what is wrong, where, and what to do next. A failed migration is no exception but a result.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from ..text.escaping import one_line
from .outcomes import ExitCode


class CutoverError(Exception):
    """The root of the tree; catch it to catch everything this package raises on purpose."""

    exit_code: ExitCode = ExitCode.INVALID


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Problem:
    """One mistake in a file: `file:line: key: message`. *line* 0 where a file has none; *file* and *key* may be empty.

    *about*: it is no mistake, but says that more are not looked for (`rest`), or how many there are (`count`).
    """

    file: str
    line: int
    key: str
    message: str
    about: Literal["rest", "count"] | None = field(default=None, compare=False)

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(one_line(part) for part in (place, self.key, self.message) if part)


class InputError(CutoverError):
    """Usage, workflow or config is wrong; *problems* are all of them, in file order, of which the message has the first.

    A message alone is one problem, so whoever gathers those of several files loses none.
    """

    def __init__(self, message: str = "", *, problems: Iterable[Problem] = ()) -> None:
        self.problems = tuple(problems)
        if message and not self.problems:
            self.problems = (Problem(file="", line=0, key="", message=message),)
        super().__init__(message or "\n".join(_listed(self.problems)))


MOST_FOUND = 1_000
"""Mistakes of one file after which no more are looked for: it is not what it was taken for."""
MOST_TOLD = 50
"""Problems that a message lists; the others are counted, by file."""

_REST = "the rest is not looked at"


def not_looked_at(file: str, line: int) -> Problem:
    """That `MOST_FOUND` mistakes were found up to *line* of *file*, and that no more are looked for."""
    message = f"has {MOST_FOUND:,} mistakes up to here: {_REST}"
    return Problem(file=file, line=line, key="", message=message, about="rest")


def in_all(file: str, count: int) -> Problem:
    """That *file* has *count* mistakes, of which `MOST_FOUND` are told at most."""
    return Problem(file=file, line=0, key="", message=f"has {count:,} mistakes in all", about="count")


def _listed(problems: tuple[Problem, ...]) -> list[str]:
    told = [str(problem) for problem in problems[:MOST_TOLD]]
    ends = {problem.file: problem for problem in problems[MOST_TOLD:] if problem.about == "rest"}
    counted = {problem.file for problem in problems[:MOST_TOLD] if problem.about == "count"}
    more = Counter(
        problem.file
        for problem in problems[MOST_TOLD:]
        if problem is not ends.get(problem.file) and problem.file not in counted
    )
    return [
        *told,
        *(
            f"{one_line(file)}: {number:,} more {'mistake' if number == 1 else 'mistakes'}"
            + (f" up to line {ends[file].line}, and {_REST}" if file in ends else "")
            for file, number in more.items()
        ),
    ]


class CrossedError(CutoverError):
    """Something else was asked of the run after it was looked at, so nothing was: who asks looks again."""


class BusyError(CutoverError):
    """Another active run holds this workflow or one of its live migrations."""

    exit_code = ExitCode.BUSY


class JournalError(CutoverError):
    """The journal cannot be used; the message names the file and the remedy."""


class JournalDamagedError(JournalError):
    """Events of a run are missing, or are not those that were written: it can be ended, and nothing else."""


class TemporalError(CutoverError):
    """Temporal cannot be reached, or does not do what it is asked; a run that it works on is not touched by that."""

    exit_code = ExitCode.UNREACHABLE


class PerhapsBegunError(TemporalError):
    """Temporal was asked to begin a run, and whether it has is not known: its workers may cut over."""

    exit_code = ExitCode.INCOMPLETE  # not the code that says that nothing was cut over


class JournalLockedError(JournalError):
    """Another program (a backup, a SQLite shell) keeps the journal locked for longer; asking again later may succeed."""
