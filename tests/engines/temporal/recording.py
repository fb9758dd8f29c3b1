"""Records the histories that `test_histories` replays, from a real night on a real server.

    python -m tests.engines.temporal.recording

It has hooks of the run, a wave and migrations, slots, an approval, a pause, a PUT that is not answered, and turns: the run goes on
with an empty history several times. Record anew when a change of the workflows is meant to make something else of the same past.
"""

from __future__ import annotations

import gzip
import tempfile
from dataclasses import replace
from pathlib import Path

import anyio
from temporalio.client import Client

from orchestrator.core.workflow import Hooks
from orchestrator.simulator.scenario import Fault, FaultKind, Kind

from ..house import house, migration, wave, workflow
from .cluster import begin, worker
from .servers import server
from .test_nights import hasty, own, quick

HISTORIES = Path(__file__).with_name("histories")


async def record() -> None:
    """Run the night, and write its histories."""
    hooks = Hooks(before=(("true",),), after_success=(("true",),))
    first = [migration(f"a{number}", hooks=replace(hooks, verify=(("true",),))) for number in range(3)]
    second = wave("two", "b0", "b1", approval=True)
    plan = own(workflow(wave("one", *first, concurrency=2, hooks=hooks), second, hooks=hooks))
    unanswered = Fault(on=Kind.CUTOVER, kind=FaultKind.HANG_AFTER, share=1.0, times=1, migration="a1")
    scenario = replace(quick(), faults=(unanswered,))
    with tempfile.TemporaryDirectory() as name, server(Path(name) / "server") as own_server:
        client = await own_server.connect()
        async with house(Path(name) / "atlas", plan, scenario) as built, worker(client, it := hasty(built)):
            run = await begin(client, it, plan, turn_after=50)
            await run.waits_for_approval("two")
            await run.steer("pause")
            await run.steer("approve", wave="two")
            await run.steer("unpause")
            result = await run.result()
            assert result["exit_code"] == 0, result
        await write(client)


async def write(client: Client) -> None:
    """Write all histories that the server has, but for those of claims, which nobody works on."""
    HISTORIES.mkdir(exist_ok=True)
    for old in HISTORIES.glob("*.json.gz"):
        old.unlink()
    numbers: dict[str, int] = {}
    async for each in client.list_workflows("WorkflowType != 'Claim'"):
        number = numbers[each.workflow_type] = numbers.get(each.workflow_type, 0) + 1
        history = await client.get_workflow_handle(each.id, run_id=each.run_id).fetch_history()
        path = HISTORIES / f"{each.workflow_type.lower()}-{number}.json.gz"
        path.write_bytes(gzip.compress(history.to_json().encode(), 9, mtime=0))


if __name__ == "__main__":
    anyio.run(record)
