"""A log entry as a line for a person: time, level, what happened, to whom, and a sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any, TextIO

from rich.cells import cell_len

from ...core.typed import with_options_in
from ...text.escaping import one_line
from ...text.lines import folded
from .sentences import sentence

SHORT_ID = 6
"""An id is shown by its last digits: the first ones are a date and alike for all."""

_INDENT = " " * 4

OUTPUT_LINES = 10
"""So many of the last lines of a hook's output are shown; JSON lines have all that was kept."""

_RESET, _BOLD, _DIM = "\x1b[0m", "\x1b[1m", "\x1b[2m"
_COLOURS = {
    "debug": _DIM,
    "info": "\x1b[32m",
    "warning": "\x1b[33m",
    "error": "\x1b[31m",
    "critical": "\x1b[1;31m",
}
_SHORT_LEVELS = {"warning": "warn", "critical": "crit"}
_TOLD = frozenset(
    {
        *("timestamp", "level", "event", "run_id", "workflow", "wave", "migration", "group_id", "live_migration_id"),
        *("rehearsal", "exception", "output"),
    }
)


def wants_colour(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether lines on *stream* are coloured: on a terminal that can, unless ``NO_COLOR`` is set."""
    if environ.get("NO_COLOR") or environ.get("TERM") == "dumb":
        return False
    return not stream.closed and stream.isatty()


class ConsoleRenderer:
    """Renders entries; *zone* None shows times in the machine's own zone.

    *columns*: how wide the terminal is, asked for each line, which breaks at words there; None: lines are never broken, so that they
    can be searched. *options*: what is added to commands that are shown, so that they find the same state directory.
    """

    __slots__ = ("_colour", "_columns", "_options", "_zone")

    def __init__(
        self,
        *,
        colour: bool,
        zone: tzinfo | None = None,
        columns: Callable[[], int | None] = lambda: None,
        options: str = "",
    ) -> None:
        self._colour = colour
        self._options = options
        self._zone = zone
        self._columns = columns

    def __call__(self, entry: Mapping[str, Any]) -> str:
        """The line, without its end; a hook's output and tracebacks follow on lines of their own."""
        at = datetime.fromisoformat(entry["timestamp"]).astimezone(self._zone)
        level = entry["level"]
        parts = [
            (_DIM, at.strftime("%H:%M:%S %Z")),
            (_COLOURS.get(level, ""), f"{_SHORT_LEVELS.get(level, level):5}"),
            (_BOLD, one_line(str(entry["event"]))),
        ]
        if entry.get("rehearsal"):
            parts.append((_DIM, "rehearsal"))
        whom, said = one_line(_whom(entry)), one_line(self._sentence(entry) or _rest(entry))
        told = ": ".join(part for part in (whom, said) if part)
        between = " " if whom or not told else ": "
        return "\n".join([*self._broken(parts, between, told), *self._following(entry)])

    def _sentence(self, entry: Mapping[str, Any]) -> str:
        return with_options_in(sentence(entry, self._zone), self._options)

    def _broken(self, parts: Sequence[tuple[str, str]], between: str, told: str) -> list[str]:
        """The line, or its lines where the terminal is narrower: the coloured *parts*, then what is *told*."""
        heads = [" ".join(self._paint(code, text) for code, text in parts)]
        width = self._columns()
        length = len(" ".join(text for _, text in parts)) + len(between)
        if not told or width is None or length + cell_len(told) <= width:
            return [f"{heads[0]}{between}{told}" if told else heads[0]]
        if length - len(between) > width:
            heads = [self._paint(code, text) for code, text in parts]
        if length < width // 2:
            first, *more = folded(" " * length + told, width, then=_INDENT, measure=cell_len)
            if cell_len(first) <= width:
                return [f"{heads[0]}{between}{first[length:]}", *more]
        heads[-1] = f"{heads[-1]}{between}".rstrip()
        return [*heads, *folded(_INDENT + told, width, then=_INDENT, measure=cell_len)]

    def _following(self, entry: Mapping[str, Any]) -> list[str]:
        output = str(entry.get("output") or "").splitlines()[-OUTPUT_LINES:]
        trace = str(entry.get("exception") or "").splitlines()
        return [self._paint(_DIM, f"         | {one_line(line)}") for line in (*output, *trace)]

    def _paint(self, code: str, text: str) -> str:
        return f"{code}{text}{_RESET}" if self._colour and code else text


def _whom(entry: Mapping[str, Any]) -> str:
    """Wave, migration and the last digits of its ids."""
    place = "/".join(str(entry[key]) for key in ("wave", "migration") if entry.get(key))
    ids = [str(entry[key])[-SHORT_ID:] for key in ("group_id", "live_migration_id") if entry.get(key)]
    return f"{place} ({'/'.join(ids)})" if ids else place


def _rest(entry: Mapping[str, Any]) -> str:
    """The fields of an entry that has no sentence of its own; one that has nothing but its detail has that for one."""
    fields = {key: value for key, value in entry.items() if key not in _TOLD}
    return str(fields["detail"]) if set(fields) == {"detail"} else " ".join(f"{k}={v}" for k, v in fields.items())
