"""Where the keys are refused: everywhere, or for one project. The root resource is asked, once for all who wonder."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from .errors import ApiError, AtlasError, KeysRefusedError, RequestVerdict

KEYS_REFUSED = frozenset({401, 403})
"""The HTTP statuses that may mean it; an answer may have them for another reason, too."""

VERDICT_LIFE = 10.0
"""Seconds for which the root resource's word holds: keys that were good a while ago may have been revoked since."""


class RefusedKeys:
    """What is known of refused keys.

    Args:
        ask_root: Reads the root resource; raises `AtlasError`.
        patience: Seconds that its answer is waited for.
    """

    def __init__(self, ask_root: Callable[[], Awaitable[object]], *, patience: float) -> None:
        self._ask_root = ask_root
        self._patience = patience
        self._asking = anyio.Lock()
        self._asked_at = float("-inf")
        self._everywhere: bool | None = None
        self._projects: dict[str, KeysRefusedError] = {}

    def known(self, group_id: str, *, method: str, path: str) -> KeysRefusedError | None:
        """The error of a request for *group_id*, where that project, and no other, is known to refuse the keys."""
        known = self._projects.get(group_id)
        return known and _refusal(known, method=method, path=path, everywhere=False, sent=False)

    def succeeded(self, group_id: str) -> None:
        """The project *group_id* has answered a request."""
        if self._projects:
            self._projects.pop(group_id, None)

    async def explain(self, error: ApiError, group_id: str) -> KeysRefusedError:
        """What *error*, a 401 or 403 to a request for *group_id*, means: the error to raise in its place."""
        everywhere = await self._refused_everywhere()
        refusal = _refusal(error, method=error.method, path=error.path, everywhere=everywhere)
        # A 403 may be about the job or a role. A PUT may be answered 401 where reads are not: it is read again before.
        if everywhere is False and error.status == 401 and error.method == "GET":
            self._projects[group_id] = refusal
        return refusal

    async def _refused_everywhere(self) -> bool | None:
        asked_since = anyio.current_time()
        async with self._asking:
            if self._asked_at < asked_since - VERDICT_LIFE:
                self._everywhere = None
                with anyio.move_on_after(self._patience):
                    self._everywhere = await self._ask()
                self._asked_at = anyio.current_time()
            return self._everywhere

    async def _ask(self) -> bool | None:
        try:
            await self._ask_root()
        except KeysRefusedError as error:
            return error.everywhere
        except ApiError as error:
            if error.status in KEYS_REFUSED:
                return True
            return False if error.verdict is RequestVerdict.REFUSED else None
        except AtlasError:
            return None
        return False


def _refusal(
    error: ApiError, *, method: str, path: str, everywhere: bool | None, sent: bool = True
) -> KeysRefusedError:
    return KeysRefusedError(
        method=method,
        path=path,
        status=error.status,
        everywhere=everywhere,
        error_code=error.error_code,
        detail=error.detail,
        sent=sent,
    )
