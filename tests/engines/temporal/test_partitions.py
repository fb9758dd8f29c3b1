"""Workers that are cut off from Temporal, from Atlas, or from both, while they cut jobs over."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ...atlas.test_outage import APART, ROOT, lacking
from .partition import NAMES
from .servers import needs_temporal

pytestmark = [pytest.mark.chaos, needs_temporal]


@pytest.mark.parametrize("cut", [("temporal",), ("atlas",), ("temporal", "atlas")], ids=" and ".join)
def test_a_worker_that_is_cut_off_sends_nothing_twice(tmp_path: Path, cut: tuple[str, ...]) -> None:
    """Each job is cut over once, by one worker or the other, nothing is sent late, and the night ends well."""
    if why := lacking():
        pytest.skip(why)
    command = (*APART, sys.executable, "-m", "tests.engines.temporal.partition", str(tmp_path), *cut)
    played = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert played.returncode == 0, played.stderr[-4000:]
    found = json.loads(played.stdout)
    assert found["code"] == 0
    assert found["outcomes"] == dict.fromkeys(NAMES, "SUCCESS")
    assert found["carried out"] == dict.fromkeys(NAMES, 1)
    assert found["429"] == 0
