from __future__ import annotations

from dataclasses import replace

from orchestrator.core.consent import Intention, intended
from orchestrator.core.events import (
    CutoverAccepted,
    CutoverInDoubt,
    CutoverNotBegun,
    CutoverRequested,
    Event,
    RunAborted,
    WindowChanged,
)
from orchestrator.core.outcomes import Outcome
from orchestrator.core.run import RunState, fold
from orchestrator.core.window import AbsoluteWindow

from ..builders import NOW, WHO, finished, run_resumed, run_started, workflow

NAMES = tuple("abcdefgh")
NIGHT = workflow(NAMES)
A_NIGHT_LIKE_ANY = (
    finished("a", Outcome.SUCCESS),
    CutoverRequested(at=NOW, migration="b"),
    CutoverAccepted(at=NOW, migration="b", http_status=202, status=None),
    CutoverRequested(at=NOW, migration="c"),
    CutoverInDoubt(at=NOW, migration="c", reason="reset", settle=4.0),
    CutoverRequested(at=NOW, migration="d"),
    CutoverRequested(at=NOW, migration="e"),
    CutoverNotBegun(at=NOW, migration="e", reason="429", http_status=429),
    finished("f", Outcome.FAILED),
    finished("g", Outcome.IN_DOUBT),
)
"""One done, one accepted, one in doubt, one whose PUT was on its way, one told to come later, one failed, one unclear, one new."""


def run_after(*events: Event, plan: object = NIGHT) -> RunState:
    """A run of *plan* (NIGHT) after *events*."""
    return fold("run-1", (run_started(plan), *events))  # type: ignore[arg-type]


def going_on(
    state: RunState, *also: Event, only: tuple[str, ...] = NAMES, now: float = NOW, retry_failed: bool = False
) -> Intention:
    """What continuing *state* means."""
    first = run_resumed(only, retry_failed=retry_failed)
    return intended(state, (first, *also), base_url="https://x", ends=(), now=now)


def test_a_new_run_starts_what_is_selected() -> None:
    """And nothing else is known of it."""
    first = run_started(NIGHT, selected=("a", "c"))
    doubt = CutoverInDoubt(at=NOW, migration="c", reason="run run-0 sent a PUT", settle=4.0)
    found = intended(RunState(run_id=""), (first, doubt), base_url="https://x", ends=("run-0",), now=NOW)
    assert (found.run_id, found.ends, found.starts, found.repeats) == (None, ("run-0",), ("a",), ("c",))


def test_what_goes_on_is_sorted_by_what_may_be_sent_for_it() -> None:
    """What is over gets nothing, what was accepted is followed, and what is unclear is neither of the two."""
    found = going_on(run_after(*A_NIGHT_LIKE_ANY))
    assert (found.run_id, found.starts) == ("run-1", ("e", "h"))
    assert (found.repeats, found.follows) == (("c", "d", "g"), ("b",))


def test_retry_failed_adds_what_failed_before_its_put() -> None:
    """And `--only` takes away."""
    found = going_on(run_after(*A_NIGHT_LIKE_ANY), only=("b", "f"), retry_failed=True)
    assert (found.starts, found.repeats, found.follows) == (("f",), (), ("b",))


def test_what_another_run_sent_to_another_server_gets_nothing() -> None:
    """No read shows that it came to nothing; where no cutover starts anyway, it is followed as any other."""
    first = run_started(NIGHT, selected=("a", "c"))
    doubt = CutoverInDoubt(at=NOW, migration="c", reason="run run-0", settle=4.0, elsewhere="https://there")
    found = intended(RunState(run_id=""), (first, doubt), base_url="https://x", ends=(), now=NOW)
    assert (found.starts, found.repeats, found.elsewhere) == (("a",), (), ("c",))
    stopped = intended(
        RunState(run_id=""), (first, doubt, RunAborted(at=NOW, who=WHO)), base_url="https://x", ends=(), now=NOW
    )
    assert (stopped.follows, stopped.elsewhere) == (("c",), ())


def test_an_aborted_run_starts_nothing_and_repeats_nothing() -> None:
    """It follows all that may be under way."""
    found = going_on(run_after(*A_NIGHT_LIKE_ANY, RunAborted(at=NOW, who=WHO)))
    assert (found.starts, found.repeats, found.follows) == ((), (), ("b", "c", "d", "g"))
    assert not found.may_put


def test_a_window_that_is_over_starts_nothing_unless_it_is_another_now() -> None:
    """The window counts that the session will keep to."""
    state = run_after(plan=replace(NIGHT, window=AbsoluteWindow(opens=NOW, closes=NOW + 60)))
    later = NOW + 100
    assert not going_on(state, now=later).may_put
    new = AbsoluteWindow(opens=later, closes=later + 60)
    found = going_on(state, WindowChanged(at=later, window=new), now=later)
    assert (found.starts, found.workflow.window) == (NAMES, new)


def test_max_failures_that_is_used_up_starts_nothing_until_its_failures_are_retried() -> None:
    """The engine stops at once."""
    (wave,) = NIGHT.waves
    state = run_after(finished("f", Outcome.FAILED), plan=replace(NIGHT, waves=(replace(wave, max_failures=0),)))
    assert not going_on(state).may_put
    assert going_on(state, retry_failed=True).starts == NAMES


def test_trying_events_on_changes_nothing() -> None:
    """The state that was asked is the state that is continued."""
    state = run_after(*A_NIGHT_LIKE_ANY)
    assert state.after(run_resumed(NAMES)) != state
    assert state == run_after(*A_NIGHT_LIKE_ANY)
