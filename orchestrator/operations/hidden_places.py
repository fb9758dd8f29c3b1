"""State directories that another one hides on this command line: what runs there hold, a run here would know nothing of."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from ..core.errors import BusyError, JournalError
from ..core.workflow import Workflow
from ..store.journal import Journal, journal_in, open_journal
from ..store.locks import run_lock, worker_of
from ..store.schema import refuse_lost
from ..text.counts import names_listed

Job = tuple[str, str]
_NAMES = 20


def refuse_claimed_in(
    places: Iterable[Path],
    workflow: Workflow,
    state_dir: Path,
    *,
    warn: Callable[[str], None],
    run_id: str | None = None,
) -> None:
    """Return when no run in one of *places* has claimed a live migration of *workflow*, which is to be run with *state_dir*.

    *run_id*: the run that goes on there, of which *places* may have a copy, or the original; None: another one begins. *warn* is told of a
    place that cannot be read.

    Raises:
        BusyError: One has, so its PUT may be on its way; or *run_id* is worked on there, or has sent PUTs there that are not known in *state_dir*.
        JournalError: *state_dir* cannot be read.
    """
    names = {(m.group_id, m.live_migration_id): m.name for _, m in workflow.migrations()}
    for place in dict.fromkeys(places):
        if os.path.realpath(place) == os.path.realpath(state_dir):
            continue
        try:
            if not journal_in(place):
                refuse_lost(place)
                continue
            with open_journal(place, readonly=True) as journal:
                claimed = journal.claims_of_others(run_id or "")
                sent = _sent_by(journal, run_id)
                lost = _lost(journal)
            holder = None if run_id is None else worker_of(run_lock(place, run_id))
        except JournalError as error:
            warn(
                f"whether a run in the state directory {place} has live migrations of this workflow is not known: {error}"
            )
            continue
        if lost is not None:
            warn(f"what a run in the state directory {place} has of this workflow may not be known: {lost}")
        if holder is not None:
            raise BusyError(
                f"run {run_id} is worked on by {holder} in the state directory {place}, which the config or the usual place names, and "
                f"{state_dir} has a copy of it: nothing was begun. Without --state-dir (and without ATLAS_CUTOVER_STATE_DIR) `status "
                f"{run_id}` shows how it stands"
            )
        for job, other in claimed.items():
            if job in names:
                raise BusyError(
                    f"live migration {job[1]} ({names[job]}) belongs to run {other} in the state directory {place}, which the config or the "
                    f"usual place names, and of whose PUTs a run in {state_dir} would know nothing: nothing was begun. Without --state-dir (and "
                    f"without ATLAS_CUTOVER_STATE_DIR) `resume {other}` goes on with it, and `abort {other}` ends it"
                )
        if sent:
            with open_journal(state_dir, readonly=True) as journal:
                unknown = [names.get(job, job[1]) for job in sorted(sent - _sent_by(journal, run_id))]
            if unknown:
                raise BusyError(
                    f"run {run_id} has sent PUTs ({names_listed(unknown, _NAMES)}) in the state directory {place}, which the config or the usual "
                    f"place names, and the copy in {state_dir} knows nothing of them: nothing was begun. Without --state-dir (and without "
                    f"ATLAS_CUTOVER_STATE_DIR) `resume {run_id}` goes on with it"
                )


def _lost(journal: Journal) -> JournalError | None:
    """That events of a run are missing in *journal*, what it has claimed and sent among them; None: none are."""
    try:
        journal.check_marks()
    except JournalError as error:
        return error
    return None


def _sent_by(journal: Journal, run_id: str | None) -> set[Job]:
    """The live migrations (project and id) for which run *run_id* has sent a PUT that may have been carried out."""
    return {job for job, put in journal.earlier_puts("").items() if put.run_id == run_id}
