"""What is asked of several migrations at once: it is done for those for which it can be, and of each other one is said why not.

Whoever names a wave at night means all of it that can still be had. Were nothing done as one of them has begun meanwhile, the others
would go on to their cutovers, while a word about the one is all that is to be read.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from ..core.errors import InputError
from ..core.events import Event
from ..core.run import RunState
from ..core.steering import SteeringRequest, decide
from ..text.counts import names_listed

_MOST_NAMED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What requests mean: *events* for those of them that do something (*requests*). *left_out*: why the others do nothing, in sentences."""

    requests: tuple[SteeringRequest, ...]
    events: tuple[Event, ...]
    left_out: tuple[str, ...]


def decided(state: RunState, requests: Sequence[SteeringRequest]) -> Decided:
    """What *requests* mean for *state*, each by itself.

    Raises:
        InputError: None of them changes anything.
    """
    found = [decide(state, request, at=time.time()) for request in requests]
    left_out = refusals(state.run_id, requests, [each if isinstance(each, str) else None for each in found])
    return Decided(
        requests=tuple(request for request, each in zip(requests, found, strict=True) if not isinstance(each, str)),
        events=tuple(each for each in found if not isinstance(each, str)),
        left_out=left_out,
    )


def decided_whole(state: RunState, requests: Sequence[SteeringRequest]) -> None:
    """Return when each of *requests* means something for *state*.

    Raises:
        InputError: One of them changes nothing.
    """
    left_out = decided(state, requests).left_out
    if left_out:
        raise InputError(f"run {state.run_id}: {'; '.join(left_out)}")


def refusals(run_id: str, requests: Sequence[SteeringRequest], answers: Sequence[str | None]) -> tuple[str, ...]:
    """Why some of *requests* do nothing, in sentences, by the *answers* to each: why it does nothing, or None.

    Raises:
        InputError: None of them does anything.
    """
    why: dict[str, list[str]] = {}
    for request, answer in zip(requests, answers, strict=True):
        if answer is not None:
            name = request.migration or ""
            why.setdefault(answer.removeprefix(f"{name}: "), []).append(name)
    told = tuple(
        f"{names_listed(names, _MOST_NAMED)}: {reason}" if any(names) else reason for reason, names in why.items()
    )
    if requests and None not in answers:
        raise InputError(f"run {run_id}: {'; '.join(told)}")
    return told
