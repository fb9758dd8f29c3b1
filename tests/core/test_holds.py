"""What keeps a run from starting cutovers, in the words that all who show a run use."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.core.events import ApprovalWaiting, CutoversStopped, RunPaused, WaveRejected, WindowWaiting
from orchestrator.core.holds import Held, holds, silence
from orchestrator.core.run import RunState
from orchestrator.text.counts import wave_named

from ..builders import NOW, WHO, run_started, workflow

RUN = "20261128T000000Z-5f3a"


def held() -> RunState:
    """A run that is paused, and one of whose waves waits for approval and for the window."""
    state = RunState(run_id=RUN)
    state.apply(run_started(workflow()))
    assert list(holds(state)) == []
    state.apply(RunPaused(at=NOW, who=WHO))
    state.apply(ApprovalWaiting(at=NOW, wave="w1"))
    state.apply(WindowWaiting(at=NOW, opens=NOW + 60, closes=NOW + 120))
    return state


def test_what_holds_a_run_names_the_command_that_lets_it_go_on() -> None:
    """With a name that a shell would take apart, too; a window opens by itself."""
    paused, approval, window = holds(held())
    assert (paused.waits[-3:], paused.command) == ("UTC", f"atlas-cutover unpause {RUN}")
    assert approval.command == f"atlas-cutover approve {RUN} w1"
    assert window.command is None


def test_a_wave_that_somebody_rejected_waits_for_nobody() -> None:
    """`status` had asked for its approval."""
    state = held()
    state.apply(WaveRejected(at=NOW + 1, wave="w1", who=WHO))
    assert [hold.held for hold in holds(state)] == [Held.PAUSE, Held.WINDOW]


def test_a_run_that_starts_no_cutover_any_more_is_held_by_nothing() -> None:
    """To unpause it, or to approve of a wave, would change nothing."""
    state = held()
    state.apply(CutoversStopped(at=NOW + 1, reason="aborted by somebody"))
    assert list(holds(state)) == []


def test_a_wave_whose_name_says_that_it_is_one_is_not_called_so_twice() -> None:
    """As on the page: "wave-03 waits for approval"; a name that only begins so is one of its own."""
    for name, called in (
        ("wave-03", "wave-03"),
        ("Wave 7", "Wave 7"),
        ("wavelet", "wave wavelet"),
        ("canary", "wave canary"),
    ):
        assert wave_named(name) == called
    state = RunState(run_id=RUN)
    state.apply(run_started(replace(workflow(), waves=(replace(workflow().waves[0], name="wave-03"),))))
    state.apply(ApprovalWaiting(at=NOW, wave="wave-03"))
    (approval,) = holds(state)
    assert (approval.what, approval.awaited) == ("wave-03", "approval of wave-03")


def test_a_run_without_a_sign_of_life_has_the_command_that_continues_it() -> None:
    """It is refused as long as that process holds the run, so to give it too early does nothing."""
    assert silence(RUN, WHO, NOW).command == f"atlas-cutover resume {RUN}"
