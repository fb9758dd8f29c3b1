from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.core.advice import Facts, advise, facts_of, path_of
from orchestrator.core.events import CutoverRequested, CutoversStopped, Event, RunFinished
from orchestrator.core.needs import needs
from orchestrator.core.outcomes import Outcome, RunOutcome
from orchestrator.core.run import RunState, fold
from orchestrator.core.window import AbsoluteWindow
from orchestrator.core.workflow import Workflow

from ..builders import NOW, finished, run_started, wave_with, workflow

RUN = "20261128T000000Z-5f3a"
FILE = "/srv/night/retail.yaml"
RESUME = f"atlas-cutover resume {RUN}"


def facts(*outcomes: Outcome, **others: object) -> Facts:
    """A run whose migrations stand so."""
    totals = {outcome: outcomes.count(outcome) for outcome in Outcome}
    return Facts(run_id=RUN, workflow=FILE, totals=totals, **others)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "command", "condition"),
    [
        (facts(Outcome.SUCCESS, unfinished=False), None, None),
        (facts(Outcome.FAILED, unfinished=False), None, None),
        (facts(Outcome.NOT_STARTED), RESUME, None),
        (
            facts(Outcome.NOT_STARTED, rejected="the rest"),
            RESUME,
            f"after all, first `atlas-cutover approve {RUN} 'the rest'`, then this",
        ),
        (facts(Outcome.FAILED, rejected="the rest"), RESUME, None),
        (facts(Outcome.IN_DOUBT), RESUME, None),
        (facts(Outcome.UNDER_WAY), RESUME, "at once: it follows"),
        (facts(Outcome.UNDER_WAY, Outcome.NOT_STARTED), RESUME, None),
        (
            facts(Outcome.NOT_STARTED, window_over=True),
            f"atlas-cutover run {FILE}",
            "set a new one in the workflow file",
        ),
        (facts(Outcome.NOT_STARTED, window_over=True, hooks_left=True), RESUME, f"then: `atlas-cutover run {FILE}`"),
        (facts(Outcome.NOT_STARTED, Outcome.UNDER_WAY, window_over=True), RESUME, f"then: `atlas-cutover run {FILE}`"),
        (facts(Outcome.IN_DOUBT, window_over=True), RESUME, None),
        (
            facts(Outcome.FAILED, Outcome.NOT_STARTED, too_many_failures=True, left=("b", "the rest", "-c")),
            f"atlas-cutover run --new {FILE} --only b --only 'the rest' --only=-c",
            "nothing more starts in this run",
        ),
        (
            facts(Outcome.FAILED, Outcome.NOT_STARTED, too_many_failures=True, left=("b",), window_over=True),
            f"atlas-cutover run --new {FILE} --only b",
            "set a new one in the workflow file first",
        ),
        (
            facts(Outcome.FAILED, Outcome.NOT_STARTED, too_many_failures=True, left=("b",), rehearsal=True),
            f"atlas-cutover run --rehearse --new {FILE} --only b",
            "nothing more starts in this run",
        ),
        (
            facts(Outcome.FAILED, Outcome.NOT_STARTED, too_many_failures=True, left=("b",) * 51),
            f"atlas-cutover run --new {FILE}",
            "take what FAILED out of the workflow file first",
        ),
        (
            facts(Outcome.FAILED, Outcome.NOT_STARTED, too_many_failures=True, left=("b",), retry_is_enough=True),
            f"{RESUME} --retry-failed",
            "tries again what failed before its PUT, and starts what is left",
        ),
        (
            facts(Outcome.FAILED, Outcome.NOT_STARTED, too_many_failures=True, left=("b",), hooks_left=True),
            RESUME,
            "nothing more starts in this run",
        ),
        (
            facts(Outcome.NOT_STARTED, window_over=True, rehearsal=True),
            f"atlas-cutover run --rehearse {FILE}",
            "set a new one",
        ),
        (facts(Outcome.IN_DOUBT, Outcome.NOT_STARTED, too_many_failures=True), RESUME, "reads what is in doubt first"),
        (facts(Outcome.UNDER_WAY, Outcome.NOT_STARTED, too_many_failures=True), RESUME, "and starts nothing more"),
    ],
)
def test_the_command_that_goes_on_and_what_is_to_be_known_before(
    given: Facts, command: str | None, condition: str | None
) -> None:
    """A command to copy, which does what the condition says."""
    advice = advise(given)
    assert advice.command == command
    assert (condition or "") in (advice.condition or "")
    assert (advice.condition is None) == (condition is None)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (facts(Outcome.NOT_STARTED), f"`{RESUME}` starts it"),
        (facts(Outcome.NOT_STARTED, window_over=True), f"`atlas-cutover run {FILE}` goes on"),
        (facts(Outcome.NOT_STARTED, unfinished=False), f"`atlas-cutover run --new {FILE}` starts another"),
        (facts(Outcome.NOT_STARTED, unfinished=False, successor="next"), "Run next has taken its place"),
        (facts(Outcome.IN_DOUBT), f"`{RESUME}` reads it again"),
        (facts(Outcome.IN_DOUBT, unfinished=False), "No run follows it any more"),
        (
            facts(Outcome.UNDER_WAY, unfinished=False, successor="next"),
            "Run next has taken its place: `atlas-cutover status next` shows what has become of it",
        ),
        (facts(Outcome.UNDER_WAY), "follows it to its end at once"),
        (facts(Outcome.TIMED_OUT), "Watch it in the Atlas UI"),
        (facts(Outcome.FAILED), f"`{RESUME} --retry-failed`"),
        (facts(Outcome.FAILED, unfinished=False, aborted=True), f"`atlas-cutover run --new {FILE}` starts another"),
        (facts(Outcome.FAILED, unfinished=False, successor="next"), "`atlas-cutover status next` shows"),
    ],
)
def test_each_outcome_that_is_there_says_what_a_person_does(given: Facts, says: str) -> None:
    """Those that are not there, and SUCCESS, ask for nothing."""
    ((_, text),) = advise(given).outcomes.items()
    assert says in text
    assert advise(facts(Outcome.SUCCESS)).outcomes == {}


@pytest.mark.parametrize(
    ("put", "command"),
    [
        (True, "atlas-cutover run --new WORKFLOW --only c --only w2"),
        (False, f"{RESUME} --retry-failed"),
    ],
)
def test_a_run_that_max_failures_stopped_has_a_command_that_starts_what_is_left(*, put: bool, command: str) -> None:
    """Also of the wave that was stopped. `resume` alone would stop again at once, so no need and no outcome tells it."""
    given = workflow(("a", "b", "c"), ("d",))
    given = replace(given, waves=(wave_with(given.waves[0], max_failures=0), given.waves[1]))
    sent: list[Event] = [CutoverRequested(at=NOW, migration="a")] if put else []
    state = fold(RUN, [run_started(given), *sent, finished("a", Outcome.FAILED), finished("b", Outcome.SUCCESS)])
    state.apply(CutoversStopped(at=NOW, reason="1 of wave 'w1' ended without SUCCESS, max_failures is 0"))
    state.apply(RunFinished(at=NOW, outcome=RunOutcome.FAILED, exit_code=1, unfinished=True, requests={}))
    advice = advise(facts_of(state, NOW))
    assert advice.command == command
    assert f"`{command}` starts it" in advice.outcomes["NOT_STARTED"]
    assert f"`{RESUME}`" not in "".join(advice.outcomes.values())
    (need,) = needs(state, NOW)
    assert need.command == (None if put else command)


def test_what_failed_before_its_put_is_left_too_where_another_try_is_not_enough() -> None:
    """A run that starts again what has failed would stop for the other failure: another run starts both."""
    given = workflow(("a", "b", "c"))
    given = replace(given, waves=(wave_with(given.waves[0], max_failures=0),))
    put = CutoverRequested(at=NOW, migration="a")
    state = fold(RUN, [run_started(given), put, finished("a", Outcome.FAILED), finished("b", Outcome.FAILED)])
    state.apply(RunFinished(at=NOW, outcome=RunOutcome.FAILED, exit_code=1, unfinished=True, requests={}))
    command = "atlas-cutover run --new WORKFLOW --only b --only c"
    assert advise(facts_of(state, NOW)).command == command
    assert [need.command for need in needs(state, NOW) if need.what == "b"] == [command]


def test_a_run_tells_its_facts() -> None:
    """Its window is over at that moment, and nothing of it has started."""
    given = workflow(window=AbsoluteWindow(opens=NOW - 100, closes=NOW + 10))
    state = RunState(run_id=RUN)
    state.apply(run_started(given))
    assert facts_of(state, NOW).window_over is False
    late = facts_of(state, NOW + 10)
    assert (late.window_over, late.unfinished, late.totals[Outcome.NOT_STARTED]) == (True, True, 1)


@pytest.mark.parametrize(
    ("file", "path"),
    [("retail.yaml", "/srv/night/retail.yaml"), ("a b.yaml", "'/srv/night/a b.yaml'"), ("", "WORKFLOW")],
)
def test_the_path_of_a_workflow_can_be_copied_into_a_shell(file: str, path: str) -> None:
    """Runs of an older version did not record it."""
    assert path_of(Workflow(name="retail", waves=(), directory="/srv/night", file=file)) == path
