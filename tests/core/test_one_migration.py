"""The rules of one migration against an adversary: a server that loses, delays and garbles, and a program that dies.

What the adversary may do, and no more:

* A PUT is lost before or after it is carried out, or carried out late: up to the settle time after the program gave up waiting
  for its answer, or died. What a later session finds without an answer may be any of these.
* A PUT is sent twice by something on the way: the first one is carried out, and the answer is the refusal of the second, a 409; or
  another 4xx, where the job has reported its lag and reads are fresh. Or it is refused with either, and nothing was carried out.
* A read shows the job as it was up to the settle time ago, another one each time, and may take as long as it likes; but what a PUT
  has begun shows in reads that are sent once its settle time is over. Or it shows part of the job, its lag left out, or
  nothing. It never shows readiness or lag that the job did not have.
* Documents are full, or have no lag, or neither lag nor readiness. A job may stay ready in its cutover where it has a lag before.
* The program dies at any step. Of what it recorded the journal has everything up to the last `cutover_requested`, which
  is on disk before its PUT leaves, and any part of the rest, in order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import pytest
from hypothesis import Phase as Stage
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from orchestrator.core.events import (
    CutoverInDoubt,
    CutoverNotBegun,
    CutoverRequested,
    Event,
    GateOpened,
    HookFinished,
    MigrationFinished,
    RunResumed,
)
from orchestrator.core.migration import Phase
from orchestrator.core.next_step import (
    Answer,
    AnswerKind,
    Done,
    Finish,
    Policy,
    Read,
    Reading,
    RunHook,
    SendPut,
    next_step,
)
from orchestrator.core.no_return import SIDES, Side, point_of
from orchestrator.core.observations import answered, observe, observe_failure
from orchestrator.core.outcomes import Outcome, RemoteStatus, normalise
from orchestrator.core.run import RunState, fold
from orchestrator.core.workflow import Gate, Hooks

from ..builders import NOW, ONE, WHO, run_started, workflow
from ..strength import examples

SETTLE = 30.0
FINAL = (RemoteStatus.SUCCESS, RemoteStatus.FAILED)


@dataclass
class Job:
    """The truth: one job at Atlas.

    *late*: PUTs on their way, by the time at which they arrive, with that from which reads show them. *past*: what it was like.
    """

    documents: str = "full"
    stays_ready: bool = False
    status: str = "WORKING"
    ready: bool = True
    lag: float = 1.0
    begun_at: float | None = None
    shows_from: float = 0.0
    carried_out: int = 0
    sent_while_begun: int = 0
    late: list[tuple[float, float]] = field(default_factory=list)
    past: list[tuple[float, Reading]] = field(default_factory=list)

    @property
    def begun(self) -> bool:
        """Whether its cutover has begun."""
        return self.begun_at is not None

    def put(self, at: float, *, shows_from: float) -> bool:
        """A PUT arrives; whether it is carried out. If so, every read that is sent at *shows_from* or later shows it."""
        if self.begun:
            self.sent_while_begun += 1
        if self.begun or not self.ready or normalise(self.status) in FINAL:
            return False
        self.carried_out += 1
        self.begun_at, self.shows_from = at, shows_from
        self.changed(at)
        return True

    def changed(self, at: float) -> None:
        """Take note of what it is like from *at* on."""
        self.past.append((at, self._document()))

    def _document(self) -> Reading:
        over = normalise(self.status) in FINAL
        ready = self.stays_ready if self.begun else self.ready
        if self.documents == "full":
            lag = None if self.begun or over else self.lag
            return Reading(status=self.status, ready=ready and not over, lag=lag)
        word = normalise(self.status).value
        return Reading(status=word, ready=ready and not over if self.documents == "older" else None)

    def shown(self, at: float, *, sent_at: float) -> Reading:
        """What a read that was sent at *sent_at* shows of the job, as it was at *at*."""
        if self.begun_at is not None and sent_at >= self.shows_from:
            at = max(at, self.begun_at)
        seen = [document for when, document in self.past if when <= at]
        return seen[-1] if seen else self.past[0][1]


DELAYS = (0.0, 0.0, 0.0, 0.0, 0.5, 4.0, SETTLE)
CHOICES: dict[str, tuple[Any, ...]] = {
    "wait": (0.5, 2.0, 5.0, 30.0),
    "delay": DELAYS,
    "age": (0.0, 0.0, 0.0, 5.0, SETTLE),
    "sight": (*["whole"] * 16, "nothing", "nothing", "garbage", "partial", "no lag", "no lag", "refused"),
    "fate": (
        "answered",
        "timeout late",
        "lost before",
        "lost after",
        "late",
        "timeout",
        "timeout late",
        "429",
        "409",
        "409 twice",
        "403",
        "403 twice",
        "died",
        "died late",
    ),
    "share": (1.0, 0.5, 0.0),
    "hook works": (True, True, True, True, False),
}
"""What the adversary decides. *share*: of the time that a late PUT may take; *age*: of what a read shows."""
BEGINNINGS: dict[str, tuple[Any, ...]] = {
    "gate": (None, Gate(), Gate(max_lag=10.0, timeout=60.0)),
    "timeout": (60.0, 600.0),
    "documents": ("full", "full", "full", "older", "bare"),
    "stays_ready": (False, True),
    "hooks": (0, 1),
    "ready": (True, True, True, True, True, False),
    "earlier": (None, None, None, None, None, "never", "late", "begun"),
}
MOVES: dict[str, tuple[Any, ...]] = {
    "seconds": (0.0, 0.0, 0.0, 0.0, 1.0, 30.0, 301.0, 5000.0),
    "lag": (None, None, None, None, 0.0, 10.0, 500.0),
    "ready": (True, True, True, False),
    "word": (*[None] * 10, "COMPLETE", "COMPLETE", "FAILED", "EXPIRED"),
}
DEATHS: dict[str, tuple[Any, ...]] = {
    "lost": (0, 1, 2, 3, 4),
    "downtime": DELAYS,
    "retry_failed": (False, True),
}
ENDINGS: tuple[dict[str, Any], ...] = (
    {"sight": "garbage", "fate": "429"},
    {"sight": "nothing", "fate": "lost before"},
    {"sight": "whole", "fate": "lost before"},
    {"sight": "no lag", "fate": "lost before"},
    {"sight": "whole", "fate": "409"},
    {"sight": "whole", "fate": "409 twice"},
    {"sight": "whole", "fate": "answered"},
)


def strategies(options: dict[str, tuple[Any, ...]]) -> dict[str, Any]:
    """One of each."""
    return {name: st.sampled_from(values) for name, values in options.items()}


DRAWN = strategies(CHOICES)


class OneMigration(RuleBasedStateMachine):
    """The program does what the core says; the rules are the adversary's choices."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.job = Job()
        self.policy = Policy()
        self.workflow = workflow()
        self.run = RunState(run_id="r")
        self.journal: list[Event] = []
        self.on_disk = 0
        self.earlier_put = False
        self.outcome: Outcome | None = None

    # -- the world ---------------------------------------------------------------------------------------------------

    @initialize(**strategies(BEGINNINGS))
    def begin(
        self,
        gate: Gate | None,
        timeout: float,
        documents: str,
        stays_ready: bool,
        hooks: int,
        ready: bool,
        earlier: str | None,
    ) -> None:
        """A run starts; perhaps another one has sent a PUT before it."""
        self.policy = Policy(
            gate=None if documents == "bare" else gate,  # it would never open
            timeout=timeout,
            settle=SETTLE,
            hooks=Hooks(before=ONE * hooks, after_success=ONE * hooks, after_failure=ONE * hooks),
        )
        self.job = Job(documents=documents, stays_ready=stays_ready and documents == "full", ready=ready)
        self.job.changed(self.now)
        self.take(run_started(self.workflow, at=self.now))
        self.on_disk = 1
        if earlier == "begun":
            self.job.put(self.now, shows_from=self.now + SETTLE)
        if earlier == "late":
            self.job.late.append((self.now + SETTLE, self.now + SETTLE))
        self.earlier_put = earlier is not None
        self.doubt_earlier_put()

    def doubt_earlier_put(self) -> None:
        """What the program does at the start of each session: another run has sent a PUT and died."""
        if self.earlier_put and self.phase is Phase.NEW:
            self.take(CutoverInDoubt(at=self.now, migration="orders", reason="run r0 sent a PUT", settle=SETTLE))

    def take(self, *events: Event) -> None:
        """The program records *events*."""
        for event in events:
            self.run.apply(event)
            if event.journaled:
                self.journal.append(event)

    def wait(self, seconds: float) -> None:
        """Time passes, and what is late arrives."""
        self.now += seconds
        for at, shows_from in sorted(self.job.late):
            if at <= self.now:
                self.job.late.remove((at, shows_from))
                self.job.put(at, shows_from=shows_from)

    @property
    def phase(self) -> Phase:
        """How far the migration has come."""
        return self.run.migrations["orders"].phase

    # -- the program -------------------------------------------------------------------------------------------------

    @rule(data=st.data(), times=st.integers(2, 10))
    def step(self, data: st.DataObject, times: int) -> None:
        """Whatever comes next happens, in the way the adversary chose."""
        for _ in range(times):
            self.act(lambda what: data.draw(DRAWN[what], label=what))
            self.all_is_well()

    def act(self, choose: Callable[[str], Any]) -> None:
        """Do what comes next; *choose* decides how it goes."""
        match next_step(self.run.migrations["orders"], self.policy, self.now):
            case Read() as read:
                self.wait(max(0.0, min(choose("wait"), read.deadline - self.now)) if read.attempt else 0.0)
                self.read(choose)
            case RunHook() as hook:
                self.hook(hook, works=choose("hook works"))
            case SendPut():
                self.put(choose)
            case Finish() as finish:
                self.end(finish.outcome, finish.error_message)
            case Done():
                assert self.phase is Phase.FINISHED

    def read(self, choose: Callable[[str], Any]) -> None:
        """Read the job."""
        sent_at = self.now
        self.wait(choose("delay"))
        shown = self.job.shown(self.now - choose("age"), sent_at=sent_at)
        self.wait(choose("delay"))
        took = self.now - sent_at
        state = self.run.migrations["orders"]
        known: dict[str, Any] = {"migration": "orders", "now": self.now}
        match choose("sight"):
            case "nothing":
                self.take(*observe_failure(state, "503", self.policy, refused=False, **known))
                return
            case "refused":
                self.take(*observe_failure(state, "404", self.policy, refused=True, **known))
                return
            case "garbage":
                shown = Reading(status="SPLENDID")
            case "partial" if normalise(shown.status) is RemoteStatus.PENDING:
                shown = Reading(status=shown.status)
            case "no lag" if normalise(shown.status) is RemoteStatus.PENDING:
                shown = Reading(status=shown.status, ready=shown.ready)
        self.take(*observe(state, replace(shown, took=took), self.policy, **known))

    def hook(self, hook: RunHook, *, works: bool) -> None:
        """Run a hook."""
        ended = HookFinished(
            at=self.now, hook=hook.hook, argv=("x",), exit_code=0 if works else 1, seconds=0.0, migration="orders"
        )
        self.take(ended)
        if hook.hook == "before" and not works:
            self.end(Outcome.FAILED, "before hook")

    def put(self, choose: Callable[[str], Any]) -> None:
        """Send the PUT, which has passed its gate."""
        known = self.run.migrations["orders"]
        if self.policy.gate:
            assert known.ready is True
            assert known.lag is None or known.lag <= self.policy.gate.max_lag
        self.take(CutoverRequested(at=self.now, migration="orders"))
        self.on_disk = len(self.journal)
        answer = self.answer(choose("fate"), choose("share"))
        if answer is not None:
            state = self.run.migrations["orders"]
            self.take(*answered(state, answer, self.policy, migration="orders", now=self.now))

    def answer(self, fate: str, share: float) -> Answer | None:
        """What becomes of a PUT; None: the program has died."""
        job, settled_at = self.job, self.now + SETTLE
        kind, http_status = AnswerKind.LOST, None
        match fate:
            case "answered":
                carried_out = job.put(self.now, shows_from=settled_at)
                kind, http_status = (AnswerKind.ACCEPTED, 202) if carried_out else (AnswerKind.REFUSED, 409)
            case "409" | "403":
                kind, http_status = AnswerKind.REFUSED, int(fate)
            case "409 twice":
                job.put(self.now, shows_from=settled_at)
                kind, http_status = AnswerKind.REFUSED, 409
            case "403 twice":
                if self.run.migrations["orders"].reported_lag:
                    job.put(self.now, shows_from=self.now)
                kind, http_status = AnswerKind.REFUSED, 403
            case "429":
                kind = AnswerKind.NOT_CARRIED_OUT
            case "lost after":
                job.put(self.now, shows_from=settled_at)
            case "late":
                job.late.append((self.now + share * SETTLE, settled_at))
            case "timeout" | "timeout late":
                if fate == "timeout late":
                    job.late.append((settled_at + share * SETTLE, settled_at + SETTLE))
                self.wait(SETTLE)
            case "died" | "died late":
                if fate == "died late":
                    job.late.append((self.now + share * SETTLE, settled_at))
                self.die()
                return None
            case "lost before":
                pass
        return Answer(kind=kind, http_status=http_status, reason=fate)

    def end(self, outcome: Outcome, message: str | None) -> None:
        """Record the end."""
        status = self.run.migrations["orders"].remote_status
        self.take(
            MigrationFinished(
                at=self.now, migration="orders", outcome=outcome, status=status, error_message=message, polls=0
            )
        )

    # -- the adversary -----------------------------------------------------------------------------------------------

    @rule(**strategies(MOVES))
    def world_moves(self, seconds: float, lag: float | None, ready: bool, word: str | None) -> None:
        """The program sleeps; the job's lag changes before the cutover; the job ends, COMPLETE after a cutover alone."""
        self.wait(seconds)
        if lag is not None and not self.job.begun:
            self.job.lag, self.job.ready = lag, ready
        if word and normalise(self.job.status) is RemoteStatus.PENDING and (self.job.begun or word == "EXPIRED"):
            self.job.status = word
        self.job.changed(self.now)

    @rule(**strategies(DEATHS))
    def die(self, downtime: float = 0.0, lost: int = 0, retry_failed: bool = False) -> None:
        """The program is killed, and another one continues from what the journal has."""
        keep = max(self.on_disk, len(self.journal) - lost)
        self.journal = self.journal[:keep]
        self.wait(downtime)
        self.run = fold("r", self.journal)
        self.outcome = self.run.migrations["orders"].outcome
        if self.outcome is Outcome.IN_DOUBT or (self.outcome is Outcome.FAILED and retry_failed):
            self.outcome = None
        resumed = RunResumed(at=self.now, selected=("orders",), retry_failed=retry_failed, who=WHO, settle=SETTLE)
        self.take(resumed)
        self.on_disk = len(self.journal)
        self.doubt_earlier_put()

    def all_is_well(self) -> None:
        """What is to hold after every single act."""
        self.at_most_one_put_is_carried_out()
        self.an_outcome_never_changes()
        self.outcomes_are_true()
        self.nothing_is_on_its_way_when_a_put_may_leave()

    # -- what always holds -------------------------------------------------------------------------------------------

    @invariant()
    def at_most_one_put_is_carried_out(self) -> None:
        """And none meets a cutover that has begun."""
        assert self.job.carried_out <= 1
        assert self.job.sent_while_begun == 0

    @invariant()
    def between_two_puts_there_is_evidence(self) -> None:
        """In the journal as well as in memory."""
        doubtful = False
        for event in self.journal:
            match event:
                case CutoverRequested():
                    assert not doubtful
                    doubtful = True
                case CutoverInDoubt():
                    doubtful = True
                case CutoverNotBegun():
                    doubtful = False

    @invariant()
    def an_outcome_never_changes(self) -> None:
        """Not within a session; in a later one only what was IN_DOUBT, or on request FAILED before any PUT."""
        outcome = self.known and self.run.migrations["orders"].outcome
        assert self.outcome in (None, outcome)
        self.outcome = outcome or None

    @invariant()
    def the_journal_tells_what_the_program_knows(self) -> None:
        """Polls are not in it, and do not matter for what may be sent."""
        if self.known:
            known, folded = self.run.migrations["orders"], fold("r", self.journal).migrations["orders"]
            for field_name in (
                "phase",
                "outcome",
                "cutover_requests",
                "doubted",
                "doubt_since",
                "refused",
                "by_evidence",
            ):
                assert getattr(known, field_name) == getattr(folded, field_name)

    @invariant()
    def outcomes_are_true(self) -> None:
        """SUCCESS and FAILED are what Atlas says, or FAILED says that no cutover has begun or will; TIMED_OUT that one has."""
        truth = normalise(self.job.status)
        if self.outcome is Outcome.SUCCESS:
            assert truth is RemoteStatus.SUCCESS
        if self.outcome is Outcome.TIMED_OUT:
            assert self.job.begun
        if self.outcome is Outcome.FAILED:
            assert truth is RemoteStatus.FAILED or not (self.job.begun or self.job.late)

    @invariant()
    def nothing_is_on_its_way_when_a_put_may_leave(self) -> None:
        """Only phase READY lets one go."""
        if self.known and self.phase is Phase.READY:
            assert not self.job.late
            assert not self.job.begun

    @invariant()
    def nothing_sent_is_said_only_of_what_may_still_be_called_off(self) -> None:
        """Where a PUT of this program has been carried out, or may still be, nobody is told that the source is in charge."""
        if self.known and SIDES[point_of(self.run.migrations["orders"])] is Side.NOTHING_SENT:
            assert not self.job.late
            assert not self.job.carried_out

    @property
    def known(self) -> bool:
        """Whether the run has begun."""
        return bool(self.journal)

    def teardown(self) -> None:
        """With time, everything ends, whatever Atlas does from now on."""
        if not self.known:
            return
        choices = {"wait": 30.0, "delay": 0.0, "age": 0.0, "share": 0.0, "hook works": True}
        choices |= ENDINGS[len(self.journal) % len(ENDINGS)]
        for _ in range(400):
            if isinstance(next_step(self.run.migrations["orders"], self.policy, self.now), Done):
                break
            if not isinstance(self.journal[-1], GateOpened):  # what was read is acted upon at once, else it is stale
                self.wait(10.0)
            self.act(choices.__getitem__)
            self.at_most_one_put_is_carried_out()
        self.outcomes_are_true()
        assert self.run.migrations["orders"].outcome is not None


TestOneMigration = OneMigration.TestCase
TestOneMigration.settings = settings(
    max_examples=examples(60),
    stateful_step_count=25,
    deadline=None,
    phases=(Stage.explicit, Stage.reuse, Stage.generate, Stage.shrink),
)


@pytest.mark.parametrize("seed", range(4))
def test_many_random_nights_keep_the_same_promises(seed: int) -> None:
    """Hypothesis looks for the odd, and spends most of its time on little; dice reach deep, and come by many PUTs."""
    random = Random(seed)

    def any_of(options: dict[str, tuple[Any, ...]]) -> dict[str, Any]:
        return {name: random.choice(values) for name, values in options.items()}

    for _ in range(examples(1000)):
        night = OneMigration()
        night.begin(**any_of(BEGINNINGS))
        for _ in range(60):
            match random.random():
                case dice if dice < 0.08:
                    night.world_moves(**any_of(MOVES))
                case dice if dice < 0.11:
                    night.die(**any_of(DEATHS))
                case _:
                    night.act(lambda what: random.choice(CHOICES[what]))
            night.all_is_well()
        night.between_two_puts_there_is_evidence()
        night.the_journal_tells_what_the_program_knows()
        night.teardown()
