"""`report`: the report of a run, again."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..reports.model import RunReport
from ..reports.render import write_all
from ..store.journal import open_journal, worked_on_by
from .find import find_run, place_of
from .reporting import Unwritten, as_recorded
from .result import outputs_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """A report and its files. *holder*: who works on the run, so that this is how it stands now (None: nobody)."""

    report: RunReport
    holder: str | None
    written: tuple[Path, ...] = ()
    unwritten: tuple[Unwritten, ...] = ()


def report(
    run_id: str | None = None, *, outputs: Iterable[Path | str] = (), state_dir: Path | str | None = None
) -> Reported:
    """The report of a run as the journal has it, also while the run is under way.

    Args:
        run_id: The run, or how its id begins; None: the newest of those under way, else of all, real ones first.
        outputs: Files to write it to; the suffix chooses the format: .json .md .html .xml (JUnit) .csv.
        state_dir: Where its journal is; None: the usual place.

    Raises:
        InputError: There is no such run, or a file could not be written there in any case.
        JournalError: The journal cannot be read.
    """
    paths = outputs_of(outputs)
    with open_journal(place_of(state_dir), readonly=True) as journal:
        row = find_run(journal, run_id)
        holder = worked_on_by(journal.state_dir, row)
        found = as_recorded(journal.state(row.run_id), now=time.time())
    written, unwritten = write_all(found, paths)
    return Reported(report=found, holder=holder, written=tuple(written), unwritten=tuple(unwritten))
