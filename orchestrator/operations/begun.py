"""Begins a session at Temporal. Where the answer is lost, it looks whether that has begun: its workers may cut over, and nobody would follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from ..core.errors import PerhapsBegunError, TemporalError
from .options import Host

if TYPE_CHECKING:
    from ..engines.temporal.forms import Order
    from ..engines.temporal.service import Remote

LOOK_FOR = 60.0
"""Seconds in which Temporal may say whether a session has begun whose beginning it was not heard to confirm."""
SETTLED = 10.0
"""Seconds for which it has to know of no such session: what it was asked may be on its way yet."""
_LOOK_EVERY = 0.5


async def begin_session(remote: Remote, order: Order, host: Host) -> bool:
    """Have the session of *order* begun; False: another one is open.

    It is not asked for again where the answer is lost: both might arrive, and the second session would know nothing of what the first has done.

    Raises:
        PerhapsBegunError: Whether it has begun is not known.
        TemporalError: It has not.
    """
    from ..engines.temporal.service import AnswerLostError

    try:
        return await remote.begin(order)
    except AnswerLostError as error:
        lost = error
    host.say(
        "temporal_silent",
        run_id=order.run_id,
        detail=f"{lost}: the run may have begun, and it is looked whether it has; `atlas-cutover resume {order.run_id}` follows it",
    )
    if await _is_there(remote, order.session):
        return True
    raise PerhapsBegunError(
        f"{lost}, and it is not known whether run {order.run_id} has begun: if so, its workers cut over, and this command does not follow them. "
        f"`atlas-cutover resume {order.run_id}` follows it, or begins it where it has not, and reads each job first then"
    )


async def _is_there(remote: Remote, session: str) -> bool:
    """Whether Temporal knows *session*, as far as it says so in time."""
    unknown_since: float | None = None
    with anyio.move_on_after(LOOK_FOR):
        while True:
            try:
                found = await remote.find()
            except TemporalError:
                unknown_since = None
            else:
                if found is not None and found.session == session:
                    return True
                unknown_since = unknown_since or anyio.current_time()
                if anyio.current_time() - unknown_since >= SETTLED:
                    return False
            await anyio.sleep(_LOOK_EVERY)
    return False
