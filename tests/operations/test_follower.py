"""A command that follows a run at Temporal, and what it meets there or here that nobody has foreseen."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from orchestrator.core.errors import TemporalError
from orchestrator.core.events import CutoverInDoubt, Event, MigrationSkipped, RunFinished, RunResumed, WaveApproved
from orchestrator.core.outcomes import RunOutcome
from orchestrator.core.steered import Command
from orchestrator.core.steering import SteeringRequest
from orchestrator.operations import temporal_runs
from orchestrator.operations.abort import abort
from orchestrator.operations.follower import Follower
from orchestrator.operations.options import Host, Options
from orchestrator.operations.steering import Taken
from orchestrator.store.journal import RunRow, open_journal
from orchestrator.store.marks import Marks
from orchestrator.store.reader import EarlierPut

from ..builders import NOW, WHO, run_resumed, run_started, workflow

RUN = "20270115-080000-3f9a1c"
THERE = {"address": "127.0.0.1:1", "namespace": "default", "tls": False, "codec_key_file": None, "lease": 10.0}


class Broken:
    """A connection with which something is wrong that is none of Temporal's errors."""

    async def find(self) -> None:
        """No answer."""
        raise OSError(errno.EMFILE, "Too many open files")


class Closed:
    """A cluster that has closed the run, and tells *there* of it."""

    def __init__(self, there: Sequence[Event], *more: object) -> None:
        from orchestrator.engines.temporal import forms

        self._there = [*forms.out(there), *more]

    async def find(self) -> SimpleNamespace:
        """The run, by its name."""
        return SimpleNamespace(run_id=RUN, is_open=False, length=10, execution="x", did_nothing=False)

    async def news(self, after: int) -> SimpleNamespace:
        """What has happened in it, committed all of it."""
        events = self._there[after:]
        return SimpleNamespace(first=after, events=events, lengths=[1] * len(events), over=True, execution="x")

    async def was_committed(self, *_: object) -> bool:
        """It was."""
        return True

    async def last_announced(self, run_id: str) -> None:
        """Nobody has announced a session."""


BEGUN = run_started(workflow(("orders", "items")), selected=("orders",))
OVER = RunFinished(at=NOW + 1, outcome=RunOutcome.INCOMPLETE, exit_code=3, unfinished=True, requests={})
SKIPPED = MigrationSkipped(at=NOW + 2, migration="items", who=WHO, between_sessions=True)
AGAIN = run_resumed(("orders", "items"), at=NOW + 3)
ELSEWHERE, OVER_THERE = run_resumed(("items",), at=NOW + 4), replace(OVER, at=NOW + 5)
STORIES: dict[str, tuple[list[Event], list[Event], tuple[str, ...]]] = {
    # what is recorded here; what Temporal tells; what may have had a PUT
    "it has ended": ([BEGUN, OVER], [BEGUN, OVER], ()),
    "something was decided since": ([BEGUN, OVER, SKIPPED, OVER], [BEGUN, OVER], ()),
    "a session that never began there": ([BEGUN, OVER, AGAIN], [BEGUN, OVER], ("orders", "items")),
    "one of another machine": ([BEGUN, OVER, SKIPPED, OVER], [BEGUN, OVER, ELSEWHERE, OVER_THERE], ("orders", "items")),
    "one of another machine beside ours": (
        [BEGUN, OVER, AGAIN],
        [BEGUN, OVER, ELSEWHERE, OVER_THERE],
        ("orders", "items"),
    ),
    "nothing": ([BEGUN], [], ("orders",)),
}


@pytest.mark.anyio
@pytest.mark.parametrize("story", STORIES)
async def test_a_run_of_which_temporal_tells_another_story_may_have_sent_anything(tmp_path: Path, story: str) -> None:
    """It was gone on with from another machine, or never began; what was decided here after its end is no other story."""
    pytest.importorskip("temporalio")
    here, there, doubtful = STORIES[story]
    given = BEGUN.workflow
    with open_journal(tmp_path) as journal:
        journal.begin(RUN, given, BEGUN, temporal=THERE)
        for event in here[1:]:
            if isinstance(event, RunResumed):
                journal.resume(RUN, given, event, rehearsal=False)
            else:
                journal.commit(RUN, [event], {})
        remote = cast("Any", Closed(there))
        follower = Follower(journal, remote, None, Options(), run_id=RUN)
        await follower.take_in_its_end(await remote.find(), settle=30.0, now=NOW + 9)
        doubts = [event for _, event in journal.events(RUN) if isinstance(event, CutoverInDoubt)]
        assert [(event.migration, event.settle) for event in doubts] == [(name, 30.0) for name in doubtful]
        puts = journal.earlier_puts("another")
    jobs = {m.name: (m.group_id, m.live_migration_id) for _, m in given.migrations()}
    assert puts == {jobs[name]: EarlierPut(RUN, NOW + 9) for name in doubtful}


@pytest.mark.anyio
async def test_what_the_page_left_as_a_run_ended_is_told_of(tmp_path: Path) -> None:
    """Nobody passes it on any more. What holds cutovers up is kept for whoever goes on with the run."""
    said: list[tuple[str, str]] = []
    host = Host(say=lambda event, **fields: said.append((event, fields["detail"])))
    with open_journal(tmp_path) as journal:
        journal.begin(RUN, BEGUN.workflow, BEGUN, temporal=THERE)
        for command in (Command.UNPAUSE, Command.PAUSE):
            journal.request(RUN, SteeringRequest(command=command, who=WHO), at=NOW)
        follower = Follower(journal, cast("Any", Closed([BEGUN, OVER])), None, Options(host=host), run_id=RUN)
        await follower.follow()
        assert [control.request.command for control in journal.controls(RUN)] == [Command.PAUSE]
    [(event, detail)] = said
    assert event == "request_dropped"
    assert detail.startswith(f"`unpause` by {WHO}")


@pytest.mark.anyio
async def test_a_fault_of_who_follows_names_the_run_and_the_way_on(tmp_path: Path) -> None:
    """It is told as a fault, which says nothing about the run, and its cause is with it."""
    given = workflow()
    with open_journal(tmp_path) as journal:
        journal.begin(RUN, given, run_started(given), temporal=THERE)
        follower = Follower(journal, cast("Any", Broken()), None, Options(), run_id=RUN)
        with pytest.raises(RuntimeError, match=rf"run {RUN} is followed no more .*`atlas-cutover resume {RUN}`") as met:
            await follower.follow()
    assert isinstance(met.value.__cause__, OSError)
    assert met.value.__cause__.errno == errno.EMFILE


@pytest.mark.anyio
@pytest.mark.parametrize(
    "damaged",
    [
        [SKIPPED.name, NOW + 2, {"migration": "items", "who": ["x"]}],
        [SKIPPED.name, "yesterday", {"migration": "items", "who": WHO}],
        ["SomethingNewer", NOW + 2, {}],
        [[SKIPPED.name], NOW + 2, {}],
        [SKIPPED.name, NOW + 2],
        "abc",
        {"name": 1, "at": 2, "fields": 3},
        None,
    ],
)
async def test_an_event_of_temporals_that_cannot_be_read_is_no_fault_of_who_follows(
    tmp_path: Path, damaged: object
) -> None:
    """It is Temporal that tells what cannot be, so the run is asked about again, and its record here stays as it is."""
    pytest.importorskip("temporalio")
    with open_journal(tmp_path) as journal:
        journal.begin(RUN, BEGUN.workflow, BEGUN, temporal=THERE)
        remote = cast("Any", Closed([BEGUN], damaged))
        follower = Follower(journal, remote, None, Options(), run_id=RUN)
        with pytest.raises(TemporalError, match=f"of run {RUN} that cannot be read here"):
            await follower.catch_up()
        assert [event for _, event in journal.events(RUN)] == [BEGUN]


def test_a_run_that_was_closed_at_temporal_is_ended_where_the_journal_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Temporal knows cannot be taken in any more, and the advice that refuses it is to `abort`."""
    given = workflow()
    with open_journal(tmp_path) as journal:
        journal.begin(RUN, given, run_started(given), temporal=THERE)
    Marks(tmp_path).of(RUN).path.unlink()
    released: list[str] = []

    async def is_open(*_: object) -> bool:
        return False

    async def take_in_its_end(row: RunRow, state_dir: Path, *, who: str) -> None:
        with open_journal(state_dir) as journal:
            journal.commit(row.run_id, [WaveApproved(at=NOW, wave="w1", who=who)], {})

    async def let_go(row: RunRow, *_: object) -> None:
        released.append(row.run_id)

    for name, made in (
        ("is_open_row", is_open),
        ("take_in_its_end", take_in_its_end),
        ("let_go", let_go),
        ("give_up", is_open),
    ):
        monkeypatch.setattr(temporal_runs, name, made)
    assert abort(RUN, state_dir=tmp_path).taken is Taken.ENDED
    assert released == [RUN]
    with open_journal(tmp_path, readonly=True) as journal:
        row = journal.find(RUN)
    assert row is not None
    assert not row.unfinished
