"""What needs a person now, the most urgent first: what happened, to which, what to do, and the command to copy. Pure.

Made here once, from the advice of `advice`: status page, report.html, report.md, summary and notifications say it in these words.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..text.counts import names_listed, plural, wave_named
from ..text.instants import in_words
from .advice import (
    IN_A_COMMAND,
    TRIED_AGAIN,
    Facts,
    Failed,
    about_doubted,
    about_failed,
    about_failed_and_given_up,
    about_failed_too_late,
    about_given_up,
    about_missing,
    advise,
    facts_of,
    how_it_failed,
    is_doubted,
)
from .events import HookFinished
from .holds import Held, Hold, holds, silence
from .migration import MigrationState, Phase
from .next_step import LOOK
from .not_run import NotRun, hooks_not_run
from .outcomes import Outcome
from .run import RunState
from .standing import NO_END_RECORDED
from .typed import about, resume_command, status_command, with_options, with_options_in
from .workflow import HookKind, Migration, Wave

HOOK = "HOOK"
INTERRUPTION = "INTERRUPTED"
MISSING = "EVENTS_MISSING"
NOT_RUN = "NOT_RUN"
UNAPPROVED = "UNAPPROVED"
NEED_URGENCY = (
    MISSING,
    Held.SILENT,
    Outcome.IN_DOUBT,
    INTERRUPTION,
    Outcome.UNDER_WAY,
    Outcome.TIMED_OUT,
    Outcome.UNVERIFIED,
    NOT_RUN,
    Outcome.NOT_STARTED,
    Outcome.FAILED,
    HOOK,
    UNAPPROVED,
    Held.CONFIRMATION,
    Held.APPROVAL,
    Held.PAUSE,
)
"""The kinds of `Need`, the most urgent first. EVENTS_MISSING: what the run has sent may not be known here. INTERRUPTED: its process has ended without recording why. UNDER_WAY is one where no process follows the cutover any more. NOT_STARTED is one where somebody else may have begun the cutover. NOT_RUN: hooks that the run was ended without. UNAPPROVED: nobody approved a wave in time."""

NAMED = 10
"""Migrations of one need that are named with their ids; `Need.count` says how many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A migration that a need is about."""

    name: str
    wave: str
    group_id: str
    live_migration_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Something that waits for a person.

    *kind*: of `NEED_URGENCY`. *what*: which migrations, wave or hook. *said*: why, in Atlas's, the hook's or the program's words. *about*: the
    first `NAMED` migrations of *count*. *wave*: the one that waits for approval, or did. *since*: when the first came to it (Unix seconds). *until* when it waits, and what
    becomes of it then (*expiry*), are those of `Hold`. *command*: to copy; None: there is none.
    """

    kind: str
    what: str
    to_do: str
    said: str = ""
    about: tuple[Subject, ...] = ()
    count: int = 0
    wave: str | None = None
    since: float | None = None
    until: float | None = None
    expiry: str = ""
    command: str | None = None

    @property
    def waits(self) -> str:
        """What waits, and since when, as one text."""
        subject = "" if self.what == "the run" else f"{self.what} "
        return f"{subject}{self.said}{self.when}"

    @property
    def when(self) -> str:
        """Since when it is so, and until when, to follow what is said of it."""
        since = f", since {in_words(self.since)}" if self.since else ""
        return since + (f"; {self.expiry}" if self.expiry else "")

    def with_options(self, options: str) -> Need:
        """The same, with *options* (a space before each) in each command that it tells somebody to give."""
        command = None if self.command is None else with_options(self.command, options)
        said, to_do = (with_options_in(text, options) for text in (self.said, self.to_do))
        return replace(self, command=command, said=said, to_do=to_do)

    def ids(self, at_most: int = NAMED) -> str:
        """The ids of the migrations it is about, of the first *at_most* by name; empty where it is about none."""
        if self.count == 1 and self.about:
            return f"live migration {self.about[0].live_migration_id}, project {self.about[0].group_id}"
        listed = [f"{each.name} {each.live_migration_id}" for each in self.about[:at_most]]
        more = self.count - len(listed)
        return ", ".join(listed) + (f" and {more} more" if more > 0 and listed else "")


def needs(state: RunState, now: float, *, holder: str | None = None, silent: float | None = None) -> tuple[Need, ...]:
    """What needs a person about the run in *state* at *now* (Unix seconds), the most urgent first.

    *holder*: the process that works on it (None: nobody does), *silent*: since when that gives no sign of life.
    """
    found = [*_ended(state, now, running=holder is not None), *_hooks(state, now, running=holder is not None)]
    if holder is not None and state.refused:
        found += _unread(state)
    if holder is not None:
        found += [_of_hold(hold) for hold in holds(state) if hold.held is not Held.WINDOW]
    if holder is None:
        found += of_hooks_not_run(state)
    found += _unapproved(state, now, running=holder is not None)
    if state.missing:
        return (_of_missing_events(state, now), *(replace(need, command=None) for need in found if _still_holds(need)))
    if holder is None and state.started_at is not None and state.finished_at is None:
        found.append(_of_interruption(state, now))
    if holder is not None and silent is not None:
        found.append(_of_hold(silence(state.run_id, holder, silent)))
    return tuple(sorted(found, key=lambda need: NEED_URGENCY.index(need.kind)))


def _still_holds(need: Need) -> bool:
    """Whether *need*, of a run of which events are missing, is no guess: what is cut over, or has been accepted, stays so."""
    return need.kind in (Outcome.TIMED_OUT, Outcome.UNVERIFIED)


def _of_missing_events(state: RunState, now: float) -> Need:
    """That events of the run are not known here: of what is not cut over by those that are, a PUT may have left."""
    doubted = [(wave, m) for wave, m in state.workflow.migrations() if state.outcome_of(m.name) is Outcome.IN_DOUBT]
    return Need(
        kind=MISSING,
        what="the run",
        said=f"run {state.run_id}: {state.missing}",
        to_do=about_missing(facts_of(state, now)),
        about=tuple(
            Subject(name=m.name, wave=wave.name, group_id=m.group_id, live_migration_id=m.live_migration_id)
            for wave, m in doubted[:NAMED]
        ),
        count=len(doubted),
    )


def _ended(state: RunState, now: float, *, running: bool) -> list[Need]:
    """The migrations that ended badly, those of one outcome and reason together; what still goes on has not ended."""
    groups: dict[tuple[Outcome, str, Failed | None], list[tuple[Wave, Migration]]] = {}
    for wave, migration in state.rows():
        known = state.migrations[migration.name]
        doubted = is_doubted(state, migration.name)
        if not doubted and (known.phase is Phase.NEW or known.outcome is Outcome.SUCCESS):
            continue  # nearly all of them, in the end
        if running and known.phase is not Phase.FINISHED and known.skipped is None:
            continue
        result = state.result(migration.name)
        if result.outcome in NEED_URGENCY and (doubted or result.outcome is not Outcome.NOT_STARTED):
            how = how_it_failed(known) if result.outcome is Outcome.FAILED else None
            said = _without_ids(result.error_message or "", migration)
            groups.setdefault((result.outcome, said, how), []).append((wave, migration))
    facts = facts_of(state, now, goes_on=running) if groups else Facts(run_id=state.run_id)
    return [
        _of_migrations(
            outcome,
            said if len(members) > 1 else state.result(members[0][1].name).error_message or "",
            members,
            facts,
            how=how,
            since=min((_since(state.migrations[m.name], outcome) or math.inf) for _, m in members),
            running=running,
        )
        for (outcome, said, how), members in groups.items()
    ]


def _unread(state: RunState) -> Iterator[Need]:
    """Those under way that nobody can read, as their credentials are refused, with what was said of these."""
    groups: dict[str, list[tuple[Wave, Migration]]] = {}
    for wave, migration in state.rows():
        if (why := state.unread(migration.name)) is not None:
            groups.setdefault(why, []).append((wave, migration))
    for why, members in groups.items():
        names = [migration.name for _, migration in members]
        yield Need(
            kind=Outcome.UNDER_WAY,
            what=names[0] if len(names) == 1 else f"{plural(len(names), 'migration')} ({names_listed(names, 5)})",
            said=why,
            to_do=f"Nobody sees how this goes on while the credentials are not good: {LOOK}, and let no writer return to a source.",
            about=tuple(
                Subject(name=m.name, wave=wave.name, group_id=m.group_id, live_migration_id=m.live_migration_id)
                for wave, m in members[:NAMED]
            ),
            count=len(members),
        )


def _since(state: MigrationState, outcome: Outcome) -> float | None:
    """When the migration in *state* came to *outcome*; of a doubt, when the PUT had no answer: its reads may have gone on for hours after that."""
    if outcome is Outcome.IN_DOUBT and state.doubt_since is not None:
        return state.doubt_since
    return state.finished_at or state.ended_at or state.accepted_at or state.requested_at


def _without_ids(message: str, migration: Migration) -> str:
    """*message* without what is *migration*'s alone: a request's path would make each a reason of its own."""
    return message.replace(migration.live_migration_id, "…").replace(migration.group_id, "…")


def _of_migrations(
    outcome: Outcome,
    said: str,
    members: list[tuple[Wave, Migration]],
    facts: Facts,
    *,
    how: Failed | None,
    since: float,
    running: bool,
) -> Need:
    names = [migration.name for _, migration in members]
    if how in TRIED_AGAIN and facts.aborted:
        to_do = about_failed_and_given_up(facts, how)
    elif how in TRIED_AGAIN and running and facts.stopped:
        to_do = about_failed_too_late(facts, how)
    elif how is not None:
        to_do = about_failed(how)
    elif outcome is Outcome.IN_DOUBT and running:
        to_do = about_given_up(facts)  # what is still read is no need
    elif outcome is Outcome.NOT_STARTED:
        to_do = about_doubted(facts)  # the others are no need
    else:
        to_do = advise(facts).outcomes.get(str(outcome), "")
    return Need(
        kind=outcome,
        what=names[0] if len(names) == 1 else f"{plural(len(names), 'migration')} ({names_listed(names, 5)})",
        said=said,
        to_do=to_do,
        about=tuple(
            Subject(name=m.name, wave=wave.name, group_id=m.group_id, live_migration_id=m.live_migration_id)
            for wave, m in members[:NAMED]
        ),
        count=len(names),
        since=since if math.isfinite(since) else None,
        command=_command(outcome, names, facts, how=how, running=running),
    )


def _command(outcome: Outcome, names: list[str], facts: Facts, *, how: Failed | None, running: bool) -> str | None:
    """What does something about *names*."""
    retry = about("retry", facts.run_id, *names)
    match outcome:
        case Outcome.IN_DOUBT | Outcome.UNDER_WAY if facts.successor is not None and not facts.unfinished:
            return status_command(facts.successor)
        case Outcome.IN_DOUBT | Outcome.UNDER_WAY if facts.unfinished and not running:
            return resume_command(facts.run_id)
        case Outcome.UNVERIFIED if len(names) <= IN_A_COMMAND:
            return retry
        case Outcome.FAILED if how not in TRIED_AGAIN:
            return None
        case Outcome.FAILED if facts.successor is not None and not facts.unfinished:
            return status_command(facts.successor)
        case Outcome.FAILED if facts.aborted:
            return None
        case Outcome.FAILED if running:
            return retry if len(names) <= IN_A_COMMAND and not facts.stopped else None
        case Outcome.FAILED if facts.full:
            return advise(facts).command
        case Outcome.FAILED:
            return f"{resume_command(facts.run_id)} --retry-failed"
    return None


def _hooks(state: RunState, now: float, *, running: bool) -> list[Need]:
    """The failed hooks that no migration's outcome tells of and that were not run again with a better end, those that ended alike together."""
    last = {(hook.hook, hook.wave, hook.migration, hook.argv): hook for hook in state.finished_hooks}
    groups: dict[tuple[str, tuple[str, ...], str, bool], list[HookFinished]] = {}
    for hook in last.values():
        own = hook.migration is not None
        refuted = None if own or hook.hook != HookKind.VERIFY else _unverified(state, hook.wave)
        said = f"{hook.error or f'exit code {hook.exit_code}'} ({' '.join(hook.argv)})"
        if hook.not_yet:  # no failure, unless its time is over
            said = refuted or ""
        good = hook.ok or not said
        if not good and not (own and hook.hook in (HookKind.BEFORE, HookKind.VERIFY)):
            groups.setdefault((hook.hook, hook.argv, said, own), []).append(hook)
    facts = facts_of(state, now, goes_on=running) if groups else Facts(run_id=state.run_id)
    return [_of_hooks(state, name, said, members, facts) for (name, _, said, _), members in groups.items()]


def _unverified(state: RunState, wave: str | None) -> str | None:
    if wave is None:
        return state.run_hooks.unverified
    return state.waves[wave].hooks.unverified if wave in state.waves else None


def _of_hooks(state: RunState, name: str, said: str, members: list[HookFinished], facts: Facts) -> Need:
    whose = [hook.migration or hook.wave or "the run" for hook in members]
    places = [state.wave_and_migration(hook.migration) for hook in members if hook.migration is not None]
    resumes = facts.unfinished and not facts.goes_on and name in (HookKind.BEFORE, HookKind.VERIFY)
    return Need(
        kind=HOOK,
        what=f"hook {name} of {names_listed(whose, 5)}",
        said=said,
        to_do=_about_interrupted(facts)
        if name == HookKind.BEFORE and any(hook.interrupted for hook in members)
        else _about_hook(name, facts, of_run=members[0].wave is None),
        about=tuple(
            Subject(name=m.name, wave=wave.name, group_id=m.group_id, live_migration_id=m.live_migration_id)
            for wave, m in places[:NAMED]
        ),
        count=len(whose),
        since=min(hook.at for hook in members),
        command=_hook_again(name, facts, of_run=members[0].wave is None) if resumes else None,
    )


def _hook_again(name: str, facts: Facts, *, of_run: bool) -> str | None:
    """What has a `before` or `verify` hook of a wave or the run run again."""
    if name == HookKind.BEFORE and not of_run and not facts.full:
        return f"{resume_command(facts.run_id)} --retry-failed"
    return advise(facts).command


def _about_interrupted(facts: Facts) -> str:
    """What a person does about a `before` hook of a wave or the run that was ended half-way."""
    stopped = "It was ended half-way, and may have stopped what it is about"
    if not facts.unfinished:
        return f"{stopped}: this run is over, so see whether an application stands still, and let it go on by hand, once its job was looked at in the Atlas UI."
    return (
        f"{stopped}: `{resume_command(facts.run_id)}` runs it again before anything of it is started, or else the `after_failure` hooks that undo it. "
        "Nobody does either before that."
    )


def _about_hook(name: str, facts: Facts, *, of_run: bool) -> str:
    """What a person does about hooks of the kind *name* that failed: of a wave or the run, where it is `before` or `verify`."""
    then = (
        f"once {'its process has ended' if facts.goes_on else 'the cause is fixed'}, `{resume_command(facts.run_id)}`"
    )
    if name == HookKind.VERIFY:
        again = (
            f"{then[0].upper()}{then[1:]} runs it again, and sends no PUT for what is cut over."
            if facts.unfinished
            else "This run is over and does not run it again: prove it good by hand."
        )
        return (
            "What it is about is cut over, and `verify` has not proven it good: mend what is wrong on the new clusters, and let no writer return "
            f"to the sources. {again}"
        )
    if name == HookKind.BEFORE and of_run:
        return f"Nothing was started, and nothing is to be done by hand: {then} runs it again, and then starts what is left."
    if name == HookKind.BEFORE:
        return "No PUT of the wave was sent, and nothing is to be done by hand: it is run again with the migrations that FAILED for it, when they are tried again."
    return "What it should have done is not done: see the end of its output, in report and log, and do it by hand."


def of_hooks_not_run(state: RunState) -> tuple[Need, ...]:
    """The hooks that a run was ended without, so that an application may stand still and nobody sees to it; those alike together."""
    groups: dict[tuple[str, str, bool], list[NotRun]] = {}
    for each in hooks_not_run(state):
        alike = (each.said, each.to_do(state), each.migration is not None)
        groups.setdefault(alike, []).append(each)
    return tuple(_of_not_run(said, to_do, members) for (said, to_do, _), members in groups.items())


def _of_not_run(said: str, to_do: str, members: list[NotRun]) -> Need:
    whose = [
        each.migration.name if each.migration else wave_named(each.wave.name) if each.wave else "the run"
        for each in members
    ]
    return Need(
        kind=NOT_RUN,
        what=f"hooks of {names_listed(whose, 5)}",
        said=said,
        to_do=to_do,
        about=tuple(
            Subject(
                name=each.migration.name,
                wave=each.wave.name,
                group_id=each.migration.group_id,
                live_migration_id=each.migration.live_migration_id,
            )
            for each in members[:NAMED]
            if each.migration is not None and each.wave is not None
        ),
        count=len(members),
        since=min((each.stopped_since for each in members if each.stopped_since is not None), default=None),
    )


def _of_interruption(state: RunState, now: float) -> Need:
    """That the run's process has ended without a word: nobody goes on with it but who is told."""
    advice = advise(facts_of(state, now))
    first = f" Before it is continued: {advice.condition}." if advice.condition else ""
    return Need(
        kind=INTERRUPTION,
        what="the run",
        said=NO_END_RECORDED,
        to_do=f"Nobody works on it: nothing more is started, and nobody follows what is under way. The time is that of the last that it recorded.{first}",
        since=state.last_at,
        command=advice.command,
    )


def _unapproved(state: RunState, now: float, *, running: bool) -> list[Need]:
    """The wave that nobody approved in time: nobody has decided against it, and what is left of the run waits for it."""
    waves = [
        wave
        for wave in state.workflow.waves
        if state.waves[wave.name].timed_out and state.waves[wave.name].counts.waiting
    ]
    if not waves:
        return []
    facts = facts_of(state, now, goes_on=running)
    if not facts.unfinished or state.aborted_by is not None:
        return []
    advice = advise(facts)
    first = f" Before it is continued: {advice.condition}." if advice.condition else ""
    again = (
        "Once its process has ended, `" + resume_command(state.run_id) + "` asks"
        if running
        else "Continued, the run asks"
    )
    return [
        Need(
            kind=UNAPPROVED,
            what=wave_named(wave.name),
            said=f"{state.waves[wave.name].unapproved}, so it counts as rejected",
            to_do=f"Neither it nor the waves after it were started.{first} {again} for its approval again: be there to answer.",
            wave=wave.name,
            since=state.waves[wave.name].rejected_at,
            command=None if running else advice.command,
        )
        for wave in waves
    ]


def _of_hold(hold: Hold) -> Need:
    return Need(
        kind=hold.held,
        what=hold.what,
        said=hold.said,
        to_do=hold.to_do,
        wave=hold.wave,
        since=hold.since,
        until=hold.until,
        expiry=hold.expiry,
        command=hold.command,
    )
