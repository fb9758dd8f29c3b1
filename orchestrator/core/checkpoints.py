"""The moments of a session at which losing the process would leave something half done, by name.

Whoever works on a run passes them; an embedding program, or a test, may be told of each (docs/guarantees.md says what is lost at which).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

CHECKPOINTS: Final = (
    "run_begun",  # the run, or its continuation, is recorded; nothing has been sent
    "before_intent",  # a PUT is decided, and the journal does not know
    "after_intent",  # `cutover_requested` is on disk, the PUT has not left
    "put_answered",  # the PUT's answer is here, and recorded nowhere
    "answer_posted",  # it is recorded in memory, and not yet on disk
    "committing",  # inside the journal's transaction, before its COMMIT
    "committed",  # right after it
    "polling",  # about to read a job
    "finishing",  # all is over but `run_finished` is not written
    "finished",  # `run_finished` is on disk, no report is written
    "reporting",  # between two report files
)

Checkpoint = Callable[[str], None]
"""Is told the name of each moment that is passed."""


def unwatched(_name: str) -> None:
    """Nobody watches."""
