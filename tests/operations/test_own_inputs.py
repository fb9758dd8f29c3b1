"""What a command reads is not written over by what it writes, whichever option names it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator.cli.main import run_command
from orchestrator.core.errors import InputError
from orchestrator.files.config import load_settings
from orchestrator.files.workflow_file import load_workflow
from orchestrator.operations.own_inputs import refuse_overwriting
from orchestrator.operations.report import report
from orchestrator.store.schema import FILE

from ..builders import live_id
from ..web.nights import RUN, Night

GROUP = "7e68e12770616e75e6df43d0"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a workflow, its list, a config, a scenario, and a state directory that has a run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MONGODB_ATLAS_PUBLIC_API_KEY", "abcdefgh")
    (tmp_path / "key").write_text("made-up-key-0001")
    (tmp_path / "key").chmod(0o600)
    (tmp_path / "stop.sh").write_text("#!/bin/sh\n")
    (tmp_path / "stop.sh").chmod(0o700)
    (tmp_path / "night.yaml").write_text(
        f"version: 1\nname: night\ndefaults: {{group_id: {GROUP}, hooks: {{before: [[./stop.sh]]}}}}\n"
        "waves: [{name: w1, migrations_file: rest.csv}]\n"
    )
    (tmp_path / "rest.csv").write_text(f"name,live_migration_id\na,{live_id(1)}\n")
    (tmp_path / "scenario.yaml").write_text("jobs: {ready_after: 0s, cutover: 1s}\n")
    (tmp_path / "config.yaml").write_text("state_dir: state\natlas: {private_key_file: key}\n")
    os.link(tmp_path / "rest.csv", tmp_path / "same.csv")
    Night(state_dir=tmp_path / "state").begin(load_workflow(tmp_path / "night.yaml", credentials=None))
    return tmp_path


REHEARSE = ("run", "night.yaml", "--rehearse", "--scenario", "scenario.yaml", "--config", "config.yaml")


@pytest.mark.parametrize(
    ("option", "file"),
    [
        ("--output", "rest.csv"),
        ("--output", "same.csv"),
        ("--output", "../{name}/rest.csv"),
        *(
            ("--log-file", file)
            for file in (
                *("night.yaml", "rest.csv", "config.yaml", "scenario.yaml", "stop.sh"),
                *(f"state/{FILE}", f"state/{FILE}-wal", f"state/marks/{RUN}.mark", "state/locks/x"),
            )
        ),
    ],
)
def test_no_output_takes_the_place_of_an_input(
    place: Path, capsys: pytest.CaptureFixture[str], option: str, file: str
) -> None:
    """The list of live migrations was the report, and log lines stood in workflow, config and journal."""
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    assert run_command([*REHEARSE, option, file.format(name=place.name)]) == 2
    assert "name another file" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before
    assert set(place.rglob("*.jsonl")) == set()


def test_no_log_of_a_run_that_goes_on_is_added_to_its_workflow(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Which is not read then."""
    for command in (("resume", RUN, "--yes"), ("abort", RUN)):
        for file in ("config.yaml", f"state/{FILE}", *(["night.yaml"] if command[0] == "resume" else [])):
            assert run_command([*command, "--config", "config.yaml", "--log-file", file]) == 2
            assert "name another file" in capsys.readouterr().err


def test_what_is_no_input_may_be_written(place: Path) -> None:
    """A report and a log of before, also in the state directory."""
    for name in ("report.csv", "run.log"):
        (place / "state" / name).write_text("of before")
    settings = load_settings(place / "config.yaml", overrides={"logging": {"file": place / "state" / "run.log"}})
    refuse_overwriting(
        [place / "state" / "report.csv"], settings, load_workflow(place / "night.yaml", credentials=None)
    )


def test_a_report_of_the_library_takes_the_place_of_no_input_either(place: Path) -> None:
    """Whichever way it is called."""
    with pytest.raises(InputError, match=r"rest\.csv: is a file that was read here"):
        report(RUN, state_dir=place / "state", outputs=[place / "rest.csv"])


@pytest.mark.parametrize(
    "command",
    [
        ("report", "--output", "rest.csv"),
        ("report", "--output", "same.csv"),
        ("plan", "night.yaml", "--runbook", "list.md", "--overwrite"),
        ("resume", RUN, "--yes", "--output", "rest.csv"),
    ],
)
def test_what_a_workflow_names_is_kept_where_the_workflow_is_not_read(
    place: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    """Its lists are known by its file, as it is now."""
    if "list.md" in command:
        (place / "rest.csv").rename(place / "list.md")
        text = (place / "night.yaml").read_text()
        (place / "night.yaml").write_text(text.replace("rest.csv", "list.md"))
    before = {path: path.read_bytes() for path in place.rglob("*.*") if path.is_file()}
    assert run_command([*command, "--config", "config.yaml"]) == 2
    assert "name another file" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before
