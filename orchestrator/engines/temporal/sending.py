"""One migration in the hands of an activity, and its PUT on the way: token, fresh, Temporal's word, wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from ...atlas.client import AtlasClient
from ...atlas.errors import AtlasError, KeysRefusedError
from ...atlas.shares import Priority
from ...core.events import Event
from ...core.migration import MigrationState, Phase
from ...core.migration_fold import apply
from ...core.next_step import AnswerKind, Policy, age_of_knowledge, too_old
from ...core.observations import answered, observe_before_sending, put_not_sent
from ...core.workflow import Migration
from ..putting import ALONE, send_put
from ..reading import JobReader
from . import forms
from .counting import Count, counted
from .guard import Departure
from .heart import Heart
from .workflows import LEAVES_WITHIN

if TYPE_CHECKING:
    from .activities import Activities


_GUARD = 0.05  # of a lease, beyond the time for a PUT to leave


class Way:
    """One migration, as far as one activity takes it."""

    def __init__(self, activities: Activities, task: forms.Task, migration: Migration, client: AtlasClient) -> None:
        self.migration = migration
        self.client = client
        self.policy: Policy = forms.policy_of(migration, task.settle)
        self.state: MigrationState = forms.state_of(task.state)
        self.refused: str | None = None
        self._events: list[Event] = []
        self.reader = JobReader(
            client,
            migration,
            polling=forms.polling_of(task.polling),
            now=activities.clock.now,
            random=activities.random,
            on_refused=self.refuse,
        )

    def refuse(self, error: KeysRefusedError) -> None:
        """The keys are refused: altogether, or for this project alone, which its events say."""
        if error.everywhere:
            self.refused = str(error)

    def take_in(self, *events: Event) -> None:
        """These follow."""
        for event in events:
            self.state = apply(self.state, event)
        self._events += events

    def done(self, count: Count, polls: int) -> forms.Done:
        """What came of it."""
        return forms.Done(
            events=forms.out(forms.without_idle_reads(self._events)),
            told=forms.out(event for event in count.told if event.journaled),
            requests=dict(count.sent.by_status),
            retries=count.sent.retries,
            polls=polls,
            refused=self.refused,
        )


class Putting:
    """One PUT on its way: token, fresh, Temporal's word, wire."""

    def __init__(self, activities: Activities, task: forms.Task, way: Way) -> None:
        self._activities = activities
        self._clock = activities.clock
        self._lease = task.lease
        self._session = task.session
        self._span = forms.span_of(task.span)
        self._way = way
        self._waits = anyio.CancelScope()
        self._given_up = False
        self.sending = False
        self._leave_by = -1.0  # steady seconds
        self._last_moment = self._clock.steady() + way.policy.longest_wait + 2 * task.settle
        self._heart = Heart(activities.client, activities.clock, lease=task.lease, on_unwanted=self.give_up)

    def give_up(self) -> None:
        """The run does not want it any more: what has not left does not leave."""
        self._given_up = True
        self._waits.cancel()

    async def run(self) -> forms.Done:
        """Send it, or do not."""
        polls = 0
        with counted() as count:
            async with anyio.create_task_group() as group:
                group.start_soon(self._heart.run)
                polls = await self._go()
                group.cancel_scope.cancel()
        return self._way.done(count, polls)

    async def _go(self) -> int:
        way = self._way
        deadline = anyio.current_time() + way.policy.longest_wait
        permit = None
        reads = 0
        try:
            with self._waits:
                permit = await way.client.reserve(way.migration.group_id, deadline=deadline, age=self._age())
                reason = too_old(way.state, self._clock.now())
                if reason is not None:
                    if permit.alone:
                        permit.give_back()  # the job is read in the PUT's place
                    reading = await way.reader.ask(way.state, Priority.LAST_READ)
                    found = observe_before_sending(
                        way.state,
                        reading,
                        way.policy,
                        reason=reason,
                        migration=way.migration.name,
                        now=self._clock.now(),
                    )
                    reads = 1
                    way.take_in(*found)
                    if way.state.phase is not Phase.REQUESTED:
                        return reads
                    if permit.over:
                        permit = await way.client.reserve(way.migration.group_id, deadline=deadline, age=self._age())
                        if (reason := too_old(way.state, self._clock.now())) is not None:
                            self._record_not_sent(f"{reason}, and {ALONE}")
                            return reads
                asked_at = self._clock.steady()
                if (
                    await self._activities.is_open(self._session, self._lease)
                    and await self._heart.confirm() is not None
                ):
                    self._leave_by = asked_at + LEAVES_WITHIN * self._lease
            if self._given_up or permit is None or self._leave_by < 0.0:
                self._record_not_sent(
                    "the run does not want it any more" if self._given_up else "Temporal did not answer"
                )
                return reads
            self.sending = True
            await self._send(permit)
        except AtlasError as error:  # of the budget, or of the read before it: `_send` raises none
            self._record_not_sent(str(error))
        finally:
            if permit is not None:
                permit.give_back()
        return reads

    async def _send(self, permit: Any) -> None:
        way = self._way
        if way.state.cutover_requests > 1 and way.state.not_begun_at is not None:
            self._activities.clients.statistics.retries += 1
        answer = await send_put(
            way.client,
            way.migration,
            permit,
            age=self._age(),
            why_not_now=self._why_not_now,
            on_refused=way.refuse,
            departure=Departure(self._remaining) if self._activities.guarded else None,
        )
        if answer.kind is AnswerKind.NOT_CARRIED_OUT and not answer.sent and way.state.phase is not Phase.REQUESTED:
            return
        way.take_in(*answered(way.state, answer, way.policy, migration=way.migration.name, now=self._clock.now()))

    def _age(self) -> float:
        return age_of_knowledge(self._way.state, self._clock.now())

    def _record_not_sent(self, reason: str) -> None:
        if self._way.state.phase is Phase.REQUESTED:
            self._way.take_in(put_not_sent(reason, migration=self._way.migration.name, now=self._clock.now()))

    def _remaining(self) -> float:
        return self._leave_by + _GUARD * self._lease - self._clock.steady()

    def _why_not_now(self) -> str | None:
        """Why it may not leave at this moment, by what the run has said and its worker knows; None: it may."""
        if self._given_up:
            return "the run does not want it any more"
        if self._clock.steady() >= self._last_moment:  # the run gives up waiting for its end, and holds it for doubtful
            return "it has taken too long"
        if self._clock.steady() >= self._leave_by:
            return "Temporal's word is too old to go by"
        if self._span is not None and not self._span.holds(self._activities.wall()):
            return "the window is not open"
        return too_old(self._way.state, self._clock.now())
