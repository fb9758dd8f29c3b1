"""Sends the PUT, and tells what its answer, or the lack of one, says: for every engine."""

from __future__ import annotations

from collections.abc import Callable

from ..atlas.budget import Permit
from ..atlas.client import AtlasClient
from ..atlas.connection import Departure
from ..atlas.errors import ApiError, AtlasError, KeysRefusedError, NotSentError, RequestVerdict
from ..core.next_step import Answer, AnswerKind
from ..core.workflow import Migration
from .reading import reading_of

ALONE = (
    "its budget holds one request at a time, so the job cannot be read right before the PUT"
    " (what helps: rate_limit.burst, 2 at least)"
)
"""Why a PUT whose token was long in coming does not leave where no token can be had beside it."""

_KINDS = {  # no `ApiError` has a 2xx, so none is ACCEPTED
    RequestVerdict.NOT_CARRIED_OUT: AnswerKind.NOT_CARRIED_OUT,
    RequestVerdict.REFUSED: AnswerKind.REFUSED,
    RequestVerdict.INCONCLUSIVE: AnswerKind.LOST,
}


async def send_put(
    client: AtlasClient,
    migration: Migration,
    permit: Permit,
    *,
    age: float,
    why_not_now: Callable[[], str | None],
    on_refused: Callable[[KeysRefusedError], None],
    departure: Departure | None = None,
) -> Answer:
    """Send *migration*'s PUT on *permit*, once; what became of it.

    Args:
        client: Sends it.
        migration: Whose cutover it is.
        permit: From `AtlasClient.reserve`.
        age: Seconds since the request left that read the job.
        why_not_now: Asked right before the wire: why it may not leave; None: it may. Place, challenge and connection may be long in coming.
        on_refused: Is told that the keys are refused.
        departure: Watches over the moment at which it leaves.
    """
    try:
        accepted = await client.cutover(
            migration.group_id,
            migration.live_migration_id,
            permit,
            age=age,
            may_leave=lambda: why_not_now() is None,
            departure=departure,
        )
    except NotSentError as error:
        why = why_not_now()
        return Answer(kind=AnswerKind.NOT_CARRIED_OUT, reason=f"not sent: {why}" if why else str(error), sent=False)
    except KeysRefusedError as error:
        on_refused(error)
        if not error.sent:
            return Answer(kind=AnswerKind.NOT_CARRIED_OUT, reason=str(error), sent=False)
        if error.verdict is RequestVerdict.REFUSED and error.everywhere is not False:
            # It says nothing about this job, and may be the word of something on the way that has passed the PUT on.
            return Answer(kind=AnswerKind.LOST, reason=str(error))
        return Answer(kind=_KINDS[error.verdict], http_status=error.status, reason=str(error))
    except ApiError as error:
        return Answer(kind=_KINDS[error.verdict], http_status=error.status, reason=str(error))
    except AtlasError as error:
        return Answer(kind=AnswerKind.LOST, reason=str(error))
    reading = reading_of(accepted.job, took=0.0) if accepted.job else None
    return Answer(kind=AnswerKind.ACCEPTED, http_status=accepted.http_status, reading=reading)
