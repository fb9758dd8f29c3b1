"""Who is told of what happens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from .events import Event
from .migration import MigrationState
from .outcomes import ExitCode, RunOutcome
from .run import RunState
from .workflow import Workflow


class WaveView(Protocol):
    """How a wave stands, to read. Times are Unix seconds."""

    @property
    def first_started_at(self) -> float | None:
        """When it started first; None: it has not."""

    @property
    def finished_at(self) -> float | None:
        """When it was finished, in this session."""

    @property
    def approval_since(self) -> float | None:
        """Since when it waits for approval; None: it does not."""

    @property
    def approved_by(self) -> str | None:
        """Who let it start."""

    @property
    def rejected_by(self) -> str | None:
        """Who does not want it to start, and why."""


class RunView(Protocol):
    """How a run stands, to read: `RunState`, as whoever observes it may use it. Times are Unix seconds."""

    @property
    def run_id(self) -> str:
        """Its id."""

    @property
    def workflow(self) -> Workflow:
        """What is cut over."""

    @property
    def rehearsal(self) -> bool:
        """Whether it is a rehearsal."""

    @property
    def selected(self) -> frozenset[str]:
        """The migrations that this session is about."""

    @property
    def started_at(self) -> float | None:
        """When it began."""

    @property
    def finished_at(self) -> float | None:
        """When this session ended; None: it goes on."""

    @property
    def paused_by(self) -> str | None:
        """Who holds it."""

    @property
    def aborted_by(self) -> str | None:
        """Who has ended it."""

    @property
    def stopped(self) -> str | None:
        """Why no further cutover starts."""

    @property
    def migrations(self) -> Mapping[str, MigrationState]:
        """What is known of each migration, by its name."""

    @property
    def waves(self) -> Mapping[str, WaveView]:
        """What is known of each wave, by its name."""

    def outcome(self) -> RunOutcome:
        """How it ended, or would were it to end now."""

    def exit_code(self) -> ExitCode:
        """What the command line would end with."""


class Observer(Protocol):
    """Whatever can be called with an event and the state after it: a function, a method."""

    def __call__(self, event: Event, state: RunView, /) -> None:
        """Hear of *event*, which *state* has taken in; the journal has it, or will have it soon.

        It is called in the loop that the run works on, so it returns at once. *state* goes on changing with the run: what is
        wanted of it is read now.
        """


Sink = Callable[[Event, RunState], None]
"""An observer of this package's own, which may read all that the fold of the events knows."""


class Say(Protocol):
    """Logs an entry for the operator, as a logger's method does."""

    def __call__(self, event: str, **fields: object) -> None:
        """The entry's *event*, by its name, and its *fields*."""


def silent(event: str, **fields: object) -> None:
    """Nobody is there to be told."""
