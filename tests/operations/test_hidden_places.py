"""A run that goes on in another state directory than the one that the config names, which has the run, too."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from orchestrator.core.errors import BusyError
from orchestrator.core.events import CutoverRequested
from orchestrator.operations.hidden_places import refuse_claimed_in
from orchestrator.store.journal import open_journal
from orchestrator.store.schema import FILE

from ..builders import NOW, workflow
from ..web.nights import RUN, Night


def test_a_copy_that_knows_less_of_its_runs_puts_is_not_gone_on_with(tmp_path: Path) -> None:
    """Made before the run went on in its own directory: the next session there would send those PUTs again."""
    plan = workflow(("orders", "carts"))
    ids = {m.name: (m.group_id, m.live_migration_id) for _, m in plan.migrations()}
    own, copy, newer = tmp_path / "own", tmp_path / "copy", tmp_path / "newer"
    own.mkdir(mode=0o700)
    Night(state_dir=own).begin(plan)
    shutil.copytree(own, copy)
    with open_journal(own) as journal:
        journal.state(RUN)
        journal.commit(RUN, [CutoverRequested(at=NOW, migration="orders")], ids)
    shutil.copytree(own, newer)
    told: list[str] = []
    with pytest.raises(BusyError, match=rf"run {RUN} has sent PUTs \(orders\) in the state directory {own}, "):
        refuse_claimed_in([own], plan, copy, run_id=RUN, warn=told.append)
    refuse_claimed_in([own], plan, newer, run_id=RUN, warn=told.append)
    refuse_claimed_in([copy], plan, own, run_id=RUN, warn=told.append)
    assert told == []


@pytest.mark.parametrize("gone", [True, False], ids=["the journal is gone", "a new one is there"])
def test_a_place_that_has_lost_its_runs_is_warned_of(tmp_path: Path, gone: bool) -> None:
    """Its marks name a run: that it holds nothing of the workflow cannot be told from what is left."""
    plan = workflow(("orders", "carts"))
    own = tmp_path / "own"
    Night(state_dir=own).begin(plan)
    for file in own.glob(f"{FILE}*"):
        file.unlink()
    if not gone:
        with open_journal(own):
            pass
    told: list[str] = []
    refuse_claimed_in([own], plan, tmp_path / "other", warn=told.append)
    (word,) = told
    assert f"run {RUN}: events of it are missing" in word
