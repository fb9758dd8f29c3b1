"""Keys and what is made of them are nowhere to be found, whatever goes wrong."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from .harness import PRIVATE_KEY, PUBLIC_KEY, ChaosNight, night, wait_until, workflow

FAULTS = [
    {"on": "cutover", "kind": "error_after", "body": "html", "migration": "m000", "times": 1},
    {"on": "cutover", "kind": "garbage", "migration": "m001", "times": 1},
    {"on": "cutover", "kind": "lost_after", "migration": "m002", "times": 1},
    {"on": "read", "kind": "garbage", "share": 0.2, "times": 2},
    {"on": "read", "kind": "status", "status": 500, "share": 0.2, "times": 2},
]
SCENARIO: dict[str, Any] = {
    "seed": 8,
    "jobs": {"ready_after": "0s", "cutover": "10s"},
    "faults": FAULTS,
    "nonce": {"uses": 3},
}
FORBIDDEN = (PRIVATE_KEY, PUBLIC_KEY, "authorization", 'response="', "cnonce")


def test_no_key_and_no_authorization_is_left_anywhere(tmp_path: Path) -> None:
    """Faults, stale nonces, debug logs, a dump of all stacks and refused keys: the state directory and outputs are clean."""
    with night(tmp_path, plan=workflow(waves=(4,)), scenario=SCENARIO) as chaos:
        begin = ("run", str(tmp_path / "workflow.yaml"), "--yes", "--log-level", "debug")
        process = chaos.start(*begin, "--log-file", str(tmp_path / "log.jsonl"), variables={"PYTHONFAULTHANDLER": "1"})
        wait_until(lambda: chaos.processed() >= 2)
        words = Path(f"/proc/{process.pid}/cmdline").read_bytes().decode()
        process.send_signal(signal.SIGABRT)
        assert process.wait(60) == -signal.SIGABRT
        assert "most recent call first" in chaos.said()
        assert chaos.start("resume", "--log-level", "debug", variables={"PYTHONASYNCIODEBUG": "1"}).wait(60) == 0

        wrong = {"MONGODB_ATLAS_PRIVATE_API_KEY": f"{PRIVATE_KEY}x"}
        assert chaos.start(*begin, "--new", variables=wrong).wait(60) == 6

        (tmp_path / "config.yaml").unlink()
        assert _found(chaos, {"the process list": words}) == []


def _found(chaos: ChaosNight, texts: dict[str, str]) -> list[str]:
    ours = [path for path in chaos.directory.rglob("*") if path.is_file() and path.name != "simulator.log"]
    assert {"journal.db", "report.json", "report.html", "stderr", "stdout", "log.jsonl"} <= {path.name for path in ours}
    contents = {str(path): path.read_bytes().decode(errors="replace") for path in ours} | texts
    return [f"{word} in {where}" for where, text in contents.items() for word in FORBIDDEN if word in text.lower()]
