"""What people have decided about a run, in the words of docs/report.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from ..core.run import APPROVAL_TIMEOUT
from ..core.steered import Decision
from ..core.workflow import Gate
from ..text.counts import names_listed
from ..text.durations import rough_duration
from ..text.instants import iso

NAMES_AT_MOST = 20  # of what was decided about many migrations at once


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport:
    """A gate, in seconds."""

    max_lag: float
    timeout: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionReport:
    """*who* gave *command* *at* that time (ISO 8601 in UTC), for *reason*, about *wave* or *migration* (neither: the run).

    *gate*: what it has made of the migration's gate, which was *gate_before*; None: off, or another command.
    """

    at: str
    command: str
    who: str
    reason: str
    wave: str | None
    migration: str | None
    gate: GateReport | None
    gate_before: GateReport | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRow:
    """What was decided *at* one time *about* a wave, some migrations, or the run; *what*: the command, and what it has changed."""

    at: str
    what: str
    about: str
    who: str
    reason: str


def report_steering(decisions: Iterable[Decision], *, text: Callable[[str], str]) -> tuple[DecisionReport, ...]:
    """*decisions* as the report has them; *text* makes foreign text fit for a file."""
    return tuple(
        DecisionReport(
            at=iso(decision.at),
            command=str(decision.command),
            who=text(decision.who),
            reason=text(decision.reason),
            wave=None if decision.wave is None else text(decision.wave),
            migration=None if decision.migration is None else text(decision.migration),
            gate=_gate(decision.gate),
            gate_before=_gate(decision.gate_before),
        )
        for decision in decisions
    )


def rows(steering: Sequence[DecisionReport]) -> list[DecisionRow]:
    """*steering* for people: what one command has decided about several migrations is one row."""
    return [_row(list(alike)) for _, alike in groupby(steering, key=_alike)]


def _alike(decision: DecisionReport) -> tuple[str, ...]:
    whose = "" if decision.migration is not None else str(decision.wave)
    return (_what(decision), decision.who, decision.reason, whose, decision.at[:19])


def _row(alike: Sequence[DecisionReport]) -> DecisionRow:
    first = alike[0]
    names = [decision.migration for decision in alike if decision.migration is not None]
    about = names_listed(names, NAMES_AT_MOST) if names else "the run" if first.wave is None else f"wave {first.wave}"
    who = "nobody in time" if first.who == APPROVAL_TIMEOUT else first.who
    return DecisionRow(at=first.at, what=_what(first), about=about, who=who, reason=first.reason)


def _what(decision: DecisionReport) -> str:
    if decision.command != "gate":
        return decision.command
    return f"gate: {_in_words(decision.gate_before)} -> {_in_words(decision.gate)}"


def _in_words(gate: GateReport | None) -> str:
    return "off" if gate is None else f"lag up to {rough_duration(gate.max_lag)} for {rough_duration(gate.timeout)}"


def _gate(gate: Gate | None) -> GateReport | None:
    return None if gate is None else GateReport(max_lag=gate.max_lag, timeout=gate.timeout)
