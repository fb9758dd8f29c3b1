from __future__ import annotations

import re
from dataclasses import replace

import pytest

from orchestrator.core import events as ev
from orchestrator.core.advice import advise, facts_of
from orchestrator.core.agenda import Record
from orchestrator.core.needs import INTERRUPTION, NAMED, NOT_RUN, UNAPPROVED, Need, needs
from orchestrator.core.next_actions import next_actions
from orchestrator.core.no_return import Point, point_in
from orchestrator.core.outcomes import Outcome, RunOutcome
from orchestrator.core.run import APPROVAL_TIMEOUT, RunState, fold
from orchestrator.core.standing import NO_END_RECORDED
from orchestrator.core.window import AbsoluteWindow
from orchestrator.core.workflow import Hooks, Workflow

from ..builders import NOW, ONE, WHO, finished, run_resumed, run_started, wave_with, workflow

RUN = "20261128T000000Z-5f3a"


def state_after(*events: ev.Event, waves: tuple[tuple[str, ...], ...] = (("a", "b", "c"), ("d",))) -> RunState:
    """A run of *waves*, in which *events* happened."""
    return fold(RUN, [run_started(workflow(*waves)), *events])


def ended(name: str, outcome: Outcome, message: str = "", *, put: bool = True) -> list[ev.Event]:
    """The end of a migration, with a PUT or without."""
    sent = [ev.CutoverRequested(at=NOW, migration=name)] if put else []
    return [
        *sent,
        ev.MigrationFinished(
            at=NOW, migration=name, outcome=outcome, status=None, error_message=message or None, polls=1
        ),
    ]


def but_for_the_interruption(found: tuple[Need, ...]) -> tuple[Need, ...]:
    """*found*, without what each run needs that has no end and no process."""
    return tuple(need for need in found if need.kind != INTERRUPTION)


def only(found: tuple[Need, ...]) -> Need:
    """The one need, beside the interruption of a run on which nobody works."""
    (need,) = but_for_the_interruption(found)
    return need


def test_those_that_failed_alike_are_one_need_with_names_and_ids() -> None:
    """Another message, or a PUT that was sent, is another need: something else is to be done about it."""
    found = but_for_the_interruption(
        needs(
            state_after(
                *ended("a", Outcome.FAILED, "full", put=False),
                *ended("b", Outcome.FAILED, "full", put=False),
                *ended("c", Outcome.FAILED, "full"),
            ),
            NOW,
        )
    )
    assert [(need.count, [each.name for each in need.about]) for need in found] == [(2, ["a", "b"]), (1, ["c"])]
    assert found[0].command == f"atlas-cutover resume {RUN} --retry-failed"
    assert found[1].command is None
    assert "not sent twice" in found[1].to_do
    assert found[1].about[0].live_migration_id == f"{3:024x}"


def test_a_requests_path_makes_no_reason_of_its_own() -> None:
    """What happened to all of them is one need; what happened to one has its ids."""
    jobs = {
        m.name: f"GET /groups/{m.group_id}/liveMigrations/{m.live_migration_id}"
        for m in workflow(("a", "b", "c")).waves[0].migrations
    }
    late, gone = (f"{{}}: {why}" for why in ("no answer", "404"))
    found = but_for_the_interruption(
        needs(
            state_after(
                *ended("a", Outcome.FAILED, late.format(jobs["a"]), put=False),
                *ended("b", Outcome.FAILED, late.format(jobs["b"]), put=False),
                *ended("c", Outcome.FAILED, gone.format(jobs["c"]), put=False),
            ),
            NOW,
        )
    )
    assert [(need.count, need.said) for need in found] == [
        (2, "GET /groups/…/liveMigrations/…: no answer"),
        (1, f"{jobs['c']}: 404"),
    ]


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("word", ["FAILED", "EXPIRED"])
def test_a_job_that_was_over_before_any_put_cannot_be_tried_again(word: str, running: bool) -> None:
    """A new live migration is needed, and no command does anything about it."""
    over = ev.MigrationFinished(
        at=NOW, migration="a", outcome=Outcome.FAILED, status=word, error_message=f"Atlas reports {word}"
    )
    state = state_after(over)
    need = only(needs(state, NOW, holder="ops@bastion" if running else None))
    assert need.command is None
    assert "start a new live migration" in need.to_do
    assert "tried again" not in need.to_do
    assert advise(facts_of(state, NOW)).outcomes["FAILED"] == need.to_do


def test_each_need_says_since_when_it_is_so() -> None:
    """The first of those that came to it: a doubt since its PUT had no answer, what nobody follows since Atlas took it, a hook since it ended."""
    doubt = ev.CutoverInDoubt(at=NOW + 2, migration="b", reason="no answer", settle=30)
    taken = ev.CutoverAccepted(at=NOW + 3, migration="c", http_status=202, status="WORKING")
    hook = ev.HookFinished(at=NOW + 9, hook="after_success", argv=("./tell",), exit_code=3, seconds=1.0, migration="e")
    state = state_after(
        replace(ended("a", Outcome.FAILED, "full", put=False)[0], at=NOW + 7),
        replace(ended("d", Outcome.FAILED, "full", put=False)[0], at=NOW + 5),
        *(ended("b", Outcome.IN_DOUBT, "no answer")[0], doubt, replace(ended("b", Outcome.IN_DOUBT)[1], at=NOW + 60)),
        *(ev.CutoverRequested(at=NOW + 2, migration="c"), taken),
        hook,
        waves=(("a", "b", "c", "d", "e"),),
    )
    since = {str(need.kind): need.since for need in but_for_the_interruption(needs(state, NOW + 100))}
    assert since == {"IN_DOUBT": NOW + 2, "UNDER_WAY": NOW + 3, "FAILED": NOW + 5, "HOOK": NOW + 9}


def test_the_most_urgent_come_first() -> None:
    """As the list of kinds has them."""
    found = needs(
        state_after(
            *ended("a", Outcome.FAILED),
            *ended("b", Outcome.IN_DOUBT),
            *ended("c", Outcome.TIMED_OUT),
            *ended("d", Outcome.UNVERIFIED),
            ev.ApprovalWaiting(at=NOW, wave="w2"),
        ),
        NOW,
        holder="ops@bastion",
        silent=NOW - 60,
    )
    kinds = [str(need.kind) for need in found]
    assert kinds == ["SILENT", "IN_DOUBT", "TIMED_OUT", "UNVERIFIED", "FAILED", "APPROVAL"]


def test_while_a_process_works_on_the_run_nobody_is_sent_to_resume_it() -> None:
    """What ended in doubt is read again once that has ended; until then only a look at Atlas is left, and no command."""
    state = state_after(*ended("a", Outcome.IN_DOUBT, "no answer"))
    going, left = (only(needs(state, NOW, holder=holder)) for holder in ("ops@bastion", None))
    assert going.command is None
    assert "Look at the live migration in the Atlas UI" in going.to_do
    assert f"Once that process has ended, `atlas-cutover resume {RUN}` reads it again" in going.to_do
    assert "given up reading it" in going.to_do
    assert left.to_do.endswith(f"send nothing by hand. `atlas-cutover resume {RUN}` reads it again.")
    for outcome, told in advise(facts_of(state, NOW, goes_on=True)).outcomes.items():
        assert "process that works on the run" in told, outcome


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("outcome", [Outcome.IN_DOUBT, Outcome.TIMED_OUT])
def test_whoever_may_have_been_cut_over_is_not_to_be_written_to_at_its_source(outcome: Outcome, running: bool) -> None:
    """Beside all else that is to be done: the rule of the point of no return."""
    need = only(needs(state_after(*ended("a", outcome)), NOW, holder=WHO if running else None))
    assert "Let no writer return to the source, and send nothing by hand." in need.to_do


def test_a_put_of_which_nothing_came_is_told_from_a_cutover_that_atlas_ended_as_failed() -> None:
    """As the point of no return has it: with the first the source is in charge; neither is sent again."""
    refused, lost = (
        ev.CutoverNotBegun(at=NOW, migration="a", reason="409; the job still reports its lag"),
        ev.CutoverInDoubt(at=NOW, migration="c", reason="another run", settle=30),
    )
    put, end = ended("a", Outcome.FAILED, "409")
    state = state_after(put, refused, end, *ended("b", Outcome.FAILED), lost, *ended("c", Outcome.FAILED, put=False))
    told = {each.name: need for need in needs(state, NOW) for each in need.about}
    assert "the source is still in charge" in told["a"].to_do
    assert told["b"].to_do == told["c"].to_do  # another run's PUT may have begun it
    assert told["b"].to_do.startswith("Atlas ended the cutover as FAILED: look at both clusters")
    assert [need.command for need in told.values()] == [None, None, None]
    for name, point in (("a", Point.NOT_CUT_OVER), ("b", Point.FAILED_AT_ATLAS), ("c", Point.FAILED_AT_ATLAS)):
        assert point_in(state, name) is point


LAG = ev.GateWaiting(at=NOW, migration="a", status="WORKING", ready=False, lag=30.0, max_lag=10.0)
GONE = replace(LAG, at=NOW + 1, lag=None, lag_gone=True)
SKIPPED = ev.MigrationSkipped(at=NOW + 2, migration="a", who="ada")
ABORTED = ev.RunAborted(at=NOW + 2, who="ada")


@pytest.mark.parametrize("how", ["skipped", "aborted", "killed"])
def test_what_was_not_started_and_somebody_else_may_have_cut_over_is_a_need(how: str) -> None:
    """As where it FAILED: nobody is told that its source is in charge, and the others of the run that theirs are not."""
    ends_so: dict[str, list[ev.Event]] = {"skipped": [SKIPPED], "aborted": [ABORTED], "killed": []}
    state = state_after(LAG, GONE, *ends_so[how])
    if how != "killed":
        state = ends(state, unfinished=False)
    need = only(needs(state, NOW + 3))
    assert (need.kind, need.what) == (Outcome.NOT_STARTED, "a")
    assert "let no writer return to the source" in need.to_do
    assert "source is still in charge" not in need.to_do
    advice = advise(facts_of(state, NOW + 3)).outcomes[Outcome.NOT_STARTED]
    assert "somebody else may have begun the cutover of a, " in advice
    assert "Of the others the source is still in charge." in advice


@pytest.mark.parametrize("running", [True, False])
def test_where_nothing_but_doubts_was_left_no_source_is_said_to_be_in_charge(*, running: bool) -> None:
    """Nor while a process works on the run: of what that has still to start nobody is told anything, of what was skipped somebody is."""
    doubts = [replace(each, migration=name) for name in "ab" for each in (LAG, GONE)]
    state = state_after(*doubts, SKIPPED, waves=(("a", "b"),))
    facts = facts_of(state, NOW, goes_on=running)
    assert "source is still in charge" not in advise(facts).outcomes[Outcome.NOT_STARTED]
    found = but_for_the_interruption(needs(state, NOW, holder=WHO if running else None))
    assert [(need.kind, need.what) for need in found] == [
        (Outcome.NOT_STARTED, name) for name in ("a" if running else "ab")
    ]
    state.apply(replace(LAG, at=NOW + 5))
    assert "a" not in [need.what for need in needs(state, NOW + 5, holder=WHO)]


def test_what_goes_on_needs_nobody() -> None:
    """A cutover under way does when no process follows it any more, and says how to follow it."""
    state = state_after(
        ev.CutoverRequested(at=NOW, migration="a"),
        ev.CutoverAccepted(at=NOW, migration="a", http_status=202, status="WORKING"),
    )
    assert needs(state, NOW, holder="ops@bastion") == ()
    need = only(needs(state, NOW))
    assert (need.kind, need.command) == (Outcome.UNDER_WAY, f"atlas-cutover resume {RUN}")


@pytest.mark.parametrize(
    ("event", "words", "command"),
    [
        (
            ev.ApprovalWaiting(at=NOW, wave="w2"),
            "wave w2 waits for approval, since .*UTC$",
            f"atlas-cutover approve {RUN} w2",
        ),
        (ev.RunPaused(at=NOW, who=WHO), r"paused by [^()]* \(4711\), since .*UTC$", f"atlas-cutover unpause {RUN}"),
        (
            ev.RunPaused(at=NOW, who=WHO, reason="lag rises"),
            r"paused by .* \(lag rises\), since .*UTC$",
            f"atlas-cutover unpause {RUN}",
        ),
        (ev.ConfirmationWaiting(at=NOW, who=WHO), "waits to be confirmed on the terminal of .*, since .*UTC$", None),
    ],
)
def test_what_waits_for_a_persons_word_is_a_need_while_the_run_is_under_way(
    event: ev.Event, words: str, command: str | None
) -> None:
    """In the words of `status`; a run that nobody works on waits for nobody's word."""
    state = state_after(event)
    need = only(needs(state, NOW, holder=WHO))
    assert re.search(words, need.waits)
    assert need.command == command
    assert but_for_the_interruption(needs(state, NOW)) == ()
    state.apply(ev.CutoversStopped(at=NOW, reason="aborted"))
    assert needs(state, NOW, holder=WHO) == ()


def hook(name: str, code: int, migration: str | None = "a") -> ev.HookFinished:
    """A hook that ended so."""
    return ev.HookFinished(at=NOW, hook=name, argv=("./x.sh",), exit_code=code, seconds=1.0, migration=migration)


def test_failed_hooks_are_needs_unless_an_outcome_tells_of_them() -> None:
    """Nor when they were run again with a better end, or a `verify` hook asked for that."""
    found = needs(
        state_after(hook("after_success", 1), hook("before", 1), hook("verify", 75, None), hook("verify", 1)), NOW
    )
    assert only(found).waits == "hook after_success of a exit code 1 (./x.sh), since 2027-01-15 08:00:00 UTC"
    mended = needs(state_after(hook("after_success", 1), hook("after_success", 0)), NOW)
    assert but_for_the_interruption(mended) == ()


def ends(state: RunState, *, unfinished: bool) -> RunState:
    """*state*, and the end of its session."""
    state.apply(ev.RunFinished(at=NOW, outcome=RunOutcome.FAILED, exit_code=1, unfinished=unfinished, requests={}))
    return state


@pytest.mark.parametrize("timed_out", [True, False])
@pytest.mark.parametrize("whose", ["w1", None])
def test_a_wave_or_run_that_is_not_verified_is_no_errand_to_be_done_by_hand(
    whose: str | None, *, timed_out: bool
) -> None:
    """It is cut over, and no writer may return to its sources; the run verifies it again when it is continued, if it is to be."""
    proof = replace(hook("verify", 75 if timed_out else 1, None), wave=whose)
    late = [ev.VerificationFailed(at=NOW, wave=whose, reason="./x.sh did not pass within 10m")] if timed_out else []
    state = state_after(proof, *late)
    going = only(needs(state, NOW, holder=WHO))
    assert (going.what, going.command) == (f"hook verify of {whose or 'the run'}", None)
    assert going.said == ("./x.sh did not pass within 10m" if timed_out else "exit code 1 (./x.sh)")
    assert "let no writer return to the sources" in going.to_do
    assert f"Once its process has ended, `atlas-cutover resume {RUN}` runs it again" in going.to_do
    left = only(needs(ends(state_after(proof, *late), unfinished=True), NOW))
    assert left.command == f"atlas-cutover resume {RUN}"
    over = only(needs(ends(state_after(proof, *late), unfinished=False), NOW))
    assert (over.command, "does not run it again" in over.to_do) == (None, True)
    assert "by hand" not in left.to_do


def test_a_before_hook_of_wave_or_run_that_failed_leaves_nothing_to_be_done_by_hand() -> None:
    """Of the run: `resume` runs it again. Of a wave: whoever tries what FAILED for it again."""
    of_run = only(needs(ends(state_after(hook("before", 1, None)), unfinished=True), NOW))
    assert of_run.command == f"atlas-cutover resume {RUN}"
    assert f"nothing is to be done by hand: once the cause is fixed, `{of_run.command}` runs it again" in of_run.to_do
    of_wave = only(needs(ends(state_after(replace(hook("before", 1, None), wave="w1")), unfinished=True), NOW))
    assert "run again with the migrations that FAILED for it" in of_wave.to_do
    assert of_wave.command == f"atlas-cutover resume {RUN} --retry-failed"


def test_a_need_of_thousands_names_a_few() -> None:
    """And how many they are; a command that cannot name all is none."""
    names = tuple(f"m{number}" for number in range(1000))
    state = state_after(
        *(event for name in names for event in ended(name, Outcome.FAILED, "full", put=False)), waves=(names,)
    )
    need = only(needs(state, NOW, holder=WHO))
    assert (need.count, len(need.about), need.command) == (1000, NAMED, None)


def test_a_run_that_was_killed_needs_somebody_who_continues_it() -> None:
    """After what is in doubt, before what is only to be followed; not while a process works on it, nor once its end is recorded."""
    taken = ev.CutoverAccepted(at=NOW, migration="b", http_status=202, status="WORKING")
    state = state_after(*ended("a", Outcome.IN_DOUBT), ev.CutoverRequested(at=NOW, migration="b"), taken)
    found = needs(state, NOW)
    assert [str(need.kind) for need in found] == ["IN_DOUBT", "INTERRUPTED", "UNDER_WAY"]
    assert (found[1].what, found[1].said) == ("the run", NO_END_RECORDED)
    assert found[1].command == f"atlas-cutover resume {RUN}"
    assert "nobody follows" in found[1].to_do
    assert found[1].since == NOW
    state.apply(ev.RunPaused(at=NOW + 600, who=WHO, between_sessions=True))  # no sign of life
    assert needs(state, NOW + 900)[1].since == NOW
    assert "INTERRUPTED" not in [need.kind for need in needs(state, NOW, holder=WHO)]
    state.apply(ev.RunFinished(at=NOW, outcome=RunOutcome.IN_DOUBT, exit_code=4, unfinished=True, requests={}))
    assert "INTERRUPTED" not in [need.kind for need in needs(state, NOW)]


def test_nobody_is_told_to_retry_what_the_session_does_not_start_any_more() -> None:
    """It would do nothing before the next session, which has a command of its own."""
    state = state_after(*ended("a", Outcome.FAILED, "full", put=False))
    assert only(needs(state, NOW, holder=WHO)).command == f"atlas-cutover retry {RUN} a"
    state.apply(ev.CutoversStopped(at=NOW, reason="too many failures"))
    need = only(needs(state, NOW, holder=WHO))
    assert need.command is None
    assert f"once its process has ended, `atlas-cutover status {RUN}` says how to try again" in need.to_do
    assert "`retry`" not in advise(facts_of(state, NOW, goes_on=True)).outcomes["FAILED"]


def test_a_window_that_is_over_is_known_before_a_killed_run_is_continued() -> None:
    """The command is that of the advice, and so is what has to be known first."""
    over = AbsoluteWindow(opens=NOW - 3600, closes=NOW - 60)
    state = fold(RUN, [run_started(replace(workflow(("a",)), window=over))])
    (need,) = needs(state, NOW)
    assert (need.command, "set a new one" in need.to_do) == (advise(facts_of(state, NOW)).command, True)


AN_HOUR = 3600.0


def waits_an_hour(*events: ev.Event) -> RunState:
    """A run whose first wave is over, and whose second has an hour to be approved in; then *events* happened."""
    given = workflow(("a",), ("b", "c"))
    waits = wave_with(given.waves[1], approval=True, approval_timeout=AN_HOUR)
    given = replace(given, waves=(given.waves[0], waits))
    over = [ev.WaveStarted(at=NOW, wave="w1", migrations=1, concurrency=1), finished("a", Outcome.SUCCESS)]
    over.append(ev.WaveFinished(at=NOW, wave="w1", counts={"SUCCESS": 1}))
    return fold(RUN, [run_started(given), *over, ev.ApprovalWaiting(at=NOW, wave="w2"), *events])


def expired(state: RunState) -> ev.Event:
    """What is recorded when nobody has answered in time."""
    (action,) = next_actions(state, NOW + AN_HOUR, NOW + AN_HOUR).actions
    assert isinstance(action, Record)
    return action.event


def test_an_approval_that_expires_says_when_as_long_as_it_waits() -> None:
    """And at that time it does; a pause keeps it from that, and an approval that waits for ever says nothing of it."""
    state = waits_an_hour()
    (need,) = needs(state, NOW + 1, holder=WHO)
    assert need.waits.endswith("UTC; counts as rejected at 2027-01-15 09:00:00 UTC")
    assert need.until == NOW + AN_HOUR
    assert next_actions(state, NOW + AN_HOUR - 1, NOW + AN_HOUR - 1).actions == ()
    assert isinstance(expired(state), ev.WaveRejected)
    state.apply(ev.RunPaused(at=NOW + 2, who=WHO))
    assert next_actions(state, NOW + 2 * AN_HOUR, NOW + 2 * AN_HOUR).actions == ()
    waits, _ = needs(state, NOW + 3, holder=WHO)
    assert waits.expiry == "counts as rejected at 2027-01-15 09:00:00 UTC, or when it is unpaused, if that is later"
    (without,) = needs(state_after(ev.ApprovalWaiting(at=NOW, wave="w2")), NOW, holder=WHO)
    assert (without.until, without.expiry) == (None, "")


@pytest.mark.parametrize("over", [True, False])
def test_a_wave_that_nobody_approved_in_time_needs_somebody(*, over: bool) -> None:
    """Nobody has decided against it: what keeps the run from going on is that nobody was there. In the run's own session nothing is left to be done but to wait for its end."""
    state = waits_an_hour()
    state.apply(expired(state))
    state.apply(ev.CutoversStopped(at=NOW + AN_HOUR, reason="wave 'w2' counts as rejected"))
    if over:
        state.apply(
            ev.RunFinished(at=NOW + AN_HOUR, outcome=RunOutcome.INCOMPLETE, exit_code=3, unfinished=True, requests={})
        )
    (need,) = needs(state, NOW + AN_HOUR, holder=None if over else WHO)
    assert (need.kind, need.what, need.since) == (UNAPPROVED, "wave w2", NOW + AN_HOUR)
    assert need.said == "nobody approved it within 1h, so it counts as rejected"
    assert need.command == (f"atlas-cutover resume {RUN}" if over else None)
    assert "asks for its approval again" in need.to_do
    state.apply(run_resumed(("b", "c"), at=NOW + 2 * AN_HOUR))
    assert needs(state, NOW + 2 * AN_HOUR, holder=WHO) == ()


@pytest.mark.parametrize(
    "answer",
    [
        ev.WaveApproved(at=NOW + AN_HOUR + 1, wave="w2", who=WHO, between_sessions=True),
        ev.WaveRejected(at=NOW + AN_HOUR + 1, wave="w2", who=WHO, between_sessions=True),
        ev.RunAborted(at=NOW + AN_HOUR + 1, who=WHO, between_sessions=True),
    ],
)
def test_a_late_answer_is_one(answer: ev.Event) -> None:
    """Once somebody has decided, nobody is asked any more."""
    state = waits_an_hour()
    state.apply(expired(state))
    state.apply(ev.RunFinished(at=NOW, outcome=RunOutcome.INCOMPLETE, exit_code=3, unfinished=True, requests={}))
    state.apply(answer)
    assert UNAPPROVED not in [need.kind for need in needs(state, NOW + AN_HOUR + 2)]


def test_nobodys_answer_is_told_from_a_persons_no() -> None:
    """The reason why nothing more starts names no person who is none, and a window that is over is known before the run is continued."""
    state = waits_an_hour()
    event = expired(state)
    assert isinstance(event, ev.WaveRejected)
    assert event.who == APPROVAL_TIMEOUT
    state.apply(event)
    (stopped,) = next_actions(state, NOW + AN_HOUR, NOW + AN_HOUR).actions
    assert isinstance(stopped, Record)
    assert isinstance(stopped.event, ev.CutoversStopped)
    assert stopped.event.reason == "wave 'w2' counts as rejected: nobody approved it within 1h"
    state.apply(ev.RunFinished(at=NOW, outcome=RunOutcome.INCOMPLETE, exit_code=3, unfinished=True, requests={}))
    state.workflow = replace(state.workflow, window=AbsoluteWindow(opens=NOW, closes=NOW + 60))
    (need,) = needs(state, NOW + AN_HOUR)
    assert (need.command, "set a new one" in need.to_do) == (advise(facts_of(state, NOW + AN_HOUR)).command, True)


HOOKS = Hooks(before=ONE, after_success=ONE, after_failure=ONE)


def with_hooks(of: str) -> Workflow:
    """A wave of a and b; HOOKS are those of its migrations, of the wave, or of the run."""
    given = workflow(("a", "b"), **({"hooks": HOOKS} if of == "run" else {}))
    (wave,) = given.waves
    if of == "migration":
        wave = wave_with(wave, migrations=tuple(replace(each, hooks=HOOKS) for each in wave.migrations))
    return replace(given, waves=(wave_with(wave, hooks=HOOKS) if of == "wave" else wave,))


def aborted(*, successor: str | None = None, unfinished: bool = False) -> tuple[ev.Event, ...]:
    """Somebody ends the run in the place of a process that is gone."""
    over = ev.RunFinished(at=NOW + 90, outcome=RunOutcome.INCOMPLETE, exit_code=3, unfinished=unfinished, requests={})
    return (ev.RunAborted(at=NOW + 90, who=WHO, successor=successor), over)


def test_nothing_of_a_run_that_was_given_up_is_to_be_tried_again() -> None:
    """`resume --retry-failed` of such a run is refused."""
    need = only(needs(state_after(*ended("a", Outcome.FAILED, "no room", put=False), *aborted()), NOW))
    assert need.command is None
    assert "once the cause is fixed, `atlas-cutover run --new WORKFLOW` starts another" in need.to_do


@pytest.mark.parametrize("accepted", [True, False])
def test_who_looks_at_a_run_whose_place_another_has_taken_is_sent_there(accepted: bool) -> None:
    """Whether that one follows, has ended, or was given up is not known here: only its own status tells."""
    put: list[ev.Event] = [ev.CutoverRequested(at=NOW, migration="a")]
    put += [ev.CutoverAccepted(at=NOW, migration="a", http_status=202, status=None)] if accepted else []
    failed = ended("b", Outcome.FAILED, "no room", put=False)
    found = needs(state_after(*put, *failed, *aborted(successor="next")), NOW)
    assert [need.kind for need in found] == [Outcome.UNDER_WAY if accepted else Outcome.IN_DOUBT, Outcome.FAILED]
    assert {need.command for need in found} == {"atlas-cutover status next"}
    assert found[0].said == "run next, which took this run's place, has taken it over"
    assert "`atlas-cutover status next` shows what has become of it, and whether anybody follows it" in found[0].to_do
    assert "and follows it" not in found[0].to_do


@pytest.mark.parametrize("half_way", [True, False])
@pytest.mark.parametrize(
    ("of", "what"), [("migration", "hooks of a"), ("wave", "hooks of wave w1"), ("run", "hooks of the run")]
)
def test_an_application_that_a_run_was_ended_without_starting_again_needs_somebody(
    of: str, what: str, half_way: bool
) -> None:
    """`abort` of an interrupted run, and `run --new`, run no hook: since when it stands still, and that it is let in by hand."""
    name, wave = "a" if of == "migration" else None, None if of == "run" else "w1"
    started = ev.HookStarted(at=NOW + 5, hook="before", argv=ONE[0], wave=wave, migration=name)
    done = ev.HookFinished(at=NOW + 7, hook="before", argv=ONE[0], exit_code=0, seconds=2.0, wave=wave, migration=name)
    undone = replace(done, at=NOW + 8, hook="after_failure")
    killed = fold(
        RUN,
        [
            run_started(with_hooks(of)),
            ev.WaveStarted(at=NOW, wave="w1", migrations=2, concurrency=2),
            ev.GateOpened(at=NOW, migration="a", status="WORKING", ready=True, lag=1.0),
            started,
            *(() if half_way else (done,)),
        ],
    )
    assert NOT_RUN not in [need.kind for need in needs(killed, NOW)]
    need = only(needs(killed.after(*aborted()), NOW))
    assert (need.kind, need.what, need.since, need.command) == (NOT_RUN, what, NOW + 5, None)
    assert need.said == "`before` may have stopped the application, and `after_failure` has not run"
    assert "Look at the live migration in the Atlas UI" in need.to_do
    assert "let the application write to the source by hand" in need.to_do
    successor = only(needs(killed.after(*aborted(successor="next")), NOW))
    assert successor.to_do.startswith(
        "Run next has taken its place, and runs `before` again for what it starts: look there"
    )
    assert needs(killed.after(undone, *aborted()), NOW) == ()
    assert needs(killed.after(*aborted()), NOW, holder="ops@bastion") == ()


@pytest.mark.parametrize("of", ["migration", "wave"])
def test_a_switch_that_a_run_was_ended_before_needs_somebody(of: str) -> None:
    """It is cut over, and `after_success` would have let the application write there."""
    before = ev.HookFinished(at=NOW + 7, hook="before", argv=ONE[0], exit_code=0, seconds=2.0, wave="w1", migration="a")
    if of == "wave":
        before = replace(before, migration=None)
    cut_over = [event for name in ("a", "b") for event in ended(name, Outcome.SUCCESS)]
    if of == "migration":
        cut_over[2:] = [*cut_over[2:], replace(before, hook="after_success", migration="b")]
    wave = ev.WaveStarted(at=NOW, wave="w1", migrations=2, concurrency=2)
    need = only(needs(fold(RUN, [run_started(with_hooks(of)), wave, before, *cut_over, *aborted()]), NOW))
    assert (need.kind, need.since) == (NOT_RUN, NOW + 5)
    assert need.said == "`before` may have stopped the application, and `after_success` has not run"
    assert "writes to the new cluster, and never to the source again" in need.to_do


def test_hooks_that_would_only_have_told_somebody_are_missed_by_nobody() -> None:
    """Whoever has ended the run knows of that; an application was stopped by nobody."""
    hooks = Hooks(after_failure=ONE)
    wave = ev.WaveStarted(at=NOW, wave="w1", migrations=1, concurrency=1)
    assert needs(fold(RUN, [run_started(workflow(hooks=hooks)), wave, *aborted()]), NOW) == ()
