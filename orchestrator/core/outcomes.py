"""The words for how things stand: a job at Atlas, a migration, a run.

Remote words come from two pages (``NEW WORKING COMPLETE EXPIRED FAILED`` and null: the OpenAPI files of both APIs; ``PENDING SUCCESS
FAILED``: the page of v1.0's cutover) and are normalised to the three of the latter.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum


class RemoteStatus(StrEnum):
    """What a job's status word means for us."""

    PENDING = "PENDING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"


class Outcome(StrEnum):
    """How one migration ended in a run."""

    SUCCESS = "SUCCESS"
    FAILED = "FAILED"  # Atlas says so, or refused the PUT and nothing began, or its gate or `before` hook failed
    UNVERIFIED = "UNVERIFIED"  # cut over, but a `verify` hook has not proven it good
    TIMED_OUT = "TIMED_OUT"  # accepted, but not final within `timeout`
    NOT_STARTED = "NOT_STARTED"  # no PUT was sent
    IN_DOUBT = "IN_DOUBT"  # a PUT may have been accepted and Atlas does not let us tell
    UNDER_WAY = "UNDER_WAY"  # accepted, and its end has not been seen yet: its session follows it, or `resume`


CUT_OVER = frozenset({Outcome.SUCCESS, Outcome.UNVERIFIED})
"""The outcomes of a migration that is cut over, good or not."""


class RunOutcome(StrEnum):
    """How a whole run ended."""

    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    INCOMPLETE = "INCOMPLETE"
    IN_DOUBT = "IN_DOUBT"


class ExitCode(IntEnum):
    """What a scheduler sees."""

    SUCCESS = 0
    FAILED = 1
    INVALID = 2  # usage, workflow or config; nothing was sent
    INCOMPLETE = 3
    IN_DOUBT = 4
    BUSY = 5
    UNREACHABLE = 6
    SIGINT = 130
    SIGTERM = 143


EXIT_MEANINGS: dict[int, str] = {
    ExitCode.SUCCESS: "every selected migration is SUCCESS",
    ExitCode.FAILED: "the run is over: a migration FAILED, TIMED_OUT or is UNVERIFIED, or a wave or the run was not verified",
    ExitCode.INVALID: "usage, workflow or config is wrong; nothing was sent",
    ExitCode.INCOMPLETE: "no live migration failed, but some cutovers were not started, or not seen to their end",
    ExitCode.IN_DOUBT: "at least one migration is IN_DOUBT: a person has to look",
    ExitCode.BUSY: "another active run holds this workflow or one of its live migrations",
    ExitCode.UNREACHABLE: "Atlas was unreachable, or refused the credentials; nothing was cut over",
    ExitCode.SIGINT: "stopped by SIGINT: `resume` continues",
    ExitCode.SIGTERM: "stopped by SIGTERM: `resume` continues",
}
"""What each exit code says."""


_PENDING = frozenset({"PENDING", "NEW", "WORKING", "QUEUED"})
_NORMALISED = {
    **dict.fromkeys(_PENDING, RemoteStatus.PENDING),
    "SUCCESS": RemoteStatus.SUCCESS,
    "COMPLETE": RemoteStatus.SUCCESS,
    "FAILED": RemoteStatus.FAILED,
    "EXPIRED": RemoteStatus.FAILED,
}


def normalise(word: str | None) -> RemoteStatus:
    """The meaning of Atlas's status *word*; null and words not known here are PENDING."""
    return _NORMALISED.get(word or "", RemoteStatus.PENDING)


def is_known(word: str | None) -> bool:
    """Whether *word* is one that the API pages list (null is, an unknown word deserves a warning)."""
    return word is None or word in _NORMALISED
