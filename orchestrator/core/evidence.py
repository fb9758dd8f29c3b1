"""What a job's document shows: whether its gate is open, and whether a cutover of it has begun. Pure.

Atlas sends three kinds of documents. The full one (both APIs by their OpenAPI files, `LiveMigrationResponse`) has
`readyForCutover` and `lagTimeSeconds`, which is "only returned during an active migration, before the cutover phase". An older
one (v1.0) has PENDING and `readyForCutover` alone, and a bare one (the v1.0 page's) a status and nothing else. Which kind it is, the
document itself tells, not the API that it came from.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, Protocol

from ..text.durations import format_duration
from .outcomes import RemoteStatus, is_known, normalise
from .workflow import Gate

WORD_LIFE = 60.0
"""Seconds for which what a read has shown may be told as what is so. They count from the moment when it was sent."""

NOT_STARTED = frozenset({"NEW", "QUEUED"})
"""Words for a job that has not begun to copy: whatever else its document says, there is nothing to cut over yet."""

NO_LAG = "the job's document has no lag: it is ready, and how far it is behind is not known"
LAG_IS_GONE = (
    "the job reported its lag before and reports none now, as during a cutover: somebody else may have begun one; look at it in the Atlas "
    "UI, and let no writer return to the source before that (`gate: off` would send a PUT all the same)"
)
NO_LAG_YET = (
    "the job is not ready and reports no lag, as at its beginning, or during a cutover that somebody else has begun: look at it in the "
    "Atlas UI before any writer returns to the source"
)
READY_IS_GONE = (
    "the job was ready before, and neither is now nor reports a lag, as during a cutover: somebody else may have begun one; look at it in the Atlas UI "
    "before any writer returns to the source"
)
BARE = (
    "Atlas's document of the job has neither readyForCutover nor lagTimeSeconds: where the Atlas UI shows it "
    "ready, `gate: off` cuts it over"
)


class Document(Protocol):
    """What was read of a job; None is what the document does not have."""

    @property
    def status(self) -> str | None:
        """Atlas's own word."""

    @property
    def ready(self) -> bool | None:
        """`readyForCutover`."""

    @property
    def lag(self) -> float | None:
        """`lagTimeSeconds`."""


class GateView(NamedTuple):
    """Whether a gate is open. *note* is what an operator should know of it, beyond the figures."""

    is_open: bool
    note: str | None = None


def at_gate(document: Document, gate: Gate, *, reported_lag: bool, was_ready: bool = False) -> GateView:
    """How *gate* stands by *document*; *reported_lag*, *was_ready*: an earlier document of the job had a lag, or said that it is ready."""
    if lag_is_gone(document, reported_lag=reported_lag):
        return GateView(False, LAG_IS_GONE)
    if readiness_is_gone(document, was_ready=was_ready):
        return GateView(False, READY_IS_GONE)
    if document.ready is False and may_be_under_way(document, reported_lag=reported_lag):
        return GateView(False, NO_LAG_YET)
    if document.ready is None and document.lag is None:
        return GateView(False, None if document.status in NOT_STARTED else BARE)
    if document.status in NOT_STARTED or document.ready is not True:
        return GateView(False)
    return GateView(True, NO_LAG) if document.lag is None else GateView(document.lag <= gate.max_lag)


def lag_is_gone(document: Document, *, reported_lag: bool) -> bool:
    """Whether *document*, of a job that is not over, lacks the lag that an earlier one had: whether ready or not, as Atlas says neither of a job that is being cut over."""
    return (
        reported_lag
        and document.lag is None
        and document.status not in NOT_STARTED
        and normalise(document.status) is RemoteStatus.PENDING
    )


def readiness_is_gone(document: Document, *, was_ready: bool) -> bool:
    """Whether *document*, of a job that is not over, has no lag and does not say any more that it is ready, as an earlier one did: so are older documents during a cutover."""
    return (
        was_ready
        and document.ready is not True
        and document.lag is None
        and document.status not in NOT_STARTED
        and normalise(document.status) is RemoteStatus.PENDING
    )


def may_be_under_way(document: Document, *, reported_lag: bool) -> bool:
    """Whether a cutover of *document*'s job, which is not over, may have begun: whether it lacks what would prove that none has.

    Proofs are a lag, which Atlas reports "before the cutover phase" alone; that it has not begun to copy; and of an older document, of a
    job that has reported no lag before, that it is ready. All others look the same during a cutover: a WORKING one without a lag, an older one that is
    not ready, a bare one, and those with a word that is not known here, or none.
    """
    if normalise(document.status) is not RemoteStatus.PENDING:
        return False  # it is over, whoever has begun what
    if document.lag is not None or document.status in NOT_STARTED:
        return False
    older = document.status == "PENDING" and document.ready is True
    return reported_lag or not older


def why_closed(document: Document, gate: Gate, *, reported_lag: bool, was_ready: bool = False) -> str:
    """Why *gate* has not opened by *document*."""
    if note := at_gate(document, gate, reported_lag=reported_lag, was_ready=was_ready).note:
        return note
    if document.ready is not True or document.status in NOT_STARTED or document.lag is None:
        return f"the job is {document.status or 'without status'} and not ready for cutover"
    return f"the lag is {format_duration(document.lag)}, and at most {format_duration(gate.max_lag)} is allowed"


class Sign(StrEnum):
    """What a document, read after a PUT, says of it."""

    BEGUN = "begun"
    NOT_BEGUN = "not begun"
    NOTHING = "nothing"


class Refusal(StrEnum):
    """What a 4xx to a PUT is worth."""

    DEFINITE = "definite"  # no PUT that something on the way has sent twice gets it
    CONFLICT = "conflict"  # such a PUT gets it, too, if the first one was carried out


def sign(document: Document, *, reported_lag: bool, reported_ready: bool, refusal: Refusal | None = None) -> Sign:
    """What *document* says of the last PUT. One sign is no proof yet: `next_step` asks for more than one, and `migration` after what time.

    Args:
        document: What was read after it.
        reported_lag: Earlier documents had a lag.
        reported_ready: The one that opened the gate said that the job is ready.
        refusal: What Atlas's answer was worth, where it was a 4xx. Its word that nothing was done needs less to agree with
            it: a lag, whether the job is ready or not; NEW; or a document that never has a lag, and has lost nothing of what it said.
    """
    if normalise(document.status) is not RemoteStatus.PENDING:
        return Sign.NOTHING  # it is over, which is more than a sign
    if document.lag is not None:
        return Sign.NOT_BEGUN if document.ready is True or refusal else Sign.NOTHING
    if reported_lag:
        return Sign.BEGUN if document.status == "WORKING" else Sign.NOTHING
    if refusal is None or document.status is None or not is_known(document.status):
        return Sign.NOTHING
    if document.status in NOT_STARTED:
        return Sign.NOT_BEGUN
    full = document.status == "WORKING"  # and has no lag: its cutover may be under way
    if refusal is Refusal.CONFLICT:
        return Sign.NOT_BEGUN if document.ready is True and not full else Sign.NOTHING
    return Sign.NOT_BEGUN if document.ready is True or not (full or reported_ready) else Sign.NOTHING
