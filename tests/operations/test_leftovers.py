"""What was left in the journal for a process that followed a run at Temporal, when somebody else takes the run, or asks something newer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from orchestrator.cli.main import run_command
from orchestrator.core.errors import InputError
from orchestrator.core.events import MigrationSkipped, RunFinished, WaveApproved
from orchestrator.core.outcomes import RunOutcome
from orchestrator.core.steered import Command
from orchestrator.core.steering import SteeringRequest
from orchestrator.operations import leftovers, temporal_runs
from orchestrator.operations.abort import abort
from orchestrator.operations.approve import approve
from orchestrator.operations.pause import pause
from orchestrator.operations.reject import reject
from orchestrator.operations.steering import Steered, Taken, asked_already
from orchestrator.store.journal import RunRow, open_journal
from orchestrator.store.locks import LockedError, locked, run_lock

from ..builders import NOW, run_started, wave_with, workflow

RUN = "20270115-080000-3f9a1c"
THERE = {"address": "127.0.0.1:1", "namespace": "default", "tls": False, "codec_key_file": None, "lease": 10.0}
APPROVE = SteeringRequest(command=Command.APPROVE, who="olga", wave="w1")
SKIP = SteeringRequest(command=Command.SKIP, who="ben", migration="items")
DROPPED = "`approve w1` by olga, of 2027-01-15 08:00:00 UTC, is not passed on any more"
Asked = list[tuple[list[Command], list[Command]]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What is asked of the run at Temporal: what comes before, and what is new."""
    seen: Asked = []

    async def steer(
        row: RunRow, requests: Sequence[SteeringRequest], *, before: Sequence[SteeringRequest] = ()
    ) -> list[str | None]:
        assert row.run_id == RUN
        seen.append(([each.command for each in before], [each.command for each in requests]))
        return [None] * len(requests)

    monkeypatch.setattr(temporal_runs, "steer", steer)
    return seen


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """Where a run is, open at Temporal, for whose follower somebody has left an approval, and then a skip."""
    plain = workflow(("orders", "items"))
    given = workflow(("orders", "items"), waves=(wave_with(plain.waves[0], approval=True),))
    with open_journal(tmp_path) as journal:
        journal.begin(RUN, given, run_started(given), temporal=THERE)
        journal.request(RUN, APPROVE, SKIP, at=NOW)
    return tmp_path


def close(state_dir: Path) -> None:
    """End its session, unfinished."""
    over = RunFinished(at=NOW, outcome=RunOutcome.INCOMPLETE, exit_code=3, unfinished=True, requests={})
    with open_journal(state_dir) as journal:
        journal.state(RUN)
        journal.commit(RUN, [over], {})


def left(state_dir: Path) -> list[Command]:
    """What still waits in the journal for a process that follows the run."""
    with open_journal(state_dir, readonly=True) as journal:
        return [control.request.command for control in journal.controls(RUN)]


def test_what_a_dead_follower_was_to_pass_on_comes_first_if_it_holds_the_run_up_and_else_not_at_all(
    state_dir: Path, asked: Asked
) -> None:
    """A rejection is not undone by the approval before it, which whoever rejects is told of."""
    done = reject(RUN, "w1", state_dir=state_dir, who="ada")
    assert done.taken is Taken.TAKEN
    assert asked == [([Command.SKIP], [Command.REJECT])]
    [told] = done.dropped
    assert told.startswith(DROPPED)
    assert "as the process that was to pass it on has ended; the run may have carried it out before that" in told
    assert f"see how run {RUN} stands, and ask again" in told
    assert left(state_dir) == []


def test_a_run_that_is_closed_is_not_approved_by_what_its_follower_left(state_dir: Path) -> None:
    """What is asked of it now is recorded, after what held it up."""
    close(state_dir)
    done = pause(RUN, state_dir=state_dir, who="ada")
    assert (done.taken, done.here_alone) == (Taken.KEPT, True)
    assert [each.startswith(DROPPED) for each in done.dropped] == [True]
    with open_journal(state_dir, readonly=True) as journal:
        events = [event for _, event in journal.events(RUN)]
        state = journal.state(RUN)
    assert not any(isinstance(event, WaveApproved) for event in events)
    assert any(isinstance(event, MigrationSkipped) for event in events)
    assert (state.paused_by, state.waves["w1"].approved_by) == ("ada", None)
    assert left(state_dir) == []


def test_an_approval_counts_while_the_process_lives_that_it_was_left_for(state_dir: Path) -> None:
    """Then it is heeded within a second, so what is asked next is judged by that; afterwards it is not."""
    with locked(run_lock(state_dir, RUN), holder="somebody"), open_journal(state_dir, readonly=True) as journal:
        assert asked_already(journal, RUN).waves["w1"].approved_by == "olga"
    with open_journal(state_dir, readonly=True) as journal:
        state = asked_already(journal, RUN)
    assert state.waves["w1"].approved_by is None
    assert state.migrations["items"].skipped is not None


def test_what_is_older_is_passed_on_by_who_follows_before_anything_newer_is_asked(
    state_dir: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is waited for."""

    def held(path: Path, **_: object) -> None:
        """Whoever follows the run holds the lock, and passes on what was left for them."""
        assert asked == []
        with open_journal(state_dir) as journal:
            journal.handled(journal.controls(RUN))
        raise LockedError(path, "somebody")

    monkeypatch.setattr(leftovers, "locked", held)
    monkeypatch.setattr(leftovers, "_LOOK_AGAIN", 0.0)
    done = reject(RUN, "w1", state_dir=state_dir, who="ada")
    assert (asked, done.dropped) == ([([], [Command.REJECT])], ())


def test_a_follower_that_hangs_keeps_an_approval_back_and_no_pause(
    state_dir: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it had not passed on, and would let the run go on, it does not find any more when it goes on."""
    monkeypatch.setattr(leftovers, "PATIENCE", 0.0)
    with open_journal(state_dir) as journal:
        journal.request(RUN, SteeringRequest(command=Command.GATE, who="olga", migration="orders"), at=time.time())
    with locked(run_lock(state_dir, RUN), holder="ops@bastion (4711)"):
        with pytest.raises(InputError, match=r"waits for ops@bastion \(4711\), which follows .* nothing was asked"):
            approve(RUN, "w1", state_dir=state_dir, who="ada")
        assert (asked, len(left(state_dir))) == ([], 3)
        done = pause(RUN, state_dir=state_dir, who="ada")
    assert asked == [([], [Command.PAUSE])]
    assert len(done.dropped) == 2
    assert (
        "as ops@bastion (4711) has not noted that it has passed it on; the run may have carried it out"
        in done.dropped[0]
    )
    assert left(state_dir) == [Command.SKIP]


@pytest.mark.parametrize("ask", [pause, abort], ids=["pause", "abort"])
def test_what_cannot_be_read_is_dropped_with_a_word_when_something_newer_is_asked(
    asked: Asked, state_dir: Path, monkeypatch: pytest.MonkeyPatch, ask: Callable[..., Steered]
) -> None:
    """The run goes on at Temporal all the same: nothing that holds it up is to wait for what nobody understands."""

    async def is_open(*_: object) -> bool:
        return True

    monkeypatch.setattr(temporal_runs, "is_open_row", is_open)
    with open_journal(state_dir) as journal:
        journal._db.execute("UPDATE controls SET detail = ? WHERE id = 1", ("[" * 100_000,))
        assert asked_already(journal, RUN).migrations["items"].skipped
    steered = ask(RUN, state_dir=state_dir)
    assert steered.taken is Taken.TAKEN
    assert asked == [([Command.SKIP], [Command(ask.__name__)])]
    [said] = steered.dropped
    assert said.startswith("what cannot be read, request 1 ('approve' by 'olga': ")
    assert said.endswith(f"ask run {RUN} again, if it still holds")
    assert left(state_dir) == []


def test_what_is_asked_between_two_sessions_says_that_another_state_directory_does_not_know_it(
    state_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is recorded, and whoever goes on with the run from another machine has to be told there."""
    close(state_dir)
    assert run_command(["pause", RUN, "--state-dir", str(state_dir)]) == 0
    said = capsys.readouterr().err
    assert f"recorded for run {RUN}" in said
    assert "from this state directory" in said
