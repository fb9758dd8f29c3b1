"""A cluster that has moved, or a config that names another one: a run stays where it was begun."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from orchestrator.core.errors import BusyError, InputError, TemporalError
from orchestrator.core.events import RunFinished
from orchestrator.core.outcomes import RunOutcome
from orchestrator.core.settings import Engine, Settings, Temporal
from orchestrator.files.config import load_settings
from orchestrator.operations import temporal_runs
from orchestrator.operations.options import Options
from orchestrator.operations.plan import plan
from orchestrator.store.journal import open_journal

from ..builders import NOW, run_started, workflow

pytest.importorskip("temporalio")

RUN = "20270115-080000-3f9a1c"
HERE = Temporal(address="temporal.internal:7233", namespace="cutovers", tls=True)
ELSEWHERE = [replace(HERE, namespace="other"), replace(HERE, address="new.internal:7233")]
GIVEN = workflow()
BEGINNINGS: list[Callable[[Settings], Awaitable[object]]] = [
    lambda settings: temporal_runs.is_open(GIVEN, settings),
    lambda settings: temporal_runs.start(GIVEN, settings, Options(engine=Engine.TEMPORAL)),
    lambda settings: temporal_runs.start(GIVEN, settings, Options(engine=Engine.TEMPORAL, new=True)),
]


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Whom anybody has tried to reach; nobody answers."""
    tried: list[tuple[str, str]] = []

    async def connect(address: str, *, namespace: str, **_: Any) -> None:
        tried.append((address, namespace))
        raise RuntimeError("nobody is there")

    monkeypatch.setattr("temporalio.client.Client.connect", connect)
    return tried


def settings_for(place: Temporal, state_dir: Path) -> Settings:
    """Settings that name *place*, and have a run in their journal that is open in the namespace `cutovers` of `temporal.internal`."""
    there = {"address": HERE.address, "namespace": HERE.namespace, "tls": True, "codec_key_file": None, "lease": 10.0}
    with open_journal(state_dir) as journal:
        journal.begin(RUN, GIVEN, run_started(GIVEN), temporal=there)
    settings = load_settings(environ={"HOME": str(state_dir)})
    return replace(settings, state_dir=state_dir, engine=Engine.TEMPORAL, temporal=place)


def close(state_dir: Path) -> None:
    """End the session of that run, unfinished."""
    over = RunFinished(at=NOW, outcome=RunOutcome.INCOMPLETE, exit_code=3, unfinished=True, requests={})
    with open_journal(state_dir) as journal:
        journal.state(RUN)
        journal.commit(RUN, [over], {})


@pytest.mark.anyio
@pytest.mark.parametrize("place", ELSEWHERE)
@pytest.mark.parametrize("begin", BEGINNINGS)
async def test_no_session_begins_elsewhere_beside_a_run_that_is_unfinished(
    tmp_path: Path, asked: list[Any], place: Temporal, begin: Callable[[Settings], Awaitable[object]]
) -> None:
    """Nobody is asked there; what is said has both places and the ways on. With or without `--new`, open or closed."""
    settings = settings_for(place, tmp_path)
    with pytest.raises(BusyError) as refused:
        await begin(settings)
    said = str(refused.value)
    assert "at Temporal at temporal.internal:7233 in namespace 'cutovers'" in said
    assert f"the config says {place.address} and {place.namespace!r}" in said
    assert f"`atlas-cutover resume {RUN}`" in said
    assert f"`atlas-cutover abort {RUN}`" in said
    close(tmp_path)
    with pytest.raises(InputError, match=r"is unfinished, at Temporal at temporal\.internal:7233"):
        await begin(settings)
    assert asked == []


@pytest.mark.anyio
@pytest.mark.parametrize("begin", BEGINNINGS)
async def test_an_address_in_other_letters_is_the_same_place(
    tmp_path: Path, asked: list[Any], begin: Callable[[Settings], Awaitable[object]]
) -> None:
    """As names of machines have no case."""
    with pytest.raises(TemporalError, match="was not reached"):
        await begin(settings_for(replace(HERE, address="Temporal.INTERNAL:7233"), tmp_path))
    assert asked == [("Temporal.INTERNAL:7233", "cutovers")]


@pytest.mark.anyio
@pytest.mark.parametrize("place", ELSEWHERE)
async def test_resume_goes_where_the_run_is(tmp_path: Path, asked: list[Any], place: Temporal) -> None:
    """Whatever the config says."""
    settings = settings_for(place, tmp_path)
    with open_journal(tmp_path, readonly=True) as journal:
        row = journal.find(RUN)
    assert row is not None
    for verb in (partial(temporal_runs.resume, row, settings, Options()), partial(temporal_runs.is_open_row, row)):
        with pytest.raises(TemporalError):
            await verb()
    assert set(asked) == {("temporal.internal:7233", "cutovers")}


def test_plan_says_what_run_would_say_of_a_run_at_temporal(tmp_path: Path) -> None:
    """That it would go on with it; or that it would not, where that is elsewhere, and why."""
    settings = settings_for(HERE, tmp_path)
    going_on = plan(GIVEN, settings, now=NOW).goes_on
    assert going_on is not None
    assert (going_on.run_id, going_on.starts) == (RUN, ("orders",))
    elsewhere = plan(GIVEN, replace(settings, temporal=ELSEWHERE[0]), now=NOW).goes_on
    assert elsewhere is not None
    assert elsewhere.run_id is None
    assert "is unfinished, at Temporal at temporal.internal:7233" in str(elsewhere.refusal)
