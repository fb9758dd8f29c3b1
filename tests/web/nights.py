"""A state directory in which runs are written down by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.core import events as ev
from orchestrator.core.outcomes import Outcome, RunOutcome
from orchestrator.core.workflow import Wave, Workflow
from orchestrator.store.journal import open_journal
from orchestrator.store.locks import locked, run_lock

from ..builders import NOW, migration, run_started

RUN = "20270115-080000-3f9a1c"
HOLDER = "ops@bastion (pid 4711), run " + RUN


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """A state directory in which a run is written down by hand: *run_id*, where a method is given no other."""

    state_dir: Path
    run_id: str = RUN

    def begin(
        self,
        given: Workflow,
        *,
        run_id: str | None = None,
        rehearsal: bool = False,
        at: float = NOW,
        selected: Sequence[str] | None = None,
        temporal: Mapping[str, Any] | None = None,
    ) -> None:
        """Record the beginning of a run of *given*, about *selected* of its migrations (None: all); *temporal*: the cluster that it is at."""
        with open_journal(self.state_dir) as journal:
            first = run_started(given, at=at, rehearsal=rehearsal, selected=selected)
            journal.begin(run_id or self.run_id, given, first, temporal=temporal)

    def write(self, *events: ev.Event, run_id: str | None = None) -> None:
        """Record what happened next."""
        with open_journal(self.state_dir) as journal:
            journal.commit(run_id or self.run_id, events, {})

    def finish(self, *, run_id: str | None = None, outcome: RunOutcome = RunOutcome.SUCCESS, code: int = 0) -> None:
        """Record the end."""
        self.write(
            ev.RunFinished(at=NOW + 60, outcome=outcome, exit_code=code, unfinished=False, requests={}), run_id=run_id
        )

    @contextmanager
    def held(self) -> Iterator[None]:
        """As if a process worked on the run."""
        with locked(run_lock(self.state_dir, self.run_id), holder=HOLDER):
            yield

    def asked(self) -> list[tuple[str, str | None, str]]:
        """The control requests that were left for the run: command, wave, who."""
        with open_journal(self.state_dir, readonly=True) as journal:
            requests = [control.request for control in journal.controls(self.run_id)]
        return [(request.command, request.wave, request.who) for request in requests]


def cutover_of(
    name: str, at: float, *, outcome: Outcome = Outcome.SUCCESS, message: str | None = None
) -> list[ev.Event]:
    """All that happens to a migration, from its gate at *at* on."""
    facts: dict[str, Any] = {"migration": name, "status": "WORKING"}
    word = "COMPLETE" if outcome is Outcome.SUCCESS else "FAILED"
    return [
        ev.GateWaiting(at=at, ready=False, lag=40.0, max_lag=10.0, **facts),
        ev.GateOpened(at=at + 1, ready=True, lag=2.0, **facts),
        ev.CutoverRequested(at=at + 2, migration=name),
        ev.CutoverAccepted(at=at + 2.2, migration=name, http_status=202, status="WORKING"),
        ev.MigrationFinished(
            at=at + 8 + hash_of(name) % 7, migration=name, outcome=outcome, status=word, error_message=message, polls=3
        ),
    ]


def hash_of(name: str) -> int:
    """A number that depends on *name* alone."""
    return sum(name.encode())


def fleet(size: int) -> Workflow:
    """One wave of *size* migrations."""
    many = tuple(migration(f"db-{number:05}", number + 1) for number in range(size))
    return Workflow(name="fleet", sha256="cd" * 32, waves=(Wave(name="bulk", migrations=many),))
