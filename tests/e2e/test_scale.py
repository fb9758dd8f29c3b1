"""The sizes that the tool is for."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from ..loaded import loaded_program
from ..strength import THOROUGH
from .conftest import environment
from .program import ROOT, Program

MANY = 5_000 if THOROUGH else 200
PROJECTS = 50
KEYS = {"MONGODB_ATLAS_PUBLIC_API_KEY": "abcdefgh", "MONGODB_ATLAS_PRIVATE_API_KEY": "0d9bd9a2-3c1e-4b44-8f0e"}


def measured(program: Program, workflow: str) -> tuple[int, int]:
    """Exit code and highest memory, in bytes, of a run of *workflow*."""
    with (program.directory / f"{workflow}.json").open("w") as out:
        process = subprocess.Popen(
            program.argv("run", workflow, "--yes", "--format", "json", "--log-level", "error"),
            cwd=program.directory,
            env=program.environ,
            stdin=subprocess.DEVNULL,
            stdout=out,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_maxrss * 1024


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_as_many_migrations_as_a_night_may_have_in_one_process(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of 50 projects, against a simulated Atlas in another process: all SUCCESS, one PUT each; 5,000 in a thorough run."""
    program = Program(directory=tmp_path, environ={**environment(), **KEYS}, loaded=loaded_program())
    rows = [f"m{n},{n % PROJECTS + 1:024x},{n + 1:024x}\n" for n in range(MANY + 1)]
    for name, chosen in (("many", rows[:MANY]), ("single", rows[MANY:])):
        program.write(f"{name}.csv", "name,group_id,live_migration_id\n" + "".join(chosen))
        waves = [{"name": "all", "migrations_file": f"{name}.csv"}]
        program.write(f"{name}.yaml", {"version": "1", "name": name, "waves": waves})
    quick = {"ready_after": "0s", "initial_lag": "0s", "ready_lag": "0s", "cutover": "1s..20s"}
    program.write("atlas.yaml", {"unknown_jobs": "create", "jobs": quick})
    with program.started("simulate", "--scenario", "atlas.yaml", "--speed", "10") as simulator:
        assert simulator.process.stdout is not None
        program.config(atlas={"base_url": simulator.process.stdout.readline().strip()})
        base = measured(program, "single.yaml")[1] if THOROUGH else None
        code, peak = measured(program, "many.yaml")
    report = json.loads((tmp_path / "many.yaml.json").read_text())
    assert (code, report["totals"]["SUCCESS"]) == (0, MANY)
    assert {migration["cutover_requests"] for migration in report["migrations"]} == {1}
    if base is not None:
        with capsys.disabled():
            print(f"\n{MANY} migrations: {(peak - base) / MANY / 1000:.1f} kB each, {report['duration_seconds']:.1f} s")  # noqa: T201


def test_the_example_fails_exactly_once(program: Program) -> None:
    """`workflows/example.yaml` with its scenario, at ten times the speed, without latencies, settling fast: one FAILED, the others SUCCESS."""
    workflows = ROOT / "workflows"
    scenario = (workflows / "example.scenario.yaml").read_text()
    program.write("quick.scenario.yaml", scenario.replace("latency: atlas", "latency: off"))
    program.config(atlas={"request_timeout": "2s", "settle": "2s"})
    quick = ("--scenario", "quick.scenario.yaml", "--speed", "100")
    done = program.run("run", str(workflows / "example.yaml"), "--rehearse", *quick, "--format", "json")
    totals = done.report["totals"]
    assert (done.code, totals["FAILED"], totals["SUCCESS"]) == (1, 1, totals["migrations"] - 1)
    assert totals["migrations"] >= 20
