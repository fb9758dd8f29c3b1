"""The rules of one migration against an adversary: a server that loses, delays and garbles, and a program that dies.

What the adversary may do, and no more:

* A PUT is lost before or after it is carried out, or carried out late: up to `settle_lost` seconds after its connection
  broke, up to `settle_timeout` seconds after the program gave up waiting for its answer, or died. What a later session
  finds without an answer may be any of these, so `RunResumed.settle` has to be the longest. A PUT that came later still
  would be no fault of the rules.
* A read shows the job as it was at some moment between its sending and its answer, and may take as long as it likes; or it
  shows part of it, or nothing. It never shows readiness or lag that the job did not have.
* The program dies at any step. Of what it recorded the journal has everything up to the last `cutover_requested`, which
  is on disk before its PUT leaves, and any part of the rest, in order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import Phase as Stage
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from orchestrator.cutover import (
    Answer,
    AnswerKind,
    Done,
    Finish,
    Phase,
    Policy,
    Read,
    Reading,
    Request,
    RunHook,
    answered,
    next_step,
    observe,
    observe_failure,
)
from orchestrator.events import (
    CutoverInDoubt,
    CutoverNotBegun,
    CutoverRequested,
    Event,
    GateOpened,
    HookFinished,
    MigrationFinished,
    RunResumed,
)
from orchestrator.outcomes import Outcome, RemoteStatus, normalise
from orchestrator.run import RunState, fold
from orchestrator.workflow import Gate

from .builders import NOW, WHO, run_started, workflow

LOST, TIMEOUT = 4.0, 30.0
FINAL = (RemoteStatus.SUCCESS, RemoteStatus.FAILED)


@dataclass
class Job:
    """The truth: one job at Atlas. *late*: PUTs on their way, by the time at which they arrive."""

    v1: bool = False
    status: str = "WORKING"
    ready: bool = True
    lag: float = 1.0
    begun: bool = False
    carried_out: int = 0
    sent_while_begun: int = 0
    late: list[float] = field(default_factory=list)

    def put(self) -> bool:
        """A PUT arrives; whether it is carried out."""
        if self.begun:
            self.sent_while_begun += 1
        if self.begun or not self.ready or normalise(self.status) in FINAL:
            return False
        self.carried_out += 1
        self.begun = True
        return True

    def shown(self) -> Reading:
        """The job's document."""
        if self.v1:
            return Reading(status=normalise(self.status).value)
        lag = None if self.begun or normalise(self.status) in FINAL else self.lag
        return Reading(status=self.status, ready=self.ready, lag=lag, error_message=None)


delays = st.sampled_from([0.0, 0.0, 0.0, 0.0, 0.5, LOST, TIMEOUT])
fates = [
    "answered",
    "timeout late",
    "lost before",
    "lost after",
    "late",
    "timeout",
    "timeout late",
    "429",
    "4xx",
    "died",
    "died late",
]
CHOICES: dict[str, st.SearchStrategy[Any]] = {
    "wait": st.sampled_from([0.5, 2.0, 5.0, 30.0]),
    "delay": delays,
    "sight": st.sampled_from([*["whole"] * 8, "nothing", "garbage", "partial", "refused"]),
    "fate": st.sampled_from(fates),
    "share": st.sampled_from([1.0, 0.5, 0.0]),
    "hook works": st.booleans(),
}
"""What the adversary decides. *share*: of the time that a late PUT may take."""
ENDINGS: tuple[dict[str, Any], ...] = (
    {"sight": "garbage", "fate": "429"},
    {"sight": "nothing", "fate": "lost before"},
    {"sight": "whole", "fate": "lost before"},
    {"sight": "whole", "fate": "answered"},
)


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

    @initialize(
        gate=st.sampled_from([None, Gate(), Gate(max_lag=10.0, timeout=60.0)]),
        timeout=st.sampled_from([60.0, 600.0]),
        v1=st.sampled_from([False, False, False, True]),
        hooks=st.integers(0, 1),
        ready=st.sampled_from([True, True, True, False]),
        earlier=st.sampled_from([None, None, None, "never", "late", "begun"]),
    )
    def begin(self, gate: Gate | None, timeout: float, v1: bool, hooks: int, ready: bool, earlier: str | None) -> None:
        """A run starts; perhaps another one has sent a PUT before it."""
        self.policy = Policy(
            gate=gate,
            timeout=timeout,
            settle=TIMEOUT,
            reports_readiness=not v1,
            before_hooks=hooks,
            after_success_hooks=hooks,
            after_failure_hooks=hooks,
        )
        self.job = Job(v1=v1, ready=ready)
        self.take(run_started(self.workflow, at=self.now))
        self.on_disk = 1
        if earlier == "begun":
            self.job.put()
        if earlier == "late":
            self.job.late.append(self.now + TIMEOUT)
        self.earlier_put = earlier is not None
        self.doubt_earlier_put()

    def doubt_earlier_put(self) -> None:
        """What the program does at the start of each session: another run has sent a PUT and died."""
        if self.earlier_put and self.phase is Phase.NEW:
            self.take(CutoverInDoubt(at=self.now, migration="orders", reason="run r0 sent a PUT", settle=TIMEOUT))

    def take(self, *events: Event) -> None:
        """The program records *events*."""
        for event in events:
            self.run.apply(event)
            if event.journaled:
                self.journal.append(event)

    def wait(self, seconds: float) -> None:
        """Time passes, and what is late arrives."""
        self.now += seconds
        for at in [at for at in self.job.late if at <= self.now]:
            self.job.late.remove(at)
            self.job.put()

    @property
    def phase(self) -> Phase:
        """How far the migration has come."""
        return self.run.migrations["orders"].phase

    # -- the program -------------------------------------------------------------------------------------------------

    @rule(data=st.data(), times=st.integers(1, 6))
    def step(self, data: st.DataObject, times: int) -> None:
        """Whatever comes next happens, in the way the adversary chose."""
        for _ in range(times):
            self.act(lambda what: data.draw(CHOICES[what], label=what))
            self.at_most_one_put_is_carried_out()
            self.an_outcome_never_changes()
            self.outcomes_are_true()
            self.nothing_is_on_its_way_when_a_put_may_leave()

    def act(self, choose: Callable[[str], Any]) -> None:
        """Do what comes next; *choose* decides how it goes."""
        match next_step(self.run.migrations["orders"], self.policy, self.now):
            case Read() as read:
                self.wait(max(0.0, min(choose("wait"), read.deadline - self.now)) if read.attempt else 0.0)
                self.read(choose)
            case RunHook() as hook:
                self.hook(hook, works=choose("hook works"))
            case Request():
                self.put(choose)
            case Finish() as finish:
                self.end(finish.outcome, finish.error_message)
            case Done():
                assert self.phase is Phase.FINISHED

    def read(self, choose: Callable[[str], Any]) -> None:
        """Read the job."""
        self.wait(choose("delay"))
        shown = self.job.shown()
        self.wait(choose("delay"))
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
                shown = Reading(status=shown.status, ready=shown.ready)
        self.take(*observe(state, shown, self.policy, **known))

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
        lag = self.run.migrations["orders"].lag
        if self.policy.gate and not self.job.v1:
            assert lag is not None
            assert lag <= self.policy.gate.max_lag
        self.take(CutoverRequested(at=self.now, migration="orders"))
        self.on_disk = len(self.journal)
        fate = choose("fate")
        match fate:
            case "answered":
                kind = AnswerKind.ACCEPTED if self.job.put() else AnswerKind.REFUSED
            case "4xx":
                kind = AnswerKind.REFUSED
            case "429":
                kind = AnswerKind.NOT_CARRIED_OUT
            case "lost before":
                kind = AnswerKind.LOST
            case "lost after":
                self.job.put()
                kind = AnswerKind.LOST
            case "late":
                self.job.late.append(self.now + choose("share") * LOST)
                kind = AnswerKind.LOST
            case "timeout" | "timeout late":
                if fate == "timeout late":
                    self.job.late.append(self.now + TIMEOUT + choose("share") * TIMEOUT)
                self.wait(TIMEOUT)
                kind = AnswerKind.LOST
            case "died":
                self.die()
                return
            case _:
                self.job.late.append(self.now + choose("share") * TIMEOUT)
                self.die()
                return
        answer = Answer(kind=kind, reason=fate)
        state = self.run.migrations["orders"]
        self.take(*answered(state, answer, self.policy, migration="orders", now=self.now))

    def end(self, outcome: Outcome, message: str | None) -> None:
        """Record the end."""
        status = self.run.migrations["orders"].remote_status
        self.take(
            MigrationFinished(
                at=self.now, migration="orders", outcome=outcome, status=status, error_message=message, polls=0
            )
        )

    # -- the adversary -----------------------------------------------------------------------------------------------

    @rule(
        seconds=st.sampled_from([0.0, 0.0, 0.0, 0.0, 1.0, 30.0, 301.0, 5000.0]),
        lag=st.sampled_from([None, None, 0.0, 10.0, 500.0]),
        ready=st.sampled_from([True, True, True, False]),
        word=st.sampled_from([None, None, None, None, "COMPLETE", "COMPLETE", "FAILED", "EXPIRED"]),
    )
    def world_moves(self, seconds: float, lag: float | None, ready: bool, word: str | None) -> None:
        """The program sleeps; the job's lag changes before the cutover; the job ends, COMPLETE after a cutover alone."""
        self.wait(seconds)
        if lag is not None and not self.job.begun:
            self.job.lag, self.job.ready = lag, ready
        if word and normalise(self.job.status) is RemoteStatus.PENDING and (self.job.begun or word == "EXPIRED"):
            self.job.status = word

    @rule(lost=st.integers(0, 4), downtime=delays, retry_failed=st.booleans())
    def die(self, downtime: float = 0.0, lost: int = 0, retry_failed: bool = False) -> None:
        """The program is killed, and another one continues from what the journal has."""
        keep = max(self.on_disk, len(self.journal) - lost)
        self.journal = self.journal[:keep]
        self.wait(downtime)
        self.run = fold("r", self.journal)
        self.outcome = self.run.migrations["orders"].outcome
        if self.outcome is Outcome.IN_DOUBT or (self.outcome is Outcome.FAILED and retry_failed):
            self.outcome = None
        resumed = RunResumed(at=self.now, selected=("orders",), retry_failed=retry_failed, who=WHO, settle=TIMEOUT)
        self.take(resumed)
        self.on_disk = len(self.journal)
        self.doubt_earlier_put()

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
            for field_name in ("phase", "outcome", "cutover_requests", "doubted", "doubt_since", "reported_lag"):
                assert getattr(known, field_name) == getattr(folded, field_name)

    @invariant()
    def outcomes_are_true(self) -> None:
        """SUCCESS and FAILED are what Atlas says, or FAILED says that no cutover has begun or will."""
        truth = normalise(self.job.status)
        if self.outcome is Outcome.SUCCESS:
            assert truth is RemoteStatus.SUCCESS
        if self.outcome is Outcome.FAILED:
            assert truth is RemoteStatus.FAILED or not (self.job.begun or self.job.late)

    @invariant()
    def nothing_is_on_its_way_when_a_put_may_leave(self) -> None:
        """Only phase READY lets one go."""
        if self.known and self.phase is Phase.READY:
            assert not self.job.late
            assert not self.job.begun

    @property
    def known(self) -> bool:
        """Whether the run has begun."""
        return bool(self.journal)

    def teardown(self) -> None:
        """With time, everything ends, whatever Atlas does from now on."""
        if not self.known:
            return
        choices = {"wait": 30.0, "delay": 0.0, "share": 0.0, "hook works": True}
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
    max_examples=60,
    stateful_step_count=25,
    deadline=None,
    phases=(Stage.explicit, Stage.reuse, Stage.generate, Stage.shrink),
)
