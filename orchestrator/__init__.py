"""atlas-cutover as a library: docs/library.md says how.

Everything is imported when it is first asked for, so that `atlas-cutover --help` pays for nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .atlas.errors import AtlasError
    from .core import events
    from .core.advice import Advice
    from .core.errors import BusyError, CutoverError, InputError, JournalError, Problem, TemporalError
    from .core.events import Event
    from .core.forecast import Forecast
    from .core.holds import Held, Hold
    from .core.migration import MigrationState, Phase
    from .core.needs import Need, Subject
    from .core.no_return import Point, Side
    from .core.observer import Observer, RunView, WaveView
    from .core.outcomes import ExitCode, Outcome, RunOutcome
    from .core.readiness import Expiring
    from .core.settings import Engine, Settings
    from .core.vars import Vars
    from .core.window import Span
    from .core.workflow import Workflow
    from .files.config import load_settings
    from .files.in_code import build_settings, build_workflow
    from .files.workflow_file import load_workflow
    from .operations.abort import abort
    from .operations.approve import approve
    from .operations.check import Checked, check
    from .operations.gate import gate
    from .operations.options import Host
    from .operations.pause import pause
    from .operations.plan import Call, GoingOn, Plan, WavePlan, plan
    from .operations.plan_online import JobState, OnlinePlan, Verdict, plan_online
    from .operations.rehearse import rehearse
    from .operations.reject import reject
    from .operations.report import Reported, report
    from .operations.reporting import Unwritten
    from .operations.result import RunResult, Stop
    from .operations.resume import resume
    from .operations.retry import retry
    from .operations.run import run
    from .operations.skip import skip
    from .operations.status import RunListed, RunStatus, runs, status
    from .operations.steering import Steered, Taken
    from .operations.target import Rehearsal
    from .operations.unpause import unpause
    from .reports.forecast import ForecastReport, KindReport, TimesReport, WaveForecastReport
    from .reports.model import (
        HookReport,
        MigrationReport,
        OpeningReport,
        PointReport,
        RunReport,
        WaveReport,
        WindowReport,
    )
    from .reports.percentiles import Statistics
    from .reports.steering import DecisionReport, GateReport
    from .simulator.scenario import Scenario
    from .simulator.scenariofile import load_scenario
    from .store.last_read import LastRead, LastReads
    from .store.records import RunRow

    __version__: str

__all__ = [
    "Advice",
    "AtlasError",
    "BusyError",
    "Call",
    "Checked",
    "CutoverError",
    "DecisionReport",
    "Engine",
    "Event",
    "ExitCode",
    "Expiring",
    "Forecast",
    "ForecastReport",
    "GateReport",
    "GoingOn",
    "Held",
    "Hold",
    "HookReport",
    "Host",
    "InputError",
    "JobState",
    "JournalError",
    "KindReport",
    "LastRead",
    "LastReads",
    "MigrationReport",
    "MigrationState",
    "Need",
    "Observer",
    "OnlinePlan",
    "OpeningReport",
    "Outcome",
    "Phase",
    "Plan",
    "Point",
    "PointReport",
    "Problem",
    "Rehearsal",
    "Reported",
    "RunListed",
    "RunOutcome",
    "RunReport",
    "RunResult",
    "RunRow",
    "RunStatus",
    "RunView",
    "Scenario",
    "Settings",
    "Side",
    "Span",
    "Statistics",
    "Steered",
    "Stop",
    "Subject",
    "Taken",
    "TemporalError",
    "TimesReport",
    "Unwritten",
    "Vars",
    "Verdict",
    "WaveForecastReport",
    "WavePlan",
    "WaveReport",
    "WaveView",
    "WindowReport",
    "Workflow",
    "__version__",
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
    "core.advice": ("Advice",),
    "core.errors": (
        "BusyError",
        "CutoverError",
        "InputError",
        "JournalError",
        "Problem",
        "TemporalError",
    ),
    "core.events": ("Event",),
    "core.forecast": ("Forecast",),
    "core.holds": (
        "Held",
        "Hold",
    ),
    "core.migration": (
        "MigrationState",
        "Phase",
    ),
    "core.needs": (
        "Need",
        "Subject",
    ),
    "core.no_return": (
        "Point",
        "Side",
    ),
    "core.observer": (
        "Observer",
        "RunView",
        "WaveView",
    ),
    "core.outcomes": (
        "ExitCode",
        "Outcome",
        "RunOutcome",
    ),
    "core.readiness": ("Expiring",),
    "core.settings": (
        "Engine",
        "Settings",
    ),
    "core.vars": ("Vars",),
    "core.window": ("Span",),
    "core.workflow": ("Workflow",),
    "files.config": ("load_settings",),
    "files.in_code": (
        "build_settings",
        "build_workflow",
    ),
    "files.workflow_file": ("load_workflow",),
    "operations.abort": ("abort",),
    "operations.approve": ("approve",),
    "operations.check": (
        "Checked",
        "check",
    ),
    "operations.gate": ("gate",),
    "operations.options": ("Host",),
    "operations.pause": ("pause",),
    "operations.plan": (
        "Call",
        "GoingOn",
        "Plan",
        "WavePlan",
        "plan",
    ),
    "operations.plan_online": (
        "JobState",
        "OnlinePlan",
        "Verdict",
        "plan_online",
    ),
    "operations.rehearse": ("rehearse",),
    "operations.reject": ("reject",),
    "operations.report": (
        "Reported",
        "report",
    ),
    "operations.reporting": ("Unwritten",),
    "operations.result": (
        "RunResult",
        "Stop",
    ),
    "operations.resume": ("resume",),
    "operations.retry": ("retry",),
    "operations.run": ("run",),
    "operations.skip": ("skip",),
    "operations.status": (
        "RunListed",
        "RunStatus",
        "runs",
        "status",
    ),
    "operations.steering": (
        "Steered",
        "Taken",
    ),
    "operations.target": ("Rehearsal",),
    "operations.unpause": ("unpause",),
    "reports.forecast": (
        "ForecastReport",
        "KindReport",
        "TimesReport",
        "WaveForecastReport",
    ),
    "reports.model": (
        "HookReport",
        "MigrationReport",
        "OpeningReport",
        "PointReport",
        "RunReport",
        "WaveReport",
        "WindowReport",
    ),
    "reports.percentiles": ("Statistics",),
    "reports.steering": ("DecisionReport", "GateReport"),
    "simulator.scenario": ("Scenario",),
    "simulator.scenariofile": ("load_scenario",),
    "store.last_read": (
        "LastRead",
        "LastReads",
    ),
    "store.records": ("RunRow",),
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "__version__":
        return import_module(".machine.version", __name__).program_version()
    if name == "events":
        return import_module(".core.events", __name__)
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f".{home}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
