"""What to do next about a run: the command that goes on with it, and what each outcome asks of a person. Pure.

Made here once, and shown by summary, status, page, notification and report: they never say different things.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from shlex import quote

from ..text.counts import names_listed
from .migration import MigrationState, may_be_anothers
from .no_return import InCharge, in_charge, point_of, took_effect
from .outcomes import Outcome, RemoteStatus, normalise
from .run import RunState
from .typed import approve_command, resume_command, status_command, with_options, with_options_in
from .workflow import Wave, Workflow

IN_A_COMMAND = 50
"""Migrations that one command names."""
WINDOW_IS_OVER = "the window does not open any more"
_NO_PUT = "No PUT has taken effect: the source is still in charge."
_ANOTHERS = (
    "No PUT of this run has taken effect, but somebody else may have begun the cutover, by what was read of the job last, or as it could not be read: "
    "let no writer return to the source before somebody has looked at both clusters in the Atlas UI."
)
_LOOK = "Look at the live migration in the Atlas UI: its cutover may have begun."
_NO_WRITER = "Let no writer return to the source, and send nothing by hand."
_WHILE_IT_GOES_ON = {
    Outcome.IN_DOUBT: f"{_LOOK} {_NO_WRITER} The process that works on the run reads it until its timeout. Where that has passed, nobody does, until {{resume}}, once that process has ended.",
    Outcome.UNDER_WAY: f"Atlas carries the cutover out, and the process that works on the run follows it to its end. {_NO_WRITER}",
}
"""What a person does about these while a process works on the run: nobody else can go on with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the advice about a run depends on.

    *workflow*: the path of its file, where that is known. *rehearsal*: nothing of it is at Atlas. *goes_on*: a process works on it, so nobody else can. *stopped*: its session starts no further cutover. *aborted*: somebody has ended it for good, so nothing of it is tried again. *totals*: how many migrations have each outcome. *window_over*: its
    window opens no more. *too_many_failures*: a wave has more failures than its `max_failures` allows; *retry_is_enough*: it has not once what failed before its PUT
    is tried again; *left*: what another run could start, as waves and migrations. *rejected*: the wave that somebody has rejected. *all_over*: each job that FAILED was over at Atlas before any PUT.
    *missing*: events of it are, so that no command goes on with it. *doubted*: what was NOT_STARTED and may have been cut over by somebody else. The others are as in the report.
    """

    run_id: str
    workflow: str = "WORKFLOW"
    rehearsal: bool = False
    unfinished: bool = True
    goes_on: bool = False
    stopped: bool = False
    aborted: bool = False
    hooks_left: bool = False
    successor: str | None = None
    window_over: bool = False
    too_many_failures: bool = False
    retry_is_enough: bool = False
    left: tuple[str, ...] = ()
    rejected: str | None = None
    all_over: bool = False
    missing: bool = False
    doubted: tuple[str, ...] = ()
    totals: Mapping[Outcome, int] = field(default_factory=dict)

    @property
    def left_at_atlas(self) -> bool:
        """Whether a cutover is under way or in doubt."""
        return bool(self.totals.get(Outcome.IN_DOUBT) or self.totals.get(Outcome.UNDER_WAY))

    @property
    def full(self) -> bool:
        """Whether nothing more starts in the run for its failures, whoever continues it, and nothing else is left of it that a session would see to."""
        return (
            self.unfinished
            and self.too_many_failures
            and bool(self.totals.get(Outcome.NOT_STARTED))
            and bool(self.left)
            and not (self.left_at_atlas or self.hooks_left)
        )

    @property
    def many_left(self) -> bool:
        """Whether no command names all that is left."""
        return len(self.left) > IN_A_COMMAND


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """*command* goes on with the run (None: nothing is left to go on with), and *condition* is to be known before it is given.

    *outcomes*: what a person does about each outcome that is there, SUCCESS apart.
    """

    command: str | None
    condition: str | None
    outcomes: dict[str, str]

    def with_options(self, options: str) -> Advice:
        """The same, with *options* (a space before each) in each command."""
        return Advice(
            command=None if self.command is None else with_options(self.command, options),
            condition=None if self.condition is None else with_options_in(self.condition, options),
            outcomes={outcome: with_options_in(text, options) for outcome, text in self.outcomes.items()},
        )

    def in_words(self) -> str | None:
        """Command and condition as one text."""
        if self.command is None:
            return None
        return f"{self.command}{f' ({self.condition})' if self.condition else ''}"


def facts_of(state: RunState, now: float, *, goes_on: bool = False) -> Facts:
    """The facts of *state* at *now* (Unix seconds); *goes_on*: a process works on the run."""
    unfinished = state.is_unfinished() if state.finished_at is None else state.recorded_unfinished
    too_many = [wave for wave in state.workflow.waves if state.too_many_failures(wave)]
    return Facts(
        run_id=state.run_id,
        workflow=path_of(state.workflow),
        rehearsal=state.rehearsal,
        unfinished=unfinished,
        goes_on=goes_on,
        stopped=state.stopped is not None,
        aborted=state.aborted_by is not None,
        hooks_left=unfinished and state.hooks_left(),
        successor=state.successor,
        window_over=state.window_over(now),
        too_many_failures=bool(too_many),
        retry_is_enough=bool(too_many) and all(_is_enough(state, wave) for wave in too_many),
        left=_left(state) if too_many else (),
        rejected=_rejected(state),
        all_over=_all_over(state),
        missing=bool(state.missing),
        doubted=tuple(m.name for _, m in state.rows() if is_doubted(state, m.name)),
        totals=state.totals(),
    )


def is_doubted(state: RunState, name: str) -> bool:
    """Whether migration *name* was NOT_STARTED, and somebody else may have begun its cutover, or has: nobody is told that the source is in charge then."""
    source = in_charge([point_of(state.migrations[name])]) is InCharge.SOURCE
    return not source and state.outcome_of(name) is Outcome.NOT_STARTED


def _all_over(state: RunState) -> bool:
    known = (state.migrations[name] for name in state.selected)
    failed = {how_it_failed(each) for each in known if each.outcome is Outcome.FAILED}
    return failed == {Failed.OVER}


def _can_be_retried(state: MigrationState) -> bool:
    """Whether it FAILED in a way that another try may mend."""
    return state.outcome is Outcome.FAILED and how_it_failed(state) in TRIED_AGAIN


def _is_enough(state: RunState, wave: Wave) -> bool:
    """Whether *wave* is within its `max_failures` once what failed before its PUT is tried again."""
    again = sum(_can_be_retried(state.migrations[each.name]) for each in wave.migrations)
    return wave.max_failures is not None and state.ended_badly(wave) - again <= wave.max_failures


def _left(state: RunState) -> tuple[str, ...]:
    """What another run could start, as `--only` takes it: whole waves by their names, the others by those of their migrations."""
    names: list[str] = []
    every = state.workflow.names()
    for wave in state.workflow.waves:
        left = [each.name for each in wave.migrations if _could_start(state, each.name)]
        whole = len(left) == len(wave.migrations) and wave.name not in every
        names += [wave.name] if whole else left
    return tuple(names)


def _could_start(state: RunState, name: str) -> bool:
    known = state.migrations[name]
    if name not in state.selected or known.skipped is not None:
        return False
    return state.outcome_of(name) is Outcome.NOT_STARTED or _can_be_retried(known)


def _rejected(state: RunState) -> str | None:
    """The wave that keeps what is left from starting, as a person has rejected it; one that nobody approved in time is asked for again."""
    waves = ((name, wave) for name, wave in state.waves.items() if wave.counts.waiting)
    return next((name for name, wave in waves if wave.rejected_by is not None and not wave.timed_out), None)


def advise(facts: Facts) -> Advice:
    """What to do next."""
    command = _command(facts)
    there = [outcome for outcome in Outcome if outcome is not Outcome.SUCCESS and facts.totals.get(outcome)]
    return Advice(
        command=command,
        condition=None if command is None else _condition(facts),
        outcomes={str(outcome): _what_to_do(facts, outcome) for outcome in there},
    )


class Failed(StrEnum):
    """How far a migration had come that FAILED, which decides what a person does about it."""

    BEFORE_PUT = "before its PUT"
    OVER = "its job was over before any PUT"
    REFUSED = "nothing came of its PUT"
    AFTER_PUT = "after its PUT"
    LAG_GONE = "when its lag was gone"
    UNREAD = "before its PUT, when its job could not be read"


TRIED_AGAIN = frozenset({Failed.BEFORE_PUT, Failed.UNREAD})
"""Those that another try may mend."""


def how_it_failed(state: MigrationState) -> Failed:
    """How far a migration had come that FAILED."""
    if took_effect(state):
        return Failed.AFTER_PUT
    if state.lag_gone:
        return Failed.LAG_GONE
    over = normalise(state.remote_status) is RemoteStatus.FAILED
    if may_be_anothers(state):
        return Failed.LAG_GONE if over or state.cutover_requests > 0 else Failed.UNREAD
    if state.cutover_requests > 0:
        return Failed.REFUSED
    return Failed.OVER if over else Failed.BEFORE_PUT


def about_failed(how: Failed) -> str:
    """What a person does about migrations that FAILED."""
    match how:
        case Failed.AFTER_PUT:
            return (
                "Atlas ended the cutover as FAILED: look at both clusters in the Atlas UI before any writer is let in anywhere. "
                "A cutover is not sent twice."
            )
        case Failed.LAG_GONE:
            return (
                "No PUT of this run has begun its cutover, but somebody else may have: its job reported no lag, as during one, could not be read, was ready and then FAILED, or is not there any more. "
                "Look at both clusters in the Atlas UI before any writer is let in anywhere."
            )
        case Failed.REFUSED:
            return (
                "Nothing has begun, so the source is still in charge. This run sends no other PUT for it: look at the live migration in the "
                "Atlas UI, and once the cause is fixed, cut it over in another run."
            )
        case Failed.OVER:
            return (
                "No PUT was sent, so the source is still in charge. The job is over at Atlas, and nothing can cut it over any more: "
                "start a new live migration there, and put its id into the workflow."
            )
    return f"{_no_put(how)} Once the cause is fixed, it can be tried again."


def _no_put(how: Failed) -> str:
    """Who is in charge of migrations that FAILED before their PUT."""
    if how is Failed.UNREAD:
        return (
            "No PUT was sent, but its job could not be read, so whether somebody else has begun its cutover is not known: look at it in the Atlas UI "
            "before any writer returns to the source."
        )
    return "No PUT was sent, so the source is still in charge."


def about_failed_and_given_up(facts: Facts, how: Failed) -> str:
    """The same about those that FAILED before their PUT, of a run that somebody has ended for good."""
    if facts.successor is not None:
        return f"No PUT was sent by this run. {_taken_over(facts.successor)}"
    return f"{_no_put(how)} The run was given up and tries nothing again: once the cause is fixed, `{_run(facts, another=True)}` starts another."


def about_failed_too_late(facts: Facts, how: Failed) -> str:
    """The same about those that FAILED before their PUT, while a process works on the run that starts nothing more."""
    return f"{_no_put(how)} {_retried_later(facts)}"


def _retried_later(facts: Facts) -> str:
    status = f"`atlas-cutover status {facts.run_id}`"
    return f"This session starts no further cutover: once its process has ended, {status} says how to try again what failed before its PUT."


def about_given_up(facts: Facts) -> str:
    """What a person does about migrations that have ended IN_DOUBT, of a run on which a process works."""
    resume = f"`{resume_command(facts.run_id)}`"
    return f"{_LOOK} {_NO_WRITER} The process that works on the run has given up reading it. Once that process has ended, {resume} reads it again."


def about_missing(facts: Facts) -> str:
    """What a person does about a run of which events are missing."""
    return (
        "A PUT may have left that is not known here, so no run sends anything from this state directory, whatever is not known to be cut over is "
        f"IN_DOUBT, and no writer may return to its source. Put the whole state directory back as it was. If that is lost, look at each live migration of the run in the "
        f"Atlas UI; then `atlas-cutover abort {facts.run_id}` ends it as it stands here, and leaves in doubt what is, so that another run reads it first."
    )


def path_of(workflow: Workflow) -> str:
    """The file of *workflow* for a shell; WORKFLOW where it is not known, as in runs of an older version."""
    return quote(f"{workflow.directory.rstrip('/')}/{workflow.file}") if workflow.file else "WORKFLOW"


def _command(facts: Facts) -> str | None:
    if not facts.unfinished or facts.missing:
        return None
    if facts.full and not (facts.retry_is_enough and not facts.window_over):
        return _run(facts, *(_only(name) for name in facts.left if not facts.many_left), another=True)
    if facts.full:
        return f"{resume_command(facts.run_id)} --retry-failed"
    if facts.window_over and not (facts.left_at_atlas or facts.hooks_left):
        return _run(facts)
    return resume_command(facts.run_id)


def _run(facts: Facts, *options: str, another: bool = False) -> str:
    """Runs the workflow, and a rehearsal's as a rehearsal; *another*: in place of the run that there is."""
    new = ["--new"] if another else []
    return " ".join(["atlas-cutover run", *(["--rehearse"] if facts.rehearsal else []), *new, facts.workflow, *options])


def _only(name: str) -> str:
    return f"--only={quote(name)}" if name.startswith("-") else f"--only {quote(name)}"


def _condition(facts: Facts) -> str | None:
    """What has to be known before the command is given."""
    not_started = facts.totals.get(Outcome.NOT_STARTED)
    if facts.too_many_failures and not_started:
        return _full(facts)
    if facts.totals.get(Outcome.UNDER_WAY) and not (facts.totals.get(Outcome.IN_DOUBT) or not_started):
        return "at once: it follows what Atlas has accepted, and sends no PUT"
    if facts.rejected is not None and not_started and not facts.window_over:
        return f"wave {facts.rejected!r} was rejected; to start it after all, first `{approve_command(facts.run_id, facts.rejected)}`, then this"
    if not (facts.window_over and not_started):
        return None
    if facts.left_at_atlas or facts.hooks_left:
        return (
            f"{WINDOW_IS_OVER}: this sees to what is under way. For what was not started, set a new window in the workflow "
            f"file, then: `{_run(facts)}`"
        )
    return f"{WINDOW_IS_OVER}: set a new one in the workflow file first"


def _full(facts: Facts) -> str:
    if facts.totals.get(Outcome.IN_DOUBT):
        return (
            "max_failures is exceeded: it reads what is in doubt first, and starts the rest where that turns out well"
        )
    if facts.totals.get(Outcome.UNDER_WAY):
        return "max_failures is exceeded: it follows what is under way, and starts nothing more"
    if not facts.full:
        return "max_failures is exceeded: nothing more starts in this run; once it has ended, what is left has another way on"
    if facts.retry_is_enough and not facts.window_over:
        return "max_failures is exceeded: once the cause is fixed, this tries again what failed before its PUT, and starts what is left"
    first = ["the window does not open any more: set a new one in the workflow file first"] if facts.window_over else []
    if facts.many_left:
        first.append("take what FAILED out of the workflow file first, or allow more failures there")
    return "; ".join(
        [
            "max_failures is exceeded, so nothing more starts in this run: once the cause is fixed, this starts another with what is left",
            *first,
        ]
    )


def _what_to_do(facts: Facts, outcome: Outcome) -> str:
    """What a person does about *outcome*."""
    if facts.missing and outcome is Outcome.IN_DOUBT:
        return f"{_LOOK} {_NO_WRITER} Events of the run are missing here, so no command goes on with it."
    if facts.goes_on and outcome in _WHILE_IT_GOES_ON:
        return _WHILE_IT_GOES_ON[outcome].format(resume=f"`{resume_command(facts.run_id)}`")
    resume = f"`{resume_command(facts.run_id)}`"
    over, successor = not facts.unfinished, facts.successor
    match outcome:
        case Outcome.NOT_STARTED:
            return f"{_who_is_in_charge(facts)} {_way_on(facts)}"
        case Outcome.IN_DOUBT | Outcome.UNDER_WAY if over and successor:
            return f"{_NO_WRITER} {_taken_over(successor)} Where there is no such run any more, look at the live migration in the Atlas UI."
        case Outcome.IN_DOUBT | Outcome.UNDER_WAY if over:
            return f"{_LOOK} {_NO_WRITER} No run follows it any more."
        case Outcome.IN_DOUBT:
            return f"{_LOOK} {_NO_WRITER} {resume} reads it again."
        case Outcome.UNDER_WAY:
            return f"Atlas carries the cutover out. {resume} follows it to its end at once, and sends no PUT for it. {_NO_WRITER}"
        case Outcome.UNVERIFIED:
            return (
                "It is cut over, and `verify` has not proven it good: mend what is wrong on the new cluster, and let no writer return to the "
                "source. `retry` then verifies it again, and sends no PUT."
            )
        case Outcome.TIMED_OUT:
            return f"Atlas accepted the cutover and has not ended it yet. {_NO_WRITER} Watch it in the Atlas UI: no run follows it any more."
    return _about_the_failed(facts)


def about_doubted(facts: Facts) -> str:
    """What a person does about migrations that were NOT_STARTED, and that somebody else may have cut over."""
    return _ANOTHERS if facts.goes_on else f"{_ANOTHERS} {_way_on(facts)}"


def _who_is_in_charge(facts: Facts) -> str:
    """What is said of that of all that was NOT_STARTED."""
    if len(facts.doubted) == facts.totals.get(Outcome.NOT_STARTED):
        return _ANOTHERS
    taken = not facts.unfinished and facts.successor is not None
    if not facts.doubted:
        return "No PUT of this run has taken effect." if taken else _NO_PUT
    others = "" if taken else " Of the others the source is still in charge."
    return f"{_ANOTHERS.replace('the cutover', f'the cutover of {names_listed(facts.doubted, 5)}', 1)}{others}"


def _way_on(facts: Facts) -> str:
    """How what was NOT_STARTED is started."""
    resume = f"`{resume_command(facts.run_id)}`"
    if facts.goes_on:
        return f"The process that works on the run starts it when its turn comes. What that leaves, {resume} starts."
    if not facts.unfinished and facts.successor is not None:
        return _taken_over(facts.successor)
    if not facts.unfinished:
        return f"This run is over; `{_run(facts, another=True)}` starts another."
    if facts.full:
        return f"max_failures is exceeded, so this run starts nothing more; `{_command(facts)}` starts it, once the cause is fixed."
    if facts.window_over:
        return f"The window does not open any more: set a new one in the workflow file, then `{_run(facts)}` goes on."
    return f"{resume} starts it."


def _taken_over(successor: str) -> str:
    """Where to look, as this run knows nothing of the other: that may have ended since, or been given up, and nobody follows anything then."""
    return f"Run {successor} has taken its place: `{status_command(successor)}` shows what has become of it, and whether anybody follows it."


def _about_the_failed(facts: Facts) -> str:
    """What a person does about all that FAILED, however far it had come."""
    if facts.all_over:
        return about_failed(Failed.OVER)
    if not facts.unfinished and facts.successor is not None:
        return f"Read Atlas' message. {_taken_over(facts.successor)}"
    if facts.aborted:
        return f"Read Atlas' message. This run was given up, so it tries nothing again: `{_run(facts, another=True)}` starts another."
    if facts.goes_on and facts.stopped:
        return f"Read Atlas' message. {_retried_later(facts)}"
    if facts.goes_on:
        return "Read Atlas' message. What failed before its PUT, and is not over at Atlas, can be tried again with `retry`."
    tried = _command(facts) if facts.full else f"{resume_command(facts.run_id)} --retry-failed"
    return f"Read Atlas' message. What failed before its PUT, and is not over at Atlas, can be tried again: `{tried}`."
