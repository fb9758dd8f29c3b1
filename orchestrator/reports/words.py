"""Words that all formats share, and foreign text made harmless."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..core.outcomes import Outcome
from ..text.counts import names_listed, plural
from ..text.durations import rough_duration
from .model import Problem, RunReport
from .percentiles import Statistics

EXIT_MEANINGS = {
    0: "every selected migration is SUCCESS",
    1: "the run is over and at least one migration FAILED or TIMED_OUT",
    2: "usage, workflow or config is wrong; nothing was sent",
    3: "nothing failed, but some cutovers were not started, or not seen to their end",
    4: "at least one migration is IN_DOUBT: a person has to look",
    5: "another active run holds this workflow or one of its live migrations",
    6: "Atlas was unreachable, or refused the credentials; nothing was cut over",
    130: "stopped by SIGINT: `resume` continues",
    143: "stopped by SIGTERM: `resume` continues",
}

_WHAT_TO_DO = {
    Outcome.IN_DOUBT: "Look at the live migration in the Atlas UI: its cutover may have begun. `resume` reads it again.",
    Outcome.TIMED_OUT: "Atlas accepted the cutover and has not ended it yet. Watch it in the Atlas UI.",
    Outcome.FAILED: "Read Atlas' message. A migration that failed before its PUT can be tried again with --retry-failed.",
    Outcome.UNDER_WAY: "Atlas carries the cutover out. `resume` follows it to its end at once, and sends no PUT for it.",
    Outcome.NOT_STARTED: "No PUT was sent: the source is still in charge. `resume` or the next `run` starts it.",
}
_GIVEN_UP = "Look at the live migration in the Atlas UI: its cutover may have begun. No run follows it any more."
_WINDOW_OVER = (
    "No PUT was sent: the source is still in charge. The window does not open any more: correct it in the workflow file, "
    "and `run` that: the run goes on in the new window."
)
_OVER = "No PUT was sent: the source is still in charge. This run is over; `run --new` starts another."

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_JOINERS = "\u200c\u200d"  # invisible, harmless, and needed by some scripts and by emoji


def what_to_do(report: RunReport, outcome: Outcome) -> str:
    """What a person does about *outcome*, which is not SUCCESS."""
    if outcome is Outcome.NOT_STARTED and not report.unfinished:
        return f"No PUT was sent by this run. Run {report.successor} has its place." if report.successor else _OVER
    if outcome is Outcome.NOT_STARTED and _window_over(report):
        return _WINDOW_OVER
    if outcome in (Outcome.IN_DOUBT, Outcome.UNDER_WAY) and not report.unfinished:
        return f"Run {report.successor} reads it first, and follows it." if report.successor else _GIVEN_UP
    return _WHAT_TO_DO[outcome]


def headline(report: RunReport) -> str:
    """The outcome in one line."""
    prefix = "REHEARSAL " if report.rehearsal else ""
    return f"{prefix}{report.outcome} (exit code {report.exit_code}: {exit_meaning(report)})"


def exit_meaning(report: RunReport) -> str:
    """What the exit code says."""
    return EXIT_MEANINGS.get(report.exit_code, "not in the list of exit codes")


def totals_line(report: RunReport) -> str:
    """How many migrations ended how."""
    total = report.totals["migrations"]
    return f"{plural(total, 'migration')}: {counts_text(report.totals) or 'none'}"


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


def requests_line(report: RunReport) -> str:
    """What was sent."""
    by_status = ", ".join(f"{status}: {count}" for status, count in report.requests["by_status"].items())
    retries = report.requests["retries"]
    shown = f" ({by_status})" if by_status else ""
    return f"requests: {report.requests['total']}{shown}, {plural(retries, 'retry', 'retries')}"


def times_of_day(report: RunReport) -> str:
    """When the run began and ended, and how long that took."""
    began, ended = clock(report.started_at), clock(report.finished_at)
    return f"{began or '-'} to {ended or 'now'} UTC ({duration(report.duration_seconds)})"


def clock(instant: str | None) -> str | None:
    """An ISO time of the report as `2026-11-28 00:00:00` (UTC)."""
    return instant[:19].replace("T", " ") if instant else None


def names_text(problem: Problem, at_most: int = 5) -> str:
    """The names of *problem*'s migrations, with the number of those that are not shown."""
    return names_listed([m.name for m in problem.migrations], at_most)


def next_command(report: RunReport) -> str | None:
    """The command that goes on with the run, where anything is left that a command can go on with."""
    if not report.unfinished:
        return None
    if _window_over(report) and not (_unsettled(report) or report.hooks_left):
        return "atlas-cutover run WORKFLOW"
    return f"atlas-cutover resume {report.run_id}"


def next_condition(report: RunReport) -> str | None:
    """What has to be known before `next_command` is given."""
    if report.unfinished and report.too_many_failures and report.totals[Outcome.NOT_STARTED]:
        if report.totals[Outcome.IN_DOUBT]:
            return "max_failures is used up: it reads what is in doubt first, and starts the rest where that turns out well"
        if report.totals[Outcome.UNDER_WAY]:
            return "max_failures is used up: it follows what is under way, and starts nothing more"
        return (
            "max_failures is used up, so nothing more starts in this run: `--retry-failed` tries again what failed before its "
            "PUT, once the cause is cured; what failed after it leaves `run --new --only` for the waves that are left"
        )
    if report.unfinished and report.totals[Outcome.UNDER_WAY] and not _to_be_sent(report):
        return "at once: it follows what Atlas has accepted, and sends no PUT"
    if not (report.unfinished and _window_over(report) and report.totals[Outcome.NOT_STARTED]):
        return None
    if next_command(report) == f"atlas-cutover resume {report.run_id}":
        return "the window does not open any more: what was not started needs a corrected window in the workflow file, and `run` after that"
    return "the window does not open any more: correct it in the workflow file first"


def failed_hooks_text(report: RunReport) -> list[str]:
    """The failed hooks that no outcome tells of, one line for those that ended alike."""
    groups: dict[tuple[str, tuple[str, ...], str], list[str]] = {}
    for hook in report.unheard_hooks():
        ended = hook.error or f"exit code {hook.exit_code}"
        groups.setdefault((hook.hook, hook.argv, ended), []).append(hook.migration or hook.wave or "the run")
    return [
        f"hook {hook} of {names_listed(of)}: {ended} ({' '.join(argv)})" for (hook, argv, ended), of in groups.items()
    ]


def _unsettled(report: RunReport) -> int:
    return report.totals[Outcome.IN_DOUBT] + report.totals[Outcome.UNDER_WAY]


def _to_be_sent(report: RunReport) -> int:
    """How many may get a PUT when the run goes on."""
    return report.totals[Outcome.IN_DOUBT] + report.totals[Outcome.NOT_STARTED]


def _window_over(report: RunReport) -> bool:
    return report.window is not None and report.window.over


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
    return "".join(c if c.isprintable() or c in _JOINERS else " " for c in _ANSI.sub("", line))
