"""A command that follows a run at Temporal, and what it meets there or here that nobody has foreseen."""

from __future__ import annotations

import errno
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from orchestrator.core.events import CutoverInDoubt, RunFinished, WaveApproved
from orchestrator.core.outcomes import RunOutcome
from orchestrator.operations import temporal_runs
from orchestrator.operations.abort import abort
from orchestrator.operations.follower import Follower
from orchestrator.operations.options import Options
from orchestrator.operations.steering import Taken
from orchestrator.store.journal import RunRow, open_journal
from orchestrator.store.marks import Marks

from ..builders import NOW, run_started, workflow

RUN = "20270115-080000-3f9a1c"
THERE = {"address": "127.0.0.1:1", "namespace": "default", "tls": False, "codec_key_file": None, "lease": 10.0}


class Broken:
    """A connection with which something is wrong that is none of Temporal's errors."""

    async def find(self) -> None:
        """No answer."""
        raise OSError(errno.EMFILE, "Too many open files")


class Other:
    """A cluster that has closed the run, and tells events of it that are not those in the journal."""

    async def find(self) -> SimpleNamespace:
        """The run, by its name."""
        return SimpleNamespace(run_id=RUN, is_open=False, length=10, execution="x")

    async def news(self, after: int) -> SimpleNamespace:
        """What another machine has made of it."""
        return SimpleNamespace(first=after, events=[], lengths=[], over=True, execution="x")


@pytest.mark.anyio
@pytest.mark.parametrize("ended", [False, True])
async def test_a_run_of_which_temporal_tells_another_story_may_have_sent_anything(tmp_path: Path, ended: bool) -> None:
    """It was gone on with from another machine; not where its end is in the journal, after which nothing was sent from here."""
    pytest.importorskip("temporalio")
    given = workflow(("orders", "items"))
    first = run_started(given, selected=("orders",))
    with open_journal(tmp_path) as journal:
        journal.begin(RUN, given, first, temporal=THERE)
        if ended:
            over = RunFinished(at=NOW, outcome=RunOutcome.INCOMPLETE, exit_code=3, unfinished=True, requests={})
            journal.commit(RUN, [over], {})
        remote = cast("Any", Other())
        follower = Follower(journal, remote, None, Options(), run_id=RUN)
        await follower.take_in_its_end(await remote.find(), settle=30.0, now=NOW + 1)
        doubts = [event for _, event in journal.events(RUN) if isinstance(event, CutoverInDoubt)]
        assert [(event.migration, event.settle) for event in doubts] == ([] if ended else [("orders", 30.0)])
        puts = journal.earlier_puts("another")
    jobs = {} if ended else {(m.group_id, m.live_migration_id): (RUN, NOW + 1) for m in given.waves[0].migrations[:1]}
    assert puts == jobs


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

    for name, made in (("is_open_row", is_open), ("take_in_its_end", take_in_its_end), ("let_go", let_go)):
        monkeypatch.setattr(temporal_runs, name, made)
    assert abort(RUN, state_dir=tmp_path).taken is Taken.ENDED
    assert released == [RUN]
    with open_journal(tmp_path, readonly=True) as journal:
        row = journal.find(RUN)
    assert row is not None
    assert not row.unfinished
