"""What stands beside workflows at Temporal, read as what it may be: whoever reaches the cluster can write there what they like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ...store.state_dir import RUN_ID
from ...text.escaping import one_line

_SHOWN: Final = 500  # characters of what somebody else has said, in a message


def run_of(memo: Mapping[str, Any]) -> str:
    """The run that *memo* names; empty where it names none, or what no run is called, as a text with lines or a million letters."""
    run_id = memo.get("run_id")
    return run_id if isinstance(run_id, str) and RUN_ID.fullmatch(run_id) else ""


def shown(said: object) -> str:
    """What somebody at Temporal has *said*, on one line of some length: it makes no line of its own in a message, nor fills a screen."""
    text = one_line(str(said)[: _SHOWN + 1])
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
