"""Places where little is as usual: a read-only copy, process 1 of a container, hardly any file descriptors, an umask for oneself."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

import pytest

from .program import Program, new_id

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can do that")


def rehearsed(program: Program) -> str:
    """A run that was rehearsed."""
    program.config()
    program.scenario()
    workflow = program.workflow({"one": {"orders": new_id()}})
    run_id: str = program.run("run", workflow, "--rehearse", "--format", "json").report["run_id"]
    return run_id


@ROOT
@pytest.mark.parametrize("wal", [False, True])
def test_a_read_only_copy_of_a_state_directory_can_be_read(program: Program, wal: bool) -> None:
    """`status` and `report` work there, also with a WAL that has what the journal lacks, and leave nothing behind."""
    run_id = rehearsed(program)
    with TemporaryDirectory(dir="/tmp") as theirs:  # pytest's own is closed to others
        copy = Path(theirs) / "copy"
        if wal:
            import sqlite3

            db = sqlite3.connect(program.state_dir / "journal.db")
            db.execute("PRAGMA wal_autocheckpoint = 0")
            db.execute("UPDATE runs SET workflow = 'of the wal'")
            db.commit()
            shutil.copytree(program.state_dir, copy)
            (copy / "journal.db-shm").unlink()
            db.close()
        else:
            shutil.copytree(program.state_dir, copy)
        for path in (Path(theirs), copy, *copy.rglob("*")):
            os.chown(path, 0, 0)
            path.chmod(0o555 if path.is_dir() else 0o444)
        before = sorted(path.name for path in copy.rglob("*"))
        readable = ["test", "-r", __file__]
        if subprocess.run(readable, user=54321, group=54321, extra_groups=[], check=False).returncode != 0:
            pytest.skip("this checkout cannot be read by others")
        environ = {**program.environ, "HOME": theirs}
        run = replace(program, directory=Path(theirs), environ=environ, user=54321).run
        place = ("--state-dir", str(copy))
        listed = run("status", *place)
        assert (listed.code, ("of the wal" in listed.out) == wal) == (0, True), listed.err
        assert run("status", run_id, *place).code == 0
        assert run("report", run_id, *place).code == 0
        refused = run("pause", run_id, *place)
        assert (refused.code, refused.out) == (2, "")
        assert sorted(path.name for path in copy.rglob("*")) == before
        assert not list(Path(gettempdir()).glob("atlas-cutover-*/journal.db"))


@ROOT
def test_as_process_1_what_hooks_leave_behind_is_reaped(program: Program) -> None:
    """No zombie is left, and exit code and signals are those of the work."""
    orphan = ["sh", "-c", "(sleep 0.2 &) ; exit 0"]
    count = ["sh", "-c", "sleep 1; echo zombies: $(cat /proc/[0-9]*/stat | grep -c ' Z ')"]
    program.config()
    program.scenario()
    workflow = program.workflow({"one": {"orders": new_id()}}, run_hooks={"before": [orphan, orphan, count]})
    first = ["unshare", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*first, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no namespaces here")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*first, *program.argv(*arguments)],
            cwd=program.directory, env=program.environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip

    done = run("run", workflow, "--rehearse")
    assert done.returncode == 0, done.stderr
    assert "zombies: 0" in done.stderr
    assert run("run", "no-such-file.yaml").returncode == 2


def test_a_process_that_may_open_hardly_any_files_says_so_once(program: Program) -> None:
    """Nothing is begun, and no library fills the disk with the same words."""
    program.config()
    program.scenario()
    workflow = program.workflow({"one": {"orders": new_id()}})
    done = subprocess.run(
        program.argv("run", workflow, "--rehearse"),
        cwd=program.directory, env=program.environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (14, 14)),
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert "this process may have 14 files open (`ulimit -n`)" in done.stderr
    assert len(done.stderr) < 1000
    assert not program.state_dir.exists()


def test_metrics_can_be_read_by_node_exporter_whatever_the_umask(program: Program) -> None:
    """It works as another user."""
    pytest.importorskip("prometheus_client")
    program.config(metrics={"textfile": "cutover.prom"})
    program.scenario()
    workflow = program.workflow({"one": {"orders": new_id()}})
    before = os.umask(0o077)
    try:
        assert program.run("run", workflow, "--rehearse", "--output", "r.csv").code == 0
    finally:
        os.umask(before)
    assert (program.directory / "cutover.prom").stat().st_mode & 0o777 == 0o644
    assert (program.directory / "r.csv").stat().st_mode & 0o777 in (0o600, 0o644)  # a fork's umask is its parent's
    assert (program.directory / "r.csv").read_bytes().startswith(b"\xef\xbb\xbfrun_id,")
