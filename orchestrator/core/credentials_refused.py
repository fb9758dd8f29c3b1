"""Credentials that Atlas refuses in the middle of a run: what that means for it. Pure."""

from __future__ import annotations

from .events import CredentialsRefused, CutoversStopped, Event
from .run import RunState
from .typed import resume_command


def credentials_refused(run: RunState, credentials: str | None, error: str, *, sets: int, at: float) -> Event | None:
    """What *run* has to record as Atlas refuses the set *credentials* altogether, with *error*; None: nothing new.

    That says nothing about any job, so none has failed. Where the run asks with no other of its *sets*, it stops.
    """
    if run.stopped is not None or credentials in run.refused:
        return None
    way_on = f"`{resume_command(run.run_id)}`"
    if sets == 1:
        reason = f"Atlas refuses the keys, for this project and all others ({error}): correct them, then {way_on}"
        return CutoversStopped(at=at, reason=reason)
    which = "credentials of `atlas`" if credentials is None else f"credentials {credentials!r}"
    reason = f"Atlas refuses the {which} altogether ({error}): correct them, then {way_on}"
    return CredentialsRefused(at=at, credentials=credentials, reason=reason)
