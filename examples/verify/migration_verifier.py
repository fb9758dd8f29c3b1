#!/usr/bin/env python3
"""A `verify` hook: MongoDB's migration-verifier has compared both clusters, and nothing differs.

The verifier has been started days before (with `--start --verifyAll`) and has compared while the migration was running. This hook tells
it that writes have stopped (`/writesOff`), and asks how far it has come (`/progress`). The workflow's variable `verifier` is its address,
such as http://127.0.0.1:27020. The fields are those of https://github.com/mongodb-labs/migration-verifier (README, "/progress").

Exit code 0: idle again, and no task has failed. 75: it is still checking, or does not answer. 1: it has failed, or found a difference.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any
from urllib.request import Request, urlopen

NOT_YET = 75
AT_MOST = 4 << 20  # bytes of an answer
SECONDS = 20


def ask(path: str, body: bytes | None = None) -> dict[str, Any]:
    """The JSON that the verifier answers; a POST where there is a *body*."""
    address = os.environ["CUTOVER_VAR_VERIFIER"].rstrip("/")
    request = Request(f"{address}/api/v1/{path}", data=body, headers={"Content-Type": "application/json"})
    with urlopen(request, timeout=SECONDS) as answer:
        found = json.loads(answer.read(AT_MOST))
    if not isinstance(found, dict):
        raise ValueError(f"/{path} answered {found!r:.200}")  # noqa: TRY004 - what is no answer, like what is no JSON
    return found


def main() -> int:
    """The exit code."""
    if os.environ.get("CUTOVER_REHEARSAL") == "true":
        print("a rehearsal moves no documents: nothing is compared")
        return 0
    try:
        ask("writesOff", b"{}")  # answers with an error once it has been told, which does no harm
        progress = ask("progress").get("progress") or {}
    except (OSError, ValueError, RecursionError) as error:
        print(f"not yet: {error}")
        return NOT_YET
    tasks = progress.get("verificationStatus") or {}
    failed = (tasks.get("failedTasks") or 0) + (tasks.get("metadataMismatchTasks") or 0)
    if progress.get("error"):
        print(f"the verifier has failed: {progress['error']}")
        return 1
    if progress.get("phase") != "idle":
        print(f"not yet: {progress.get('phase')}, {tasks.get('completedTasks')} of {tasks.get('totalTasks')} tasks")
        return NOT_YET
    if not progress.get("generation"):
        print("the verifier has never compared anything: start it with --start, before the night")
        return 1
    print(f"{failed} tasks found a difference; the verifier's log names them" if failed else "both clusters are equal")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
