"""atlas-cutover as a library: docs/library.md says how.

Everything is imported when it is first asked for, so that `atlas-cutover --help` pays for nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .atlas.errors import AtlasError
    from .core import events
    from .core.advice import Hold
    from .core.errors import BusyError, CutoverError, InputError, JournalError
    from .core.events import Event
    from .core.observer import Observer
    from .core.outcomes import ExitCode, Outcome, RunOutcome
    from .core.run import RunState
    from .core.settings import Engine, Settings
    from .core.workflow import Workflow
    from .files.config import load_settings
    from .files.in_code import build_settings, build_workflow
    from .files.workflow_file import load_workflow
    from .operations.abort import abort
    from .operations.approve import approve
    from .operations.check import Checked, check
    from .operations.gate import gate
    from .operations.pause import pause
    from .operations.plan import Plan, plan
    from .operations.plan_online import JobState, OnlinePlan, Verdict, plan_online
    from .operations.rehearse import rehearse
    from .operations.reject import reject
    from .operations.report import Reported, report
    from .operations.result import RunResult
    from .operations.resume import resume
    from .operations.retry import retry
    from .operations.run import run
    from .operations.skip import skip
    from .operations.status import RunListed, RunStatus, runs, status
    from .operations.steering import Steered, Taken
    from .operations.target import Rehearsal
    from .operations.unpause import unpause
    from .reports.model import MigrationReport, RunReport, WaveReport
    from .simulator.scenariofile import load_scenario

__all__ = [
    "AtlasError",
    "BusyError",
    "Checked",
    "CutoverError",
    "Engine",
    "Event",
    "ExitCode",
    "Hold",
    "InputError",
    "JobState",
    "JournalError",
    "MigrationReport",
    "Observer",
    "OnlinePlan",
    "Outcome",
    "Plan",
    "Rehearsal",
    "Reported",
    "RunListed",
    "RunOutcome",
    "RunReport",
    "RunResult",
    "RunState",
    "RunStatus",
    "Settings",
    "Steered",
    "Taken",
    "Verdict",
    "WaveReport",
    "Workflow",
    "abort",
    "approve",
    "build_settings",
    "build_workflow",
    "check",
    "events",
    "gate",
    "load_scenario",
    "load_settings",
    "load_workflow",
    "pause",
    "plan",
    "plan_online",
    "rehearse",
    "reject",
    "report",
    "resume",
    "retry",
    "run",
    "runs",
    "skip",
    "status",
    "unpause",
]

_HOMES = {
    "atlas.errors": ("AtlasError",),
    "core.advice": ("Hold",),
    "core.errors": ("BusyError", "CutoverError", "InputError", "JournalError"),
    "core.events": ("Event",),
    "core.observer": ("Observer",),
    "core.outcomes": ("ExitCode", "Outcome", "RunOutcome"),
    "core.run": ("RunState",),
    "core.settings": ("Engine", "Settings"),
    "core.workflow": ("Workflow",),
    "files.config": ("load_settings",),
    "files.in_code": ("build_settings", "build_workflow"),
    "files.workflow_file": ("load_workflow",),
    "operations.abort": ("abort",),
    "operations.approve": ("approve",),
    "operations.check": ("Checked", "check"),
    "operations.gate": ("gate",),
    "operations.pause": ("pause",),
    "operations.plan": ("Plan", "plan"),
    "operations.plan_online": ("JobState", "OnlinePlan", "Verdict", "plan_online"),
    "operations.rehearse": ("rehearse",),
    "operations.reject": ("reject",),
    "operations.report": ("Reported", "report"),
    "operations.result": ("RunResult",),
    "operations.resume": ("resume",),
    "operations.retry": ("retry",),
    "operations.run": ("run",),
    "operations.skip": ("skip",),
    "operations.status": ("RunListed", "RunStatus", "runs", "status"),
    "operations.steering": ("Steered", "Taken"),
    "operations.target": ("Rehearsal",),
    "operations.unpause": ("unpause",),
    "reports.model": ("MigrationReport", "RunReport", "WaveReport"),
    "simulator.scenariofile": ("load_scenario",),
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "events":
        return import_module(".core.events", __name__)
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f".{home}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
