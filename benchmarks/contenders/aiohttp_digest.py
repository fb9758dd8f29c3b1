"""The limit with credentials: the raw loop with aiohttp's own digest auth, and nothing else."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import aiohttp

from benchmarks.contenders.common import PRIVATE, PUBLIC, measured
from benchmarks.contenders.raw_aiohttp import main

if __name__ == "__main__":
    with measured():
        asyncio.run(main(sys.argv[1], Path(sys.argv[2]), (aiohttp.DigestAuthMiddleware(PUBLIC, PRIVATE),)))
