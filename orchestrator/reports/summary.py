"""The summary on stdout: text for people, or the report's JSON."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.text import Text

from ..core.migration import Phase
from ..core.needs import HOOK, Need
from ..core.outcomes import Outcome
from ..core.standing import MOVING
from ..machine.columns import folded_text
from ..machine.tables import table
from ..machine.terminal import columns_of
from ..store.last_read import LastRead, LastReads
from ..text.counts import names_listed, plural
from ..text.lines import COMMAND
from ..text.requests import reason
from .formats.json_ import render_json
from .model import OTHERS, MigrationReport, Problem, RunReport
from .options import with_options
from .words import (
    OUTCOMES,
    counts_text,
    duration,
    forecast_line,
    headline,
    last_start_in_words,
    names_text,
    need_line,
    plain,
    requests_line,
    sides_line,
    standing,
    standing_of,
    times_at_the_window,
    times_here,
    times_line,
    times_of_day,
    totals_line,
)

LIST_ALL = 30  # migrations; above, only those that need a person are listed
LIST_AT_MOST = 20  # problems
IDS_OF = 10  # problems; above, the report has their ids

_STYLES = {
    "SUCCESS": "green",
    "FAILED": "bold red",
    "UNVERIFIED": "bold red",
    "TIMED_OUT": "bold red",
    "IN_DOUBT": "bold magenta",
    "UNDER_WAY": "bold cyan",
    "NOT_STARTED": "yellow",
    "INCOMPLETE": "bold yellow",
}


def print_json(report: RunReport, *, file: TextIO, reads: LastReads | None = None) -> None:
    """The report as JSON on *file*; with *reads*, each migration also has what its last read showed."""
    utf8 = codecs.lookup(file.encoding or "ascii").name == "utf-8"
    file.write(render_json(report, ascii_only=not utf8, reads=reads))


def print_summary(  # noqa: PLR0913 - all but the first are keywords, and most are rarely given
    report: RunReport,
    *,
    file: TextIO,
    paths: Sequence[Path] = (),
    running: str | None = None,
    options: str = "",
    reads: LastReads | None = None,
    every: bool = True,
    width: int | None = None,
    color: bool | None = None,
) -> None:
    """The summary on *file*.

    Args:
        report: What is summed up.
        file: Where it goes. Characters that its encoding lacks are shown as escapes.
        paths: Where the reports are.
        running: Who works on the run now; the summary then shows how far it is.
        options: What is added to each command, a space before each.
        reads: What the last read of each job showed, which migrations are listed with.
        every: List every migration with *reads*, whatever their number and also where nobody works on the run.
        width: Columns; None: the terminal's, or as many as it takes where *file* is no terminal: a line is never broken there, so that
            it can be searched.
        color: None: on a terminal, unless NO_COLOR is set.
    """
    terminal = file.isatty()
    width = columns_of(file) if width is None else width
    text = io.StringIO()  # and not *file*: where its reader has gone, rich would end the process with a code of its own
    console = Console(
        file=text,
        width=width,
        highlight=False,
        force_terminal=bool(terminal or color),
        no_color=None if color is None else not color,
    )
    summary = _Summary(report, console, file.encoding or "ascii", running, options, width=width)
    summary.print(paths, reads, every=every)
    file.write(text.getvalue())


class _Summary:
    """One printing of a summary."""

    def __init__(
        self,
        report: RunReport,
        console: Console,
        encoding: str,
        running: str | None,
        options: str,
        *,
        width: int | None,
    ) -> None:
        self.report = with_options(report, options)
        self.console = console
        self.encoding = encoding
        self.running = running
        self.options = options
        self.width = width

    def print(self, paths: Sequence[Path], reads: LastReads | None, *, every: bool) -> None:
        """All of it, what needs a person first."""
        report = self.report
        if self.running:
            prefix = "REHEARSAL " if report.rehearsal else ""
            self.line(f"{prefix}{report.stands or 'under way'} ({self.running})", "bold")
        else:
            self.line(headline(report), "bold yellow" if report.interrupted else _STYLES[report.outcome])
        self.line(f"workflow {report.workflow}, run {report.run_id}, {times_of_day(report)}")
        if (here := times_here(report)) is not None:
            self.line(f"  here that was {here}")
        if (there := times_at_the_window(report)) not in (None, here):
            self.line(f"  in the window's zone that was {there}")
        self._needs()
        self.line(self._totals())
        if report.last_start and self.running:
            self.line(f"the last moment at which a cutover may start: {last_start_in_words(report)}")
        window = f"window: {report.window.rule}" if report.window and report.rehearsal else ""
        told = report.outlook.sentences if report.outlook else ()
        for line in (window, forecast_line(report), *told):
            if line:
                self.line(line)
        self._others()
        self._waves()
        self._rest()
        few = len(report.migrations) <= LIST_ALL
        listed = self._in_order() if few or (every and reads is not None) else self._moving()
        if reads is not None and (every or self.running):
            self._reads(listed, reads)
        elif listed:
            self._migrations(listed)
        if len(listed) < len(report.migrations):
            self.console.print()
            self.line("all of them:")
            self.command(f"atlas-cutover status {report.run_id} --all{self.options}")
        if paths:
            self.console.print()
        for path in paths:
            self.console.print(Text(self.shown(f"report: {path}")), soft_wrap=True)

    def line(self, text: str, style: str = "") -> None:
        """One line of *text*, or as many as it takes on a terminal."""
        self.text(Text(self.shown(text), style=style))

    def text(self, text: Text) -> None:
        for line in [text] if self.width is None else folded_text(text, self.width):
            self.console.print(line, soft_wrap=True)

    def command(self, command: str) -> None:
        """A line to copy."""
        self.line(f"  {COMMAND}{command}")

    def shown(self, text: str | None) -> str:
        return _encodable(plain(text), self.encoding)

    def _totals(self) -> str:
        if not self.running:
            return totals_line(self.report)
        return f"{plural(len(self.report.migrations), 'migration')}: {standing(self.report.migrations)}"

    def _rest(self) -> None:
        """Figures, and while it is not over which side of their points of no return the migrations are on, and what is right there."""
        report = self.report
        times = times_line(report.statistics)
        requests = requests_line(report)
        goes_on = bool(self.running or report.unfinished)
        if times or requests or goes_on:
            self.console.print()
        for line in (times, requests):
            if line:
                self.line(line)
        if not goes_on:
            return
        self.line(sides_line(report))
        for point in self.report.point_of_no_return:
            self.line(f"  {point.point} ({names_listed(point.names)}): {point.what_is_right}")

    def _needs(self) -> None:
        """What needs a person, before all figures: each with its ids, what to do, and the command."""
        urgent = self.report.needs
        if urgent:
            self.console.print()
            self.line("NEEDS YOU NOW", "bold")
        for _, alike in groupby(urgent[:LIST_AT_MOST], key=lambda need: need.to_do):
            together = list(alike)
            for need in together:
                self._need(need, short=len(urgent) > IDS_OF, of=together if need is together[-1] else [])
        if len(urgent) > LIST_AT_MOST:
            self.line(f"and {len(urgent) - LIST_AT_MOST} more: see the report")
        if urgent:
            self.console.print()

    def _need(self, need: Need, *, short: bool, of: Sequence[Need]) -> None:
        """*short*: without ids; *of*: about which the same is to be done, where this is the last of them."""
        if need.kind in OUTCOMES:
            text = Text(need.kind, style=_STYLES[need.kind])
            text.append(
                self.shown(f" {need.what}{f' ({need.about[0].wave})' if need.count == 1 else ''}"), style="bold"
            )
            text.append(self.shown(f": {need.said}{need.when}" if need.said else need.when), style="not bold")
            self.text(text)
        else:
            self.line(need_line(need), "bold yellow" if need.kind != HOOK else "bold red")
        ids = "" if short else need.ids()
        if ids:
            self.line(f"  {ids}")
        if of:
            self.line(f"  {f'{_whose(of)}: ' if len(of) > 1 else ''}{need.to_do}")
        if need.command:
            self.command(need.command)

    def _others(self) -> None:
        problems = [p for p in self.report.problems() if not self.running or p.migrations[0].phase is Phase.FINISHED]
        for title, outcome in OTHERS:
            found = [p for p in problems if p.outcome is outcome]
            if found:
                self._listed(title, found)
        if self.report.stopped and not self.report.totals[Outcome.NOT_STARTED]:
            self.line(f"no further cutover was started: {self.report.stopped}", "yellow")
        advice = self.report.advice
        if advice.command is not None and not self.running:
            self.line(f"continue with{f' ({advice.condition})' if advice.condition else ''}:")
            self.command(advice.command)

    def _listed(self, title: str, problems: Sequence[Problem]) -> None:
        self.console.print()
        self.line(title.upper(), "bold")
        for problem in problems[:LIST_AT_MOST]:
            text = Text(str(problem.outcome), style=_STYLES[problem.outcome])
            text.append(self.shown(f" {_subject(problem)}"), style="bold")
            text.append(self.shown(f": {problem.message}" if problem.message else ""), style="not bold")
            self.text(text)
        if len(problems) > LIST_AT_MOST:
            self.line(f"and {len(problems) - LIST_AT_MOST} more: see the report")

    def _waves(self) -> None:
        by_wave: dict[str, list[MigrationReport]] = {}
        if self.running:
            for m in self.report.migrations:
                by_wave.setdefault(m.wave, []).append(m)
        self._table(
            ("WAVE", "MIGRATIONS>", "P50>", "P90>", "MAX>", "STANDS" if self.running else "OUTCOMES"),
            (
                (
                    wave.name,
                    str(wave.migrations),
                    duration(wave.statistics.p50),
                    duration(wave.statistics.p90),
                    duration(wave.statistics.max),
                    standing(by_wave[wave.name]) if self.running else counts_text(wave.counts),
                )
                for wave in self.report.waves
            ),
        )

    def _in_order(self) -> Sequence[MigrationReport]:
        """As in the file; while the run is under way, what moves goes first."""
        if not self.running:
            return self.report.migrations
        return sorted(self.report.migrations, key=lambda m: MOVING.index(m.phase) if m.phase in MOVING else len(MOVING))

    def _moving(self) -> Sequence[MigrationReport]:
        """What moves while the run is under way, the most urgent first, and no more than a screen of it."""
        return [m for m in self._in_order() if m.phase in MOVING][:LIST_ALL] if self.running else []

    def _migrations(self, migrations: Sequence[MigrationReport]) -> None:
        self._table(
            ("MIGRATION", "WAVE", "OUTCOME", "AT ATLAS", "CUTOVER>", "PUTS>"),
            (
                (
                    m.name,
                    m.wave,
                    self._word(m),
                    m.remote_status or "-",
                    duration(m.cutover_seconds),
                    str(m.cutover_requests),
                )
                for m in migrations
            ),
        )

    def _reads(self, migrations: Sequence[MigrationReport], reads: LastReads) -> None:
        """*migrations*, with what the last read of their jobs showed."""
        if not migrations:
            return
        self._table(
            ("MIGRATION", "WAVE", "STANDS", "AT ATLAS", "LAG>", "READ>", "PUTS>", "LAST FAILED READ"),
            (self._read(migration, reads) for migration in migrations),
        )

    def _read(self, migration: MigrationReport, reads: LastReads) -> Sequence[str]:
        read, over = reads.of(migration.name), migration.phase is Phase.FINISHED
        fresh = read.seen_at is not None and not over
        failed = "-" if read.error is None else f"{_ago(reads.age(read.error_at))}: {reason(read.error)}"
        return (
            migration.name,
            migration.wave,
            self._word(migration) + _why_at_the_gate(migration, read),
            (read.status if fresh else migration.remote_status) or "-",
            "-" if over else duration(read.lag),
            _ago(reads.age(read.seen_at)),
            str(migration.cutover_requests),
            failed,
        )

    def _word(self, migration: MigrationReport) -> str:
        return standing_of(migration) if self.running else str(migration.outcome)

    def _table(self, titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """A table, an empty line above it."""
        self.console.print()
        cells = [[Text(self.shown(cell), style=_STYLES.get(cell, "")) for cell in row] for row in rows]
        for line in table(titles, cells, self.width):
            self.console.print(line, soft_wrap=True)


def _whose(alike: Sequence[Need]) -> str:
    """Which they are about, about which the same is to be done: names; of a hook, or of what the run waits for, what that is."""
    if alike[0].kind not in OUTCOMES:
        return names_listed([need.what for need in alike])
    names = [each.name for need in alike for each in need.about][:IDS_OF]
    more = sum(need.count for need in alike) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


def _why_at_the_gate(migration: MigrationReport, read: LastRead) -> str:
    """What its gate waits for, by what was read last."""
    if migration.phase is not Phase.GATE or read.seen_at is None:
        return ""
    return ": not ready" if read.ready is False else ": lag" if read.lag else ""


def _ago(age: float | None) -> str:
    return "-" if age is None else f"{duration(age)} ago"


def _subject(problem: Problem) -> str:
    members = problem.migrations
    if len(members) == 1:
        return f"{members[0].name} ({members[0].wave})"
    return f"{len(members)} migrations ({names_text(problem)})"


def _encodable(text: str, encoding: str | None) -> str:
    """*text*, with escapes for what *encoding* lacks."""
    encoding = encoding or "ascii"
    return text.encode(encoding, "backslashreplace").decode(encoding)
