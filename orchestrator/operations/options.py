"""What a session is asked to do, what the process around it gives it, and how it ended."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

from ..atlas.clients import Clients
from ..core.checkpoints import Checkpoint, unwatched
from ..core.consent import Intention
from ..core.observer import Say, Sink, silent
from ..core.outcomes import ExitCode
from ..core.run import RunState
from ..core.settings import Engine
from ..engines.clock import steady_time
from .target import Rehearsal


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a session ended. *journal_failure*: the journal could not be written any more, so `resume` knows less."""

    state: RunState
    exit_code: ExitCode
    commits: int = 0
    journaled: int = 0
    journal_failure: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Interruption:
    """Somebody wants the session to stop in order. *by* says who; *exit_code*: what it then ends with (None: as it stands)."""

    by: str
    exit_code: ExitCode | None = None


Interruptions = Callable[[], AbstractContextManager[AsyncIterator[Interruption]]]
"""Listens for interruptions as long as its context lasts."""


@contextmanager
def uninterrupted() -> Iterator[AsyncIterator[Interruption]]:
    """Nobody stops the session but by a control request, or by cancelling it."""

    async def none() -> AsyncIterator[Interruption]:
        nothing: tuple[Interruption, ...] = ()
        for interruption in nothing:
            yield interruption

    yield none()


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The process around a session, as far as the session looks at it; by default a program without terminal and signals."""

    confirmed: Intention | None = None
    """Nothing else than this is done; None: nobody was asked."""
    unasked: bool = False
    """Nobody was asked because nothing was left to cut over: no session begins that may send a PUT."""
    ask: Callable[[Intention], None] | None = None
    """Puts the question in the session, whose `interactive` terminal answers it; no cutover starts before."""
    interactive: bool = False
    """Whether there is a terminal. The number of its migrations, typed there (in a rehearsal: Enter), approves the wave that waits."""
    on_line: Callable[[], None] = lambda: None
    """Is called for every line that is typed there."""
    unseen: Callable[[], bool] = lambda: False
    """Whether what was written to the terminal has not been taken yet, so that nobody can have read it."""
    background: Sequence[Callable[[], Coroutine[Any, Any, None]]] = ()
    """Tasks to run beside the engine, such as progress."""
    say: Say = silent
    """Logs a warning for the operator: the entry's event and fields."""
    inform: Say = silent
    """Logs what is no warning, likewise."""
    on_clients: Callable[[Clients], None] = lambda _: None
    """Is given the clients, whose budget and statistics may be looked at."""
    on_superseded: Callable[[RunState], None] = lambda _: None
    """Is given the last state of an unfinished run in whose place another begins."""
    on_ended: Callable[[Ending], None] = lambda _: None
    """Is given the ending, while no other process can work on the run."""
    state_options: str = ""
    """The options with which another command finds the same state directory, a space before each."""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    """The environment of hooks."""
    random: Random = field(default_factory=Random)
    """The dice for the jitter of polls."""
    wall: Callable[[], float] = time.time
    """The wall clock, Unix seconds."""
    steady: Callable[[], float] = steady_time
    """A clock that nobody sets, seconds."""
    interruptions: Interruptions = uninterrupted
    """Tells when somebody wants the session to stop."""
    checkpoint: Checkpoint = unwatched
    """Is told of each moment at which losing the process would leave something half done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is asked of a session, of *engine*.

    *only*: names of waves or migrations; *new*: begin another run in place of an unfinished one; *retry_failed*: try again
    what failed before a PUT; *rehearsal*: against the simulator; *observers* get each event.
    """

    only: tuple[str, ...] = ()
    new: bool = False
    retry_failed: bool = False
    engine: Engine = Engine.LOCAL
    rehearsal: Rehearsal | None = None
    observers: Sequence[Sink] = ()
    host: Host = field(default_factory=Host)
