"""The commands of a report with the options that find its state directory."""

from __future__ import annotations

from dataclasses import replace

from .model import RunReport


def with_options(report: RunReport, options: str) -> RunReport:
    """*report*, with *options* (a space before each) in each command that it tells somebody to give."""
    if not options:
        return report
    return replace(
        report,
        advice=report.advice.with_options(options),
        needs=tuple(need.with_options(options) for need in report.needs),
    )
