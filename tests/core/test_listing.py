"""The verdict on a run in a list is that of its fold."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core import events as ev
from orchestrator.core.listing import DECIDING, RunStanding
from orchestrator.core.run import APPROVAL_TIMEOUT, fold
from orchestrator.core.standing import verdict

from ..builders import NOW, WHO, run_resumed, run_started, workflow

waves = st.sampled_from(["w1", "w2"])
people = st.sampled_from([WHO, APPROVAL_TIMEOUT, f"{APPROVAL_TIMEOUT} (page, 127.0.0.1)"])
happenings = st.one_of(
    st.just(run_resumed(("a", "b"))),
    st.builds(ev.CutoversStopped, at=st.just(NOW), reason=st.just("the window closed")),
    st.builds(ev.ConfirmationWaiting, at=st.just(NOW), who=people),
    st.builds(ev.CutoversConfirmed, at=st.just(NOW), who=people),
    st.builds(ev.ApprovalWaiting, at=st.just(NOW), wave=waves),
    st.builds(ev.WaveApproved, at=st.just(NOW), wave=waves, who=people),
    st.builds(ev.WaveRejected, at=st.just(NOW), wave=waves, who=people, reason=st.sampled_from(["", "no"])),
    st.builds(ev.RunPaused, at=st.just(NOW), who=people),
    st.builds(ev.RunUnpaused, at=st.just(NOW), who=people),
    st.builds(ev.WindowChanged, at=st.just(NOW), window=st.none()),
    st.builds(ev.WindowWaiting, at=st.just(NOW), opens=st.just(NOW), closes=st.just(NOW)),
    st.builds(ev.WindowOpened, at=st.just(NOW), closes=st.just(NOW)),
    st.builds(ev.CutoverRequested, at=st.just(NOW), migration=st.just("a")),
    st.builds(ev.WaveStarted, at=st.just(NOW), wave=waves, migrations=st.just(1), concurrency=st.just(1)),
)


@given(st.lists(happenings, max_size=12), st.booleans())
def test_the_verdict_in_a_list_is_that_of_the_fold(happened: list[ev.Event], silent: bool) -> None:
    """Whatever happens, in whichever order, of the deciding events alone."""
    state = fold("r", [run_started(workflow(("a",), ("b",))), *happened])
    kept = RunStanding()
    kept.take(event for event in happened if isinstance(event, DECIDING))
    assert kept.word(silent=silent) == verdict(state, silent=silent)
