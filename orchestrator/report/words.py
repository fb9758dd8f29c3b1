"""Words that all formats share."""

from __future__ import annotations

from .model import RunReport

EXIT_MEANINGS = {
    0: "every selected migration is SUCCESS",
    1: "the run is over and at least one migration FAILED or TIMED_OUT",
    3: "the run is over, nothing failed, but some cutovers were not started",
    4: "at least one migration is IN_DOUBT: a person has to look",
    130: "stopped by SIGINT: `resume` continues",
    143: "stopped by SIGTERM: `resume` continues",
}


def headline(report: RunReport) -> str:
    """The outcome in one line."""
    meaning = EXIT_MEANINGS.get(report.exit_code, "")
    prefix = "REHEARSAL " if report.rehearsal else ""
    return f"{prefix}{report.outcome} (exit code {report.exit_code}: {meaning})"


def totals_line(report: RunReport) -> str:
    """How many migrations ended how."""
    counts = ", ".join(f"{count} {name}" for name, count in report.totals.items() if name != "migrations" and count)
    return f"{report.totals['migrations']} migrations: {counts or 'none'}"


def seconds(value: float | None) -> str:
    """Seconds for people; a dash for none."""
    return "-" if value is None else f"{value:.1f} s"


def downtime_line(report: RunReport) -> str | None:
    """Percentiles of the cutover times, where there are any."""
    statistics = report.statistics
    if not statistics.count:
        return None
    parts = (
        f"p50 {seconds(statistics.p50)}",
        f"p90 {seconds(statistics.p90)}",
        f"p99 {seconds(statistics.p99)}",
        f"max {seconds(statistics.max)}",
        f"total {seconds(statistics.total)}",
    )
    return f"cutover time: {', '.join(parts)}"


def requests_line(report: RunReport) -> str:
    """What was sent."""
    by_status = ", ".join(f"{status}: {count}" for status, count in report.requests["by_status"].items())
    return f"requests: {report.requests['total']} ({by_status}), {report.requests['retries']} retries"


def plain(text: str) -> str:
    """*text* on one line and without control characters: what Atlas or a workflow says must not steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in text)
