from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from orchestrator.core.checkpoints import CHECKPOINTS, unwatched

from .dying import VARIABLE, checkpoint_of, parse_crash_at
from .harness import CHECKOUT, environment

PASS_THREE_TIMES = """
from tests.chaos.dying import checkpoint_of
checkpoint = checkpoint_of("polling:2")
for n in range(3): checkpoint('polling'); print(n, flush=True)
"""


def test_without_the_variable_nothing_happens() -> None:
    """A program in ordinary use passes every boundary."""
    assert checkpoint_of(None) is unwatched
    assert checkpoint_of("") is unwatched


def test_a_process_dies_at_the_passage_that_was_named() -> None:
    """The count is heeded, and the death is a SIGKILL."""
    died = subprocess.run(
        [sys.executable, "-c", PASS_THREE_TIMES],
        cwd=CHECKOUT,
        env=environment(),
        capture_output=True,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    assert died.stdout == b"0\n"


def test_a_boundary_is_named_with_its_count() -> None:
    """Every boundary can be asked for."""
    assert [parse_crash_at(f"{name}:7") for name in CHECKPOINTS] == [(name, 7) for name in CHECKPOINTS]


@pytest.mark.parametrize("text", ["polling", "polling:", "polling:0", "polling:-1", "polling:x", "elsewhere:1", ":1"])
def test_anything_else_is_refused(text: str) -> None:
    """A misspelt boundary would never be reached, and the test that names it would prove nothing."""
    with pytest.raises(ValueError, match=VARIABLE):
        parse_crash_at(text)
