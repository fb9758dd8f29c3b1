"""Which live migrations a run may have: those that no other run has claimed."""

from __future__ import annotations

from ..core.errors import BusyError
from ..core.workflow import Workflow
from .locks import holder_of, run_lock
from .reader import JournalReader


def refuse_claimed(journal: JournalReader, run_id: str, workflow: Workflow) -> None:
    """Return when no run but *run_id* has claimed a live migration of *workflow*.

    Raises:
        BusyError: One has: which, who works on it, and what to do.
        JournalError: The journal, or that run's lock, cannot be read.
    """
    names = {(m.group_id, m.live_migration_id): m.name for _, m in workflow.migrations()}
    for job, other in journal.claims_of_others(run_id).items():
        if job not in names:
            continue
        holder = holder_of(run_lock(journal.path.parent, other))
        row = journal.find(other)
        which = f"live migration {job[1]} ({names[job]})"
        whose = f"run {other}" + (f" of workflow {row.workflow!r}" if row else "")
        if holder is not None:
            raise BusyError(f"{which} is held by {whose}, {holder}: wait for it to end")
        if row is not None and row.open_elsewhere:
            raise BusyError(
                f"{which} is held by {whose}, which Temporal works on: `atlas-cutover resume {other}` follows it"
            )
        raise BusyError(
            f"{which} belongs to {whose}, which was interrupted: "
            f"`atlas-cutover resume {other}` continues it, `atlas-cutover abort {other}` ends it"
        )
