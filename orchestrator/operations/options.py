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
from ..core.observer import Observer
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
    """The process around a session, as far as the session looks at it; by default a program without terminal and signals.

    *confirmed*: nothing else than this is done (None: nobody was asked); *ask* puts the question in the session, whose
    *interactive* terminal answers it, and no cutover starts before. The number of its migrations, typed there (in a rehearsal: Enter), also approves the wave that
    waits, and *on_line* is called for every line typed there. *background*: tasks to run beside the engine (progress).
    *say* logs a warning for the operator (the entry's event and fields), *inform* what is no warning. *on_clients* is given the clients, whose budget and
    statistics may be looked at; *on_superseded* the last state of an unfinished run in whose place another begins;
    *on_ended* the ending, while no other process can work on the run. *place*: the options with which another command finds
    the same state directory, a space before each. *environ* is the environment of hooks. *wall* is the wall clock (Unix
    seconds), *steady* a clock that nobody sets. *interruptions* tells when somebody wants the session to stop; *checkpoint*
    is told of each moment at which losing the process would leave something half done.
    """

    confirmed: Intention | None = None
    ask: Callable[[Intention], None] | None = None
    interactive: bool = False
    on_line: Callable[[], None] = lambda: None
    background: Sequence[Callable[[], Coroutine[Any, Any, None]]] = ()
    say: Callable[..., None] = lambda _event, **_fields: None
    inform: Callable[..., None] = lambda _event, **_fields: None
    on_clients: Callable[[Clients], None] = lambda _: None
    on_superseded: Callable[[RunState], None] = lambda _: None
    on_ended: Callable[[Ending], None] = lambda _: None
    place: str = ""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    random: Random = field(default_factory=Random)
    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = steady_time
    interruptions: Interruptions = uninterrupted
    checkpoint: Checkpoint = unwatched


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
    observers: Sequence[Observer] = ()
    host: Host = field(default_factory=Host)
