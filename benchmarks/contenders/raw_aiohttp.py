"""The limit: a minimal aiohttp loop that signs its requests by hand, without budget, journal, log or any rule."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from benchmarks.contenders.common import ACCEPT, CONNECTIONS, POLL_SECONDS, paths
from benchmarks.contenders.signing import Signer


async def main(base: str, jobs: Path) -> None:
    """Cut all jobs over at once: read, PUT, and read until it is over."""
    root = urlsplit(base).path
    signer = Signer()
    limit = asyncio.Semaphore(CONNECTIONS)
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(base[: -len(root)], connector=connector, headers={"Accept": ACCEPT}) as session:

        async def call(method: str, target: str) -> bytes:
            while True:
                headers = {"Authorization": signer.sign(method, target)}
                async with limit, session.request(method, target, headers=headers) as response:
                    body = await response.read()
                    if response.status != 401:
                        return body
                    signer.learn(response.headers["WWW-Authenticate"])

        async def cut_over(path: str) -> None:
            await call("GET", path)
            await call("PUT", f"{path}/cutover")
            while True:
                await asyncio.sleep(POLL_SECONDS)
                if b'"COMPLETE"' in await call("GET", path):
                    return

        async with session.get(root) as challenged:
            signer.learn(challenged.headers["WWW-Authenticate"])
        async with asyncio.TaskGroup() as group:
            for path in paths(jobs):
                group.create_task(cut_over(root + path))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
