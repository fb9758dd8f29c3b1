"""What looks like a file and is none."""

from __future__ import annotations

import os

import pytest

from orchestrator.machine.regular_files import whole


def test_a_file_that_has_nothing_to_give_at_the_moment_cannot_be_read() -> None:
    """As `/proc/kmsg`, which is a regular file by its mode: nobody waits for it, and it is not taken for an empty one."""
    reads, writes = os.pipe()
    os.set_blocking(reads, False)
    with os.fdopen(reads, "rb") as file, os.fdopen(writes, "wb"), pytest.raises(OSError, match="unavailable"):
        whole(file)
