"""The operator's word, without which no cutover starts in a session that has something to follow meanwhile.

What Atlas has accepted must not wait for somebody at a terminal: an application stands still. So such a session begins at once,
and asks while it works; until the answer, `core.next_actions` lets no cutover start.
"""

from __future__ import annotations

from collections.abc import Callable

import anyio

from ...core.consent import Intention, standing
from ...core.events import CutoversConfirmed, Event
from ...core.observer import Say
from ...core.run import RunState
from .session import Session


class Confirmation:
    """Asks once, and takes the answer.

    Args:
        session: What is held until then.
        ask: Puts the question to the operator.
        say: Tells the operator what becomes of another answer.
        who: Gives the answer.
    """

    def __init__(self, session: Session, ask: Callable[[Intention], None], say: Say, *, who: str) -> None:
        self._session = session
        self._ask = ask
        self._say = say
        self._who = who
        self._asked = False
        self._changed = anyio.Event()
        session.recorder.listen(self._notice)

    @property
    def awaited(self) -> bool:
        """Whether an answer is wanted: what is typed is one."""
        return self._asked and self._held

    @property
    def _held(self) -> bool:
        state = self._session.state
        return state.unconfirmed_since is not None and state.stopped is None

    async def run(self) -> None:
        """Ask at once if something is to be started, else when there is evidence that another PUT is."""
        state = self._session.state
        while not any(wave.counts.waiting for wave in state.waves.values()):
            await self._changed.wait()
            self._changed = anyio.Event()
        intention = standing(state, now=self._session.clock.wall())
        if self._held and intention.starts:
            self._asked = True
            self._ask(intention)

    def answer(self, typed: str | None) -> None:
        """The operator typed this; None: the terminal is gone."""
        if not self._held or (typed is not None and not self._asked):
            return
        session = self._session
        if typed is not None and typed.strip() == session.state.workflow.name:
            session.recorder.record(CutoversConfirmed(at=session.now(), who=self._who))
            return
        session.stop("not confirmed on the terminal")
        detail = "not confirmed: nothing is started; what Atlas has accepted is followed to its end"
        self._say("not_confirmed", run_id=session.state.run_id, detail=detail)

    def _notice(self, _event: Event, _state: RunState) -> None:
        self._changed.set()
