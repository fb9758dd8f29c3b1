"""A whole night over the pure core: a made-up Atlas, made-up time, an operator, and a process that dies.

The program is played by a few lines: they do what `next_actions` and `migration_step` say. What the adversary may do:

* A PUT is lost before or after it is carried out, refused, limited, answered late, or carried out late: up to `SETTLE` seconds
  after it left. A read fails, or shows the job as it was at the moment of its answer.
* Hooks fail, say "not yet" or take long. People pause, unpause, approve and abort, reject waves, skip and retry migrations, change gates.
* The process dies at any moment: what is journaled after the last commit is lost, from some event on.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from orchestrator.core.agenda import Drive, HookOf, Record, RunGroupHook, Wait
from orchestrator.core.events import (
    NOT_YET,
    ApprovalWaiting,
    CutoverRequested,
    Event,
    HookFinished,
    RunAborted,
    RunFinished,
    RunPaused,
    RunResumed,
    RunStarted,
    RunUnpaused,
    WaveApproved,
)
from orchestrator.core.migration import UNDER_WAY
from orchestrator.core.next_actions import may_request, migration_step, next_actions, to_drive
from orchestrator.core.next_step import (
    Answer,
    AnswerKind,
    Done,
    Finish,
    Policy,
    Read,
    Reading,
    ReadKind,
    RunHook,
    SendPut,
)
from orchestrator.core.observations import answered, finished, look_failed, looked, observe, observe_failure
from orchestrator.core.outcomes import Outcome
from orchestrator.core.run import RunState, fold
from orchestrator.core.steered import Command
from orchestrator.core.steering import GateChange, SteeringRequest, decide
from orchestrator.core.workflow import HookKind, Migration, Workflow

from ..builders import NOW, WHO, run_started

SETTLE = 30.0
Told = Callable[[RunState, RunStarted], tuple[Event, ...]]
LONGEST = 100_000.0  # seconds of made-up time; a session that takes longer hangs
FATES = ("accepted", "lost before", "lost after", "late", "refused", "limited", "not sent", "slow")


@dataclass
class Job:
    """The truth about one job at Atlas."""

    ready_at: float
    takes: float
    succeeds: bool
    begun_at: float | None = None
    carried_out: int = 0
    by_hand_at: float | None = None  # when somebody else begins its cutover
    ready_in_cutover: bool = False
    documents: str = "full"  # or "older", "bare", or "odd": those with a word during a cutover that nobody knows

    def put(self, now: float) -> bool:
        """A PUT arrives; whether it is carried out. Atlas as an adversary: it would do it again."""
        if self.over(now) or now < self.ready_at:
            return False
        self.carried_out += 1
        self.begun_at = now if self.begun_at is None else self.begun_at
        return True

    def cut_over_by_hand(self, now: float) -> None:
        """Somebody does it in the Atlas UI."""
        self.begun_at = now if self.begun_at is None else self.begun_at

    def began(self, now: float) -> float | None:
        """When its cutover began, whoever has asked for it."""
        times = [at for at in (self.begun_at, self.by_hand_at) if at is not None and at <= now]
        return min(times, default=None)

    def over(self, now: float) -> bool:
        """Whether its cutover has ended."""
        began = self.began(now)
        return began is not None and now >= began + self.takes

    def shown(self, now: float) -> Reading:
        """Its document."""
        full = self._shown_in_full(now)
        if self.documents in ("older", "bare"):
            word = {"WORKING": "PENDING", "COMPLETE": "SUCCESS"}.get(full.status or "", full.status)
            ready = now >= self.ready_at and self.began(now) is None
            return Reading(status=word, ready=ready if self.documents == "older" else None)
        if self.documents == "odd" and full.status == "WORKING" and self.began(now) is not None:
            return replace(full, status="CUTTING_OVER")
        return full

    def _shown_in_full(self, now: float) -> Reading:
        if self.over(now):
            return Reading(status="COMPLETE" if self.succeeds else "FAILED")
        if self.began(now) is not None:
            return Reading(
                status="WORKING", ready=bool(self.carried_out) or self.ready_in_cutover
            )  # of one that nobody has seen with a lag, ready would be no sign
        ready = now >= self.ready_at
        return Reading(status="WORKING", ready=ready, lag=1.0 if ready else 100.0)


@dataclass(kw_only=True)
class CoreNight:
    """A run of *workflow*, from its first session to its last.

    *faults*: the probability that something goes wrong with a request; *deaths*: of a death, at each event; *by_hand*: of each job, that
    somebody cuts it over in the Atlas UI.
    """

    workflow: Workflow
    dice: Random
    faults: float = 0.0
    deaths: float = 0.0
    by_hand: float = 0.0
    latency: tuple[float, float] = (0.1, 3.0)
    check: Callable[[CoreNight, Event], None] = lambda _night, _event: None
    check_put: Callable[[CoreNight, str], None] = lambda _night, _name: None  # asked when a PUT of this name leaves
    check_hook: Callable[[CoreNight, HookKind, str | None, str | None], None] = lambda _night, _hook, _wave, _name: (
        None
    )  # asked when a hook of this wave and migration is about to run
    now: float = NOW
    jobs: dict[str, Job] = field(default_factory=dict)
    run: RunState = field(default_factory=lambda: RunState(run_id="night"))
    events: list[Event] = field(default_factory=list)  # all that happened, in all sessions
    journal: list[Event] = field(default_factory=list)  # what of it no death has lost
    arrivals: list[tuple[float, str]] = field(default_factory=list)  # when PUTs left, and whose
    sessions: int = 0
    followed: set[str] = field(default_factory=set)  # what was under way when the session began
    decisions: int = 0
    asks: bool = True  # whether people ask for things
    begun: list[tuple[int, HookKind, str | None]] = field(
        default_factory=list
    )  # hooks of waves (None: the run), and how many events had happened before each began

    def __post_init__(self) -> None:
        self._synced = self._first = 0
        self._wire: list[tuple[float, int, Callable[[], None]]] = []  # what happens whatever becomes of the process
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._sequence = itertools.count()
        self._busy: set[str] = set()
        self._driven: dict[str, Counter[str]] = {}
        self._drivers: dict[str, str] = {}  # migration to wave, of those that are being driven
        self._hooks: set[RunGroupHook] = set()
        self._drives: set[Drive] = set()
        for _, migration in self.workflow.migrations():
            self.jobs.setdefault(
                migration.name,
                Job(
                    ready_at=NOW + self.dice.choice([0.0, 0.0, 20.0]),
                    takes=self.dice.choice([3.0, 30.0]),
                    succeeds=self.dice.random() < 0.9,
                ),
            )
        for job in self.jobs.values():
            if self.by_hand and self.dice.random() < self.by_hand:
                when = self.dice.choice([5.0, 40.0, 100.0, 700.0])
                self._after(when, lambda job=job: job.cut_over_by_hand(self.now), on_the_wire=True)  # type: ignore[misc]

    # -- sessions ------------------------------------------------------------------------------------------------------

    def begin(self, selected: tuple[str, ...] | None = None, *, told: Told = lambda _state, _first: ()) -> bool:
        """The first session, which is *told* something of earlier runs; False: it died."""
        first = run_started(self.workflow, at=self.now, selected=selected)
        return self._session(first, *told(self.run, first))

    def resume(self, selected: tuple[str, ...] | None = None, *, retry_failed: bool = False) -> bool:
        """Another process goes on; False: it died."""
        self.run = fold("night", self.journal)
        names = set(selected or self.workflow.names())
        names |= {name for name in self.run.migrations if self.run.result(name).outcome is Outcome.IN_DOUBT}
        picked = tuple(m.name for _, m in self.workflow.migrations() if m.name in names)
        return self._session(
            RunResumed(at=self.now, selected=picked, retry_failed=retry_failed, who=WHO, settle=SETTLE)
        )

    def session(self) -> list[Event]:
        """The events of this session."""
        return self.events[self._first :]

    def hooked(self, wave: str | None) -> tuple[list[tuple[int, HookKind]], list[tuple[int, HookKind]]]:
        """The hooks of *wave* (None: the run) in this session: which began, and which ended, after how many events."""
        began = [(at, hook) for at, hook, whose in self.begun if whose == wave and at >= self._first]
        ended = [
            (at, HookKind(event.hook))
            for at, event in enumerate(self.events)
            if at >= self._first and isinstance(event, HookFinished) and (event.wave, event.migration) == (wave, None)
        ]
        return began, ended

    def _session(self, first: Event, *told: Event) -> bool:
        self.sessions += 1
        self._queue.clear()
        for forgotten in (self._busy, self._drivers, self._hooks, self._drives):
            forgotten.clear()
        began = self.now
        try:
            self._synced = len(self.journal) + 1 + len(told)  # a run begins on disk, or not at all
            self._first = len(self.events)
            for event in (first, *told):
                self._record(event)
            self.followed = {name for name, state in self.run.migrations.items() if state.phase in UNDER_WAY}
            if self.run.paused_by is not None:
                self._after(10.0, lambda: self._record(RunUnpaused(at=self.now, who=WHO)))
            while True:
                agenda = self._decide()
                if agenda is None:
                    break
                self._wait(agenda)
                assert self.now < began + LONGEST, "the session hangs"
            self._record(
                RunFinished(
                    at=self.now,
                    outcome=self.run.outcome(),
                    exit_code=int(self.run.exit_code()),
                    unfinished=self.run.is_unfinished(),
                    requests={},
                )
            )
        except _DiedError:
            kept = self.dice.randint(self._synced, len(self.journal))
            del self.journal[kept:]
            return False
        self._synced = len(self.journal)
        return True

    def _decide(self) -> float | None:
        """Do all that is to be done now; when to look again, None: the session is over."""
        while True:
            self.decisions += 1
            agenda = next_actions(
                self.run,
                self.now,
                self.now,
                {*self._drivers.values(), *(HookOf(action.wave) for action in self._hooks)},
            )
            if agenda.over:
                return None
            records = [action.event for action in agenda.actions if isinstance(action, Record)]
            for event in records:
                self._record(event)
            if not records:
                break
        before = len(self.events), len(self._drivers)
        for action in agenda.actions:
            self._carry_out(action)
        for name in tuple(self._drivers):
            if name not in self._busy:
                self._step(name)
        if before != (len(self.events), len(self._drivers)):
            return self.now
        return agenda.look_again if agenda.look_again is not None else float("inf")

    def _carry_out(self, action: Any) -> None:
        match action:
            case Drive(wave=name) if action not in self._drives:
                self._drives.add(action)
                wave = next(wave for wave in self.workflow.waves if wave.name == name)
                for migration in to_drive(self.run, wave):
                    self._drivers.setdefault(migration.name, name)
            case RunGroupHook() if action not in self._hooks:
                self._hooks.add(action)
                hooks = self.run.hooks_of(self.run.wave(action.wave) if action.wave else None).commands
                self._hook(action.hook, hooks.of(action.hook)[action.index], action.wave, None, action)

    def _wait(self, until: float) -> None:
        """Let time pass until something happens."""
        if until <= self.now:
            return
        pending = [queue for queue in (self._queue, self._wire) if queue]
        queue = min(pending, key=lambda each: each[0][0], default=None)
        if queue is None or queue[0][0] > until:
            assert until < float("inf"), "nothing will ever happen any more"
            self.now = until
            return
        at, _, happens = heapq.heappop(queue)
        self.now = max(self.now, at)
        happens()

    def _after(self, seconds: float, happens: Callable[[], None], *, on_the_wire: bool = False) -> None:
        queue = self._wire if on_the_wire else self._queue
        heapq.heappush(queue, (self.now + seconds, next(self._sequence), happens))

    def _record(self, event: Event) -> None:
        self.run.apply(event)
        self.events.append(event)
        self.check(self, event)
        if event.journaled:
            self.journal.append(event)
        if self.deaths and len(self.journal) > self._synced and self.dice.random() < self.deaths:
            raise _DiedError
        if self.asks:
            self._people(event)

    def _people(self, event: Event) -> None:
        if isinstance(event, ApprovalWaiting):
            self._after(self.dice.choice([1.0, 100.0]), lambda: self._approve(event.wave))
        if self.dice.random() < 0.03:
            self._after(self.dice.choice([0.0, 1.0, 30.0]), self._steer)
        if self.dice.random() < 0.01:
            self._record(RunPaused(at=self.now, who=WHO))
            self._after(self.dice.choice([5.0, 50.0]), lambda: self._record(RunUnpaused(at=self.now, who=WHO)))
        elif self.dice.random() < 0.002 and self.run.aborted_by is None:
            self._record(RunAborted(at=self.now, who=WHO))

    def _approve(self, wave: str) -> None:
        if self.run.waves[wave].approved_by is None:
            self._record(WaveApproved(at=self.now, wave=wave, who=WHO))

    def _steer(self) -> None:
        """Somebody asks for something: what it means is recorded, and what means nothing is told to who asked."""
        command = self.dice.choice(["skip", "skip", "retry", "retry", "retry", "gate", "reject", "approve"])
        asked = SteeringRequest(command=Command(command), who=WHO, reason="so it is decided")
        if command in ("reject", "approve"):
            asked = replace(asked, wave=self.dice.choice([wave.name for wave in self.workflow.waves]))
            if command == "reject" and self.dice.random() < 0.7:
                return
            if command == "approve" and self.dice.random() < 0.5:  # by somebody who was told of these alone
                members = [migration.name for migration in self.run.wave(str(asked.wave)).migrations]
                asked = replace(asked, covers=tuple(self.dice.sample(members, self.dice.randrange(len(members) + 1))))
        else:
            gates = [GateChange(timeout=60.0), GateChange(max_lag=0.5), None]  # the middle one never opens
            gate = self.dice.choice(gates) if command == "gate" else None
            asked = replace(asked, migration=self.dice.choice(sorted(self.workflow.names())), gate=gate)
        event = decide(self.run, asked, at=self.now)
        if isinstance(event, Event):
            self._record(event)

    # -- one migration -------------------------------------------------------------------------------------------------

    def policy(self, migration: Migration) -> Policy:
        """The rules for *migration*."""
        return Policy(
            gate=migration.gate,
            timeout=migration.timeout,
            settle=SETTLE,
            hooks=migration.hooks,
        )

    def _step(self, name: str) -> None:
        wave, migration = self.run.wave_and_migration(name)
        policy = self.policy(migration)
        step = migration_step(self.run, name, policy, self.now, self.now)
        match step:
            case Wait():
                return
            case Done():
                del self._drivers[name]
                return
            case Finish():
                known = self.run.migrations[name]
                self._record(finished(known, step.outcome, step.error_message, migration=name, now=self.now))
                return
            case RunHook() if step.not_before > self.now:
                self._busy.add(name)
                self._after(step.not_before - self.now, lambda: self._free(name))
            case RunHook():
                self._busy.add(name)
                self._hook(step.hook, migration.hooks.of(step.hook)[step.index], wave.name, name, None)
            case Read():
                self._busy.add(name)
                pause = self.dice.choice([2.0, 10.0]) if step.attempt else 0.0
                pause = max(0.0, min(pause, step.deadline - self.now))
                self._after(pause + self.dice.uniform(*self.latency), lambda: self._read(name, step.kind))
            case SendPut():
                self._busy.add(name)
                known = self.run.migrations[name]
                pause = self.dice.choice([0.0, 0.0, 8.0])
                if step.attempt and known.not_begun_at is not None:
                    pause = max(0.0, known.not_begun_at + 2.0 * step.attempt - self.now)
                self._after(pause, lambda: self._request(name, policy))

    def _free(self, name: str) -> None:
        self._busy.discard(name)

    def _read(self, name: str, kind: ReadKind) -> None:
        self._free(name)
        known = self.run.migrations[name]
        policy = self.policy(self.run.wave_and_migration(name)[1])  # its gate may have been changed meanwhile
        if self.dice.random() < self.faults and kind is ReadKind.LOOK:
            events = look_failed(known, "500", migration=name, now=self.now)
        elif self.dice.random() < self.faults:
            events = observe_failure(known, "500", policy, migration=name, now=self.now, refused=False)
        else:
            tell = looked if kind is ReadKind.LOOK else observe
            events = tell(known, self.jobs[name].shown(self.now), policy, migration=name, now=self.now)
        for event in events:
            self._record(event)

    def _request(self, name: str, policy: Policy) -> None:
        if not isinstance(migration_step(self.run, name, policy, self.now, self.now), SendPut):
            self._free(name)
            return
        why_not = may_request(self.run, name, self.now, self.now)
        assert why_not is None, (name, why_not)
        self._record(CutoverRequested(at=self.now, migration=name))
        self._synced = len(self.journal)
        self._after(self.dice.choice([0.0, 0.0, 0.05, 7.0]), lambda: self._send(name, policy))

    def _send(self, name: str, policy: Policy) -> None:
        why_not = may_request(self.run, name, self.now, self.now)
        if why_not is not None:
            self._answer(name, policy, Answer(kind=AnswerKind.NOT_CARRIED_OUT, sent=False, reason=why_not))
            return
        fate = self.dice.choice(FATES) if self.dice.random() < self.faults else "accepted"
        if fate == "not sent":
            self._answer(name, policy, Answer(kind=AnswerKind.NOT_CARRIED_OUT, sent=False, reason="no connection"))
            return
        self.check_put(self, name)
        self.arrivals.append((self.now, name))
        trip = self.dice.uniform(*self.latency)
        job = self.jobs[name]
        if fate in ("accepted", "lost after", "slow"):
            self._after(trip / 2, lambda: self._arrive(job), on_the_wire=True)
        elif fate == "late":
            self._after(self.dice.uniform(0.0, SETTLE), lambda: self._arrive(job), on_the_wire=True)
        answer = {
            "accepted": Answer(kind=AnswerKind.ACCEPTED, http_status=202),
            "slow": Answer(kind=AnswerKind.ACCEPTED, http_status=202),
            "refused": Answer(kind=AnswerKind.REFUSED, http_status=400, reason="400"),
            "limited": Answer(kind=AnswerKind.NOT_CARRIED_OUT, http_status=429, reason="429"),
        }.get(fate, Answer(kind=AnswerKind.LOST, reason="reset"))
        self._after(trip + (20.0 if fate == "slow" else 0.0), lambda: self._answer(name, policy, answer))

    def _arrive(self, job: Job) -> None:
        job.put(self.now)

    def _answer(self, name: str, policy: Policy, answer: Answer) -> None:
        self._free(name)
        for event in answered(self.run.migrations[name], answer, policy, migration=name, now=self.now):
            self._record(event)

    # -- hooks ---------------------------------------------------------------------------------------------------------

    def _hook(
        self, hook: str, argv: tuple[str, ...], wave: str | None, name: str | None, action: RunGroupHook | None
    ) -> None:
        self.check_hook(self, HookKind(hook), wave, name)
        if name is None:
            self.begun.append((len(self.events), HookKind(hook), wave))
        exit_codes = {"fails": 1, "later": self.dice.choice([0, NOT_YET])}

        def ends() -> None:
            if name is not None:
                self._free(name)
            self._record(
                HookFinished(
                    at=self.now,
                    hook=hook,
                    argv=argv,
                    exit_code=exit_codes.get(argv[0], 0),
                    seconds=0.0,
                    wave=wave,
                    migration=name,
                )
            )
            if action is not None:
                self._hooks.discard(action)

        self._after(30.0 if argv[0] == "slow" else 0.1, ends)


class _DiedError(Exception):
    """The process is dead."""
