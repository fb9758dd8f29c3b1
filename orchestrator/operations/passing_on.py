"""Passes on to a run at Temporal what other processes of this machine have left in the journal for whoever follows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import uuid4

from ..core.cleared import cleared_request
from ..core.leftovers import FRESH, outlives_who_was_asked
from ..store.journal import Journal
from .leftovers import drop_what_is_late
from .options import Host

if TYPE_CHECKING:
    from ..engines.temporal.service import Remote
_PATIENCE = 60.0  # seconds for which a worker may take to take up what holds the run up


class PassingOn:
    """What is left for the run *run_id* in *journal* goes to it by *remote*, in its order, with what *clean* takes out of texts.

    Who asks from another machine asks the run itself. So what lets it go on is passed on while it is fresh, or not at all: it may be older
    than what somebody has asked from there meanwhile. *host* is told of what is dropped.
    """

    def __init__(
        self, journal: Journal, remote: Remote, host: Host, *, run_id: str, clean: Callable[[str], str]
    ) -> None:
        self._journal = journal
        self._remote = remote
        self._host = host
        self._run_id = run_id
        self._clean = clean
        self._number = ""  # of what was sent last
        self._unanswered: frozenset[int] = (
            frozenset()
        )  # the ids of what was sent under it, while its answer has not come

    async def pass_on(self) -> None:
        """Pass on what waits. What was sent, and whose answer was lost, is sent under its number again, before anything newer.

        Raises:
            JournalError: The journal cannot be read or written.
            TemporalError: Temporal does not answer, or no worker.
        """
        controls = self._journal.controls(self._run_id)
        now = self._host.wall()
        controls = drop_what_is_late(
            self._journal, self._run_id, controls, sent=self._unanswered, now=now, say=self._host.say
        )
        sending = [control for control in controls if control.id in self._unanswered]
        if not sending:
            self._number, self._unanswered = uuid4().hex, frozenset(control.id for control in controls)
            sending = controls
        if not sending:
            return
        asked_at = [control.at for control in sending if not outlives_who_was_asked(control.request)]
        await self._remote.steer(
            self._run_id,
            [cleared_request(control.request, self._clean) for control in sending],
            number=self._number,
            patience=min(asked_at) + FRESH - now if asked_at else _PATIENCE,
        )
        self._journal.handled(sending)
        self._unanswered = frozenset()
