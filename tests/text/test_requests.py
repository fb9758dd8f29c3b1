from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from orchestrator.reports import ASSETS
from orchestrator.text.requests import reason

PUT = "PUT /api/atlas/v2/groups/1/liveMigrations/2/cutover"
SAID = {
    f"{PUT}: 409 CANNOT_CUTOVER: resyncing": "409 CANNOT_CUTOVER: resyncing",
    f"no answer ({PUT})": "no answer",
    f"{PUT}: 503; then GET /api/x: 404": "503; then 404",
    "the gate did not open in 30m": "the gate did not open in 30m",
    PUT: PUT,
    "": "",
}


def test_a_reason_names_no_request() -> None:
    """Where nothing else is said, what was said stays."""
    assert {message: reason(message) for message in SAID} == SAID


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_browsers_find_the_same_reason() -> None:
    """One rule for page and terminal."""
    script = f"import {{ reason }} from {json.dumps(str(ASSETS / 'words.js'))}; console.log(JSON.stringify({json.dumps(list(SAID))}.map(reason)))"
    done = subprocess.run(["node", "--input-type=module", "-e", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == list(SAID.values())
