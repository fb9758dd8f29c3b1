"""A worker that is stopped by SIGSTOP once, at a moment of its first PUT, as by a debugger or a machine that swaps.

    python -m tests.engines.temporal.freezing MOMENT worker ...

MOMENT: `asking`, right before the last question whether it may leave; `writing`, between that and the write. Broken on purpose,
which shows what each thing is for: `guardless`, as `writing`, without the guard; `timeless`, as `asking`, without a time by
which it has to leave; `retried`, never stopped, but Temporal hands its PUT to another worker when it is lost. In the last two
a job is not read again before its PUT, which would save it as well.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from orchestrator.__main__ import main
from orchestrator.atlas.connection import GuardedRequest
from orchestrator.core import next_step
from orchestrator.engines.temporal import batch, sending
from orchestrator.engines.temporal.guard import Departure

Send = Callable[[Any, Any], Awaitable[Any]]


def frozen_once(send: Send) -> Send:
    """*send*, stopping the process before the first PUT."""
    stopped: list[bool] = []

    async def frozen(request: Any, connection: Any) -> Any:
        if request.method == "PUT" and not stopped:
            stopped.append(True)
            os.kill(os.getpid(), signal.SIGSTOP)
        return await send(request, connection)

    return frozen


def arrange(moment: str) -> None:
    """Be stopped at *moment*."""
    if moment in ("timeless", "retried"):
        next_step.too_old = lambda *_: None
        setattr(sending, "too_old", next_step.too_old)  # noqa: B010
        setattr(sending, "LEAVES_WITHIN", 1e6)  # noqa: B010
    if moment == "retried":
        batch._ONCE = batch.AGAIN
        return
    if moment in ("asking", "timeless"):
        GuardedRequest.send = frozen_once(GuardedRequest.send)  # type: ignore[assignment,method-assign]
    else:
        aiohttp.ClientRequest.send = frozen_once(aiohttp.ClientRequest.send)  # type: ignore[assignment,method-assign]
    if moment == "guardless":
        Departure.leaving = Departure.left  # type: ignore[method-assign]


if __name__ == "__main__":
    arrange(sys.argv.pop(1))
    main()
