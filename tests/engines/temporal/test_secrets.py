"""Keys and tokens stay on workers: not in Temporal's database, in what its page shows, in a log, nor where runs are mirrored."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from orchestrator.engines.temporal import names
from orchestrator.simulator.organisations import Organisation
from orchestrator.simulator.tokens import TokenDesk

from ..house import KEYS, house, migration, wave, workflow
from .fleet import fleet
from .servers import Server, needs_temporal
from .test_nights import own, quick

pytestmark = [pytest.mark.anyio, needs_temporal]

EU = "e0e0e0e0e0e0e0e0e0e0e0e0"
ACCOUNT = ("mdb_sa_id_00000000000000000000000e", "mdb_sa_sk_made-up-secret-of-the-eu-organisation")
HEADERS = (b"Authorization", b"authorization", b"Digest username", b"Bearer ")


async def test_no_key_no_token_and_no_header_leaves_a_worker(
    tmp_path: Path, temporal: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A night with an API key and a service account, a hook that prints its environment, and logs that tell all."""
    tokens: set[str] = set()
    holder = TokenDesk.holder

    def noted(desk: TokenDesk, token: str) -> str | None:
        tokens.add(token)
        return holder(desk, token)

    monkeypatch.setattr(TokenDesk, "holder", noted)
    plan = own(workflow(wave("one", "a", migration("b", group_id=EU))))
    scenario = replace(quick(), organisations=(Organisation(account=ACCOUNT, projects=frozenset({EU})),))
    async with house(tmp_path / "atlas", plan, scenario) as it:
        with fleet(tmp_path / "fleet", temporal, it) as those:
            config = those.directory / "config.yaml"
            given = json.loads(config.read_text())
            given["credentials"] = {"eu": dict(zip(("client_id", "client_secret"), ACCOUNT, strict=True))}
            given["logging"]["level"] = "debug"
            config.write_text(json.dumps(given))
            file = those.write(plan, run_hooks={"before": [["env"]]})
            document = yaml.safe_load(file.read_text())
            document["waves"][0]["migrations"][1]["credentials"] = "eu"
            file.write_text(yaml.safe_dump(document))
            those.worker()
            done = await those.run("run", str(file), "--engine", "temporal", "--yes", "--format", "json")
            assert (done.code, set(done.outcomes.values())) == (0, {"SUCCESS"}), done.err
            config.unlink()  # the only file that may hold one of them
            mirrored = b"".join(path.read_bytes() for path in those.directory.rglob("*") if path.is_file())
    client = await temporal.connect()
    shown, workflows = b"", set()
    async for found in client.list_workflows():
        if plan.name in found.id or found.id == names.claim_id(f"{EU}/{plan.waves[0].migrations[1].live_migration_id}"):
            workflows.add(found.workflow_type)
            history = await client.get_workflow_handle(found.id, run_id=found.run_id).fetch_history()
            shown += b"".join(event.SerializeToString() for event in history.events)
    assert {"Run", "Batch", "Claim"} <= workflows
    kept = b"".join(path.read_bytes() for path in temporal.directory.glob("temporal.db*"))
    assert tokens
    assert len(KEYS[1]) > 8
    secrets = [ACCOUNT[1].encode(), KEYS[1].encode(), *(token.encode() for token in tokens)]
    for place, text in {"database": kept, "page": shown, "fleet": mirrored, "command": done.err.encode()}.items():
        assert b"CUTOVER_RUN_ID=" in text, place  # what the hook has printed is there to see
        assert [secret for secret in secrets if secret in text] == [], place
        assert [header for header in HEADERS if header in text] == [], place
