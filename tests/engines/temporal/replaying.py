"""Does a run's past again from its history; a fault where it would do something else.

python -m tests.engines.temporal.replaying WORKFLOW_ID HISTORY.JSON
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from orchestrator.engines.temporal.workflows import SERVED


async def replay(workflow_id: str, history: str) -> None:
    """Raise where the commands are not those of the history."""
    replayer = Replayer(workflows=list(SERVED), workflow_runner=UnsandboxedWorkflowRunner())
    await replayer.replay_workflow(WorkflowHistory.from_json(workflow_id, history))


if __name__ == "__main__":
    asyncio.run(replay(sys.argv[1], Path(sys.argv[2]).read_text(encoding="utf-8")))
    os._exit(0)  # threads of the SDK at times crash an interpreter that is being taken down
