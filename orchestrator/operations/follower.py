"""Follows one run that a Temporal cluster works on: its events go into the journal here, and what is asked here goes there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import anyio

from ..core.cleared import cleared
from ..core.errors import BusyError, CutoverError, InputError, JournalError, TemporalError
from ..core.events import CutoverInDoubt, CutoversStopped, Event, RunFinished, RunPaused, RunResumed, RunStarted
from ..core.migration import BEFORE_THE_PUT, Phase
from ..core.outcomes import ExitCode
from ..core.run import RunState, fold
from ..core.settings import Settings
from ..core.steered import Command
from ..core.steering import SteeringRequest
from ..core.workflow import Workflow
from ..machine.groups import alone
from ..machine.threads import beside
from ..store.journal import Journal
from .abort import abort_interrupted
from .assignment import Assignment, record_beginning
from .begun import begin_session
from .leftovers import sort_out
from .options import Ending, Interruption, Options
from .passing_on import PassingOn
from .steering import redactor_of_this_process

if TYPE_CHECKING:
    from ..engines.temporal.forms import News
    from ..engines.temporal.service import Found, Remote
    from .stage import Stage
LOOK_EVERY = 0.5
"""Seconds between two questions for news."""
_SAY_EVERY = 30.0
_LAST_WORDS = 10.0  # seconds for answers that are still on their way when a rehearsal is stopped
_SAME = 1e-6  # seconds by which a time may differ that was written as text
_PATIENCE = 60.0  # seconds for which Temporal may tell less, or something else, than is known here


class Follower:
    """Mirrors one run into the journal, and passes on what is asked of it there. The caller holds the run's lock.

    Workers tell what a hook has printed without the secrets that they know. Whoever follows may know others (the addresses of notifications; in
    a rehearsal, all that are not the simulator's), so what comes from there and what goes there is searched for *settings*' once more.

    *stage*: what a rehearsal takes place on, which is cleared away when this process lets go of it.
    """

    def __init__(
        self,
        journal: Journal,
        remote: Remote,
        settings: Settings | None,
        options: Options,
        *,
        run_id: str,
        stage: Stage | None = None,
    ) -> None:
        self._journal = journal
        self._remote = remote
        self._settings = settings
        self._options = options
        self._run_id = run_id
        self._stage = stage
        self._clean = (redactor_of_this_process() if settings is None else settings.redactor).text
        self._passing_on = PassingOn(journal, remote, options.host, run_id=run_id, clean=self._clean)
        self._disagreed_at: float | None = None
        self.closed = self.overtaken = self._went_on_elsewhere = False
        self._known = [event for _, event in journal.events(run_id)]
        self.state = fold(run_id, self._known)
        if journal.find(run_id) is not None:
            journal.state(run_id)  # whoever adds to a run has read it

    # -- beginning -----------------------------------------------------------------------------------------------------

    async def begin(self, assignment: Assignment, *, after: Found | None = None, detach: bool = False) -> Ending:
        """Record the first events of a session here, and have it begun there.

        *after*: what was there when it was seen that this one is to begin.

        Raises:
            BusyError: Another session has begun there since.
            PerhapsBegunError: Whether it has begun is not known.
            TemporalError: It has not, as Temporal does not answer.
        """
        from ..engines.temporal import forms, names, service
        from ..engines.temporal.words import Announced

        settings = self._settings
        assert settings is not None
        temporal = service.as_json(settings.temporal)
        host = self._options.host
        # Before anything is recorded: what that session has done is not in *assignment*, and would be in nobody's way.
        await self._refuse_another_since(after, assignment)
        session = uuid4().hex
        await self._remote.announce(self._run_id, Announced(session, assignment.first.at))
        await self._refuse_another_since(after, assignment)  # one that begins from now on sees what was announced
        events = record_beginning(self._journal, assignment, host, settle=settings.atlas.settle, temporal=temporal)
        self._take_in(events)
        order = forms.Order(
            run_id=self._run_id,
            events=forms.pack(self._known),
            settle=settings.atlas.settle,
            polling=asdict(settings.polling),
            queue=names.queue(self.state.base_url),
            lease=settings.temporal.lease,
            account=settings.rate_limit.scope == "account",
            session=session,
        )
        for last in assignment.in_place_of:
            jobs = [f"{m.group_id}/{m.live_migration_id}" for _, m in last.state.workflow.migrations()]
            await self._remote.give_up(last.state.run_id, self._clean(assignment.first.who))
            await self._remote.let_go(jobs, last.state.run_id)
        if not await begin_session(self._remote, order, host):
            if isinstance(assignment.first, RunStarted):
                abort_interrupted(self._journal, self._run_id, now=self._options.host.wall())
            raise BusyError(_overtaken(assignment.workflow))
        return await self.follow(detach=detach)

    async def _refuse_another_since(self, after: Found | None, assignment: Assignment) -> None:
        there = await self._remote.find()
        if there is not None and (after is None or there.execution != after.execution):
            raise BusyError(_overtaken(assignment.workflow))

    # -- following -----------------------------------------------------------------------------------------------------

    async def follow(self, *, detach: bool = False) -> Ending:
        """Mirror the run until it has ended, or somebody wants this process to stop: the run goes on then, but for a rehearsal.

        Raises:
            CutoverError: The journal cannot be written, or says something else than Temporal.
            RuntimeError: A fault of ours, whatever its type; it says how the run is gone on with.
        """
        if detach:
            try:
                await self._passing_on.pass_on()  # nobody does it later
            except TemporalError as error:  # the run goes on all the same, which that error's exit code would deny
                left = f"what was left here for the run has not been passed on, or that is not known: `atlas-cutover status {self._run_id}` shows it"
                self._options.host.say("temporal_silent", run_id=self._run_id, detail=f"{error}; {left}")
            return Ending(state=self.state, exit_code=ExitCode.SUCCESS)
        try:
            return await self._follow()
        except CutoverError:
            raise
        except Exception as error:
            raise RuntimeError(
                f"run {self._run_id} is followed no more by this command, which is no word on how it stands: "
                f"`atlas-cutover resume {self._run_id}` goes on with it"
            ) from error

    async def _follow(self) -> Ending:
        received: list[Interruption] = []
        with alone(), self._options.host.interruptions() as interruptions:
            async with anyio.create_task_group() as beside:
                with anyio.CancelScope() as work:
                    beside.start_soon(_heed, interruptions, work, received)
                    if self._stage is not None:
                        beside.start_soon(_heed_trouble, self._stage, work, received)
                    for task in self._options.host.background:
                        beside.start_soon(task)
                    await self._mirror()
                if self._stage is not None and self._stage.trouble:
                    self._options.host.say(
                        "rehearsal_broken", run_id=self._run_id, rehearsal=True, detail=self._stage.trouble
                    )
                if self._stage is not None and received and self.state.finished_at is None:
                    await self._end_here(self._stage, received[0])
                beside.cancel_scope.cancel()
            if self.overtaken:
                raise BusyError(_overtaken(self.state.workflow))
            # What the page has left, and nobody passes on now.
            with suppress(JournalError):
                sort_out(self._journal, self._run_id, self._options.host.say)
            self.tell_if_closed()
            code = self.state.exit_code() if self.closed else ExitCode(self.state.recorded_exit_code or 0)
            if received and self.state.finished_at is None:
                code = received[0].exit_code or ExitCode.SUCCESS
            ending = Ending(state=self.state, exit_code=code, journaled=len(self._known))
            self._options.host.on_ended(ending)
            return ending

    def tell_if_closed(self) -> None:
        """Say that somebody has closed the run at Temporal before it had ended, if that is so."""
        if self.closed:
            self._options.host.say(
                "run_closed",
                run_id=self._run_id,
                detail="it was closed at Temporal before it had ended: "
                f"`atlas-cutover resume {self._run_id}` goes on with it, `atlas-cutover abort {self._run_id}` gives it up",
            )

    async def _mirror(self) -> None:
        said_at = -_SAY_EVERY
        while True:
            try:
                if await self._look():
                    return
                await self._passing_on.pass_on()
            except TemporalError as error:  # the run goes on, and so does whoever follows it
                if anyio.current_time() - said_at >= _SAY_EVERY:
                    said_at = anyio.current_time()
                    self._options.host.say("temporal_silent", run_id=self._run_id, detail=str(error))
            await anyio.sleep(LOOK_EVERY)

    async def catch_up(self, *, least: int = 0) -> bool:
        """Take in what has happened so far, *least* so many events; whether nothing more comes.

        Raises:
            TemporalError: No worker answers.
            InputError: What is there is not the run that is recorded here.
        """
        while not (over := await self._look()) and len(self._known) < least:  # noqa: ASYNC110 - it is asked for
            await anyio.sleep(LOOK_EVERY)
        return over

    async def catch_up_with_its_end(self, found: Found | None) -> bool:
        """Take in how the run has ended, which is open nowhere; whether all that it has sent is known then.

        *found*: what Temporal has under the name of its workflow. It forgets a run some days after it was closed.

        Raises:
            TemporalError: No worker answers.
        """
        if found is not None and found.run_id == self._run_id:
            if await self.catch_up() and not self.overtaken:
                return True  # also where somebody has closed it: what it had sent by then is in its history
            self._went_on_elsewhere = not self.overtaken and await self._is_known_elsewhere()
        return (
            self.state.finished_at is not None and not self._went_on_elsewhere and await self._knows_the_last_session()
        )

    async def _knows_the_last_session(self) -> bool:
        """Whether the session of the run that was announced last is one that is recorded here."""
        last = await self._remote.last_announced(self._run_id)
        began = [event.at for event in self._known if isinstance(event, (RunStarted, RunResumed))]
        return last is None or any(abs(at - last.at) < _SAME for at in began)

    async def _is_known_elsewhere(self) -> bool:
        """Whether Temporal tells of events that the journal here does not have: what has been decided here since the end does not count."""
        number = 0
        while events := self._told((await self._remote.news(number)).events):
            here = [(event.name, event.at) for event in self._known[number : number + len(events)]]
            if here != [(event.name, event.at) for event in events]:
                return True
            number += len(events)
        return False

    async def take_in_its_end(self, found: Found | None, *, settle: float, now: float) -> None:
        """Take in how the run has ended, which is open nowhere, and record what is in doubt where that is not known.

        *found*: as for `catch_up_with_its_end`; *settle* in seconds, *now* in Unix seconds.

        Raises:
            JournalError: The journal cannot be written, or events of the run are missing.
            TemporalError: No worker answers.
        """
        if not await self.catch_up_with_its_end(found):
            # Who has gone on with it from elsewhere may have selected others.
            names = self.state.migrations if self._went_on_elsewhere else self.state.selected
            doubts = unknown_puts(self.state, names, settle=settle, now=now)
            await beside(self._write, doubts)
            self._take_in(doubts)

    async def _look(self) -> bool:
        """Take in all that is new; True: nothing more comes, as the session has ended, was closed before it had (`closed`), or came too late."""
        while True:
            last = max(0, len(self._known) - 1)  # the last one that is known has to be there, too
            found = await self._remote.find()
            if found is None:
                return False
            self.overtaken = found.did_nothing
            if self.overtaken:
                return True
            news = await self._remote.news(last)
            if news.execution != found.execution:
                continue  # it has just gone on with an empty history, whose length says nothing of what was told
            committed = await self._committed(found, news)
            events = self._told(news.events[:committed])
            if self._known:
                if not events or (events[0].name, events[0].at) != (self._known[-1].name, self._known[-1].at):
                    self._disagree(last, events)
                    return False
                self._disagreed_at = None
                events = events[1:]
            if events:
                await beside(self._write, events)
                self._take_in(events)
            if news.over and committed == len(news.events):
                return True
            if not events:
                self.closed = not found.is_open
                return self.closed

    def _told(self, data: Sequence[Any]) -> list[Event]:
        """The events that Temporal has told of, as *data*, without what is secret here.

        Raises:
            TemporalError: One of them cannot be read.
        """
        from ..engines.temporal import forms

        try:
            events = forms.events_of(data)
        except ValueError as error:
            raise TemporalError(
                f"Temporal tells something of run {self._run_id} that cannot be read here ({error}): follow it with the version that "
                "its workers have; where that is this one, a worker, or somebody in its place, tells what cannot be"
            ) from None
        return [cleared(event, self._clean) for event in events]

    async def _committed(self, found: Found, news: News) -> int:
        """How many of the events of *news* Temporal has committed, as far as is known.

        The history has grown since they happened, and what did grow it is that they did: not that their worker was lost. Of what
        happened before the last of them that is sure, as their worker went on from there.
        """
        committed = _first_at_least(news.lengths, found.length)
        last = news.lengths[committed - 1] if committed else 0
        new = news.first + committed > len(self._known)
        if last and new and not await self._remote.was_committed(found, last):
            return _first_at_least(news.lengths, last)
        return committed

    def _disagree(self, last: int, events: Sequence[Event]) -> None:
        """What is known last is not (yet) what Temporal tells: a worker that lags behind, or another story.

        Raises:
            InputError: It has been so for a while.
        """
        now = anyio.current_time()
        if self._disagreed_at is None:
            self._disagreed_at = now
        if now - self._disagreed_at < _PATIENCE:
            return
        there = f"{events[0].name} at {events[0].at:.6f}" if events else "nothing"
        raise InputError(
            f"the journal here and Temporal do not agree on what has happened in run {self._run_id} (event {last + 1}: "
            f"{self._known[-1].name} at {self._known[-1].at:.6f} here, {there} there): the run is not touched by that. Where it "
            "was gone on with from another machine, follow it from there"
        )

    def _write(self, events: Sequence[Event]) -> None:
        """Mirror *events*."""
        from ..engines.temporal import service

        workflow, rest = self.state.workflow, list(events)
        if not self._known:
            first = rest.pop(0)
            assert isinstance(first, RunStarted)
            workflow = first.workflow
            assert self._settings is not None
            place = service.as_json(self._settings.temporal)
            self._journal.begin(self._run_id, workflow, first, temporal=place)
        ids = {m.name: (m.group_id, m.live_migration_id) for _, m in workflow.migrations()}
        batch: list[Event] = []
        for event in rest:
            if isinstance(event, RunResumed):  # a session that was begun on another machine
                self._commit(batch, ids)
                batch = []
                self._journal.resume(self._run_id, workflow, event, rehearsal=self.state.rehearsal)
            else:
                batch.append(event)
        self._commit(batch, ids)

    def _commit(self, events: Sequence[Event], ids: dict[str, tuple[str, str]]) -> None:
        if events:
            self._journal.commit(self._run_id, events, {} if self.state.rehearsal else ids)

    def _take_in(self, events: Sequence[Event]) -> None:
        for event in events:
            self._known.append(event)
            self.state.apply(event)
            for observer in self._options.observers:
                observer(event, self.state)

    async def _end_here(self, stage: Stage, interruption: Interruption) -> None:
        """End the session of a rehearsal in order: no PUT leaves any more, and what becomes of those that have left is taken in.

        What is recorded here is all that is left of it, as its stage goes with this process.
        """
        news = [] if stage.trouble else await self._last_news(interruption.by)
        # Who goes on with it has asked for no pause.
        taken = [event for event in news if not isinstance(event, RunPaused)]
        now = self._options.host.wall()
        taken.append(CutoversStopped(at=now, reason=f"stopped by {self._clean(interruption.by)}"))
        state = fold(self._run_id, [*self._known, *taken])
        counted = stage.requests()
        code = state.exit_code() if interruption.exit_code is None else interruption.exit_code
        finished = RunFinished(
            at=now,
            outcome=state.outcome(),
            exit_code=int(code),
            unfinished=state.is_unfinished(),
            requests={"total": sum(counted.values()), "by_status": counted, "retries": 0},
        )
        taken.append(finished)
        await beside(self._write, taken)
        self._take_in(taken)

    async def _last_news(self, who: str) -> list[Event]:
        """What has happened that is not known here, when what has left has its answers and nothing leaves any more."""
        news: list[Event] = []
        with suppress(TemporalError, InputError), anyio.move_on_after(_LAST_WORDS):
            await self._look()
            known = len(self._known)
            await self._remote.steer(self._run_id, [SteeringRequest(command=Command.PAUSE, who=who)])
            while True:
                news = self._told((await self._remote.news(known)).events)
                if not _awaits_an_answer(fold(self._run_id, [*self._known, *news])):
                    break
                await anyio.sleep(LOOK_EVERY / 5)
        return news


def unknown_puts(state: RunState, names: Collection[str], *, settle: float, now: float) -> list[CutoverInDoubt]:
    """What is in doubt of the run in *state* where nobody knows what its last session has sent: those of *names* that had no PUT."""
    reason = "what the last session of the run has sent is not known, as Temporal has no history of it (any more)"
    return [
        CutoverInDoubt(at=now, migration=name, reason=reason, settle=settle)
        for name, known in state.migrations.items()
        if name in names and known.phase in BEFORE_THE_PUT
    ]


def _first_at_least(numbers: Sequence[int], least: int) -> int:
    """The place of the first of *numbers* that is *least* or more; that behind the last where none is."""
    return next((place for place, number in enumerate(numbers) if number >= least), len(numbers))


async def _heed(
    interruptions: AsyncIterator[Interruption], work: anyio.CancelScope, received: list[Interruption]
) -> None:
    async for interruption in interruptions:
        received.append(interruption)
        work.cancel()


def _overtaken(workflow: Workflow) -> str:
    return (
        f"a run of workflow {workflow.name!r} has just been begun at Temporal by somebody else: start this command again, which "
        "follows it, or takes in how it has ended"
    )


async def _heed_trouble(stage: Stage, work: anyio.CancelScope, received: list[Interruption]) -> None:
    trouble = await stage.broken()
    received.append(Interruption(by=trouble.partition("\n")[0], exit_code=ExitCode.UNREACHABLE))
    work.cancel()


def _awaits_an_answer(state: RunState) -> bool:
    """Whether a PUT has left, or may have, of which the answer is not there yet."""
    return any(known.phase is Phase.REQUESTED for known in state.migrations.values())
