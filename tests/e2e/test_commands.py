"""Each command of the contract's table, offline, and what it says to wrong input."""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
import yaml

from orchestrator.cli.commands import build_parser
from orchestrator.cli.main import run_command
from orchestrator.cli.simulate import read_scenario
from orchestrator.simulator import Scenario

from ..strength import THOROUGH
from .program import ROOT, Atlas, Done, Program, new_id

COMMANDS = (
    *(
        "check",
        "plan",
        "run",
        "resume",
        "status",
        "report",
        "pause",
        "unpause",
        "approve",
        "reject",
        "skip",
        "retry",
        "gate",
        "abort",
        "runs",
    ),
    *("simulate", "serve", "schema"),
)
WAVES = {"canary": {"orders": new_id()}, "rest": {"carts": new_id(), "search": new_id()}}


def test_help_names_every_command_and_every_exit_code(program: Program) -> None:
    """`--help` alone tells a newcomer what there is, and what a script may rely on."""
    done = program.run("--help")
    assert (done.code, done.err) == (0, "")
    for word in (*COMMANDS, *("0", "1", "2", "3", "4", "5", "6", "130", "143")):
        assert re.search(rf"^\s+{word}\b", done.out, re.MULTILINE), word


def test_help_of_each_command_has_an_example(program: Program) -> None:
    """Each command explains itself, with an example to copy."""
    for command in COMMANDS:
        done = program.run(command, "--help")
        assert (done.code, done.err) == (0, "")
        assert f"\n  atlas-cutover {command}" in done.out, command


LEAST = {
    "auth": (),
    **dict.fromkeys(("check", "plan", "run"), ("night.yaml",)),
    **dict.fromkeys(("resume", "status", "report", "pause", "unpause", "simulate", "serve", "worker"), ()),
    "abort": ("20261128",),
    "approve": ("20261128", "canary"),
    "reject": ("20261128", "canary"),
    "skip": ("20261128", "orders"),
    "retry": ("20261128", "orders"),
    "gate": ("20261128", "orders", "--off"),
    "schema": ("workflow",),
    "completion": ("bash",),
    "runs": ("prune",),
}
"""What each command needs beside its options."""


def long_options(parser: argparse.ArgumentParser) -> list[str]:
    """The options of *parser* that have a name of their own."""
    return [option for action in parser._actions for option in action.option_strings if option.startswith("--")]


def subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers of the commands."""
    (found,) = (action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return dict(found)


@pytest.mark.parametrize("command", ["run", "resume", "plan"])
def test_a_dry_run_is_told_of_plan(program: Program, command: str) -> None:
    """What other tools call so has another name here."""
    done = program.run(command, "night.yaml", "--dry-run")
    assert (done.code, done.out) == (2, "")
    assert "there is no --dry-run: `plan` shows what `run` would do" in done.err


def test_no_option_of_any_command_may_be_abbreviated(capsys: pytest.CaptureFixture[str]) -> None:
    """`--rehear` must not be taken for `--rehearse` today, and for nothing or another option tomorrow."""
    whole = build_parser()
    commands = subparsers(whole)
    assert commands.keys() == LEAST.keys()
    for command, parser in commands.items():
        least, known = (command, *LEAST[command]), long_options(parser)
        for short in {option[:length] for option in known for length in range(3, len(option))} - set(known):
            for arguments in ((short, *least), (*least, short)):
                with pytest.raises(SystemExit) as refused:
                    whole.parse_args(arguments)
                assert (refused.value.code, "unrecognized arguments" in capsys.readouterr().err) == (2, True)


def test_a_fork_answers_as_a_new_process_does(program: Program) -> None:
    """Most of these tests run forks of one process; here each command starts on its own, and says the same.

    A brief run takes other commands each time.
    """
    anew = replace(program, loaded=None)
    program.workflow(WAVES)
    program.scenario()
    assert anew.run("run", "night.yaml", "--rehearse").code == program.run("run", "night.yaml", "--rehearse").code == 0
    ends_at_once = sorted(LEAST.keys() - {"run", "serve"})
    for command in random.sample(ends_at_once, len(ends_at_once) if THOROUGH else 2):
        assert anew.run(command, *LEAST[command]) == program.run(command, *LEAST[command])


def test_version_is_one_line(program: Program) -> None:
    """`--version` answers also where the package lies in a checkout and is not installed."""
    done = program.run("--version")
    assert (done.code, done.err) == (0, "")
    assert re.fullmatch(r"atlas-cutover \S+\n", done.out)
    assert program.run("run", "--version") == done


def test_check_finds_no_problem(program: Program) -> None:
    """A good workflow is said to be good, with its counts."""
    done = program.run("check", program.workflow(WAVES))
    assert (done.code, done.err) == (0, "")
    assert "3 live migrations in 2 waves" in done.out
    one = program.run("check", program.workflow({"one": {"orders": new_id()}}))
    assert "1 live migration in 1 wave:" in one.out


def test_check_warns_of_a_window_that_has_closed(program: Program) -> None:
    """It is no mistake of the file, which may be one of last year; but nothing would start."""
    window = {"opens": "2024-11-28T01:00:00+01:00", "closes": "2024-11-28T04:00:00+01:00", "reserve": "30m"}
    done = program.run("check", program.workflow(WAVES, window=window))
    assert done.code == 0
    assert "window: the window closes at 2024-11-28 03:00:00 UTC, and no cutover starts in its last 30m" in done.err
    assert "ago), so no cutover would start: give the workflow its next window" in done.err


def test_check_tells_every_problem_at_once(program: Program) -> None:
    """Mistakes in workflow and config are told together, each with file, line and key."""
    program.write("w.yaml", "version: 1\nname: w\nwavez: []\n")
    program.write("c.yaml", "polling:\n  initial: often\n")
    done = program.run("check", "w.yaml", "--config", "c.yaml")
    assert (done.code, done.out) == (2, "")
    assert re.search(r"^w\.yaml:3: wavez: .*waves", done.err, re.MULTILINE)
    assert re.search(r"^c\.yaml:2: polling\.initial: ", done.err, re.MULTILINE)


def test_plan_needs_no_keys_and_shows_the_calls(program: Program) -> None:
    """Offline, `plan` names waves, the exact requests and the budget."""
    done = program.run("plan", program.workflow(WAVES))
    assert (done.code, done.err) == (0, "")
    for migrations in WAVES.values():
        for name, live in migrations.items():
            assert re.search(rf"{name}.*PUT https://cloud\.mongodb\.com/\S*/{live}/cutover$", done.out, re.MULTILINE)
    assert "500 in 1m" in done.out
    assert "the requests alone take no time" in done.out


def test_plan_as_json(program: Program) -> None:
    """`plan --format json` is one JSON document."""
    done = program.run("plan", program.workflow(WAVES), "--format", "json")
    assert done.code == 0
    found = json.loads(done.out)
    assert [wave["name"] for wave in found["waves"]] == ["canary", "rest"]
    assert (found["forecast"], found["expiring"]) == (None, [])


def test_plan_forecasts_the_night_once_cutovers_were_made(online: Program) -> None:
    """Before, it says that nothing is known; afterwards when each wave ends, in text and as JSON."""
    waves = {"canary": {"orders": new_id()}, "rest": {"carts": new_id(), "search": new_id()}}
    said = online.run("plan", online.workflow(waves, rest={"approval": True, "concurrency": 1})).out
    assert re.search(r"^canary .* -  +-$", said, re.MULTILINE)
    assert f"no forecast: the journal in {online.state_dir} knows of no real cutover" in said
    assert "0s" not in said.splitlines()[2]
    assert online.run("run", online.workflow({"one": {"a": new_id(), "b": new_id()}}, name="before"), "--yes").code == 0
    done = online.run("plan", online.workflow(waves, rest={"approval": True, "concurrency": 1}))
    assert re.search(r"^canary .* 20\d\d-\S+ \d\d:\d\d:\d\d  +20\S+ \d\d:\d\d:\d\d$", done.out, re.MULTILINE)
    assert re.search(r"^rest .*\+ approval$", done.out, re.MULTILINE)
    assert "forecast from 2 cutovers of 1 earlier run (fewer than 10 cutovers: it may be far off)" in done.out
    assert "plus the time until 1 wave is approved" in done.out
    found = json.loads(online.run("plan", "night.yaml", "--format", "json").out)
    assert [wave["name"] for wave in found["forecast"]["waves"]] == ["canary", "rest"]
    assert (found["forecast"]["few"], found["forecast"]["fits"], found["opening"]) == (True, None, None)
    assert found["forecast"]["waves"][0]["ends_p50"].endswith("Z")


def test_runs_are_pruned_when_it_is_said_which_and_confirmed(program: Program) -> None:
    """Without a terminal by --yes; what is unfinished is named, and stays."""
    workflow = program.workflow({"one": {"a": new_id()}})
    program.scenario()
    assert program.run("run", workflow, "--rehearse", "--yes").code == 0
    done = program.run("runs", "prune")
    assert (done.code, "say which: --older-than 90d, --rehearsals, or both" in done.err) == (2, True)
    done = program.run("runs", "prune", "--rehearsals")
    assert (done.code, "1 run would be removed" in done.err) == (2, True)
    done = program.run("runs", "prune", "--older-than", "soon")
    assert (done.code, "expected a duration" in done.err) == (2, True)
    assert program.run("runs", "prune", "--older-than", "1h", "--yes").out == "there is nothing to remove\n"
    assert program.run("runs", "prune", "--rehearsals", "--yes").out == "removed 1 run\n"
    assert program.run("status").out == "no run has been started yet\n"


def test_on_a_terminal_the_number_of_runs_is_asked_for(program: Program) -> None:
    """Another answer removes nothing."""
    program.scenario()
    assert program.run("run", program.workflow({"one": {"a": new_id()}}), "--rehearse", "--yes").code == 0
    done = program.on_terminal("runs", "prune", "--rehearsals", prompt="to go on: ", answer="y\n")
    assert (done.code, "nothing was removed" in done.err) == (2, True)
    done = program.on_terminal("runs", "prune", "--rehearsals", prompt="Type their number (1) to go on: ", answer="1\n")
    assert (done.code, done.out.splitlines()[-1]) == (0, "removed 1 run")


def test_plan_writes_a_runbook_and_overwrites_none(program: Program) -> None:
    """Beside what it prints; a file that is there is replaced on request alone, and only Markdown is written."""
    workflow = program.workflow(WAVES, rest={"approval": True})
    done = program.run("plan", workflow, "--runbook", "night.md")
    assert (done.code, done.err) == (0, "runbook: night.md\n")
    text = (program.directory / "night.md").read_text()
    assert text.startswith("# Runbook: night, 3 live migrations in 2 waves\n")
    assert f"export ATLAS_CUTOVER_STATE_DIR={program.state_dir}" in text
    assert f"export ATLAS_CUTOVER_CONFIG={program.directory / 'config.yaml'}" in text
    assert "atlas-cutover approve $RUN_ID rest" in text
    program.write("night.md", "notes")
    done = program.run("plan", workflow, "--runbook", "night.md")
    assert (done.code, "is there already: --overwrite replaces it" in done.err) == (2, True)
    assert (program.directory / "night.md").read_text() == "notes"
    assert program.run("plan", workflow, "--runbook", "night.md", "--overwrite").code == 0
    assert (program.directory / "night.md").read_text() != "notes"
    for wrong, why in (("night.txt", "its name ends with .md"), ("no/night.md", "there is no directory")):
        done = program.run("plan", workflow, "--runbook", wrong)
        assert (done.code, why in done.err) == (2, True)


def test_plan_online_reads_the_jobs_and_sends_no_put(online: Program, atlas: Atlas) -> None:
    """`plan --online` shows each job's state and whole ids; afterwards the jobs still wait for their cutover."""
    never = next(atlas.never_ready)
    workflow = online.workflow({"one": {"ready": new_id(), "waiting": never}})
    for _ in range(2):
        done = online.run("plan", workflow, "--online")
        assert (done.code, done.err) == (3, "")
        assert re.search(r"ready +\S+ +\S+ +WORKING, ready, lag 0s", done.out)
        assert re.search(rf"waiting +\S+ +{never} +\S+, not ready", done.out)
        assert done.out.splitlines()[-1] == "1 of 2 jobs not ready"
    assert online.run("run", workflow, "--yes", "--only", "ready").code == 0
    done = online.run("plan", workflow, "--online")
    assert (done.code, done.out.splitlines()[-1]) == (1, "1 of 2 jobs not ready, 1 cut over already")
    assert re.search(
        r"`run` would continue run \S+, which is unfinished: cut over: 1 live migration \(waiting\)", done.out
    )
    jobs = json.loads(online.run("plan", workflow, "--online", "--format", "json").out)["jobs"]
    assert [(job["name"], job["wave"], job["verdict"], job["status"], job["ready"], job["error"]) for job in jobs] == [
        ("ready", "one", "finished", "COMPLETE", False, None),
        ("waiting", "one", "waiting", "NEW", False, None),
    ]
    done = online.run("plan", online.workflow({"one": {"ready": new_id()}}), "--online")
    assert done.code == 0
    assert done.out.splitlines()[-1] == "1 job: all there, none over, all ready"


def test_plan_shows_gates_timeouts_and_hooks(program: Program) -> None:
    """Of each wave, what its migrations have in common once; and those around the run."""
    hooks = {"before": [["./stop.sh", "a b"], ["true"]], "timeout": "1m"}
    workflow = program.workflow(
        WAVES,
        defaults={"hooks": hooks, "gate": {"max_lag": "5s"}},
        run_hooks={"after_failure": [["./page.sh"]]},
        canary={"gate": "off", "timeout": "30m", "wave_hooks": {"after_success": [["./done.sh"]]}},
    )
    lines = program.run("plan", workflow).out.splitlines()
    assert "canary  gate: off; timeout: 30m" in lines
    assert "rest  gate: ready, lag at most 5s, waits 30m; timeout: 2h" in lines
    assert "canary  before: ./stop.sh 'a b'; true (each at most 1m)" in lines
    assert "canary  wave after_success: ./done.sh (each at most 5m)" in lines
    assert "run after_failure: ./page.sh (each at most 5m)" in lines


def test_plan_says_what_run_would_say_of_its_unfinished_run(online: Program, atlas: Atlas) -> None:
    """Where the file is not what that was started with: both ways on. And a window that is over."""
    waves = {"one": {"orders": new_id(), "later": next(atlas.never_ready)}}
    assert online.run("run", online.workflow(waves), "--yes", "--only", "orders").code == 0
    window = {"opens": "2024-11-28T01:00:00+01:00", "closes": "2024-11-28T04:00:00+01:00"}
    done = online.run("plan", online.workflow(waves, window=window))
    assert done.code == 0
    assert "which is unfinished: nothing is cut over" in done.out
    assert "the window closed at 2024-11-28 03:00:00 UTC: no cutover would start" in done.out
    done = online.run("plan", online.workflow(waves, one={"approval": True}))
    assert done.code == 0
    assert "is not what its unfinished run" in done.out
    assert "atlas-cutover run --new" in done.out
    told = json.loads(online.run("plan", online.workflow(waves), "--format", "json").out)["goes_on"]
    assert (told["starts"], told["follows"], told["refusal"]) == (["later"], [], None)


@pytest.mark.parametrize(
    ("kind", "files"),
    [
        ("workflow", ("workflows/example.yaml", "workflows/window-and-approval.yaml")),
        ("config", ("config.example.yaml",)),
    ],
)
def test_schema_accepts_the_examples(program: Program, kind: str, files: tuple[str, ...]) -> None:
    """`schema` prints a JSON Schema that a validator takes, and that the examples satisfy."""
    done = program.run("schema", kind)
    assert (done.code, done.err) == (0, "")
    schema = json.loads(done.out)
    validator = jsonschema.validators.validator_for(schema)
    validator.check_schema(schema)
    for file in files:
        validator(schema).validate(json.loads(json.dumps(yaml.safe_load((ROOT / file).read_text()), default=str)))


def test_simulate_wants_keys(program: Program) -> None:
    """Without the two variables `simulate` names both of them."""
    done = program.run("simulate")
    assert (done.code, done.out) == (2, "")
    assert "MONGODB_ATLAS_PUBLIC_API_KEY and MONGODB_ATLAS_PRIVATE_API_KEY" in done.err


def test_options_stand_before_or_after_the_command(program: Program) -> None:
    """Options of all commands mean the same in both places."""
    program.scenario()
    workflow = program.workflow({"one": {"orders": new_id()}})
    assert program.run("--state-dir", "first", "--log-level", "error", "run", workflow, "--rehearse").err == ""
    assert program.run("run", workflow, "--rehearse", "--state-dir", "second", "--log-level", "error").err == ""
    assert (program.directory / "first" / "journal.db").exists()
    assert (program.directory / "second" / "journal.db").exists()
    assert not program.state_dir.exists()


def test_option_before_environment_before_config(program: Program) -> None:
    """`status` looks for its journal where the nearest of the three says."""
    assert f"{program.state_dir}/journal.db" in program.run("status").err
    assert f"{program.directory}/env/journal.db" in program.run("status", ATLAS_CUTOVER_STATE_DIR="env").err
    done = program.run("status", "--state-dir", "option", ATLAS_CUTOVER_STATE_DIR="env")
    assert f"{program.directory}/option/journal.db" in done.err
    program.write("other.yaml", {"state_dir": "other"})
    assert f"{program.directory}/other/journal.db" in program.run("status", ATLAS_CUTOVER_CONFIG="other.yaml").err


def test_empty_directory_and_no_state(tmp_path: Path, program: Program) -> None:
    """Where no run has been started, `status`, `report` and `resume` say so, and make nothing."""
    (tmp_path / "config.yaml").unlink()
    for command in ("status", "report", "resume"):
        done = program.run(command, "--state-dir", "nowhere")
        assert (done.code, done.out) == (2, ""), command
        assert "no run has been started" in done.err
    assert list(tmp_path.iterdir()) == []


LONG = "x" * 300
BAD = {
    "no command": ([], "COMMAND"),
    "unknown command": (["cutover"], "invalid choice"),
    "no workflow": (["run"], "WORKFLOW"),
    "missing workflow": (["run", "gone.yaml", "--rehearse"], "gone.yaml: does not exist"),
    "directory": (["run", ".", "--rehearse"], "is a directory"),
    "bad YAML": (["run", "bad.yaml", "--rehearse"], "bad.yaml:1: is not valid YAML: the bracket that opens here"),
    "not UTF-8": (["check", "binary.yaml"], "UTF-8"),
    "bad CSV": (["check", "csv.yaml"], "bad.csv:2: "),
    "missing config": (["check", "night.yaml", "--config", "gone.yaml"], "gone.yaml: does not exist"),
    "config is a directory": (["check", "night.yaml", "--config", "."], "is a directory"),
    "unknown wave": (
        ["run", "night.yaml", "--rehearse", "--only", "canari"],
        "neither a wave nor a migration 'canari'; did you mean 'canary'?",
    ),
    "unknown migration": (["run", "night.yaml", "--rehearse", "--only", "ordrs"], "did you mean 'orders'?"),
    "bad suffix": (["run", "night.yaml", "--rehearse", "--output", "x.pdf"], ".json .md .html .xml .csv"),
    "no directory": (["run", "night.yaml", "--rehearse", "--output", "gone/x.md"], "no directory gone"),
    "speed 0": (["run", "night.yaml", "--rehearse", "--speed", "0"], "--speed"),
    "speed text": (["run", "night.yaml", "--rehearse", "--speed", "fast"], "--speed"),
    "log file": (["run", "night.yaml", "--rehearse", "--log-file", "gone/log"], "gone/log"),
    "state dir is a file": (["run", "night.yaml", "--rehearse", "--state-dir", "night.yaml"], "--state-dir"),
    "scenario of a real run": (["run", "night.yaml", "--yes", "--scenario", "night.scenario.yaml"], "--rehearse"),
    "speed of a real run": (["run", "night.yaml", "--yes", "--speed", "10"], "--rehearse"),
    "no keys": (["run", "night.yaml", "--yes"], "MONGODB_ATLAS_PRIVATE_API_KEY"),
    "no such run": (["pause", "20000101"], "status"),
    "run id that is no text": (["resume", "\udcff"], "run_id: holds bytes that are no UTF-8 text"),
    "state dir too long to rehearse": (["run", "night.yaml", "--rehearse", "--state-dir", LONG], "File name too long"),
    "state dir too long to look": (["status", "--state-dir", LONG], "File name too long"),
    "output too long": (["run", "night.yaml", "--rehearse", "--output", f"{LONG}.json"], "File name too long"),
    "runbook too long": (["plan", "night.yaml", "--runbook", f"{LONG}.md"], "File name too long"),
    "log file too long": (["run", "night.yaml", "--rehearse", "--log-file", LONG], "File name too long"),
    "empty run id": (["abort", ""], "status"),
    "empty run id to resume": (["resume", ""], "the run id is empty"),
    "nothing to pause": (["pause"], "no run is under way"),
    "port": (["simulate", "--port", "99999"], "--port"),
    "host": (["simulate", "--host", "192.0.2.1"], "loopback"),
}


@pytest.fixture
def bad_files(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that are wrong, beside one that is right, and a finished run; the working directory is theirs."""
    program.workflow({"canary": {"orders": new_id()}})
    program.scenario()
    program.write("bad.yaml", "a: [1\n")
    program.write("bad.csv", "name,group_id,live_migration_id\nx,y\n")
    program.write("csv.yaml", "version: 1\nname: x\nwaves: [{name: a, migrations_file: bad.csv}]\n")
    (program.directory / "binary.yaml").write_bytes(b"\xff\xfe")
    monkeypatch.chdir(program.directory)


@pytest.mark.parametrize(("arguments", "says"), BAD.values(), ids=BAD.keys())
def test_wrong_input_is_explained(
    bad_files: None,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    says: str,
) -> None:
    """Exit code 2, nothing on stdout, and a message that names what is wrong. In this process: there are many."""
    if arguments[:1] == ["simulate"]:
        monkeypatch.setenv("MONGODB_ATLAS_PUBLIC_API_KEY", "abc")
        monkeypatch.setenv("MONGODB_ATLAS_PRIVATE_API_KEY", "def")
    if arguments[:1] in (["pause"], ["abort"], ["resume"]):
        assert main(["run", "night.yaml", "--rehearse"]) == 0
        capfd.readouterr()
    assert main(arguments) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert says in err
    assert "Traceback" not in err


def test_a_working_directory_that_is_gone_hinders_what_needs_none(
    program: Program, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whole paths lead where they always led; what is meant from there says why it leads nowhere."""
    workflow = program.directory / program.workflow(WAVES)
    gone = program.directory / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    monkeypatch.setenv("ATLAS_CUTOVER_STATE_DIR", str(program.state_dir))
    assert main(["check", str(workflow)]) == 0
    assert main(["plan", str(workflow)]) == 0
    capfd.readouterr()
    for arguments in (["status", "--state-dir", "here"], ["check", str(workflow), "--state-dir", "here"]):
        assert main(arguments) == 2
        assert "here: the working directory is not there any more: change to another one" in capfd.readouterr().err


def test_a_workflow_whose_name_leaves_none_for_a_scenario_has_none(tmp_path: Path) -> None:
    """What lies beside it would have a longer name than there may be."""
    args = argparse.Namespace(scenario=None)
    assert read_scenario(args, tmp_path / f"{'x' * 250}.yaml", None) == Scenario()


def test_check_of_a_state_directory_that_cannot_be_made_warns(
    program: Program, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is for another machine, perhaps."""
    assert main(["check", str(program.directory / program.workflow(WAVES)), "--state-dir", f"/{LONG * 17}"]) == 0
    assert "it cannot be written, or made" in capfd.readouterr().err


def main(arguments: list[str]) -> int:
    """The exit code of the program, run in this process."""
    try:
        return run_command(arguments)
    except SystemExit as end:  # argparse ends by itself
        return int(str(end.code))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_state_directory_that_cannot_be_written(program: Program) -> None:
    """A read-only state directory is an error of its own, before anything is sent."""
    program.state_dir.mkdir(mode=0o500)
    done = program.run("run", program.workflow(WAVES), "--rehearse")
    assert done.code == 2
    assert "--state-dir" in done.err


def test_check_warns_of_what_this_machine_lacks(program: Program) -> None:
    """It may be another than the one that runs the workflow, so these are no problems of the files."""
    program.config(logging={"file": "no/such/place.jsonl"})
    hooks = {"before": [["./stop.sh"], ["no-such-program"]], "after_success": [["true"]]}
    workflow = program.workflow({"one": {"orders": new_id()}}, defaults={"hooks": hooks})
    done = program.run("check", workflow, "--state-dir", "/dev/null/state")
    assert done.code == 0
    assert "no problems found" in done.out
    said = done.err.splitlines()
    assert len(said) == 4
    assert all(line.startswith("warning: on this machine, ") for line in said)
    for text in (
        "place.jsonl: its directory",
        "/dev/null/state: it cannot",
        "no-such-program: is not",
        "./stop.sh: is not",
    ):
        assert text in done.err


@pytest.mark.parametrize("command", [("run", "--yes"), ("plan", "--online"), ("auth", "--online")])
def test_a_proxy_that_cannot_be_used_is_told_before_anything_is_sent(
    program: Program, command: tuple[str, ...]
) -> None:
    """By the name of its variable, without the password in it, and without a word about Atlas or keys."""
    workflow = program.workflow({"one": {"orders": new_id()}})
    keys = {"MONGODB_ATLAS_PUBLIC_API_KEY": "abcdefgh", "MONGODB_ATLAS_PRIVATE_API_KEY": "5f0c1a5e-made-up"}
    proxy = {"HTTPS_PROXY": "socks5://user:pass-w0rd@proxy.example.com:1080"}
    name, *options = command
    done = program.run(name, workflow, *options, **keys, **proxy)
    assert done.code == 2
    assert "HTTPS_PROXY" in done.err
    assert "pass-w0rd" not in done.out + done.err
    assert "Atlas" not in done.err
    assert "keys" not in done.err
    checked = program.run("check", workflow, **proxy)
    assert checked.code == 0
    assert "warning: on this machine, environment: HTTPS_PROXY" in checked.err


def test_the_way_on_finds_the_same_state_directory(program: Program) -> None:
    """The printed command works in another shell, and elsewhere: it starts what is left of the run that its failures stopped."""
    one, other = new_id(), new_id()
    program.scenario(special={"orders": {"ends": "FAILED"}})
    workflow = program.workflow({"one": {"orders": one}, "two": {"search": other}}, one={"max_failures": 0})
    done = program.run("run", workflow, "--rehearse", "--state-dir", "here it is")
    assert done.code == 1
    assert "\ncontinue with (max_failures is exceeded" in done.out
    (way_on,) = re.findall(r"\n  \$ atlas-cutover (run .*)\n", done.out)
    assert way_on.endswith(f"--only two --state-dir '{program.directory / 'here it is'}'")
    again = program.run(*shlex.split(way_on))
    assert (again.code, [m["migration"] for m in again.log if m["event"] == "migration_finished"]) == (0, ["search"])
    assert program.run("report", "--state-dir", str(program.directory / "here it is")).code == 0


def test_an_id_that_names_no_run_or_several(program: Program) -> None:
    """The message says where was looked, or which they are."""
    program.scenario()
    workflow = program.workflow({"one": {"orders": new_id()}})
    ids = [program.run("run", workflow, "--rehearse").log[0]["run_id"] for _ in range(2)]
    none, several = program.run("status", "1999"), program.run("status", "20")
    assert (none.code, several.code) == (2, 2)
    assert str(program.state_dir) in none.err
    assert all(run_id in several.err for run_id in ids)


OTHER_USER = 65534
"""Nobody's."""


DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER = 1, 2, 3
"""Capabilities: what lets root open what belongs to others."""


@pytest.fixture
def unprivileged(program: Program) -> Callable[..., Done]:
    """Runs the program as root without root's right to open what belongs to others."""
    if os.geteuid() != 0 or program.loaded is None:
        pytest.skip("only root can give files away")
    return replace(program, lacking=(DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER)).run


@pytest.mark.parametrize("mode", [0o700, 0o755])  # whoever made the directory beforehand may have left it open
def test_state_directory_of_another_user(program: Program, unprivileged: Callable[..., Done], mode: int) -> None:
    """Every command is told whose it is, and none is sent to a directory that knows nothing of the runs."""
    program.scenario()
    workflow = program.workflow({"one": {"orders": new_id()}})
    run_id = program.run("run", workflow, "--rehearse").log[0]["run_id"]
    for path in (program.state_dir, *program.state_dir.rglob("*")):
        os.chown(path, OTHER_USER, OTHER_USER)
    program.state_dir.chmod(mode)
    for command in (
        *(
            ("status",),
            ("report", run_id),
            ("resume", run_id),
            ("approve", run_id, "one"),
            ("pause",),
            ("abort", run_id),
        ),
        ("run", workflow, "--rehearse"),
    ):
        refused = unprivileged(*command)
        assert (refused.code, refused.out) == (2, ""), command
        assert re.search(r"belongs to user \w+: use the same user", refused.err), command
        assert "choose another" not in refused.err, command


@pytest.mark.parametrize(
    ("state", "why", "advice"),
    [
        (
            "shut/state",
            "Permission denied",
            "give it to your user, or see whether `state_dir` (`--state-dir`) names the one",
        ),
        ("theirs/state", "theirs, which belongs to user nobody", "use the same user"),
        ("theirs/hidden/state", "Permission denied", "user nobody"),
    ],
)
def test_state_directory_that_cannot_be_made(
    program: Program, unprivileged: Callable[..., Done], state: str, why: str, advice: str
) -> None:
    """Exit code 2 and advice, also where a directory on the way may not be entered, so that nobody sees what is in it."""
    hidden = program.directory / "theirs" / "hidden"
    hidden.mkdir(parents=True)
    (program.directory / "shut").mkdir(mode=0o555)
    for path in (hidden, hidden.parent):
        os.chown(path, OTHER_USER, OTHER_USER)
        path.chmod(0o700 if path is hidden else 0o755)
    done = unprivileged("run", program.workflow(WAVES), "--rehearse", "--state-dir", state)
    assert (done.code, done.out) == (2, "")
    assert why in done.err
    assert advice in done.err


def test_reader_that_goes_away(program: Program) -> None:
    """`| head` ends the program quietly."""
    with subprocess.Popen(
        program.argv("schema", "workflow"),
        cwd=program.directory,
        env=program.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.fixture
def nobody_reads() -> Iterator[int]:
    """The writing end of a pipe whose reader has gone."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


@pytest.fixture
def full_disk() -> Iterator[int]:
    """A file that takes nothing."""
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with Path("/dev/full").open("w") as full:
        yield full.fileno()


@pytest.mark.parametrize("format_", ["table", "json"])
@pytest.mark.parametrize(("ends", "code"), [("COMPLETE", 0), ("FAILED", 1)])
def test_exit_code_of_a_run_whose_reader_goes_away(
    program: Program, nobody_reads: int, ends: str, code: int, format_: str
) -> None:
    """`run … | true` ends with the run's own code, and `report … | true` with 0; stderr has the log alone."""
    program.scenario(jobs={"ends": ends})
    workflow = program.workflow({"one": {"orders": new_id()}})
    done = program.run_into(nobody_reads, "run", workflow, "--rehearse", "--format", format_)
    assert (done.code, done.events[-1]) == (code, "run_finished")
    again = program.run_into(nobody_reads, "report", done.log[0]["run_id"], "--format", format_)
    assert (again.code, again.err) == (0, "")


def test_exit_code_of_a_run_whose_summary_cannot_be_written(program: Program, full_disk: int) -> None:
    """A full disk behind stdout is said on stderr, with the command that prints it again; the run's code stands."""
    program.scenario(jobs={"ends": "FAILED"})
    workflow = program.workflow({"one": {"orders": new_id()}})
    done = program.run_into(full_disk, "run", workflow, "--rehearse", "--log-level", "error")
    assert done.code == 1
    (warning,) = [line for line in done.err.splitlines() if not line.startswith("{")]
    assert "summary could not be written" in warning
    assert "No space left" in warning
    assert "atlas-cutover report 2" in warning


def test_output_that_cannot_be_written(program: Program, full_disk: int) -> None:
    """A full disk behind stdout is said in one line."""
    done = program.run_into(full_disk, "schema", "config")
    assert done.code not in (0, 1)
    assert "No space left" in done.err
