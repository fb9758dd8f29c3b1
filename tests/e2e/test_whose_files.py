"""Files of somebody else, links that somebody has planted, and files that are none: nothing is done because of them."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from .program import Program, new_id

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to somebody else")
SOMEBODY = 54321
"""A user that no machine has."""


def written(program: Program, **more: Any) -> str:
    """A workflow with one migration, to be rehearsed quickly."""
    program.config()
    program.scenario()
    return program.workflow({"one": {"orders": new_id()}}, **more)


@ROOT
def test_a_foreign_journals_hooks_do_not_run(program: Program) -> None:
    """Whoever owns the state directory would decide what root runs on `resume --yes`."""
    proof = program.directory / "proof"
    workflow = written(program, run_hooks={"before": [["touch", str(proof)]]})
    run_id = program.run("run", workflow, "--rehearse").log[0]["run_id"]
    proof.unlink()
    for path in (program.state_dir / "journal.db", program.state_dir):
        os.chown(path, SOMEBODY, -1)
        for command in (
            ("resume", run_id, "--yes"),
            ("run", workflow, "--rehearse", "--new"),
            ("status",),
            ("abort", run_id),
        ):
            refused = program.run(*command)
            assert (refused.code, refused.out) == (2, ""), command
            assert f"belongs to user {SOMEBODY}: use the same user" in refused.err, command
    assert not proof.exists()
    trusting = program.run("status", run_id, ATLAS_CUTOVER_TRUST_USERS=str(SOMEBODY))
    assert trusting.code == 0


@pytest.mark.parametrize("name", ["night.yaml", "rest.csv", "config.yaml", "night.scenario.yaml"])
def test_a_file_that_everybody_may_write_decides_nothing(program: Program, name: str) -> None:
    """A workflow, a CSV file, a config, a scenario: exit code 2, and the command that mends it."""
    program.config()
    program.scenario()
    program.write("rest.csv", f"name,live_migration_id\norders,{new_id()}\n")
    program.workflow({"one": {}}, one={"migrations_file": "rest.csv"})
    (program.directory / name).chmod(0o666)
    refused = program.run("run", "night.yaml", "--rehearse")
    assert (refused.code, refused.out) == (2, "")
    assert "can be written by everybody (mode 0666): chmod o-w" in refused.err
    assert not program.state_dir.exists()


def test_a_hook_program_that_everybody_may_write_is_not_run(program: Program) -> None:
    """`check` says so, and no run begins with it."""
    script = program.write("hook.sh", "#!/bin/sh\ntouch proof\n")
    script.chmod(0o777)
    workflow = written(program, run_hooks={"before": [["./hook.sh"]]})
    for command in (("check", workflow), ("run", workflow, "--rehearse")):
        refused = program.run(*command)
        assert (refused.code, refused.out) == (2, ""), command
        assert "hook.sh: the hook program can be written by everybody (mode 0777): chmod o-w" in refused.err
    assert not (program.directory / "proof").exists()
    script.chmod(0o755)
    done = program.run("run", workflow, "--rehearse", "--format", "json")
    assert done.code == 0
    script.chmod(0o777)
    refused = program.run("resume", done.report["run_id"], "--retry-failed")
    assert (refused.code, refused.out) == (2, "")
    assert "hook.sh: the hook program can be written by everybody" in refused.err


@ROOT
def test_a_directory_that_has_become_somebody_elses_runs_no_hook_of_a_resumed_run(program: Program) -> None:
    """The program may be root's (`sh after.sh`, `make`): what it does there is what somebody else has written."""
    workflow = Path(program.directory, written(program, run_hooks={"before": [["/bin/sh", "-c", "touch proof"]]}))
    night = program.directory / "night"
    night.mkdir()
    run_id = program.run("run", str(workflow.rename(night / workflow.name)), "--rehearse").log[0]["run_id"]
    proof = night / "proof"
    proof.unlink()
    os.chown(night, SOMEBODY, -1)
    refused = program.run("resume", run_id, "--retry-failed", "--yes")
    assert (refused.code, refused.out) == (2, "")
    assert f"hooks run in this directory, which belongs to user {SOMEBODY}: use the same user" in refused.err
    assert not proof.exists()


@pytest.mark.parametrize("leads_to", ["directory", "file", "nowhere"])
@pytest.mark.parametrize("name", ["locks", "marks", "runs", "reads", "journal.db", "journal.db-wal"])
def test_a_planted_link_is_not_written_through(program: Program, name: str, leads_to: str) -> None:
    """What it names stays as it was; a run either goes on without that file or says what to remove."""
    workflow = written(program)
    victim = program.directory / "victim"
    victim.mkdir()
    (victim / "kept").write_text("as it was")
    program.state_dir.mkdir(mode=0o700)
    (program.state_dir / name).symlink_to(
        {"directory": victim, "file": victim / "kept", "nowhere": victim / "none"}[leads_to]
    )
    done = program.run("run", workflow, "--rehearse")
    assert "is a symbolic link" in done.err
    assert done.code == (0 if name in ("runs", "reads") else 2)
    assert [(path.name, path.read_text()) for path in victim.iterdir()] == [("kept", "as it was")]


def test_a_planted_lock_file_link_overwrites_nothing(program: Program) -> None:
    """The name of a workflow's lock can be reckoned by anybody."""
    workflow = written(program)
    assert program.run("run", workflow, "--rehearse").code == 0
    victim = program.write("victim", "as it was")
    for lock in (program.state_dir / "locks").iterdir():
        lock.unlink()
        lock.symlink_to(victim)
    refused = program.run("run", workflow, "--rehearse")
    assert (refused.code, "is a symbolic link" in refused.err) == (2, True)
    assert victim.read_text() == "as it was"


def test_what_a_run_leaves_is_its_owners_alone(program: Program) -> None:
    """Whatever the umask: directories 0700, files 0600. `--output` is for whom the umask lets read it."""
    workflow = written(program)
    before = os.umask(0o002)
    try:
        assert program.run("run", workflow, "--rehearse", "--output", "out.json").code == 0
    finally:
        os.umask(before)
    modes = {
        str(path.relative_to(program.state_dir)): (path.is_dir(), stat.S_IMODE(path.stat().st_mode))
        for path in program.state_dir.rglob("*")
    }
    assert {name: mode for name, mode in modes.items() if mode not in ((True, 0o700), (False, 0o600))} == {}
    assert json.loads((program.directory / "out.json").read_text())["rehearsal"] is True


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (os.mkfifo, "is a pipe, expected a file"),
        (lambda path: Path(path).mkdir(), "is a directory, expected a file"),
        (lambda path: Path(path).symlink_to("/dev/zero"), "is a device, expected a file"),
    ],
)
@pytest.mark.parametrize("name", ["night.yaml", "config.yaml", "rest.csv", "night.scenario.yaml", "key", "ca.pem"])
def test_what_is_no_file_is_an_error_at_once(program: Program, name: str, make: Any, what: str) -> None:
    """In the place of every input: nobody waits for a pipe's writer, and nothing reads zeros without end."""
    written(program)
    program.write("rest.csv", f"name,live_migration_id\norders,{new_id()}\n")
    if name == "rest.csv":
        program.workflow({"one": {}}, one={"migrations_file": "rest.csv"})
    if name in ("key", "ca.pem"):
        key = "private_key_file" if name == "key" else "ca_file"
        program.config(atlas={"public_key": "abcdefgh", key: name})
    (program.directory / name).unlink(missing_ok=True)
    make(str(program.directory / name))
    refused = program.run("run", "night.yaml", "--rehearse")
    assert (refused.code, refused.out) == (2, "")
    assert what in refused.err
