"""What things are called at Temporal: workflows and task queues. Pure but for reading this package's own source.

A run is served by workers of the same rules alone: a name of their queue is made of the source of the core and of this
package, so an upgrade in mid-run changes nothing for it, and no history is replayed by rules that it was not written by.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

_ROOMS = ("core", "text", "engines/temporal")
_PACKAGE = Path(__file__).parents[2]

PREFIX = "atlas-cutover"
CLAIMS = f"{PREFIX}/claims"
"""The task queue of claims. Nobody serves it: a claim does nothing but be open."""
ASK_AGAIN = "asked while what has just happened waits for its worker: ask again"
"""The answer of a worker that would do something early if it gave another one (`punctual`)."""


@cache
def generation() -> str:
    """Twelve hex digits that stand for the rules: those of another version have others."""
    digest = hashlib.sha256()
    for room in _ROOMS:
        for path in sorted((_PACKAGE / room).glob("*.py")):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def queue(base_url: str) -> str:
    """The task queue of the workers that speak to the Atlas at *base_url*."""
    return f"{PREFIX}/{hashlib.sha256(base_url.encode()).hexdigest()[:8]}-{generation()}"


def hooks_queue(workers: str) -> str:
    """Where hooks wait for a worker."""
    return f"{workers}/hooks"


def project_queue(workers: str, scope: str) -> str:
    """Where requests for the budget *scope* wait for its owner."""
    return f"{workers}/{scope}"


def scope_of(group_id: str, credentials: str | None, *, account: bool) -> str:
    """Whose budget a request draws from: its project's, or where *account*, that of its credentials."""
    if not account:
        return group_id
    return "account" if credentials is None else f"account {credentials}"


def project_id(workers: str, scope: str) -> str:
    """The workflow that gives *scope* to a worker."""
    return f"{PREFIX}/project/{scope}/{workers.rpartition('/')[2]}"


def run_workflow_id(workflow: str, *, rehearsal: bool) -> str:
    """The workflow that is a run of *workflow*; a rehearsal stands in nobody's way."""
    return f"{PREFIX}/rehearsal/{workflow}" if rehearsal else f"{PREFIX}/{workflow}"


def batch_id(run: str, first: str, number: int) -> str:
    """The batch *number* of the session that began with the execution *first* of the workflow *run*."""
    return f"{run}/batch/{first}/{number}"  # whole: executions that begin within a minute have the same first digits


def claim_id(job: str) -> str:
    """The workflow that is the claim to *job* (`project/live migration`): Temporal opens no second one."""
    return f"{PREFIX}/{job}"


def announced_id(run_id: str) -> str:
    """The workflow that says which session of the run *run_id* was announced last: by its being open."""
    return f"{PREFIX}/announced/{run_id}"


def over_id(run_id: str) -> str:
    """The workflow that says that the run *run_id* was given up between two sessions: by its being open."""
    return f"{PREFIX}/over/{run_id}"
