"""What others on the cluster send without the codec's key, in the log: counted, and told in this program's words.

Temporal's SDK logs each message that it cannot read, with a traceback. Whoever reaches the cluster may send as many as they like, so they are
told of at most once in a while, and what else the SDK has to say at the same place is not drowned by them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from ...core.observer import Say
from ..clock import steady_time
from .codec import RefusedError

SAID_EVERY = 10.0
"""Seconds; more of one kind are counted until then, and told as one line."""
_KINDS = {
    "temporalio.worker._workflow_instance": "a message to a run",
    "temporalio.worker._workflow": "the beginning of a run, or what it had been told",
    "temporalio.activity": "an order to a worker",
}
"""What the SDK's loggers tell of."""


class RefusedMessages(logging.Filter):
    """Keeps what was refused for want of the codec's key out of the log, and has *say* tell of it. *now*: steady seconds."""

    def __init__(self, say: Say, now: Callable[[], float] = steady_time) -> None:
        super().__init__()
        self._say = say
        self._now = now
        self._told: dict[str, tuple[float, int]] = {}
        self._lock = Lock()  # workflows are worked on in threads

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether *record* is of something else, and so logged as it is."""
        refused = _refused(record.exc_info[1] if record.exc_info else None)
        if refused is None:
            return True
        kind, now = _KINDS.get(record.name, "a message"), self._now()
        with self._lock:
            at, more = self._told.get(kind, (float("-inf"), 0))
            quiet = now - at < SAID_EVERY
            self._told[kind] = (at, more + 1) if quiet else (now, 0)
        if not quiet:
            self._say("temporal_refused", detail=f"{kind} was refused: {refused}", **({"more": more} if more else {}))
        return False


def _refused(error: BaseException | None) -> RefusedError | None:
    """What of *error*, or of what has caused it, is a refusal of the codec's."""
    while error is not None and not isinstance(error, RefusedError):
        error = error.__cause__
    return error


@contextmanager
def told(say: Say) -> Iterator[None]:
    """Have *say* tell of what is refused meanwhile."""
    refused = RefusedMessages(say)
    loggers = [logging.getLogger(name) for name in _KINDS]
    for logger in loggers:
        logger.addFilter(refused)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(refused)
