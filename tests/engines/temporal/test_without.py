"""A machine on which nothing of Temporal is installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import json, sys
sys.modules["temporalio"] = None  # importing it fails, as where it is not installed
from orchestrator.cli.main import run_command
for commands in json.loads(sys.argv[1]):
    codes = [run_command(arguments) for arguments in commands]
    loaded = sorted(name for name in sys.modules if name.startswith(("temporalio.", "orchestrator.engines.temporal")))
    print("\\n" + json.dumps([codes, loaded]), flush=True)
"""
WORKFLOW = """
version: 1
name: night
defaults: {group_id: 7e68e12770616e75e6df43d0}
waves:
  - {name: canary, migrations: [{name: orders, live_migration_id: a659ce44c03ca1e348b1e992}]}
"""


def test_all_but_the_second_engine_is_there_and_that_says_what_to_install(tmp_path: Path) -> None:
    """Its rooms are not even looked at by a local run."""
    file, state = tmp_path / "night.yaml", ["--state-dir", str(tmp_path / "state")]
    file.write_text(WORKFLOW)
    local = [
        ["check", str(file)],
        ["run", str(file), "--rehearse", "--speed", "100", *state],
        ["status", *state],
        ["report", *state],
    ]
    elsewhere = [
        ["run", str(file), "--engine", "temporal", "--yes", *state],
        ["run", str(file), "--engine", "temporal", "--rehearse", *state],
        ["worker"],
    ]
    keys = {"MONGODB_ATLAS_PUBLIC_API_KEY": "abcdefgh", "MONGODB_ATLAS_PRIVATE_API_KEY": "made-up-key"}
    root = str(Path(__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps([local, elsewhere])],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=tmp_path,
        env={**os.environ, **keys, "PYTHONPATH": root},
    )
    here, there = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[[")]
    assert here == [[0] * len(local), []], done.stderr
    assert there[0] == [2] * len(elsewhere), done.stderr
    assert done.stderr.count("pip install 'atlas-cutover[temporal]'") == len(elsewhere)
