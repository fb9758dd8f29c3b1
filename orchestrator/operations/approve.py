"""`approve`: lets a wave start that waits for approval."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import InputError
from ..store.journal import open_journal
from ..text.counts import names_listed
from ..text.likeness import closest
from .find import find_run, place_of
from .steering import Steered, ask, keep, refuse_when_over


def approve(run_id: str, wave: str, *, state_dir: Path | str | None = None, who: str | None = None) -> Steered:
    """Let *wave* start, also ahead of its turn; where no process works on the run, the one that continues it knows.

    Args:
        run_id: The run, or how its id begins.
        wave: The name of the wave.
        state_dir: Where its journal is; None: the usual place.
        who: Who approves, for log and report; None: this process's user and host.

    Raises:
        InputError: There is no such run or wave, the wave needs no approval, or the run is over.
        JournalError: The journal cannot be read or written.
    """
    place = place_of(state_dir)
    with open_journal(place, readonly=True) as reading:
        row = find_run(reading, run_id)
        waves = {wave.name: wave for wave in reading.state(row.run_id).workflow.waves}
    if wave not in waves:
        meant = closest(wave, waves)
        known = f"did you mean {meant!r}?" if meant else f"it has {names_listed(list(waves), 20)}"
        raise InputError(f"run {row.run_id} has no wave {wave!r}; {known}")
    if not waves[wave].approval:
        raise InputError(f"wave {wave!r} of run {row.run_id} needs no approval; `pause` holds a run")
    with open_journal(place) as journal:
        steered = ask(journal, row.run_id, "approve", who=who, wave=wave)
        if steered is None:
            refuse_when_over(row, "approve")
            steered = keep(journal, row.run_id, "approve", who=who, wave=wave)
        return steered
