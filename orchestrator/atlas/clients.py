"""The clients of one session: one for each set of credentials, over the same connections, places and budgets.

Budgets are Atlas's, one for each project, and so are the places on the wire: whoever asks, all of a session's requests share them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from random import Random

import anyio

from ..core.events import Event
from ..core.settings import Credentials
from .auth.opening import GOODBYE, open_auth
from .budget import TokenBucket
from .client import AtlasClient, Common
from .connection import ClientSettings, open_session
from .statistics import Statistics
from .transport import Transport


class Clients:
    """The clients by the names of their sets; None is the set that holds where nothing else is said."""

    def __init__(self, clients: Mapping[str | None, AtlasClient], common: Common) -> None:
        self._clients = dict(clients)
        self._common = common

    def of(self, name: str | None) -> AtlasClient:
        """The client that asks with the set *name*."""
        return self._clients[name]

    def all(self) -> Mapping[str | None, AtlasClient]:
        """All of them by name."""
        return dict(self._clients)

    @property
    def statistics(self) -> Statistics:
        """What all of them have sent."""
        return self._common.statistics

    async def give_tokens_back(self) -> None:
        """Give all access tokens back: nothing more is asked for. It takes `GOODBYE` seconds at most.

        Closing the clients does it too; who wants to count these requests does it before.
        """
        with anyio.move_on_after(GOODBYE):
            async with anyio.create_task_group() as group:
                for client in self._clients.values():
                    group.start_soon(client.give_tokens_back)

    def buckets(self) -> dict[str, TokenBucket]:
        """The token buckets in use, by scope."""
        return dict(self._common.buckets)


@asynccontextmanager
async def open_clients(
    settings: ClientSettings,
    sets: Mapping[str | None, Credentials | None],
    *,
    wall: Callable[[], float],
    on_event: Callable[[Event], None] = lambda _: None,
    random: Random | None = None,
    statistics: Statistics | None = None,
) -> AsyncIterator[Clients]:
    """A client for each of *sets*, with their own connections, closed at the end.

    *settings* says all but who asks. With a set that is None nothing can be asked: whoever tries is refused. *statistics*: where what is sent is counted (None: of its own).
    """
    random = random or Random()  # noqa: S311 - jitter, no secret
    statistics = statistics or Statistics()
    async with AsyncExitStack() as stack:
        auths = {
            name: await stack.enter_async_context(
                open_auth(
                    replace(settings, credentials=one),
                    wall=wall,
                    on_event=on_event,
                    random=random,
                    statistics=statistics,
                )
            )
            for name, one in sets.items()
        }
        session = await stack.enter_async_context(open_session(settings))
        common = Common.of(session, statistics)
        clients = {
            name: AtlasClient(
                settings,
                Transport(settings, auth, session, statistics=common.statistics, wall=wall, on_event=on_event),
                common=common,
                name=name,
                wall=wall,
                on_event=on_event,
                random=random,
            )
            for name, auth in auths.items()
        }
        yield Clients(clients, common)


@asynccontextmanager
async def open_client(
    settings: ClientSettings,
    *,
    wall: Callable[[], float],
    on_event: Callable[[Event], None] = lambda _: None,
    random: Random | None = None,
) -> AsyncIterator[AtlasClient]:
    """The client of the one set of credentials in *settings*, closed at the end."""
    sets: Mapping[str | None, Credentials | None] = {None: settings.credentials}
    async with open_clients(settings, sets, wall=wall, on_event=on_event, random=random) as clients:
        yield clients.of(None)
