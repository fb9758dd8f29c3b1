from __future__ import annotations

import os
import subprocess
import sys

import pytest

from orchestrator.machine.memory import forget_variables

ASKED = """
import ctypes
from orchestrator.machine.memory import keep_from_others

libc = ctypes.CDLL(None)
before = libc.prctl(3, 0, 0, 0, 0)  # PR_GET_DUMPABLE
keep_from_others()
print(before, libc.prctl(3, 0, 0, 0, 0))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such call")
def test_a_process_that_keeps_to_itself_leaves_no_core_and_is_read_by_nobody() -> None:
    """The kernel says so."""
    done = subprocess.run([sys.executable, "-c", ASKED], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "0"]


def test_variables_with_a_secret_are_gone_and_proxies_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever they are called."""
    for name in ("SOME_KEY", "HTTPS_PROXY", "some_proxy"):
        monkeypatch.setenv(name, "x topsecret")
    monkeypatch.setenv("PLAIN", "x")
    assert forget_variables(lambda _, value: "topsecret" in value) == {"SOME_KEY": "x topsecret"}
    assert "SOME_KEY" not in os.environ
    assert {os.environ[name] for name in ("HTTPS_PROXY", "some_proxy")} == {"x topsecret"}
    assert os.environ["PLAIN"] == "x"
