"""The same loop as a script would have it: aiohttp with its own digest auth, and nothing else."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import aiohttp

from benchmarks.contenders.common import ACCEPT, CONNECTIONS, POLL_SECONDS, PRIVATE, PUBLIC, paths


async def cut_over(session: aiohttp.ClientSession, base: str, path: str, limit: asyncio.Semaphore) -> None:
    """Read, PUT, and read until it is over."""

    async def call(method: str, url: str) -> bytes:
        async with limit, session.request(method, url) as response:
            return await response.read()

    await call("GET", base + path)
    await call("PUT", base + path + "/cutover")
    while True:
        await asyncio.sleep(POLL_SECONDS)
        if b'"COMPLETE"' in await call("GET", base + path):
            return


async def main(base: str, jobs: Path) -> None:
    """Cut all jobs over at once."""
    limit = asyncio.Semaphore(CONNECTIONS)
    digest = aiohttp.DigestAuthMiddleware(PUBLIC, PRIVATE)
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with (
        aiohttp.ClientSession(connector=connector, headers={"Accept": ACCEPT}, middlewares=(digest,)) as session,
        asyncio.TaskGroup() as group,
    ):
        for path in paths(jobs):
            group.create_task(cut_over(session, base, path, limit))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
