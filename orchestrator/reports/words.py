"""Words that all formats share, and foreign text made harmless."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo

from ..core.migration import Phase
from ..core.needs import HOOK, NOT_RUN, UNAPPROVED, Need
from ..core.no_return import Point, Side
from ..core.outcomes import EXIT_MEANINGS, Outcome
from ..core.standing import INTERRUPTED, MOVING, NO_END_RECORDED, SKIPPED, WORDS
from ..text.counts import names_listed, plural
from ..text.durations import rough_duration
from ..text.escaping import without_sequences
from ..text.instants import in_both
from .forecast import LONGER, TimesReport
from .model import MigrationReport, Problem, RunReport
from .percentiles import Statistics

OUTCOMES = frozenset(Outcome)
_JOINERS = "\u200c\u200d"  # invisible, harmless, and needed by some scripts and by emoji


def headline(report: RunReport) -> str:
    """The outcome in one line; of a run on which somebody works, how it stands; of one that was killed, that nobody knows."""
    prefix = "REHEARSAL " if report.rehearsal else ""
    if report.holder is not None:
        return f"{prefix}{report.stands} ({report.holder})"
    if report.interrupted:
        return f"{prefix}{INTERRUPTED}: {NO_END_RECORDED}"
    return f"{prefix}{report.outcome} (exit code {report.exit_code}: {exit_meaning(report)})"


def exit_meaning(report: RunReport) -> str:
    """What the exit code says."""
    return EXIT_MEANINGS.get(report.exit_code, "not in the list of exit codes")


def totals_line(report: RunReport) -> str:
    """How many migrations ended how, or stand where."""
    total = report.totals["migrations"]
    counts = counts_text(report.totals) if report.holder is None else standing(report.migrations)
    return f"{plural(total, 'migration')}: {counts or 'none'}"


def standing(migrations: Iterable[MigrationReport]) -> str:
    """How far *migrations* are while a process works on their run."""
    counts = Counter(standing_of(m) for m in migrations)
    order = [*(str(outcome) for outcome in Outcome), *(WORDS[phase] for phase in MOVING), WORDS[Phase.NEW], SKIPPED]
    return counts_text({word: counts[word] for word in order})


def is_skipped(migration: MigrationReport) -> bool:
    """Whether *migration* is not to be started any more, and has not come to its end, as in `core.standing`."""
    return migration.point is Point.NOT_CUT_OVER and migration.phase is not Phase.FINISHED


def standing_of(migration: MigrationReport) -> str:
    """How far *migration* is while a process works on its run."""
    if is_skipped(migration):
        return SKIPPED
    return WORDS.get(migration.phase, str(migration.outcome))


def standings_of_waves(report: RunReport) -> dict[str, str]:
    """How the migrations of each wave stand, or have ended, by its name."""
    if report.holder is None:
        return {wave.name: counts_text(wave.counts) for wave in report.waves}
    by_wave: dict[str, list[MigrationReport]] = {}
    for m in report.migrations:
        by_wave.setdefault(m.wave, []).append(m)
    return {name: standing(members) for name, members in by_wave.items()}


def counts_text(counts: Mapping[str, int]) -> str:
    """*counts* by outcome as `3 SUCCESS, 1 FAILED`, zeros left out."""
    return ", ".join(f"{count} {name}" for name, count in counts.items() if name != "migrations" and count)


def duration(seconds: float | None) -> str:
    """*seconds* for people, as `rough_duration`; a dash for none."""
    return "-" if seconds is None else rough_duration(seconds)


def times_line(statistics: Statistics) -> str | None:
    """Percentiles and sum of the cutover times, where there are any."""
    if not statistics.count:
        return None
    parts = (
        f"p50 {duration(statistics.p50)}",
        f"p90 {duration(statistics.p90)}",
        f"p99 {duration(statistics.p99)}",
        f"max {duration(statistics.max)}",
        f"total {duration(statistics.total)}",
    )
    return f"cutover time: {', '.join(parts)}"


def requests_line(report: RunReport) -> str | None:
    """What was sent; None: it is not known before the session has ended."""
    if not report.requests["total"]:
        return None
    by_status = ", ".join(f"{status}: {count}" for status, count in report.requests["by_status"].items())
    retries = report.requests["retries"]
    shown = f" ({by_status})" if by_status else ""
    return f"requests: {report.requests['total']}{shown}, {plural(retries, 'retry', 'retries')}"


def times_of_day(report: RunReport) -> str:
    """When the run began and ended, and how long that took."""
    began, ended = clock(report.started_at) or "-", clock(report.finished_at)
    if report.interrupted:
        return f"{began} UTC, no end recorded"
    to = f"to {ended} UTC" if ended is not None and report.holder is None else "UTC to now"
    return f"{began} {to} ({duration(report.duration_seconds)})"


def times_here(report: RunReport, zone: tzinfo | None = None) -> str | None:
    """The same in *zone* (None: the machine's own), as the log has it on a terminal; None: that is UTC, or it has not begun."""
    if report.started_at is None:
        return None
    began = datetime.fromisoformat(report.started_at).astimezone(zone)
    if not began.utcoffset():
        return None
    if report.interrupted:
        return f"{began:%Y-%m-%d %H:%M:%S %Z}"
    if report.finished_at is None or report.holder is not None:
        return f"{began:%Y-%m-%d %H:%M:%S %Z} to now"
    ended = datetime.fromisoformat(report.finished_at).astimezone(zone)
    between = "" if began.tzname() == ended.tzname() else f" {began:%Z}"
    return f"{began:%Y-%m-%d %H:%M:%S}{between} to {ended:%Y-%m-%d %H:%M:%S %Z}"


def times_at_the_window(report: RunReport) -> str | None:
    """The same in the time zone of the window; None: it has none, or that is UTC."""
    zone = zone_of(report)
    return None if zone is None else times_here(report, zone)


def times_elsewhere(report: RunReport) -> list[tuple[str, str]]:
    """For a file, which has readers anywhere: the same in the window's zone, and in that of the machine that writes it, each where it says something new."""
    found = [("in the window's zone", times_at_the_window(report)), ("where this was written", times_here(report))]
    texts = {text: name for name, text in reversed(found) if text is not None}
    return [(name, text) for text, name in reversed(texts.items())]


def zone_of(report: RunReport) -> tzinfo | None:
    """The time zone in which the workflow gives its window; None: in none."""
    return None if report.window is None or report.window.timezone is None else ZoneInfo(report.window.timezone)


def last_start_in_words(report: RunReport, zone: tzinfo | None = None) -> str | None:
    """The last moment at which a cutover may start, in UTC and in *zone* (None: that of the window, else the machine's own)."""
    if report.last_start is None:
        return None
    return in_both(datetime.fromisoformat(report.last_start).timestamp(), zone or zone_of(report))


def forecast_line(report: RunReport) -> str | None:
    """How the waves did that have ended, held against the forecast that was made when the run began."""
    if report.forecast is None:
        return None
    ended = [wave for wave in report.forecast.waves if wave.verdict is not None]
    late = [wave for wave in ended if wave.verdict == LONGER]
    shown = [f"{wave.name} took {duration(wave.seconds)}, p90 was {duration(wave.seconds_p90)}" for wave in late]
    details = f"; {names_listed(shown, 3)}" if shown else ""
    return f"forecast: {len(ended) - len(late)} of {plural(len(ended), 'wave')} within p90{details}" if ended else None


def sides_line(report: RunReport) -> str:
    """How many migrations are on which side of their point of no return."""
    counts = Counter(m.side for m in report.migrations)
    return f"point of no return: {', '.join(f'{counts[side]} {side}' for side in Side if counts[side])}"


def times_in_words(times: TimesReport | None) -> str:
    """What cutovers took as `47s, 1m3s`: cutover time p50 and p90."""
    return "-" if times is None else f"{duration(times.cutover_p50)}, {duration(times.cutover_p90)}"


def downtimes_in_words(times: TimesReport | None) -> str:
    """The same for downtime."""
    return "-" if times is None else f"{duration(times.downtime_p50)}, {duration(times.downtime_p90)}"


def clock(instant: str | None) -> str | None:
    """An ISO time of the report as `2026-11-28 00:00:00` (UTC)."""
    return instant[:19].replace("T", " ") if instant else None


def names_text(problem: Problem, at_most: int = 5) -> str:
    """The names of *problem*'s migrations, with the number of those that are not shown."""
    return names_listed([m.name for m in problem.migrations], at_most)


def vars_text(migration: MigrationReport) -> str:
    """The workflow's variables of *migration* as `cluster=orders-eu, size=XL`."""
    return ", ".join(f"{name}={value}" for name, value in migration.vars.items())


def need_line(need: Need) -> str:
    """*need* of a hook, or of what the run waits for, or has waited for, in one line."""
    if need.kind in (HOOK, NOT_RUN, UNAPPROVED):
        return f"{'FAILED ' if need.kind == HOOK else ''}{need.what}: {need.said}{need.when}"
    return need.waits


def plain(text: str | None) -> str:
    """*text* on one line, without terminal sequences and control characters: it must not steer where it is shown."""
    if text is None:
        return ""
    return " ".join(_visible(line) for line in text.splitlines()) if not text.isprintable() else text


def lines(text: str | None) -> str:
    """*text* as `plain` makes it, its lines kept."""
    return "\n".join(_visible(line) for line in (text or "").splitlines())


def _visible(line: str) -> str:
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() or c in _JOINERS else " " for c in without_sequences(line))
