"""The shortest way to a wave's last PUT: one challenge, then GET and PUT of each job, 100 requests in flight, no budget."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from benchmarks.contenders.common import ACCEPT, CONNECTIONS, paths
from benchmarks.contenders.signing import Signer


async def main(base: str, jobs: Path) -> None:
    """Cut all jobs over at once, and print when it began, in Unix seconds; how they end is not waited for."""
    root = urlsplit(base).path
    signer = Signer()
    limit = asyncio.Semaphore(CONNECTIONS)
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(base[: -len(root)], connector=connector, headers={"Accept": ACCEPT}) as session:

        async def call(method: str, target: str) -> None:
            while True:
                async with (
                    limit,
                    session.request(
                        method, target, headers={"Authorization": signer.sign(method, target)}, allow_redirects=False
                    ) as response,
                ):
                    await response.read()
                    if response.status != 401:
                        response.raise_for_status()
                        return
                    signer.learn(response.headers["WWW-Authenticate"])

        async def cut_over(path: str) -> None:
            await call("GET", path)
            await call("PUT", f"{path}/cutover")

        began = time.time()
        async with session.get(root) as challenged:
            signer.learn(challenged.headers["WWW-Authenticate"])
        async with asyncio.TaskGroup() as group:
            for path in paths(jobs):
                group.create_task(cut_over(root + path))
    sys.stdout.write(json.dumps({"began": began}) + "\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
