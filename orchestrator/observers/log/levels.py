"""How loud each event is. Pure."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from ...core.events import (
    ApplicationWaiting,
    ClockSet,
    CredentialsRefused,
    CutoverAccepted,
    CutoverAdmitted,
    CutoverInDoubt,
    CutoverRefused,
    Event,
    GateOpened,
    GateWaiting,
    HookFinished,
    HookStarted,
    JobsSeenBefore,
    MigrationFinished,
    RateLimited,
    RequestRetried,
    StatusChanged,
    StatusPolled,
    VerificationFailed,
    WaveRejected,
)
from ...core.log_choices import LOG_LEVELS
from ...core.outcomes import Outcome, is_known
from ...core.run import APPROVAL_TIMEOUT

_NUMBERS = logging.getLevelNamesMapping()
LEVELS = {name: _NUMBERS[name.upper()] for name in LOG_LEVELS}
"""The levels that a user may ask for, as those of the standard library's logging."""
LEVEL_NAMES = {number: name for name, number in LEVELS.items()}

_BY_OUTCOME = {
    Outcome.FAILED: logging.ERROR,
    Outcome.UNVERIFIED: logging.ERROR,
    Outcome.TIMED_OUT: logging.WARNING,
    Outcome.IN_DOUBT: logging.WARNING,
    Outcome.NOT_STARTED: logging.WARNING,
}


def _by_status(event: GateWaiting | GateOpened | StatusChanged | CutoverAccepted) -> int:
    return logging.INFO if is_known(event.status) else logging.WARNING


def _by_outcome(event: MigrationFinished) -> int:
    return _BY_OUTCOME.get(event.outcome, logging.INFO)


def _by_who(event: WaveRejected) -> int:
    return logging.WARNING if event.who == APPROVAL_TIMEOUT else logging.INFO


def _by_lags(event: JobsSeenBefore) -> int:
    return logging.WARNING if event.lag_gone else logging.DEBUG


def _by_exit(event: HookFinished) -> int:
    return logging.INFO if event.ok or event.not_yet else logging.WARNING


_BY_KIND: dict[type[Event], int | Callable[[Any], int]] = {
    StatusPolled: logging.DEBUG,
    CutoverAdmitted: logging.DEBUG,
    HookStarted: logging.DEBUG,
    GateWaiting: _by_status,
    GateOpened: _by_status,
    StatusChanged: _by_status,
    CutoverAccepted: _by_status,
    WaveRejected: _by_who,
    HookFinished: _by_exit,
    JobsSeenBefore: _by_lags,
    MigrationFinished: _by_outcome,
    CutoverInDoubt: logging.WARNING,
    CutoverRefused: logging.WARNING,
    CredentialsRefused: logging.WARNING,
    RateLimited: logging.WARNING,
    RequestRetried: logging.WARNING,
    ClockSet: logging.WARNING,
    ApplicationWaiting: logging.WARNING,
    VerificationFailed: logging.ERROR,
}
"""Of what is not always told at info: its level, or what tells that of one of them."""


def level_of(event: Event) -> int:
    """How loud *event* is, as a level of the standard library's logging."""
    level = _BY_KIND.get(event.__class__, logging.INFO)
    return level if isinstance(level, int) else level(event)
