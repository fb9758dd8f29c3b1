"""What an engine is told: what its run has to do next, what one of its migrations waits for. `next_actions` tells it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from .events import Event
from .outcomes import Outcome
from .workflow import HookKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Record *event*."""

    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class RunGroupHook:
    """Run hook number *index* of the kind *hook* of a wave, or of the run (None). *outcome*: how that ended; None: it has not."""

    wave: str | None
    hook: HookKind
    index: int
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """Take each migration of *wave* that has steps left (`to_drive`) through them (`migration_step`), until it has none.

    A migration is driven by one task of the engine, from its first read to its last hook. Who has steps left changes when the wave
    starts (*started*), when the run is *stopped*, and when one is taken up again (*retried*: how often), and when those for which nothing was
    sent are to be looked at before a hook of their wave or the run (*look*: since when it waits); so a `Drive` that differs in these is another
    thing to do, and an engine does each once, leaving alone what is being driven already.
    """

    wave: str
    started: bool
    stopped: bool
    retried: int = 0
    look: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotYet:
    """Why a wave may not start, and what is to be done about that: nothing where *action* is None, then it is waited for.

    *look_again*: when it changes by itself (Unix seconds, wall clock).
    """

    reason: str
    action: Record | RunGroupHook | None = None
    look_again: float | None = None


Action = Record | RunGroupHook | Drive


class HookOf(NamedTuple):
    """A hook of *wave*, or of the run (None), that is at work."""

    wave: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agenda:
    """What is to be done now. *look_again*: when something changes by itself (Unix seconds, wall clock). *over*: nothing is left."""

    actions: tuple[Action, ...] = ()
    look_again: float | None = None
    over: bool = False


class WaitsFor(StrEnum):
    """What a migration waits for on its way to the PUT."""

    WAVE = "its wave"
    SLOT = "a slot of its wave"
    DOOR = "the window, the end of a pause, or the operator's word"
    SOAK = "the other cutovers of its wave, whose soak comes before its verification"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Nothing is to be done before something happens to the run or to this migration."""

    what: WaitsFor
