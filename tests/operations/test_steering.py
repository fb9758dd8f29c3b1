"""What is asked of a run is judged by how it will stand, not by what happens to be in the journal."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.commands import build_parser
from orchestrator.core import events as ev
from orchestrator.core.errors import InputError, JournalError
from orchestrator.core.outcomes import Outcome, RunOutcome
from orchestrator.core.run import RunState
from orchestrator.core.steered import Command
from orchestrator.core.steering import SteeringRequest
from orchestrator.files.in_code import build_settings
from orchestrator.operations.abort import abort
from orchestrator.operations.foresight import foresee_resume
from orchestrator.operations.options import Options
from orchestrator.operations.pause import pause
from orchestrator.operations.reject import reject
from orchestrator.operations.retry import retry
from orchestrator.operations.skip import skip
from orchestrator.operations.steering import Taken, take_up_what_waits
from orchestrator.operations.unpause import unpause
from orchestrator.reports.model import build
from orchestrator.store.journal import Journal, open_journal
from orchestrator.store.locks import locked, run_lock
from orchestrator.store.reader import EarlierPut

from ..builders import NOW, workflow
from ..web.nights import RUN, Night

WHO = "ada"
KEYS = {
    "MONGODB_ATLAS_PUBLIC_API_KEY": "abcdefgh",
    "MONGODB_ATLAS_PRIVATE_API_KEY": "0b8e7a52-1111-4222-8333-0000feedbeef",
}


def test_a_pause_that_is_heeded_at_this_moment_can_be_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pause` and then `unpause`, while the run's process is between reading the one and recording it."""
    night = Night(state_dir=tmp_path)
    night.begin(workflow(("orders",)))
    with open_journal(tmp_path) as journal:
        journal.request(RUN, SteeringRequest(command=Command.PAUSE, who=WHO), at=time.time())
    read = Journal.state

    def read_and_heed(journal: Journal, run_id: str) -> RunState:
        state = read(journal, run_id)
        monkeypatch.setattr(Journal, "state", read)
        night.write(ev.RunPaused(at=time.time(), who=WHO))
        with open_journal(tmp_path) as other:
            other.handled(other.controls(RUN))
        return state

    monkeypatch.setattr(Journal, "state", read_and_heed)
    with locked(run_lock(tmp_path, RUN), holder="another process"):
        assert unpause(RUN, state_dir=tmp_path).taken is Taken.ASKED
    with open_journal(tmp_path) as journal:
        assert [control.request.command for control in journal.controls(RUN)] == [Command.UNPAUSE]


FAILED = ev.MigrationFinished(at=NOW, migration="orders", outcome=Outcome.FAILED, status=None, error_message="no gate")
TWO_WORDS: dict[str, tuple[tuple[ev.Event, ...], SteeringRequest, Callable[[Path], Any], Callable[[RunState], Any]]] = {
    "approve, reject": (
        (),
        SteeringRequest(command=Command.APPROVE, who=WHO, wave="w1"),
        lambda there: reject(RUN, "w1", state_dir=there),
        lambda run: run.waves["w1"].rejected_by,
    ),
    "unpause, pause": (
        (ev.RunPaused(at=NOW, who=WHO),),
        SteeringRequest(command=Command.UNPAUSE, who=WHO),
        lambda there: pause(RUN, state_dir=there),
        lambda run: run.paused_by,
    ),
    "retry, skip": (
        (FAILED,),
        SteeringRequest(command=Command.RETRY, who=WHO, migration="orders"),
        lambda there: skip(RUN, "orders", state_dir=there),
        lambda run: run.migrations["orders"].skipped,
    ),
}


@pytest.mark.parametrize("which", TWO_WORDS)
def test_the_later_word_holds_where_the_first_one_was_never_heeded(tmp_path: Path, which: str) -> None:
    """The process that it was left for was stopped and killed. The next session takes up nothing that has been overruled."""
    before, waiting, later, holds = TWO_WORDS[which]
    plan = workflow(("orders",))
    night = Night(state_dir=tmp_path)
    night.begin(replace(plan, waves=tuple(replace(wave, approval=True) for wave in plan.waves)))
    night.write(*before)
    with night.held(), open_journal(tmp_path) as journal:
        journal.request(RUN, waiting, at=NOW)
    assert later(tmp_path).taken is Taken.KEPT
    assert night.asked() == []
    with open_journal(tmp_path) as journal:
        assert holds(journal.state(RUN))
        assert [decision.command for decision in journal.state(RUN).steering][-2:] == [
            Command(each) for each in which.split(", ")
        ]


def test_what_waits_is_taken_up_before_a_session_says_what_it_will_do(tmp_path: Path) -> None:
    """A question about two names what one more word has made one; an abort that waits is the session's, which follows what is under way."""
    night = Night(state_dir=tmp_path)
    night.begin(workflow(("orders", "carts")))
    skipped = SteeringRequest(command=Command.SKIP, who=WHO, migration="carts")
    with night.held(), open_journal(tmp_path) as journal:
        journal.request(RUN, skipped, at=NOW)
    intention = foresee_resume(RUN, build_settings({"state_dir": str(tmp_path)}, environ=KEYS), Options(), now=NOW)
    assert intention.starts == ("orders",)
    with open_journal(tmp_path) as journal:
        assert take_up_what_waits(journal, RUN).migrations["carts"].skipped
        journal.request(RUN, SteeringRequest(command=Command.ABORT, who=WHO), at=NOW)
        assert take_up_what_waits(journal, RUN).aborted_by is None
    assert [command for command, *_ in night.asked()] == [Command.ABORT]
    assert abort(RUN, state_dir=tmp_path).taken is Taken.ENDED  # nobody has heeded the other one


def test_what_is_taken_up_again_after_the_end_does_not_make_the_run_longer(tmp_path: Path) -> None:
    """`retry` records that something is left; that nobody worked on it meanwhile is no time that it took."""
    night = Night(state_dir=tmp_path)
    night.begin(workflow(("orders",)), at=NOW)
    night.write(
        ev.MigrationFinished(
            at=NOW + 50, migration="orders", outcome=Outcome.FAILED, status=None, error_message="no gate"
        ),
        ev.RunFinished(at=NOW + 60, outcome=RunOutcome.FAILED, exit_code=1, unfinished=False, requests={}),
    )
    assert retry(RUN, "orders", state_dir=tmp_path).taken is Taken.KEPT
    with open_journal(tmp_path) as journal:
        row, state = journal.find(RUN), journal.state(RUN)
    assert row is not None
    assert (row.unfinished, row.finished_at) == (True, NOW + 60)
    assert build(state, now=NOW + 9000).duration_seconds == 60


def test_what_was_asked_of_a_process_in_vain_can_be_asked_again(tmp_path: Path) -> None:
    """It died before it heeded the first `retry`, which is no reason to refuse the second: nothing has been taken up again."""
    night = Night(state_dir=tmp_path)
    night.begin(workflow(("orders",)))
    night.write(FAILED, ev.RunFinished(at=NOW, outcome=RunOutcome.FAILED, exit_code=1, unfinished=False, requests={}))
    with open_journal(tmp_path) as journal:
        journal.request(RUN, SteeringRequest(command=Command.RETRY, who=WHO, migration="orders"), at=NOW)
    assert retry(RUN, "orders", state_dir=tmp_path, who="olga").taken is Taken.KEPT
    with open_journal(tmp_path) as journal:
        assert [(each.command, each.who) for each in journal.state(RUN).steering] == [(Command.RETRY, "olga")]
        assert journal.controls(RUN) == []


@pytest.mark.parametrize("works", [True, False])
def test_a_secret_in_a_reason_is_kept_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, works: bool) -> None:
    """Neither in what is left for the process that works on the run, nor in what is recorded where none does; nor of an end."""
    key, secret = "f3a1b9c2-0000-4000-8000-00000000beef", "mdb_sa_sk_0123456789abcdefghij"
    monkeypatch.setenv("MONGODB_ATLAS_PRIVATE_API_KEY", f"{key}\n")  # as `$(cat key)` of some shells leaves it
    monkeypatch.setenv("HTTPS_PROXY", "http://ops:made-up-word@proxy.example:3128")
    night = Night(state_dir=tmp_path)
    night.begin(workflow(("orders",)))
    with locked(run_lock(tmp_path, RUN), holder="another process") if works else nullcontext():
        for steer in (pause, abort):
            steer(RUN, state_dir=tmp_path, reason=f"tried {key}, made-up-word and {secret}")
    with open_journal(tmp_path) as journal:
        asked = [control.request.reason for control in journal.controls(RUN)]
        recorded = [decision.reason for decision in journal.state(RUN).steering]
    assert (asked if works else recorded) == ["tried [redacted], [redacted] and [redacted]"] * 2
    kept = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert key.encode() not in kept
    assert secret.encode() not in kept


def test_a_key_that_the_config_alone_knows_is_not_kept_with_a_reason(tmp_path: Path) -> None:
    """What the command line reads of it is enough; a config with a mistake hinders nobody."""
    key = "0b8e7a52-1111-4222-8333-0000feedbeef"
    night = Night(state_dir=tmp_path)
    night.begin(workflow(("orders",)))
    config = tmp_path / "config.yaml"
    config.touch(mode=0o600)
    for command, more in (("pause", ""), ("unpause", "unknown: 1\n")):
        config.write_text(f"atlas: {{public_key: abcdefgh, private_key: {key}}}\n{more}")
        reason = f"with {key}" if not more else "without"
        arguments = [command, RUN, "--config", str(config), "--state-dir", str(tmp_path), "--reason", reason]
        parsed = build_parser().parse_args(arguments)
        assert parsed.handler(parsed) == 0
    with open_journal(tmp_path, readonly=True) as journal:
        reasons = [decision.reason for decision in journal.state(RUN).steering]
    assert reasons == ["with [redacted]", "without"]


def test_nobody_is_called_what_rejects_a_wave_that_was_not_approved_in_time(tmp_path: Path) -> None:
    """The next session would take that for nobody's answer; a name that only begins so is a person's, and holds."""
    night = Night(state_dir=tmp_path)
    night.begin(workflow(("orders",)))
    with pytest.raises(InputError, match=r"'approval\.timeout' is not a person's name"):
        reject(RUN, "w1", state_dir=tmp_path, who="approval.timeout", reason="no")
    reject(RUN, "w1", state_dir=tmp_path, who="approval.timeout (ada)", reason="no")


@pytest.mark.parametrize("which", ["run_started", "cutover_requested"])
def test_a_run_of_which_an_event_cannot_be_read_can_be_ended(tmp_path: Path, which: str) -> None:
    """Nothing else can be done with it, and its live migrations would be its own for ever. The PUT that it sent stays known."""
    night = Night(state_dir=tmp_path)
    night.begin(workflow(("orders", "carts")))
    with open_journal(tmp_path) as journal:
        journal.commit(RUN, [ev.CutoverRequested(at=NOW, migration="orders")], {"orders": ("g", "l")})
        journal._db.execute("UPDATE events SET data = ? WHERE name = ?", ("[" * 100_000, which))
        with pytest.raises(JournalError, match=rf"cannot be read .*`atlas-cutover abort {RUN}` ends it"):
            pause(RUN, state_dir=tmp_path)
        ended = abort(RUN, state_dir=tmp_path)
        assert (ended.taken, ended.unreadable) == (Taken.ENDED, 1)
        row = journal.find(RUN)
        assert row is not None
        assert not row.unfinished
        assert journal.claims_of_others("another") == {}
        assert journal.earlier_puts("another")["g", "l"] == EarlierPut(RUN, NOW)


def test_a_damaged_request_that_a_process_died_with_keeps_the_run_from_going_on_but_not_from_its_end(
    tmp_path: Path,
) -> None:
    """It may have been `pause`, and nobody was there to stop the run for it."""
    night = Night(state_dir=tmp_path)
    night.begin(workflow(("orders", "carts")))
    with night.held(), open_journal(tmp_path) as journal:
        journal.request(RUN, SteeringRequest(command=Command.PAUSE, who=WHO), at=NOW)
        journal._db.execute("UPDATE controls SET detail = ?", ("[" * 100_000,))
    settings = build_settings({"state_dir": str(tmp_path)}, environ=KEYS)
    for read in (lambda: unpause(RUN, state_dir=tmp_path), lambda: foresee_resume(RUN, settings, Options(), now=NOW)):
        with pytest.raises(
            JournalError,
            match=rf"request 1 \('pause' by .*: it has too many brackets.*`atlas-cutover abort {RUN}` ends it",
        ):
            read()
    assert abort(RUN, state_dir=tmp_path).taken is Taken.ENDED


@pytest.mark.parametrize("change", ["outcome = 'MAYBE'", "started_at = 9e999", "finished_at = -1e300"])
@pytest.mark.parametrize("over", [True, False], ids=["over", "unfinished"])
def test_a_run_whose_row_is_damaged_is_ended_by_what_its_events_say(tmp_path: Path, change: str, over: bool) -> None:
    """Nothing else is done with it, nor while a process works on it; it had kept its workflow from being run for good."""
    night = Night(state_dir=tmp_path)
    night.begin(workflow(("orders", "carts")))
    if over:
        abort(RUN, state_dir=tmp_path)
    with open_journal(tmp_path) as journal:
        journal._db.execute(f"UPDATE runs SET {change}")  # noqa: S608 - one of those above
    damaged = rf"how it stands cannot be read .*`atlas-cutover abort {RUN}`, with its whole id"
    with night.held(), pytest.raises(JournalError, match=damaged):
        abort(RUN, state_dir=tmp_path)
    with pytest.raises(JournalError, match=damaged):
        pause(RUN, state_dir=tmp_path)
    with pytest.raises(JournalError, match=damaged):
        abort(RUN[:4], state_dir=tmp_path)
    if over:
        with pytest.raises(InputError, match="nothing to abort"):
            abort(RUN, state_dir=tmp_path)
    else:
        assert abort(RUN, state_dir=tmp_path).taken is Taken.ENDED
    with open_journal(tmp_path, readonly=True) as journal:
        row = journal.find(RUN)
        assert row is not None
        assert (row.unfinished, row.started_at, row.exit_code) == (False, NOW, 3)
        assert journal.claims_of_others("another") == {}
