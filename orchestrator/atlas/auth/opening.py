"""The way in which credentials prove who asks, open for as long as a client is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random

import anyio

from ...core.events import Event
from ...core.settings import ApiKey
from ...machine.groups import alone
from ..connection import ClientSettings, open_session
from ..statistics import Statistics
from .absent import AbsentAuth
from .digest import DigestAuth
from .protocol import Auth
from .service_account import ServiceAccountAuth
from .token_endpoint import TokenEndpoint
from .tokens import Tokens

GOODBYE = 5.0
"""Seconds that giving tokens back takes at most, also when the program is told to stop."""

_AT_ONCE = 4  # connections to the token endpoint


@asynccontextmanager
async def open_auth(
    settings: ClientSettings,
    *,
    wall: Callable[[], float],
    on_event: Callable[[Event], None],
    random: Random,
    statistics: Statistics,
) -> AsyncIterator[Auth]:
    """What signs the requests of a client of *settings*; at its end access tokens are given back.

    *on_event* gets what becomes of requests for tokens (`RequestRetried`, `RateLimited`), by the clock *wall*. What is sent for
    tokens is counted in *statistics*.
    """
    credentials = settings.credentials
    if credentials is None:
        yield AbsentAuth()
        return
    if isinstance(credentials, ApiKey):
        yield DigestAuth(credentials, settings.redactor)
        return
    with alone():  # what ended the client's work comes out as it was: no renewal raises
        async with (
            open_session(settings, accept="application/json", at_once=_AT_ONCE) as session,
            anyio.create_task_group() as group,
        ):
            endpoint = TokenEndpoint(
                settings.origin, credentials, session, redactor=settings.redactor, wall=wall, statistics=statistics
            )
            tokens = Tokens(
                endpoint, group, patience=settings.request_timeout, wall=wall, on_event=on_event, random=random
            )
            try:
                yield ServiceAccountAuth(tokens)
            finally:
                group.cancel_scope.cancel()
                with anyio.move_on_after(GOODBYE, shield=True):
                    await tokens.give_back()
