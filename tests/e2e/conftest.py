from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..loaded import loaded_program
from .program import ROOT, Atlas, Program

EACH = 16
"""Ids of each special kind."""


def ids(kind: str) -> list[str]:
    """The ids whose jobs are special in the way *kind* says."""
    return [f"{kind.encode().hex():0<22}{number:02x}"[-24:] for number in range(EACH)]


KINDS = {kind: ids(kind) for kind in ("fails", "never", "slow", "loses")}
SCENARIO = {
    "unknown_jobs": "create",
    "rate_limit": "off",
    "jobs": {"ready_after": "0s", "initial_lag": "0s", "ready_lag": "0s", "cutover": "10s"},
    "special": {
        **{job: {"ends": "FAILED", "error_message": "The disk is full."} for job in KINDS["fails"]},
        **{job: {"ready_after": "never"} for job in KINDS["never"]},
        **{job: {"cutover": "100h"} for job in KINDS["slow"]},
    },
    "faults": [{"on": "cutover", "kind": "lost_before", "migration": job} for job in KINDS["loses"]],
}


def environment() -> dict[str, str]:
    """What the program finds around it: no keys, no settings."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}


@pytest.fixture(scope="session")
def atlas(tmp_path_factory: pytest.TempPathFactory, home: None) -> Iterator[Atlas]:
    """A simulated Atlas, 100 times as fast as a real one."""
    scenario = tmp_path_factory.mktemp("atlas") / "scenario.yaml"
    scenario.write_text(json.dumps(SCENARIO))
    keys = {
        "MONGODB_ATLAS_PUBLIC_API_KEY": secrets.token_hex(4),
        "MONGODB_ATLAS_PRIVATE_API_KEY": secrets.token_hex(18),
    }
    simulator = Program(directory=scenario.parent, environ={**environment(), **keys}, loaded=loaded_program())
    with simulator.started("simulate", "--scenario", str(scenario), "--speed", "100") as running:
        process = running.process
        assert process.stdout is not None
        base_url = process.stdout.readline().strip()
        assert base_url.startswith("http://127.0.0.1:")
        yield Atlas(
            base_url=base_url,
            keys=keys,
            fails=iter(KINDS["fails"]),
            never_ready=iter(KINDS["never"]),
            slow=iter(KINDS["slow"]),
            loses_put=iter(KINDS["loses"]),
        )
        process.terminate()
        assert process.wait(60) == 0


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """The program without keys, in a directory with a config of short waits."""
    made = Program(directory=tmp_path, environ=environment(), loaded=loaded_program())
    made.config()
    return made


@pytest.fixture
def online(tmp_path: Path, atlas: Atlas) -> Program:
    """The program with the keys of `atlas`, configured to speak to it."""
    made = Program(
        directory=tmp_path,
        environ={**environment(), **atlas.keys},
        loaded=loaded_program(),
        secrets=(atlas.keys["MONGODB_ATLAS_PRIVATE_API_KEY"],),
    )
    made.config(atlas=atlas.config())
    return made
