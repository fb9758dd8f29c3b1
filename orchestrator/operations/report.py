"""`report`: the report of a run, again."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..core.arguments import text
from ..reports.model import RunReport
from ..reports.render import write_all
from ..store.journal import open_journal, worked_on_by
from ..store.last_read import silent_since
from .find import find_run, state_dir_of
from .own_inputs import refuse_written
from .reporting import Unwritten, as_recorded
from .result import outputs_of
from .status import up_to_date


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """A report and its files.

    *holder*: who works on the run, so that this is how it stands now (None: nobody); *stale*: why Temporal, where it goes on, could
    not be asked, so that this is how it stood when it was last followed from here (None: this is how it stands).
    """

    report: RunReport
    holder: str | None
    written: tuple[Path, ...] = ()
    unwritten: tuple[Unwritten, ...] = ()
    stale: str | None = None


def report(
    run_id: str | None = None,
    *,
    outputs: Iterable[Path | str] = (),
    state_dir: Path | str | None = None,
    state_options: str = "",
) -> Reported:
    """The report of a run, also while it is under way. One that goes on at Temporal, and nobody here follows, is asked for there.

    Args:
        run_id: The run, or how its id begins; None: the newest of those under way, else of all, real ones first.
        outputs: Files to write it to; the suffix chooses the format: .json .md .html .xml (JUnit) .csv.
        state_dir: Where its journal is; None: the usual place.
        state_options: The options with which a command finds the same state directory, a space before each: behind each command in .md and .html.

    Raises:
        InputError: There is no such run, or a file could not be written there in any case.
        JournalError: The journal cannot be read.
    """
    paths = outputs_of(outputs)
    text("state_options", state_options)
    directory = state_dir_of(state_dir)
    whole_id, stale = up_to_date(run_id, directory)
    with open_journal(directory, readonly=True) as journal:
        row = find_run(journal, whole_id)
        holder = worked_on_by(journal.state_dir, row)
        now = time.time()
        silent = silent_since(journal.state_dir, row.run_id, now=now) if holder else None
        state = journal.told_state(row.run_id)
        refuse_written([("--output", path) for path in paths], directory, state.workflow)
        found = as_recorded(state, now=now, holder=holder, silent=silent)
    written, unwritten = write_all(found, paths, options=state_options)
    return Reported(report=found, holder=holder, written=tuple(written), unwritten=tuple(unwritten), stale=stale)
