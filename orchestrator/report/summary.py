"""The summary on stdout: a table for people, or the report's JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO, TextIO, cast

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..outcomes import Outcome, RunOutcome
from .json_ import render_json
from .model import MigrationReport, RunReport
from .words import downtime_line, headline, plain, requests_line, seconds, totals_line

LIST_ALL = 30  # migrations; above, only those that need a person are listed
LIST_AT_MOST = 20
_PIPE_WIDTH = 120  # columns where stdout is no terminal
_STYLES = {
    Outcome.SUCCESS: "green",
    Outcome.FAILED: "bold red",
    Outcome.TIMED_OUT: "bold red",
    Outcome.IN_DOUBT: "bold magenta",
    Outcome.NOT_STARTED: "yellow",
}
_RUN_STYLES = {
    RunOutcome.SUCCESS: "bold green",
    RunOutcome.FAILED: "bold red",
    RunOutcome.IN_DOUBT: "bold magenta",
    RunOutcome.INCOMPLETE: "bold yellow",
}


def print_json(report: RunReport, *, file: TextIO) -> None:
    """The report as JSON on *file*."""
    file.write(render_json(report))


def print_summary(
    report: RunReport,
    *,
    file: TextIO,
    paths: Sequence[Path] = (),
    running: str | None = None,
    width: int | None = None,
) -> None:
    """The summary on *file*; *paths*: where the reports are; *running*: who works on the run now.

    Colours only on a terminal and without NO_COLOR (rich sees to both). Characters that *file* cannot encode become `?`.
    """
    if width is None and not file.isatty():
        width = _PIPE_WIDTH
    console = Console(
        file=cast("IO[str]", _Encodable(file)), width=width, highlight=False, force_terminal=file.isatty() or None
    )
    title = f"under way ({running})" if running else headline(report)
    prefix = "REHEARSAL " if running and report.rehearsal else ""
    style = "bold" if running else _RUN_STYLES[report.outcome]
    console.print(Text(prefix + plain(title), style=style))
    console.print(Text(f"workflow {plain(report.workflow)}, run {report.run_id}, {report.duration_seconds:.1f} s"))
    for line in (totals_line(report), downtime_line(report), requests_line(report)):
        if line:
            console.print(Text(line))
    if report.stopped:
        console.print(Text(f"no further cutover was started: {plain(report.stopped)}", style="yellow"))
    _print_waves(console, report)
    needing = report.needing_a_person()
    small = len(report.migrations) <= LIST_ALL
    listed = list(report.migrations) if small else needing[:LIST_AT_MOST]
    if listed:
        _print_migrations(console, listed)
    if not small and len(needing) > LIST_AT_MOST:
        console.print(Text(f"and {len(needing) - LIST_AT_MOST} more that need a person: see the report"))
    for path in paths:
        console.print(Text(f"report: {path}"), soft_wrap=True)


def _print_waves(console: Console, report: RunReport) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("WAVE", "MIGRATIONS", "OUTCOMES"):
        table.add_column(title, justify="right" if title == "MIGRATIONS" else "left", overflow="fold")
    for wave in report.waves:
        counts = ", ".join(f"{count} {name}" for name, count in wave.counts.items())
        table.add_row(Text(plain(wave.name)), str(wave.migrations), Text(counts))
    console.print()
    console.print(table)


def _print_migrations(console: Console, migrations: Sequence[MigrationReport]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("MIGRATION", overflow="fold")
    table.add_column("WAVE", overflow="fold")
    table.add_column("OUTCOME", no_wrap=True)
    table.add_column("CUTOVER", justify="right", no_wrap=True)
    table.add_column("WHY", overflow="fold")
    for m in migrations:
        table.add_row(
            Text(plain(m.name)),
            Text(plain(m.wave)),
            Text(str(m.outcome), style=_STYLES[m.outcome]),
            seconds(m.cutover_seconds),
            Text(plain(m.error_message or "")),
        )
    console.print()
    console.print(table)


class _Encodable:
    """A text stream that replaces what its encoding lacks."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.encoding = stream.encoding or "ascii"

    def write(self, text: str) -> int:
        return self._stream.write(text.encode(self.encoding, "replace").decode(self.encoding))

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()
