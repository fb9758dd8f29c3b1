"""Runs that were begun at another server than the config names now: nothing that is read here says how what they left stands."""

from __future__ import annotations

from ..core.errors import InputError
from ..core.not_run import hooks_not_run
from ..core.run import RunState
from ..core.settings import Settings
from ..text.counts import names_listed, plural
from ..text.hosts import same_server
from .assignment import last_words

_ITS_CONFIG = "the config that it began with (`--config FILE`, or ATLAS_CUTOVER_CONFIG)"


def refuse_other_server(state: RunState, settings: Settings, *, now: float) -> None:
    """Return when the run in *state* goes on at the server of *settings*, or is a rehearsal, which has one of its own.

    Raises:
        InputError: It was begun at another one.
    """
    if state.rehearsal or _is_here(state, settings):
        return
    left = left_behind(state, now=now)
    way = f"`atlas-cutover abort {state.run_id}`"
    other = (
        f"or give up what it has left there, {left}, with {way}: no `run --new` takes its place here before that"
        if left
        else "or start another with `run --new`"
    )
    raise InputError(
        f"run {state.run_id} was begun at {state.base_url}, and atlas.base_url is {settings.atlas.base_url}: what is "
        f"known of its live migrations is not from there. Continue it with {_ITS_CONFIG}, which has that address, {other}"
    )


def refuse_to_follow(state: RunState, settings: Settings) -> None:
    """Return when the run in *state*, which is open at Temporal, is one at the server of *settings*.

    Raises:
        InputError: Its workers speak to another one, which `run` would not say.
    """
    if not _is_here(state, settings):
        raise InputError(
            f"run {state.run_id} of workflow {state.workflow.name!r} is open at Temporal, at {state.base_url}, and atlas.base_url is "
            f"{settings.atlas.base_url}; nothing was changed: `atlas-cutover resume {state.run_id}` follows it where it is, "
            f"`atlas-cutover abort {state.run_id}` ends it"
        )


def refuse_to_take_the_place(state: RunState, settings: Settings, *, now: float) -> None:
    """Return when a run that begins at the server of *settings* may take the place of the one in *state*.

    Raises:
        InputError: It has left something at another server, which nobody would follow.
    """
    if not _is_here(state, settings) and (left := left_behind(state, now=now)):
        raise InputError(
            f"run {state.run_id} has left {left} at {state.base_url}, and atlas.base_url is {settings.atlas.base_url}, where no run "
            f"can see to that; nothing was sent. With {_ITS_CONFIG} `atlas-cutover resume {state.run_id}` sees to it; "
            f"`atlas-cutover abort {state.run_id}` gives it up; then start this one"
        )


def left_behind(state: RunState, *, now: float) -> str:
    """What the run in *state*, on which nobody works, would leave to nobody if it ended *now* (Unix seconds), in words; empty: nothing."""
    unsettled = state.unsettled()
    cutovers = f"{plural(len(unsettled), 'cutover')} under way or in doubt ({names_listed(unsettled)})"
    owed = [
        "the run" if each.wave is None else f"wave {each.wave.name}" if each.migration is None else each.migration.name
        for each in hooks_not_run(last_words(state.after(), now=now).state)
    ]
    hooks = f"hooks that have not run (of {names_listed(owed)})"
    return " and ".join(words for words, there in ((cutovers, unsettled), (hooks, owed)) if there)


def _is_here(state: RunState, settings: Settings) -> bool:
    return same_server(state.base_url, settings.atlas.base_url)
