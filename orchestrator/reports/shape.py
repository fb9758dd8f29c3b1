"""The one shape in which browsers get a run: of the status page, piece by piece, and of report.html, whole.

    {"columns": {"job": [...], "row": [...]}, "head": {...}, "needs": [...], "jobs": [[...]], "rows": [[number, ...]], "log": [...]}

`jobs` and `rows` are of the same migrations, in the same order; of a large run the page sends those that are seen first alone, before it sends all.
How many there are, and how many stand where, is told by the `waves` of `head`.
The names are those of report.json, and so are times (ISO 8601) and durations (seconds). Of each migration `job` never changes, and `row`
is sent again whenever it differs: lists in the order of `columns`, for thousands of them travel at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from ..core.events import HookFinished
from ..core.migration import Phase
from ..core.needs import HOOK, Need
from ..core.no_return import SIDES, what_is_right
from ..core.outcomes import EXIT_MEANINGS
from ..core.workflow import Migration
from ..text.instants import iso
from .model import HookReport, MigrationReport, RunReport
from .words import is_skipped, lines, plain

JOB = ("name", "wave", "group_id", "live_migration_id", "vars")
"""*wave* is the number of the wave in `waves`."""

ROW = (
    "state",
    "remote_status",
    "error_message",
    "note",
    "lag_seconds",
    "gate_waiting_since",
    "gate_opened_at",
    "requested_at",
    "accepted_at",
    "finished_at",
    "verified_at",
    "cutover_seconds",
    "downtime_seconds",
    "cutover_requests",
    "polls",
    "side",
    "point",
    "failed_hooks",
)
"""What of it report.json does not have: *state*, how it stands now (its outcome, once nothing more happens to it), while it has no
outcome *note*, why it waits, and *lag_seconds*; and *failed_hooks*, those of its hooks that failed and have not ended better since: None, or a
list of `hook`, `ended` (exit code or error, and the command) and the end of its `output`."""

OUTPUT_AT_MOST = 1000
"""Characters of the output of each of those: each of thousands of migrations may have some."""

PHASES = {
    Phase.NEW: "WAITING",
    Phase.GATE: "GATE",
    Phase.READY: "READY",
    Phase.REQUESTED: "REQUESTED",
    Phase.ACCEPTED: "CUTOVER",
    Phase.DOUBT: "DOUBT",
    Phase.VERIFYING: "VERIFYING",
}
"""The *state* of a migration that has no outcome yet, while a process works on its run; `SKIPPED` is another."""
SKIPPED = "SKIPPED"

COLUMNS = {"job": JOB, "row": ROW}

_ELSEWHERE = {
    "migrations",
    "needs",
    "hooks",
    "steering",
    "requests",
    "interrupted",
    "events_missing",
    "statistics",
    "totals",
    "forecast",
    "outlook",
    "point_of_no_return",
}
"""What report.html has in its text, and its scripts do not need."""


def job(migration: MigrationReport | Migration, wave: int, given: Mapping[str, str]) -> list[Any]:
    """What never changes about *migration*, of the wave of this number; *given*: its variables."""
    known = {plain(name): plain(value) for name, value in given.items()}
    return [plain(migration.name), wave, migration.group_id, migration.live_migration_id, known]


def row(
    migration: MigrationReport,
    *,
    state: str | None = None,
    note: str | None = None,
    lag: float | None = None,
    hooks: Iterable[HookReport] = (),
) -> list[Any]:
    """How *migration* stands. *state* None: at its outcome; *hooks*: those of its hooks that failed, as `still_failed` has them."""
    return [
        state or str(migration.outcome),
        _plain(migration.remote_status),
        _plain(migration.error_message) if state in (None, SKIPPED) else None,
        _plain(note),
        lag,
        *(getattr(migration, name) for name in ROW[5:-1]),
        [_failed(hook) for hook in hooks] or None,
    ]


def still_failed(hooks: Iterable[HookReport]) -> dict[str, list[HookReport]]:
    """Of the *hooks* that were run, in order, those that failed and were not run again with a better end, by migration."""
    last = {(hook.migration, hook.hook, hook.argv): hook for hook in hooks if hook.migration is not None}
    failed: dict[str, list[HookReport]] = {}
    for (migration, *_), hook in last.items():
        if not hook.ok:
            failed.setdefault(migration, []).append(hook)
    return failed


def _failed(hook: HookReport) -> dict[str, str]:
    ended = f"{hook.error or f'exit code {hook.exit_code}'} ({' '.join(hook.argv)})"
    return {"hook": hook.hook, "ended": plain(ended), "output": lines(hook.output)[-OUTPUT_AT_MOST:]}


def _goes_on(migration: MigrationReport) -> str | None:
    return None if migration.phase not in PHASES else SKIPPED if is_skipped(migration) else PHASES[migration.phase]


def points(*, goes_on: bool, over: bool, successor: str | None = None) -> dict[str, dict[str, str]]:
    """Of each *point* at which a migration may be: which side of no return that is, and what is right to do there.

    *goes_on*: a process works on the run; *over*: none ever will, and *successor* has taken its place, if that is one.
    """
    return {
        str(point): {
            "side": str(side),
            "what_is_right": what_is_right(point, goes_on=goes_on, over=over, successor=successor),
        }
        for point, side in SIDES.items()
    }


def needed(need: Need) -> dict[str, Any]:
    """What needs a person, as browsers show it."""
    return {
        "kind": str(need.kind),
        "what": plain(need.what),
        "said": plain(need.said),
        "to_do": need.to_do,
        "about": [
            {
                "name": plain(each.name),
                "wave": plain(each.wave),
                "group_id": each.group_id,
                "live_migration_id": each.live_migration_id,
            }
            for each in need.about
        ],
        "count": need.count,
        "wave": need.wave,
        "since": None if need.since is None else iso(need.since),
        "until": None if need.until is None else iso(need.until),
        "command": need.command,
    }


def output_of(need: Need, hooks: Sequence[HookFinished]) -> str:
    """The end of what the failed hook wrote that *need* is about, of several the last one; empty where it is about none. *hooks*: those that were run, in order."""
    if need.kind != HOOK:
        return ""
    for hook in reversed(hooks):
        whose = hook.migration or hook.wave or "the run"
        is_it = need.what.startswith(f"hook {hook.hook} of ") and whose in need.what
        if is_it and not hook.ok and (hook.not_yet or " ".join(hook.argv) in need.said):
            return lines(hook.output)[-OUTPUT_AT_MOST:]
    return ""


def snapshot(report: RunReport) -> dict[str, Any]:
    """All of *report* that scripts draw."""
    numbers = {wave.name: number for number, wave in enumerate(report.waves)}
    failed = still_failed(report.hooks)
    known = {field.name: getattr(report, field.name) for field in fields(report) if field.name not in _ELSEWHERE}
    head = known | {
        "running": False,
        "exit_meaning": EXIT_MEANINGS.get(report.exit_code),
        "window": None if report.window is None else asdict(report.window),
        "advice": asdict(report.advice),
        "points": points(goes_on=report.holder is not None, over=not report.unfinished, successor=report.successor),
        "waves": [
            {
                "name": wave.name,
                "migrations": wave.migrations,
                "states": wave.counts,
                "started_at": wave.started_at,
                "finished_at": wave.finished_at,
            }
            for wave in report.waves
        ],
    }
    return {
        "columns": COLUMNS,
        "head": head,
        "needs": [needed(need) for need in report.needs],
        "jobs": [job(each, numbers[each.wave], each.vars.as_dict()) for each in report.migrations],
        "rows": [
            [
                number,
                *row(
                    each,
                    state=_goes_on(each) if report.holder is not None else None,
                    hooks=failed.get(each.name, ()),
                ),
            ]
            for number, each in enumerate(report.migrations)
        ],
        "log": [],
    }


def _plain(text: str | None) -> str | None:
    return None if text is None else plain(text)
