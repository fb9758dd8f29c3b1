"""Small makers of workflows and events, and one migration driven by hand, for the tests of the pure core."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.core import observations
from orchestrator.core.events import CutoverRequested, Event, HookFinished, MigrationFinished, RunResumed, RunStarted
from orchestrator.core.migration import MigrationState, Phase
from orchestrator.core.migration_fold import apply, reopen
from orchestrator.core.next_step import Answer, AnswerKind, Finish, Policy, Read, Reading, SendPut, Step, next_step
from orchestrator.core.observations import answered, observe, observe_failure
from orchestrator.core.outcomes import Outcome
from orchestrator.core.workflow import Migration, Wave, Workflow

NOW = 1_800_000_000.0
WHO = "ops@bastion (4711)"
WORKS, FAILS = ("true",), ("sh", "-c", "echo no >&2; exit 3")
"""Commands for hooks."""

SETTLE = 4.0
"""Seconds that a doubt takes at least in these stories."""
GROUP = "7e68e12770616e75e6df43d0"

ONE = (("true",),)
"""One hook."""


def live_id(number: int) -> str:
    """A live migration's id."""
    return f"{number:024x}"


def migration(name: str, number: int = 1, **settings: Any) -> Migration:
    """A live migration called *name*."""
    return Migration(**{"group_id": GROUP, "live_migration_id": live_id(number), "name": name, **settings})


def workflow(*waves: tuple[str, ...], **settings: Any) -> Workflow:
    """Waves w1, w2, … of migrations of these names; without any, one wave with `orders`."""
    number = 0
    made = []
    for place, names in enumerate(waves or (("orders",),), start=1):
        migrations = []
        for name in names:
            number += 1
            migrations.append(migration(name, number))
        made.append(Wave(name=f"w{place}", migrations=tuple(migrations)))
    return Workflow(**{"name": "retail-eu", "waves": tuple(made), "sha256": "ab" * 32, **settings})


def wave_with(wave: Wave, **settings: Any) -> Wave:
    """*wave* with other settings."""
    return replace(wave, **settings)


def run_started(given: Workflow, *, at: float = NOW, rehearsal: bool = False, selected: Any = None) -> RunStarted:
    """The first event of a run of *given*."""
    names = selected if selected is not None else tuple(m.name for _, m in given.migrations())
    return RunStarted(
        at=at,
        workflow=given,
        base_url="https://cloud.mongodb.com/api/atlas/v2",
        rehearsal=rehearsal,
        selected=names,
        who=WHO,
        version="0.1.0",
    )


def run_resumed(selected: tuple[str, ...], *, at: float = NOW, retry_failed: bool = False) -> RunResumed:
    """The first event of a later session."""
    return RunResumed(at=at, selected=selected, retry_failed=retry_failed, who=WHO, settle=SETTLE)


def finished(name: str, outcome: Outcome, *, at: float = NOW, message: str | None = None) -> MigrationFinished:
    """The end of one migration."""
    return MigrationFinished(at=at, migration=name, outcome=outcome, status=None, error_message=message)


@dataclass
class Story:
    """One migration, taken through its life step by step as a driver would."""

    policy: Policy = field(default_factory=lambda: Policy(settle=SETTLE))
    state: MigrationState = field(default_factory=MigrationState)
    now: float = NOW
    told: list[Event] = field(default_factory=list)

    @property
    def phase(self) -> Phase:
        """How far it has come."""
        return self.state.phase

    def step(self) -> Step:
        """What comes next."""
        return next_step(self.state, self.policy, self.now)

    def take(self, *events: Event) -> list[str]:
        """Take *events* in; their names."""
        for event in events:
            self.state = apply(self.state, event)
            self.told.append(event)
        return [event.name for event in events]

    def read(
        self,
        status: str | None,
        ready: bool | None = None,
        lag: float | None = None,
        *,
        after: float = 0.0,
        **more: Any,
    ) -> list[str]:
        """Read the job *after* seconds; what followed from it, the read itself left out."""
        self.now += after
        reading = Reading(status=status, ready=ready, lag=lag, **more)
        return self.take(*observe(self.state, reading, self.policy, migration="orders", now=self.now))[1:]

    def read_fails(
        self, error: str = "503", *, refused: bool = False, gone: bool = False, after: float = 0.0
    ) -> list[str]:
        """Read the job in vain *after* seconds."""
        self.now += after
        return self.take(
            *observe_failure(
                self.state, error, self.policy, migration="orders", now=self.now, refused=refused, gone=gone
            )
        )[1:]

    def request(self, *, after: float = 0.0, reads: Any = ("WORKING", True, 1.0)) -> None:
        """Write the intent of a PUT, which has to be what comes next, once the job has been read where that is due."""
        self.now += after
        if isinstance(self.step(), Read):
            self.read(*reads)
        assert isinstance(self.step(), SendPut)
        self.take(CutoverRequested(at=self.now, migration="orders"))

    def answer(self, kind: AnswerKind, *, after: float = 0.0, **more: Any) -> list[str]:
        """The PUT's answer comes *after* seconds."""
        self.now += after
        answer = Answer(**{"kind": kind, "reason": kind.value, **more})
        return self.take(*answered(self.state, answer, self.policy, migration="orders", now=self.now))

    def hook(self, hook: str, exit_code: int = 0) -> None:
        """A hook ends."""
        self.take(
            HookFinished(at=self.now, hook=hook, argv=("true",), exit_code=exit_code, seconds=0.1, migration="orders")
        )

    def finish(self) -> Outcome:
        """End it, which has to be what comes next."""
        step = self.step()
        assert isinstance(step, Finish)
        self.take(observations.finished(self.state, step.outcome, step.error_message, migration="orders", now=self.now))
        return step.outcome

    def resume(self, *, after: float = 0.0, retry_failed: bool = False, settle: float = SETTLE) -> None:
        """Another process goes on."""
        self.now += after
        self.state = reopen(self.state, at=self.now, retry_failed=retry_failed, settle=settle)


def at_ready(**policy: Any) -> Story:
    """A migration whose gate has just opened."""
    story = Story(policy=Policy(**{"settle": SETTLE, **policy}))
    story.read("WORKING", True, 1.0)
    return story


def requested(**policy: Any) -> Story:
    """A migration whose first PUT is on the wire."""
    story = at_ready(**policy)
    story.request()
    return story


def in_doubt(kind: AnswerKind = AnswerKind.LOST, **policy: Any) -> Story:
    """A migration whose first PUT got no answer."""
    story = requested(**policy)
    story.answer(kind)
    return story


def accepted(**policy: Any) -> Story:
    """A migration whose cutover is under way."""
    story = requested(**policy)
    story.answer(AnswerKind.ACCEPTED, http_status=202)
    return story
