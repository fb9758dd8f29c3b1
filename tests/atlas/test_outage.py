"""What this program has given up does not arrive later: neither from its sockets nor from those of a killed process."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trustme

from .outage import JOBS, THERE

ROOT = Path(__file__).parents[2]
APART = ("unshare", "--map-root-user", "--net")


def lacking() -> str | None:
    """Why there can be no network namespaces here; None: there can."""
    for tool in ("ip", "unshare"):
        if shutil.which(tool) is None:
            return f"needs {tool}"
    tried = subprocess.run(
        (*APART, "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1"),
        check=False,
        capture_output=True,
        text=True,
    )
    return f"no network namespaces here: {tried.stderr.strip()}" if tried.returncode else None


@pytest.fixture(scope="module")
def after_the_outage(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What clients saw of an outage that began as they wrote their PUTs, and which of those arrived after all."""
    if why := lacking():
        pytest.skip(why)
    directory = tmp_path_factory.mktemp("outage")
    authority = trustme.CA()
    authority.issue_cert(THERE).private_key_and_cert_chain_pem.write_to_path(str(directory / "server.pem"))
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    command = (*APART, sys.executable, "-m", "tests.atlas.outage", str(directory))
    played = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=150)
    assert played.returncode == 0, played.stderr
    found: dict[str, Any] = json.loads(played.stdout)
    return found


@pytest.mark.slow  # the kernel's retransmissions keep to real time
@pytest.mark.parametrize("kind", [kind for kind in JOBS if kind != "careless"])
def test_a_put_that_was_given_up_does_not_arrive_when_the_outage_ends(
    after_the_outage: dict[str, Any], kind: str
) -> None:
    """Plain, with TLS, through a proxy; its process killed, or stopped; the usual client's PUT does arrive."""
    assert set(after_the_outage["seen"].values()) == {"timed out"}
    assert "careless" in after_the_outage["arrived"], "the outage was none"
    assert kind not in after_the_outage["arrived"]
