"""`pause`, `unpause`, `approve`, `abort`: steer a run from another shell, through the journal."""

from __future__ import annotations

import sys
import time
from argparse import Namespace

from ..core.errors import InputError
from ..operations.foresight import who_am_i
from ..operations.work import abort_interrupted
from ..reports.model import build
from ..store.journal import Journal, RunRow, open_journal
from ..store.locks import LockedError, holder_of, locked, run_lock
from ..text.counts import plural
from .inputs import find_run, find_run_under_way, read_state_dir
from .outputs import write_reports


def execute(args: Namespace) -> int:
    """Leave the request for the process that holds the run, or end an interrupted run."""
    state_dir = read_state_dir(args)
    with open_journal(state_dir, readonly=True) as reading:
        find = find_run_under_way if args.command in ("pause", "unpause") else find_run
        row = find(reading, args.run_id)
        waves = {wave.name: wave for wave in reading.state(row.run_id).workflow.waves}
    wave = getattr(args, "wave", None)
    if wave is not None and wave not in waves:
        raise InputError(f"run {row.run_id} has no wave {wave!r}; it has {', '.join(waves)}")
    if wave is not None and not waves[wave].approval:
        raise InputError(f"wave {wave!r} of run {row.run_id} needs no approval; `pause` holds a run")
    with open_journal(state_dir) as journal:
        if holder_of(run_lock(state_dir, row.run_id)) is not None:
            journal.request(row.run_id, args.command, at=time.time(), who=who_am_i(), wave=wave)
            print(f"{args.command}: asked of run {row.run_id}", file=sys.stderr)
            return 0
        return _without_process(args.command, journal, row, wave)


def _without_process(command: str, journal: Journal, row: RunRow, wave: str | None) -> int:
    """No process works on the run: an approval is kept for the next one, an abort ends the run here and now."""
    if not row.unfinished:
        raise InputError(f"run {row.run_id} is over: there is nothing to {command}")
    if command == "approve":
        journal.request(row.run_id, command, at=time.time(), who=who_am_i(), wave=wave)
        print(f"approve: kept for run {row.run_id}; no process works on it now: `resume` continues it", file=sys.stderr)
        return 0
    if command != "abort":
        raise InputError(f"no process works on run {row.run_id} now, so there is nothing to {command}")
    try:
        with locked(run_lock(journal.state_dir, row.run_id), holder=who_am_i()):
            if not find_run(journal, row.run_id).unfinished:  # it ended since we looked
                raise InputError(f"run {row.run_id} is over: there is nothing to abort")
            state = abort_interrupted(journal, row.run_id, now=time.time())
            write_reports(build(state, now=time.time()), journal.state_dir)  # the old ones say that `resume` goes on
    except LockedError as error:
        raise InputError(f"run {row.run_id} has just been taken up by {error.holder}: ask again") from None
    print(f"abort: run {row.run_id} is over", file=sys.stderr)
    if unwatched := len(state.unsettled()):
        are = "is" if unwatched == 1 else "are"
        print(
            f"{plural(unwatched, 'cutover')} {are} under way or in doubt, and no longer watched: look at Atlas "
            f"(`atlas-cutover report {row.run_id}` names {'it' if unwatched == 1 else 'them'})",
            file=sys.stderr,
        )
    return 0
