"""What has happened in a run, as its workflow knows it: the fold of its events, their record, and who is told of news."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from temporalio import workflow

from ...core.credentials_refused import credentials_refused
from ...core.events import (
    CutoversStopped,
    Event,
    HookFinished,
    MigrationEvent,
    RunPaused,
    RunUnpaused,
    WindowOpened,
    WindowWaiting,
)
from ...core.migration import Phase, after_hook_left
from ...core.outcomes import Outcome
from ...core.run import RunState
from ...core.steered import STEERS_A_MIGRATION
from . import forms
from .alarm import now
from .forms import Json

_PAGE = 500  # events in one answer to a query
_DOOR = (CutoversStopped, RunPaused, RunUnpaused, WindowOpened, WindowWaiting)


class Ledger:
    """All of one run.

    *bells*: of those who wait for news of a migration, by its name. *door*: how often the door has been opened or shut.
    *steered*: by migration, how often somebody has decided about it. *polls*: how often its job was read, in all sessions. *changed*: something has happened since that was unset.
    """

    def __init__(self, run_id: str, events: str) -> None:
        self.state = RunState(run_id=run_id)
        self.bells: dict[str, asyncio.Event] = {}
        self.door = 0
        self.steered: Counter[str] = Counter()
        self.polls: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self.retries = 0
        self.changed = False
        self._all: list[Any] = []  # as they travel
        self._log: list[Any] = []
        self._lengths: list[int] = []
        for event in forms.unpacked(events):
            self._take_in(forms.events_of([event])[0], event, length=0)
        self.polls.update({name: known.polls for name, known in self.state.migrations.items() if known.polls})

    def _take_in(self, event: Event, form: Any, *, length: int) -> None:
        self.state.apply(event)
        self._all.append(form)
        if event.journaled:
            self._log.append(form)
            self._lengths.append(length)

    def record(self, *events: Event) -> None:
        """Take *events* in: whoever waits for them goes on."""
        length = workflow.info().get_current_history_length()
        for event, form in zip(events, forms.out(events), strict=True):
            self._take_in(event, form, length=length)
            migration = event.migration if isinstance(event, (MigrationEvent, HookFinished)) else None
            if migration is not None:
                if migration in self.bells:
                    self.bells[migration].set()
                if isinstance(event, STEERS_A_MIGRATION):
                    self.steered[migration] += 1
            else:
                for bell in self.bells.values():
                    bell.set()
                self.door += isinstance(event, _DOOR)
            self.changed = True

    def record_done(self, name: str, done: forms.Done) -> None:
        """Record what an activity for migration *name* has found out."""
        self.requests.update(done.requests)
        self.retries += done.retries
        self.polls[name] += done.polls
        self.record(*forms.events_of(done.told))
        if done.refused is not None:
            credentials = self.state.wave_and_migration(name)[1].credentials
            event = credentials_refused(self.state, credentials, done.refused, sets=len(self.sets()), at=now())
            if event is not None:
                self.record(event)
        self.record(*forms.events_of(done.events))

    def polls_to_keep(self) -> dict[str, int]:
        """How often each job was read of which no end tells it."""
        return {
            name: max(polls, self.state.migrations[name].polls)
            for name, polls in self.polls.items()
            if self.state.migrations[name].phase is not Phase.FINISHED
        }

    def sets(self) -> list[str | None]:
        """The sets of credentials that the selected migrations need."""
        return list(dict.fromkeys(migration.credentials for _, migration in self.state.rows()))

    def news(self, after: int, *, over: bool) -> forms.News:
        """The journaled events after the first *after* ones; *over*: the session has ended."""
        page = slice(after, after + _PAGE)
        return forms.News(
            first=after,
            events=self._log[page],
            lengths=self._lengths[page],
            over=over and after + _PAGE >= len(self._log),
            execution=workflow.info().run_id,
        )

    @property
    def journaled(self) -> int:
        """How many events are in the journal, or will be."""
        return len(self._log)

    def request_statistics(self) -> Json:
        """What was sent in this session, as in the report."""
        return {
            "total": self.requests.total(),
            "by_status": {status: self.requests[status] for status in sorted(self.requests)},
            "retries": self.retries,
        }

    # -- going on with an empty history ----------------------------------------------------------------------------------

    def events(self) -> str:
        """All that has to be known of it, packed: what another ledger is made of."""
        return forms.packed(forms.to_carry(self._all, self._done_with()))

    def _done_with(self) -> set[str]:
        state = self.state
        return {
            migration.name
            for _, migration in state.workflow.migrations()
            if state.migrations[migration.name].outcome in _ENDS
            and after_hook_left(state.migrations[migration.name], migration.hooks) is None
        }

    def carried(self) -> Json:
        """What else has to be known."""
        return {
            "door": self.door,
            "steered": dict(self.steered),
            "polls": dict(self.polls),
            "requests": dict(self.requests),
            "retries": self.retries,
        }

    def take_up(self, carried: Json) -> None:
        """The inverse of `carried`."""
        self.door, self.retries = carried["door"], carried["retries"]
        self.steered.update(carried["steered"])
        self.polls = Counter(carried["polls"])
        self.requests.update(carried["requests"])


_ENDS = frozenset({Outcome.SUCCESS, Outcome.FAILED})
