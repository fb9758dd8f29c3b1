"""An event as a log entry: its fields. Pure.

Every entry has `timestamp`, `event`, `run_id` and `workflow`, then `wave`, `migration`, `group_id` and
`live_migration_id` where they apply, then what the event itself knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ...core.event_json import details
from ...core.events import (
    ApplicationWaiting,
    ApprovalWaiting,
    Event,
    ForecastMade,
    HookFinished,
    HookStarted,
    JobsSeenBefore,
    MigrationEvent,
    RateLimited,
    RequestRetried,
    RunFinished,
    RunResumed,
    RunStarted,
    WaveApproved,
    WindowChanged,
)
from ...core.forecast import Forecast
from ...core.forecast_words import in_sentences
from ...core.holds import holds
from ...core.run import RunState
from ...core.steered import COMMANDS
from ...core.window import window_to_json
from ...core.workflow import Migration, Wave, Workflow
from ...text.instants import iso
from .levels import LEVEL_NAMES, level_of

__all__ = ["Entries", "level_of"]

_JOB_PATH = re.compile(r"/groups/([0-9a-f]{24})/liveMigrations/([0-9a-f]{24})")


class Entries:
    """Makes entries of one run's events; where its migrations stand in the workflow is looked up once."""

    def __init__(self) -> None:
        self._workflow: Workflow | None = None
        self._head: dict[str, Any] = {}
        self._jobs: dict[str, tuple[Wave, Migration]] = {}
        self._by_id: dict[tuple[str, str], str] | None = None  # made when it is first asked for, mostly never

    def entry(self, event: Event, level: int, state: RunState) -> dict[str, Any]:
        """The entry of *event*, its fields in the order in which they are shown."""
        if state.workflow is not self._workflow:
            self._learn(state)
        entry: dict[str, Any] = {
            "timestamp": iso(event.at),
            "level": LEVEL_NAMES[level],
            "event": event.name,
            **self._head,
            **self._place(event),
        }
        if state.rehearsal:
            entry["rehearsal"] = True
        entry.update(_own_fields(event, state))
        return entry

    def steered_before(self, resumed: RunResumed, state: RunState) -> Iterator[dict[str, Any]]:
        """The entries of what was decided before the session of *resumed* began, which no session has logged."""
        for event in state.steered_before:
            entry = self.entry(event, level_of(event), state)
            yield entry | {"timestamp": iso(resumed.at), "asked_at": iso(event.at)}

    def _learn(self, state: RunState) -> None:
        self._workflow = state.workflow
        self._head = {"run_id": state.run_id, "workflow": state.workflow.name}
        self._jobs = {migration.name: (wave, migration) for wave, migration in state.workflow.migrations()}
        self._by_id = None

    def _place(self, event: Event) -> dict[str, str]:
        """Wave, migration and ids that *event* is about."""
        name: str | None = None
        if isinstance(event, (MigrationEvent, HookStarted, HookFinished, ApplicationWaiting)):
            name = event.migration
        elif isinstance(event, (RateLimited, RequestRetried)):
            name = self._named_in(event.path)
        if name is None:
            wave = getattr(event, "wave", None)
            return {} if wave is None else {"wave": wave}
        if name not in self._jobs:
            return {"migration": name}
        wave, migration = self._jobs[name]
        return {
            "wave": wave.name,
            "migration": name,
            "group_id": migration.group_id,
            "live_migration_id": migration.live_migration_id,
        }

    def _named_in(self, path: str) -> str | None:
        """The migration whose job *path* names."""
        found = _JOB_PATH.search(path)
        if found is None:
            return None
        if self._by_id is None:
            self._by_id = {(m.group_id, m.live_migration_id): name for name, (_, m) in self._jobs.items()}
        return self._by_id.get((found[1], found[2]))


def _forecast(forecast: Forecast, *, rehearsal: bool) -> dict[str, Any]:
    """When it is reckoned to be over; the journal and the report have all of it."""
    stops = forecast.stops_fitting
    return {
        "cutovers": forecast.history.count,
        "runs": forecast.history.runs,
        "ends_p50": iso(forecast.ends.p50),
        "ends_p90": iso(forecast.ends.p90),
        "fits": forecast.fits,
        "stops_fitting": None if stops is None else stops.name,
        "sentences": list(in_sentences(forecast, rehearsal=rehearsal)),
    }


def _own_fields(event: Event, state: RunState) -> dict[str, Any]:
    own = details(event)
    if event.__class__ in COMMANDS:
        del own["between_sessions"]  # `asked_at` tells it
    match event:
        case RunStarted():
            del own["workflow"]  # the journal keeps it, a log line gives the counts
            own["workflow_sha256"] = state.workflow.sha256
            own["waves"] = len(state.workflow.waves)
            own["migrations"] = len(state.migrations)
            own["selected"] = len(event.selected)
        case RunFinished():
            del own["polls"]  # thousands of numbers
        case RunResumed():
            own["selected"] = len(event.selected)
        case WaveApproved():
            migrations = own.pop("migrations")
            if migrations is not None:
                own["migrations"] = len(migrations)
        case JobsSeenBefore():
            own["reported_lag"], own["was_ready"] = len(event.reported_lag), len(event.was_ready)  # mostly all
        case ForecastMade():
            own = _forecast(event.forecast, rehearsal=state.rehearsal)
        case WindowChanged():
            own["window"] = window_to_json(event.window)
        case ApprovalWaiting():
            del own["wave"]
            until = next((hold.until for hold in holds(state) if hold.wave == event.wave), None)
            if until is not None:
                own["expires_at"] = until
        case HookStarted() | HookFinished() | ApplicationWaiting():
            del own["wave"], own["migration"]
        case MigrationEvent():
            del own["migration"]
        case _:
            own.pop("wave", None)
    return own
