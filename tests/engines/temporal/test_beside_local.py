"""The local engine beside a run that is open at Temporal, by what the journal knows; no server is needed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.core.errors import BusyError, InputError
from orchestrator.core.events import RunFinished, RunStarted
from orchestrator.core.outcomes import ExitCode, RunOutcome
from orchestrator.core.workflow import Workflow
from orchestrator.operations.status import runs
from orchestrator.store.journal import open_journal

from ..house import House, house, wave, workflow

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

PLACE = {"address": "127.0.0.1:7233", "namespace": "default", "tls": False, "codec_key_file": None, "lease": 10.0}


def begun_elsewhere(it: House, plan: Workflow, *, closed: bool = False) -> None:
    """Leave in the journal what a run of *plan* at Temporal leaves there; *closed*: it has ended, unfinished."""
    names = tuple(m.name for _, m in plan.migrations())
    first = RunStarted(
        at=1.0,
        workflow=plan,
        base_url=it.settings.atlas.base_url,
        rehearsal=False,
        selected=names,
        who="somebody",
        version="0",
    )
    with open_journal(it.settings.state_dir) as journal:
        journal.begin("elsewhere", plan, first, temporal=PLACE)
        if closed:
            ended = RunFinished(
                at=2.0,
                outcome=RunOutcome.INCOMPLETE,
                exit_code=3,
                unfinished=True,
                requests={"total": 0, "by_status": {}},
            )
            journal.commit("elsewhere", [ended], {})


async def test_a_run_that_is_open_at_temporal_is_not_gone_on_with_here(tmp_path: Path) -> None:
    """Nor by `run --new`, nor by `resume` of a program that passes by the verbs; nothing is sent, and its state is told."""
    plan = workflow(wave("one", "a"))
    async with house(tmp_path, plan) as it:
        begun_elsewhere(it, plan)
        for new in (False, True):
            with pytest.raises(BusyError, match="is open at Temporal") as refused:
                await it.start(new=new)
            assert refused.value.exit_code is ExitCode.BUSY
        with pytest.raises(BusyError, match="is open at Temporal"):
            await it.resume("elsewhere")
        assert it.puts("a") == 0
        [listed] = runs(state_dir=tmp_path)
        assert listed.holder == "Temporal at 127.0.0.1:7233"


async def test_its_live_migrations_are_not_touched_by_another_workflow(tmp_path: Path) -> None:
    """Whatever that is called."""
    plan = workflow(wave("one", "a"))
    async with house(tmp_path, plan) as it:
        begun_elsewhere(it, replace(plan, name="other"))
        with pytest.raises(BusyError, match="which Temporal works on"):
            await it.start()
        assert it.puts("a") == 0


async def test_a_closed_one_is_gone_on_with_by_its_own_engine(tmp_path: Path) -> None:
    """It is unfinished: the message says how."""
    plan = workflow(wave("one", "a"))
    async with house(tmp_path, plan) as it:
        begun_elsewhere(it, plan, closed=True)
        with pytest.raises(InputError, match="engine temporal works on it: `atlas-cutover resume elsewhere`"):
            await it.start()
        assert it.puts("a") == 0
