"""The word that a run was given up: who ends it leaves that at Temporal, and no session of it does anything from then on.

Between two sessions that is the command; a session that was told to abort leaves it as it ends, as its history may not be found any more, behind
that of the workflow's next run.
"""

from __future__ import annotations

from datetime import timedelta

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError, RPCStatusCode

from . import names
from .holders import Claim

_PATIENCE = timedelta(seconds=10)  # for one answer of Temporal's
_LASTS = timedelta(days=400)  # nobody goes on with a run that is older


async def leave_word(client: Client, run_id: str, who: str) -> None:
    """Leave word that *who* has given up the run *run_id*.

    Whoever leaves it looks for an open session after that, and a session looks for it once it is open (`claim`), before it does anything: so
    whichever comes second sees the other, however late what was sent to Temporal arrives there. A look before a session is begun is not enough.

    Raises:
        RPCError: Whether the word is there is not known.
    """
    await client.start_workflow(
        Claim.run,
        id=names.over_id(run_id),
        task_queue=names.CLAIMS,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        memo={"who": who},
        execution_timeout=_LASTS,
        rpc_timeout=_PATIENCE,
    )


async def word_of(client: Client, run_id: str) -> str | None:
    """Who has left word that the run *run_id* is given up; None: nobody.

    Raises:
        RPCError: Temporal does not answer.
        KeyError, RuntimeError, ValueError: There is one, which cannot be read with the codec's key.
    """
    try:
        known = await client.get_workflow_handle(names.over_id(run_id)).describe(rpc_timeout=_PATIENCE)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    if known.status is not WorkflowExecutionStatus.RUNNING:
        return None
    return str((await known.memo()).get("who", "somebody"))
