"""Watching one run: each look reads what is new in the journal, and says how the run stands and since when nothing is known."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..core.errors import JournalError
from ..core.observer import Sink
from ..core.run import RunState
from ..store.journal import open_journal, worked_on_by
from ..store.last_read import LastRead, read_reads, reads_path, silent_since
from .find import find_run, state_dir_of
from .status import up_to_date


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """How a run stands. *new*: something has happened since the look before; *holder*: who works on it (None: nobody).

    *as_of*: when this was so (Unix seconds), *no_news*: why nothing newer is known (None: it is so now). *silent*: since when the holder
    gives no sign of life. *reads*: what the last read of each job showed.
    """

    state: RunState
    new: bool
    holder: str | None
    as_of: float
    no_news: str | None = None
    silent: float | None = None
    reads: Mapping[str, LastRead] = field(default_factory=dict)


class Watching:
    """One run, looked at again and again; *observers* are told of each event when it has been seen.

    Args:
        run_id: The run, or how its id begins; None: the newest of those under way, else of all, real ones first.
        state_dir: Where its journal is; None: the usual place.
        observers: Called with each event and the state after it.
        wall: Unix seconds.

    Raises:
        InputError: There is no such run.
        JournalError: The journal cannot be read.
    """

    def __init__(
        self,
        run_id: str | None = None,
        *,
        state_dir: Path | str | None = None,
        observers: Iterable[Sink] = (),
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._directory = state_dir_of(state_dir)
        self._observers = tuple(observers)
        self._wall = wall
        self._seq = 0
        self._last_at = 0.0  # of the last event
        with open_journal(self._directory, readonly=True) as journal:
            self.run_id = find_run(journal, run_id).run_id
        self._state = RunState(run_id=self.run_id)
        self._last: Seen | None = None

    def look(self) -> Seen:
        """How the run stands now; where that cannot be read, as it was when it last could.

        Raises:
            JournalError: The journal could not be read when it was looked at for the first time.
        """
        try:
            _, stale = up_to_date(self.run_id, self._directory)
            seen = self._look(stale)
        except JournalError as error:
            if self._last is None:
                raise
            last = self._last
            seen = Seen(
                state=last.state, new=False, holder=last.holder, as_of=last.as_of, no_news=str(error), reads=last.reads
            )
        self._last = seen
        return seen

    def _look(self, stale: str | None) -> Seen:
        with open_journal(self._directory, readonly=True) as journal:
            row = find_run(journal, self.run_id)
            events = list(journal.events(self.run_id, after=self._seq))
            missing = journal.trouble(self.run_id, thorough=False)
        for seq, event in events:
            self._seq, self._last_at = seq, event.at
            self._state.apply(event)
            for observer in self._observers:
                observer(event, self._state)
        new = bool(events) or missing != self._state.missing
        self._state.missing = missing
        now = self._wall()
        holder = worked_on_by(self._directory, row)
        silent = silent_since(self._directory, self.run_id, now=now) if holder else None
        as_of, no_news = now, None
        if silent is not None:
            as_of, no_news = silent, f"{holder} gives no sign of life."
        elif stale is not None:
            as_of, no_news = self._last_at if self._last is None else self._last.as_of, stale
        return Seen(
            state=self._state,
            new=new,
            holder=holder,
            as_of=as_of,
            no_news=no_news,
            silent=silent,
            reads=read_reads(reads_path(self._directory, self.run_id)),
        )
