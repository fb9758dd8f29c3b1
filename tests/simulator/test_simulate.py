from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from orchestrator.cli.commands import build_parser

PROGRAM = """
import asyncio, sys
from orchestrator.simulator import Scenario, simulate

async def main():
    await simulate(workflow=None, keys=("abcdefgh", "secret"),
        scenario=Scenario(unknown_jobs=True), speed=10.0, api=sys.argv[1])

asyncio.run(main())
"""


@pytest.mark.anyio
@pytest.mark.parametrize(("stop", "api"), [(signal.SIGINT, "v2"), (signal.SIGTERM, "v1.0")])
async def test_a_process_of_its_own_prints_its_base_url_and_stops_in_order(stop: signal.Signals, api: str) -> None:
    """The first line of stdout is the base URL; a signal ends it cleanly, open connections or not."""
    root = Path(__file__).parents[2]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *(
            "-W",
            "error",
            "-c",
            PROGRAM,
            api,
        ),  # not `-X dev`: asyncio's debug mode says on stderr what a busy machine does
        cwd=root,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        base_url = (await asyncio.wait_for(process.stdout.readline(), 60)).decode().strip()
        assert base_url.startswith("http://127.0.0.1:")
        assert base_url.endswith(f"/api/atlas/{api}")
        async with aiohttp.ClientSession() as session:
            async with session.get(base_url) as response:
                assert response.status == 401
            async with session.get(base_url.partition("/api")[0] + "/__simulator__/record") as response:
                record: Any = json.loads(await response.text())
            assert (record["unauthorized"], record["speed"]) == (1, 10.0)
            process.send_signal(stop)
            output, errors = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:  # whatever failed, other tests find no process of this one
            process.kill()
            await process.wait()
    assert (process.returncode, output, errors) == (0, b"", b"")


def test_keys_of_the_environment_are_those_without_the_line_end_behind_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `run` takes the same variables: else it would be refused here."""
    served: list[Any] = []

    async def serve(**options: Any) -> None:
        served.append((options["keys"], options["account"]))

    monkeypatch.setattr("orchestrator.simulator.simulate", serve)
    monkeypatch.setenv("MONGODB_ATLAS_PUBLIC_API_KEY", "public\n")
    monkeypatch.setenv("MONGODB_ATLAS_PRIVATE_API_KEY", "private\r\n")
    monkeypatch.delenv("MONGODB_ATLAS_CLIENT_ID", raising=False)
    monkeypatch.delenv("MONGODB_ATLAS_CLIENT_SECRET", raising=False)
    parsed = build_parser().parse_args(["simulate"])
    assert parsed.handler(parsed) == 0
    assert served == [(("public", "private"), None)]
