"""Sessions over two organisations, of which Atlas refuses one's credentials."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from temporalio.client import Client

from orchestrator.core.events import CredentialsRefused, CutoverAccepted, CutoverRequested, RunFinished, RunResumed
from orchestrator.core.needs import needs
from orchestrator.core.outcomes import Outcome, RunOutcome
from orchestrator.core.settings import ApiKey, Secret, ServiceAccount
from orchestrator.simulator.organisations import Organisation

from ..house import house, migration, wave, workflow
from ..test_runs import cut_over_by_hand
from .cluster import begin, worker
from .servers import needs_temporal
from .test_nights import hasty, own, quick

pytestmark = [pytest.mark.anyio, needs_temporal]

EU = "e0e0e0e0e0e0e0e0e0e0e0e0"
ACCOUNT = ("mdb_sa_id_eu", "mdb_sa_sk_eu")


async def test_what_is_under_way_with_a_good_set_is_followed_beside_what_cannot_be_read(
    tmp_path: Path, client: Client
) -> None:
    """The session begins, and sees one to its end; the other is told as what it is, and no PUT leaves for either."""
    european = migration("b", group_id=EU, credentials="eu", timeout=600.0)
    plan = own(workflow(wave("w", european, "a")))
    organisation = Organisation(account=ACCOUNT, projects=frozenset({EU}))
    async with house(tmp_path, plan, replace(quick(3.0), organisations=(organisation,))) as built:
        it = hasty(built)
        sets: dict[str | None, ApiKey | ServiceAccount] = {
            "eu": ServiceAccount(client_id=ACCOUNT[0], client_secret=Secret("another"))
        }
        for name in "ab":
            cut_over_by_hand(it, name)
        at = time.time()
        under_way = [
            event
            for name in "ba"
            for event in (
                CutoverRequested(at=at, migration=name),
                CutoverAccepted(at=at, migration=name, http_status=202, status="WORKING"),
            )
        ]
        ended = RunFinished(at=at, outcome=RunOutcome.INCOMPLETE, exit_code=143, unfinished=True, requests={})
        resumed = RunResumed(at=at, selected=("a", "b"), retry_failed=False, who="somebody", settle=5.0)
        async with worker(client, it, sets=sets):
            run = await begin(client, it, plan, then=[*under_way, ended, resumed])
            with anyio.fail_after(60):
                while (await run.state()).outcome_of("a") is not Outcome.SUCCESS:  # noqa: ASYNC110 - it is asked for
                    await anyio.sleep(0.25)
                while not (await run.state()).refused:  # noqa: ASYNC110
                    await anyio.sleep(0.25)
            assert (await run.state()).outcome_of("b") is Outcome.UNDER_WAY
            assert [event.credentials for event in await run.events() if isinstance(event, CredentialsRefused)] == [
                "eu"
            ]
            [need] = needs(await run.state(), time.time(), holder="somebody")
            assert (need.kind, need.what, "credentials 'eu'" in need.said) == (Outcome.UNDER_WAY, "b", True)
            assert (it.puts("a"), it.puts("b")) == (0, 0)
            await run.handle.terminate("the test is over")
