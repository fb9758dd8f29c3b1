"""What all events have in common; `events` has the list of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened at *at*. Subclasses say what."""

    name: ClassVar[str] = ""
    journaled: ClassVar[bool] = True

    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationEvent(Event):
    """Something that happened to one migration."""

    migration: str
