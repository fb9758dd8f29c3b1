"""The commands of a report with the options that find its state directory."""

from __future__ import annotations

import re
from dataclasses import replace

from .model import RunReport

_COMMAND = re.compile(r"`(atlas-cutover [^`]+)`")


def with_options(report: RunReport, options: str) -> RunReport:
    """*report*, *options* (a space before each) behind each command that it tells somebody to give."""
    if not options:
        return report

    def in_text(text: str) -> str:
        return _COMMAND.sub(lambda found: f"`{found[1]}{options}`", text)

    advice = report.advice
    return replace(
        report,
        advice=replace(
            advice,
            command=None if advice.command is None else advice.command + options,
            condition=None if advice.condition is None else in_text(advice.condition),
            outcomes={outcome: in_text(text) for outcome, text in advice.outcomes.items()},
        ),
        needs=tuple(
            replace(
                need,
                command=None if need.command is None else need.command + options,
                to_do=in_text(need.to_do),
            )
            for need in report.needs
        ),
    )
