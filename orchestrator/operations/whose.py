"""Whose an unfinished run is to go on with: an engine's, and at Temporal a cluster's."""

from __future__ import annotations

from ..core.errors import BusyError, InputError
from ..core.settings import Engine, Temporal
from ..store.journal import RunRow


def refuse_foreign(row: RunRow, engine: Engine, place: Temporal) -> None:
    """Raise where it is not *engine* that works on the run *row*, or not the cluster at *place*.

    Raises:
        BusyError: It is open, as far as is known here, at Temporal.
        InputError: It is closed, and the other engine's or cluster's to go on with.
    """
    if (row.temporal is not None) == (engine is Engine.TEMPORAL):
        refuse_elsewhere(row, place)
        return
    if row.open_elsewhere:
        raise BusyError(
            f"run {row.run_id} of workflow {row.workflow!r} is open at Temporal: `atlas-cutover resume {row.run_id}` follows it, "
            f"`atlas-cutover abort {row.run_id}` ends it"
        )
    other = "temporal" if row.temporal is not None else "local"
    raise InputError(
        f"run {row.run_id} of workflow {row.workflow!r} is unfinished, and engine {other} works on it: "
        f"`atlas-cutover resume {row.run_id}` goes on with it, `atlas-cutover abort {row.run_id}` ends it; nothing was sent"
    )


def refuse_elsewhere(row: RunRow, place: Temporal) -> None:
    """Raise where the unfinished run *row* is at Temporal, and elsewhere than at *place*: nobody there knows what it has sent.

    Raises:
        BusyError: It is open, as far as is known here.
        InputError: It is closed.
    """
    if row.temporal is None or row.rehearsal:
        return
    address, namespace = str(row.temporal["address"]), str(row.temporal["namespace"])
    if (address.lower(), namespace) == (place.address.lower(), place.namespace):
        return
    refused = BusyError if row.open_elsewhere else InputError
    raise refused(
        f"run {row.run_id} of workflow {row.workflow!r} is unfinished, at Temporal at {address} in namespace {namespace!r}, and the "
        f"config says {place.address} and {place.namespace!r}; nothing was begun. `atlas-cutover resume {row.run_id}` goes on with it "
        f"where it is, `atlas-cutover abort {row.run_id}` ends it; or set temporal.address and temporal.namespace back"
    )
