"""The workflows that workers serve. They know no rule: what the core says is asked of activities, and what came of them is recorded."""

from __future__ import annotations

from .batch import Batch
from .holders import Claim, Project
from .run import DEAD_BY, LEAVES_WITHIN, Run

SERVED = (Run, Batch, Project)
"""Those that a worker serves; a claim needs nobody."""

__all__ = ["DEAD_BY", "LEAVES_WITHIN", "SERVED", "Batch", "Claim", "Project", "Run"]
