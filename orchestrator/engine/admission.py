"""Whether a wave lets its cutovers start: after the waves before it, its approval, and the `before` hooks."""

from __future__ import annotations

import anyio


class Admission:
    """The door of one wave. A migration whose earlier PUT came to nothing waits at it like a new one."""

    def __init__(self) -> None:
        self.wanted = anyio.Event()
        """Somebody waits at the door, or nobody is left who might."""
        self._decided = anyio.Event()
        self._refusal: str | None = None

    def decide(self, refusal: str | None = None) -> None:
        """Let everybody in; with *refusal* nobody, for that reason."""
        self._refusal = refusal
        self._decided.set()

    async def wait(self) -> str | None:
        """Wait to be let in; why not, if not."""
        if not self._decided.is_set():
            self.wanted.set()
            await self._decided.wait()
        return self._refusal
