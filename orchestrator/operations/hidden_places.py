"""State directories that another one hides on this command line: what runs there hold, a run here would know nothing of."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from ..core.errors import BusyError, JournalError
from ..core.workflow import Workflow
from ..store.journal import journal_in, open_journal


def refuse_claimed_in(
    places: Iterable[Path], workflow: Workflow, state_dir: Path, *, warn: Callable[[str], None]
) -> None:
    """Return when no run in one of *places* has claimed a live migration of *workflow*, which is to be run with *state_dir*.

    *warn* is told of a place that cannot be read.

    Raises:
        BusyError: One has, so its PUT may be on its way.
    """
    names = {(m.group_id, m.live_migration_id): m.name for _, m in workflow.migrations()}
    for place in dict.fromkeys(places):
        if os.path.realpath(place) == os.path.realpath(state_dir):
            continue
        try:
            if not journal_in(place):
                continue
            with open_journal(place, readonly=True) as journal:
                claimed = journal.claims_of_others("")
        except JournalError as error:
            warn(
                f"whether a run in the state directory {place} has live migrations of this workflow is not known: {error}"
            )
            continue
        for job, run_id in claimed.items():
            if job in names:
                raise BusyError(
                    f"live migration {job[1]} ({names[job]}) belongs to run {run_id} in the state directory {place}, which the config or the "
                    f"usual place names, and of whose PUTs a run in {state_dir} would know nothing: nothing was begun. Without --state-dir (and "
                    f"without ATLAS_CUTOVER_STATE_DIR) `resume {run_id}` goes on with it, and `abort {run_id}` ends it"
                )
