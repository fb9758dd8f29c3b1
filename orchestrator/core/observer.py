"""Who is told of what happens."""

from __future__ import annotations

from typing import Protocol

from .events import Event
from .run import RunState


class Observer(Protocol):
    """Whatever can be called with an event and the state after it: a function, a method."""

    def __call__(self, event: Event, state: RunState, /) -> None:
        """Hear of *event*, which *state* has taken in; the journal has it, or will have it soon.

        It is called in the loop that the run works on, so it returns at once. *state* is that of the run itself, and goes on
        changing: what is wanted of it is read now, and nothing in it is changed.
        """


class Say(Protocol):
    """Logs an entry for the operator, as a logger's method does."""

    def __call__(self, event: str, **fields: object) -> None:
        """The entry's *event*, by its name, and its *fields*."""


def silent(event: str, **fields: object) -> None:
    """Nobody is there to be told."""
