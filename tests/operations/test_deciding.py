"""What is asked of a wave is done for those of it for which it can be, and of the others it is said why not."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from orchestrator.cli.commands import build_parser
from orchestrator.core import events as ev
from orchestrator.core.errors import InputError
from orchestrator.core.outcomes import Outcome
from orchestrator.operations.gate import gate
from orchestrator.operations.retry import retry
from orchestrator.operations.skip import skip
from orchestrator.operations.steering import Steered, Taken
from orchestrator.store.journal import open_journal

from ..builders import NOW, workflow
from ..web.nights import RUN, Night, cutover_of

BEGUN = ev.CutoverRequested(at=NOW, migration="orders")
UNREADY = ev.MigrationFinished(at=NOW, migration="carts", outcome=Outcome.FAILED, status=None, error_message="no gate")
VERBS: dict[str, tuple[Callable[[Path], Steered], list[ev.Event], set[str], tuple[str, ...]]] = {
    "skip": (
        lambda there: skip(RUN, "w1", state_dir=there),
        [BEGUN],
        {"carts", "stock"},
        ("orders: its cutover has been requested, so it cannot be skipped",),
    ),
    "gate": (
        lambda there: gate(RUN, "w1", max_lag="60s", state_dir=there),
        [BEGUN],
        {"carts", "stock"},
        ("orders: its cutover has been requested, so its gate does not matter any more",),
    ),
    "retry": (
        lambda there: retry(RUN, "w1", state_dir=there),
        [*cutover_of("orders", NOW), *cutover_of("stock", NOW), UNREADY],
        {"carts"},
        ("orders, stock: it has ended (SUCCESS), so there is nothing to retry",),
    ),
    "names": (
        lambda there: skip(RUN, "orders", "stock", state_dir=there),
        [BEGUN],
        {"stock"},
        ("orders: its cutover has been requested, so it cannot be skipped",),
    ),
}


@pytest.mark.parametrize("works", [True, False])
@pytest.mark.parametrize("which", VERBS)
def test_a_wave_is_steered_as_far_as_it_can_be(tmp_path: Path, which: str, works: bool) -> None:
    """Whether a process works on the run or not; those of one reason are told together."""
    ask, before, heeded, left_out = VERBS[which]
    night = Night(state_dir=tmp_path)
    night.begin(workflow(("orders", "carts", "stock")))
    night.write(*before)
    with night.held() if works else nullcontext():
        steered = ask(tmp_path)
    assert (steered.taken, steered.left_out) == (Taken.ASKED if works else Taken.KEPT, left_out)
    with open_journal(tmp_path) as journal:
        asked = {control.request.migration for control in journal.controls(RUN)}
        recorded = {each.migration for each in journal.state(RUN).steering}
    assert asked == (heeded if works else set())
    assert recorded == (set() if works else heeded)


def test_what_does_nothing_for_any_is_refused_in_a_sentence(tmp_path: Path) -> None:
    """However many they are."""
    names = tuple(f"m{number:02}" for number in range(50))
    night = Night(state_dir=tmp_path)
    night.begin(workflow(names))
    night.write(*(ev.CutoverRequested(at=NOW, migration=name) for name in names))
    with night.held(), pytest.raises(InputError) as refused:
        skip(RUN, "w1", state_dir=tmp_path)
    assert str(refused.value) == (
        f"run {RUN}: {', '.join(names[:20])} and 30 more: its cutover has been requested, so it cannot be skipped"
    )
    assert night.asked() == []


@pytest.mark.parametrize("end", [KeyboardInterrupt(), SystemExit(143)])
def test_who_interrupts_a_command_is_told_that_it_may_have_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], end: BaseException
) -> None:
    """At Temporal it waits for a worker; the command ends as the signal says."""

    def interrupted(*_: object, **__: object) -> Steered:
        raise end

    monkeypatch.setattr("orchestrator.operations.approve.approve", interrupted)
    parsed = build_parser().parse_args(["approve", RUN, "w1", "--state-dir", str(tmp_path)])
    with pytest.raises(type(end)):
        parsed.handler(parsed)
    told = capsys.readouterr().err
    assert "approve: interrupted, and the run may have been asked all the same" in told
    assert f"`atlas-cutover status {RUN} --state-dir {tmp_path}` shows" in told


def test_the_command_says_for_whom_not_and_ends_with_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A script tells by that that it was done for some."""
    night = Night(state_dir=tmp_path)
    night.begin(workflow(("orders", "carts")))
    night.write(BEGUN)
    parsed = build_parser().parse_args(["skip", RUN, "w1", "--state-dir", str(tmp_path)])
    with night.held():
        assert parsed.handler(parsed) == 3
    told = capsys.readouterr().err
    assert "skip: not for orders: its cutover has been requested, so it cannot be skipped" in told
    assert f"skip: the request is with run {RUN} for the others" in told
