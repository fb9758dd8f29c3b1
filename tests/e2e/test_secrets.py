"""Keys stay with this program: no workflow holds one, and no hook finds one."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any

import pytest

from .program import Atlas, Program, new_id

LOOK = """
import os, pathlib
for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
    try:
        text = path.read_bytes()
    except OSError:
        continue
    if b"MARK_OF_THIS_TEST=" in text:
        print("saw", path.parent.name == str(os.getppid()), text.split(b"MONGODB_ATLAS_PRIVATE_API_KEY=")[1:])
print("own", os.environ.get("MONGODB_ATLAS_PRIVATE_API_KEY"), os.environ.get("OF_NOTIFY"))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_hook_finds_no_key_in_the_environment_of_whoever_started_it(online: Program, atlas: Atlas) -> None:
    """Neither in its own, nor in /proc, where root may look: what was handed over is overwritten there."""
    alone = replace(online, loaded=None, environ={**online.environ, "MARK_OF_THIS_TEST": "1"})
    look = alone.write("look.py", LOOK)
    workflow = alone.workflow({"one": {"orders": new_id()}}, run_hooks={"before": [[sys.executable, str(look)]]})
    done = alone.run("run", workflow, "--yes", "--format", "json")
    assert done.code == 0
    (hook,) = (entry for entry in done.log if entry["event"] == "hook_finished")
    private = atlas.keys["MONGODB_ATLAS_PRIVATE_API_KEY"]
    assert "own None None" in hook["output"]
    assert private not in hook["output"]
    assert "saw" not in hook["output"] or "xxxx" in hook["output"]


@pytest.mark.parametrize("where", ["hook", "variable", "name", "csv", "id", "overridden", "called", "column"])
def test_a_workflow_that_holds_a_configured_key_is_refused(online: Program, atlas: Atlas, where: str) -> None:
    """By `check` and `run`, with the place and without the key, before anything is kept anywhere."""
    key = atlas.keys["MONGODB_ATLAS_PRIVATE_API_KEY"]
    more: Any = {
        "hook": {"defaults": {"hooks": {"before": [["curl", "--user", f"me:{key}"]]}}},
        "variable": {"vars": {"password": key}},
        "name": {"run_hooks": {"before": [["true"]]}},
        "csv": {"one": {"migrations_file": "rest.csv"}},
        "overridden": {"vars": {"password": key}, "defaults": {"vars": {"password": "x"}}},
        "called": {"vars": {f"k{key.replace('-', '')}": "x"}},
        "column": {"one": {"migrations_file": "columns.csv"}},
        "id": {"defaults": {"timeout": key}},
    }[where]
    name = f"orders {key}" if where == "name" else "orders"
    online.write("rest.csv", f"name,live_migration_id,password\nparts,{new_id()},{key}\n")
    online.write("columns.csv", f"name,live_migration_id,k{key.replace('-', '')}\nparts,{new_id()},x\n")
    workflow = online.workflow({"one": {name: new_id()}}, **more)
    for command in (("check", workflow), ("run", workflow, "--yes")):
        refused = online.run(*command)
        assert (refused.code, refused.out) == (2, ""), command
        assert key not in refused.err
        assert (
            "[redacted]"
            if where == "id"
            else "holds a key, secret or token that is configured here (the keys of atlas)"
        ) in refused.err
    assert not online.state_dir.exists()


@pytest.mark.parametrize(
    ("environ", "holder"),
    [
        ({"URL": "jsons://ops:carts1@hooks.example.com/x"}, "notify.urls"),
        ({"HTTPS_PROXY": "http://u:carts1@127.0.0.1:9"}, "a proxy's address, or another variable of the environment"),
    ],
)
def test_a_name_that_is_refused_as_a_secret_is_told_by_its_place(
    online: Program, atlas: Atlas, environ: dict[str, str], holder: str
) -> None:
    """It may be the password that is to be changed: so which name it is, and what is configured with it, though not its value."""
    online.config(atlas=atlas.config("v2"), **({"notify": {"urls": ["${URL}"]}} if "URL" in environ else {}))
    program = replace(online, environ={**online.environ, **environ})
    refused = program.run("check", program.workflow({"one": {"orders": new_id(), "carts1": new_id()}}))
    assert refused.code == 2
    assert (
        f"wave 'one': name of its migration 2: holds a key, secret or token that is configured here ({holder})"
        in refused.err
    )


def test_auth_tells_no_secret_that_stands_in_the_place_of_a_name(program: Program) -> None:
    """Of a profile, or of a variable: a slip of the paste."""
    secret = "mdb_sa_sk_Zq9Xw8Ev7Rt6Yu5Io4Pa3Sd2"
    for given in ({"profile": secret}, {"client_id": "mdb_sa_id_1", "client_secret": f"${{{secret}}}"}):
        program.write("config.yaml", json.dumps({"atlas": given}))
        for shape in ("table", "json"):
            done = program.run("auth", "--format", shape)
            assert done.code == 2
            assert secret not in done.out + done.err
            assert "[redacted]" in done.out + done.err


def test_a_secret_that_nobody_has_configured_is_refused_in_a_workflow_as_well(online: Program) -> None:
    """It is known by its looks."""
    secret = "mdb_sa_sk_4vZ9eeXyz0abc"
    workflow = online.workflow({"one": {"orders": new_id()}}, run_hooks={"before": [["./x.sh", secret]]})
    refused = online.run("check", workflow)
    assert (refused.code, secret in refused.err) == (2, False)
    assert "run_hooks: before: holds what looks like a key, secret or token, and would be kept" in refused.err


def test_a_key_in_a_reason_goes_no_further(online: Program, atlas: Atlas) -> None:
    """What somebody pasted there is neither in log nor report."""
    key = atlas.keys["MONGODB_ATLAS_PRIVATE_API_KEY"]
    workflow = online.workflow({"one": {"orders": new_id()}}, one={"approval": "true"})
    with online.started("run", workflow, "--yes", "--format", "json") as running:
        run_id = running.until("approval_waiting")["run_id"]
        assert online.run("approve", run_id, "one", "--reason", f"asked with {key}").code == 0
        done = running.end()
    assert done.code == 0
    assert "asked with [redacted]" in done.err
    for report in (online.state_dir / "runs" / run_id).iterdir():
        assert key not in report.read_text(), report
