"""What happens to a wave, and to hooks, whether they are a migration's, a wave's or the run's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .event import Event
from .workflow import HookKind

NOT_YET = 75
"""The exit code of a `verify` hook that is to be run again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalWaiting(Event):
    """The wave waits for `approve`."""

    name: ClassVar[str] = "approval_waiting"
    wave: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveApproved(Event):
    """*who* let the wave start, for *reason*.

    *migrations*: what they were told that it is for, where that is not all that an approval is for as the run stands now; None: it is.
    """

    name: ClassVar[str] = "wave_approved"
    wave: str
    who: str
    reason: str = ""
    between_sessions: bool = False
    migrations: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveRejected(Event):
    """*who* decided that neither the wave nor those after it start in this session, for *reason*."""

    name: ClassVar[str] = "wave_rejected"
    wave: str
    who: str
    reason: str = ""
    between_sessions: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveSoaking(Event):
    """The wave's last cutover has ended; its `verify` hooks and the next wave wait until *until* (Unix seconds)."""

    name: ClassVar[str] = "wave_soaking"
    wave: str
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveStarted(Event):
    """The wave's *migrations* (those that are left) begin, *concurrency* at once."""

    name: ClassVar[str] = "wave_started"
    wave: str
    migrations: int
    concurrency: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveFinished(Event):
    """Every migration of the wave has ended or will not start; *counts* by outcome."""

    name: ClassVar[str] = "wave_finished"
    wave: str
    counts: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationFailed(Event):
    """The `verify` hooks of *wave*, or of the run (None), have not proven it good in time, for *reason*."""

    name: ClassVar[str] = "verification_failed"
    reason: str
    wave: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HookStarted(Event):
    """A `before` hook (*hook*: its `HookKind`) is about to run: *migration*'s, *wave*'s, or the run's (both None).

    On disk before it does: what it may have done is to be undone, also where the process is lost meanwhile.
    """

    name: ClassVar[str] = "hook_started"
    hook: str
    argv: tuple[str, ...]
    wave: str | None = None
    migration: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HookFinished(Event):
    """A hook of the kind *hook* (a `HookKind`) ended. *migration* and *wave* say whose it was (both None: the run's).

    *exit_code* None: it did not start or ran out of time, and *error* says so. *output* is cut. *interrupted*: it was ended
    because the run was stopped, so it still has to be run.
    """

    name: ClassVar[str] = "hook_finished"
    hook: str
    argv: tuple[str, ...]
    exit_code: int | None
    seconds: float
    output: str = ""
    error: str | None = None
    wave: str | None = None
    migration: str | None = None
    interrupted: bool = False

    @property
    def ok(self) -> bool:
        """Whether the hook ended with 0."""
        return self.exit_code == 0

    @property
    def not_yet(self) -> bool:
        """Whether it is a `verify` hook that asks to be run again (EX_TEMPFAIL of sysexits.h)."""
        return self.hook == HookKind.VERIFY and self.exit_code == NOT_YET

    @property
    def what_failed(self) -> str:
        """How it ended, when that was not with 0, in words."""
        return f"{self.hook} hook: {self.error or f'{self.argv[0]} ended with {self.exit_code}'}"
