"""Words about a run that are left at Temporal, for whoever comes to it with another state directory or late.

*Given up*: who ends a run leaves that, and no session of it does anything from then on. Between two sessions that is the command; a session that
was told to abort leaves it as it ends, as its history may not be found any more, behind that of the workflow's next run.

*Announced*: who is about to begin a session of a run says so first, and looks only then whether another one has been there meanwhile. A session
that is no longer the one announced last does nothing: what it was asked with is older than what another one may have done. So however long
it was on its way to Temporal, it is either seen by who begins another one, or sees that one's announcement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError, RPCStatusCode

from . import names
from .holders import Claim

_PATIENCE = timedelta(seconds=10)  # for one answer of Temporal's
_LASTS = timedelta(days=400)  # nobody goes on with a run that is older


@dataclass(frozen=True, slots=True)
class Announced:
    """The session of a run that was announced last: what it is called, and when its first event was (Unix seconds)."""

    session: str
    at: float


async def give_up(client: Client, run_id: str, who: str) -> None:
    """Leave word that *who* has given up the run *run_id*.

    Whoever leaves it looks for an open session after that, and a session looks for it once it is open (`claim`), before it does anything: so
    whichever comes second sees the other, however late what was sent to Temporal arrives there. A look before a session is begun is not enough.

    Raises:
        RPCError: Whether the word is there is not known.
    """
    await _leave(client, names.over_id(run_id), {"who": who}, WorkflowIDConflictPolicy.USE_EXISTING)


async def given_up_by(client: Client, run_id: str) -> str | None:
    """Who has left word that the run *run_id* is given up; None: nobody.

    Raises:
        RPCError: Temporal does not answer.
        KeyError, RuntimeError, ValueError: There is one, which cannot be read with the codec's key.
    """
    memo = await _left(client, names.over_id(run_id))
    return None if memo is None else str(memo.get("who", "somebody"))


async def announce(client: Client, run_id: str, announced: Announced) -> None:
    """Say that the session *announced* of the run *run_id* is about to begin, in place of what was said so before.

    Raises:
        RPCError: Whether that is there is not known.
    """
    memo = {"session": announced.session, "at": announced.at}
    await _leave(client, names.announced_id(run_id), memo, WorkflowIDConflictPolicy.TERMINATE_EXISTING)


async def last_announced(client: Client, run_id: str) -> Announced | None:
    """The session of the run *run_id* that was announced last; None: nobody has announced one.

    Raises:
        RPCError: Temporal does not answer.
        KeyError, RuntimeError, TypeError, ValueError: There is one, which cannot be read with the codec's key.
    """
    memo = await _left(client, names.announced_id(run_id))
    return None if memo is None else Announced(session=str(memo["session"]), at=float(memo["at"]))


async def _leave(client: Client, name: str, memo: Mapping[str, Any], conflict: WorkflowIDConflictPolicy) -> None:
    await client.start_workflow(
        Claim.run,
        id=name,
        task_queue=names.CLAIMS,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        id_conflict_policy=conflict,
        memo=memo,
        execution_timeout=_LASTS,
        rpc_timeout=_PATIENCE,
    )


async def _left(client: Client, name: str) -> Mapping[str, Any] | None:
    """What was left as *name*; None: nothing."""
    try:
        known = await client.get_workflow_handle(name).describe(rpc_timeout=_PATIENCE)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    return await known.memo() if known.status is WorkflowExecutionStatus.RUNNING else None
