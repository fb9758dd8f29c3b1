from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from orchestrator.cli.commands import build_parser
from orchestrator.core.outcomes import ExitCode
from orchestrator.core.settings import ApiKey, Secret
from orchestrator.files.config import load_settings
from orchestrator.files.workflow_file import load_workflow

from .commandlines import commands_in

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
SCRIPTS = [*sorted(EXAMPLES.glob("*/*.sh")), ROOT / ".ci" / "run"]
CRONTAB = EXAMPLES / "cron" / "cutover.crontab"
SYSTEMD = EXAMPLES / "systemd"
CRONJOB = EXAMPLES / "kubernetes" / "cronjob.yaml"
ACTIONS = EXAMPLES / "github-actions" / "cutover.yml"
DAG = EXAMPLES / "airflow" / "cutover_dag.py"

CRON_FIELDS = (
    r"[0-5]?\d",
    r"[01]?\d|2[0-3]",
    r"[1-9]|[12]\d|3[01]",
    r"[1-9]|1[0-2]",
    r"[0-7]|sun|mon|tue|wed|thu|fri|sat",
)
"""Minute, hour, day of month, month, day of week: one value each."""

CODES = {int(code) for code in ExitCode}


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run *command* with *environment* added."""
    words = [str(word) for word in command]
    environ = os.environ | environment
    return subprocess.run(words, env=environ, capture_output=True, text=True, timeout=60, check=False)


def needs(program: str) -> None:
    """Skip the test where *program* is not installed."""
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}")


def check_fields(schedule: str) -> None:
    """The five fields of a cron *schedule* are what cron understands."""
    fields = schedule.split()
    assert len(fields) == 5, schedule
    for field, pattern in zip(fields, CRON_FIELDS, strict=True):
        for part in field.split(","):
            assert re.fullmatch(rf"(\*|({pattern})(-({pattern}))?)(/\d+)?", part), f"{schedule}: {part}"


def mappings(node: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in YAML data."""
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from mappings(value)
    elif isinstance(node, list):
        for value in node:
            yield from mappings(value)


def check_commands(text: str, *, at_least: int = 1) -> None:
    """The calls of the program in *text* parse; there are *at_least* so many."""
    commands = commands_in(text)
    assert len(commands) >= at_least, text
    for arguments in commands:
        parsed = build_parser().parse_args(arguments)
        if parsed.command == "run":
            assert parsed.yes or parsed.rehearse, f"a scheduler cannot confirm: {arguments}"


# -- scripts and cron ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing_in_a_script(script: Path) -> None:
    """Nor does the shell."""
    needs("shellcheck")
    done = run("shellcheck", script)
    assert done.returncode == 0, done.stdout
    assert os.access(script, os.X_OK)


def test_the_commands_of_the_cron_scripts_parse() -> None:
    """What one calls, and what the other is called with, the program understands."""
    night = EXAMPLES / "cron" / "cutover-night.sh"
    check_commands(night.read_text(encoding="utf-8"))
    by_hand = re.compile(r"cutover-by-hand\.sh +([a-z][^;`\n]*)")
    for page, at_least in ((CRONTAB, 1), (ROOT / "docs" / "scheduling.md", 5)):
        given = [line.rstrip(" |") for line in by_hand.findall(page.read_text(encoding="utf-8"))]
        check_commands("\n".join(f"atlas-cutover {line}" for line in given), at_least=at_least)


def test_the_crontab_has_valid_lines() -> None:
    """Settings, and lines of five fields and a script that is there."""
    lines = [line for line in CRONTAB.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    entries = [line for line in lines if not re.match(r"[A-Z]+=", line)]
    assert entries
    for line in entries:
        *fields, command = line.split(None, 5)
        check_fields(" ".join(fields))
        assert "%" not in command, "cron makes a line end of it"
        assert (CRONTAB.parent / Path(command.split()[0]).name).is_file()


class Night:
    """The cron script with a made-up `atlas-cutover`, keys and places of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.keys = directory / "keys.env"
        self.keys.write_text("MONGODB_ATLAS_PUBLIC_API_KEY=abcdefgh\nMONGODB_ATLAS_PRIVATE_API_KEY='made up'\n")
        self.keys.chmod(0o600)

    def program(self, text: str) -> None:
        """Let `atlas-cutover` be the script *text*."""
        path = self.directory / "atlas-cutover"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        """What the script looks at."""
        return {
            "PATH": f"{self.directory}:{os.environ['PATH']}",
            "CUTOVER_KEYS": str(self.keys),
            "CUTOVER_STATE": str(self.directory / "state"),
            "CUTOVER_LOG": str(self.directory / "log.jsonl"),
            "CUTOVER_CONFIG": str(self.directory / "config.yaml"),
        }

    def run(self) -> subprocess.CompletedProcess[str]:
        """Run the script."""
        return run(EXAMPLES / "cron" / "cutover-night.sh", "retail.yaml", **self.environment)


@pytest.fixture
def night(tmp_path: Path) -> Night:
    """A night in a directory of its own."""
    return Night(tmp_path)


@pytest.mark.parametrize("code", sorted(CODES))
def test_the_cron_script_passes_the_code_on_and_says_what_to_do(night: Night, code: int) -> None:
    """Summary first, then advice, and after a failure the last messages."""
    night.program(f"echo the summary; echo the message >&2; exit {code}")
    done = night.run()
    assert done.returncode == code
    assert done.stdout.startswith(f"the summary\n\nExit code {code}. ")
    assert "in a way it should not" not in done.stdout
    assert ("the message" in done.stdout) == (code != 0)


def test_the_cron_script_hands_the_keys_over_in_the_environment(night: Night) -> None:
    """And `--yes`, and where things are; no key is an argument."""
    night.program('echo "$MONGODB_ATLAS_PUBLIC_API_KEY/$MONGODB_ATLAS_PRIVATE_API_KEY"; echo "$@"')
    keys, arguments, *_ = night.run().stdout.splitlines()
    assert keys == "abcdefgh/made up"
    assert "made up" not in arguments
    parsed = build_parser().parse_args(arguments.split())
    assert (parsed.command, parsed.yes, str(parsed.workflow)) == ("run", True, "retail.yaml")
    assert parsed.state_dir == night.directory / "state"


def test_the_cron_script_refuses_keys_that_others_can_read(night: Night) -> None:
    """Nothing is started."""
    night.program("echo started")
    night.keys.chmod(0o640)
    done = night.run()
    assert (done.returncode, done.stdout) == (2, "")
    assert "chmod 600" in done.stderr


def test_the_cron_script_waits_for_the_orderly_stop(night: Night) -> None:
    """SIGTERM reaches the program, and its summary and code are still passed on."""
    night.program(
        "trap 'echo stopped in order; kill $sleeper; exit 143' TERM\n"
        f"sleep 60 >&2 & sleeper=$!\necho ready >'{night.directory}/ready'\nwait"
    )
    started = ["sh", "-c", f'"$@" & while [ ! -e "{night.directory}/ready" ]; do :; done; kill -TERM $!; wait $!', "sh"]
    done = run(*started, EXAMPLES / "cron" / "cutover-night.sh", "retail.yaml", **night.environment)
    assert done.returncode == 143
    assert "stopped in order" in done.stdout
    assert "Exit code 143. It was stopped." in done.stdout


# -- systemd ---------------------------------------------------------------------------------------------------------


def test_systemd_finds_nothing_to_complain_about(tmp_path: Path) -> None:
    """`systemd-analyze verify`, with a program that is there in place of ours."""
    needs("systemd-analyze")
    units = [path for path in SYSTEMD.iterdir() if path.suffix in {".service", ".timer"}]
    assert len(units) == 2
    for unit in units:
        text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(encoding="utf-8"), flags=re.MULTILINE)
        (tmp_path / unit.name).write_text(text, encoding="utf-8")
    done = run("systemd-analyze", "verify", *(tmp_path / unit.name for unit in units))
    assert done.returncode == 0, done.stderr
    assert str(tmp_path) not in done.stderr, done.stderr


def test_the_timer_names_a_time_with_its_zone() -> None:
    """The zone in it is one that systemd knows."""
    (when,) = re.findall(r"^OnCalendar=(.+)$", (SYSTEMD / "atlas-cutover@.timer").read_text(), re.MULTILINE)
    ZoneInfo(when.split()[-1])
    needs("systemd-analyze")
    done = run("systemd-analyze", "calendar", when)
    assert done.returncode == 0, done.stderr


def test_the_service_runs_a_command_that_parses() -> None:
    """And leaves the orderly stop more time than a request may take."""
    text = (SYSTEMD / "atlas-cutover@.service").read_text(encoding="utf-8")
    (command,) = re.findall(r"^ExecStart=(.+)$", text, re.MULTILINE)
    check_commands(command)
    (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
    assert int(seconds) >= 2 * load_settings(None, environ={}).atlas.request_timeout
    assert "\nRestart=no\n" in text


def test_the_services_config_takes_its_keys_from_credentials(tmp_path: Path) -> None:
    """The names are those that the unit loads."""
    unit = (SYSTEMD / "atlas-cutover@.service").read_text(encoding="utf-8")
    for name in re.findall(r"^LoadCredential=(\w+):", unit, re.MULTILINE):
        (tmp_path / name).write_text(f"{name}\n")
        (tmp_path / name).chmod(0o400)
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    settings = load_settings(SYSTEMD / "config.yaml", environ=environ)
    assert settings.atlas.credentials.credentials == ApiKey(
        public_key=Secret("atlas_public_key"), private_key=Secret("atlas_private_key")
    )
    assert settings.warnings == ()


# -- Kubernetes ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def manifests() -> dict[str, Any]:
    """The documents of the Kubernetes example, by kind."""
    return {document["kind"]: document for document in yaml.safe_load_all(CRONJOB.read_text(encoding="utf-8"))}


def test_a_failed_job_is_not_repeated_and_an_evicted_pod_is(manifests: dict[str, Any]) -> None:
    """Every exit code ends the job; the disruption's rule comes before, as an evicted pod ends with 143."""
    cron = manifests["CronJob"]["spec"]
    job = cron["jobTemplate"]["spec"]
    pod = job["template"]["spec"]
    assert (cron["concurrencyPolicy"], job["backoffLimit"], pod["restartPolicy"]) == ("Forbid", 0, "Never")
    first, second = job["podFailurePolicy"]["rules"]
    assert (first["action"], first["onPodConditions"][0]["type"]) == ("Ignore", "DisruptionTarget")
    assert second["action"] == "FailJob"
    values = second["onExitCodes"]["values"]
    assert values == sorted(CODES - {0}), "sorted, and without 0, as Kubernetes wants it"
    assert second["onExitCodes"]["containerName"] == pod["containers"][0]["name"]
    assert pod["terminationGracePeriodSeconds"] >= 60


def test_the_job_starts_a_command_that_parses(manifests: dict[str, Any]) -> None:
    """At a valid time in a zone that exists, with the package's version."""
    cron = manifests["CronJob"]["spec"]
    check_fields(cron["schedule"])
    ZoneInfo(cron["timeZone"])
    (container,) = cron["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    check_commands(" ".join(["atlas-cutover", *container["args"]]))
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert container["image"] == f"atlas-cutover:{version}"


def test_the_jobs_volumes_claim_and_config_belong_together(manifests: dict[str, Any]) -> None:
    """What is mounted is defined, and what it is made from is in the file."""
    pod = manifests["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert {mount["name"] for mount in pod["containers"][0]["volumeMounts"]} == set(volumes)
    assert (
        volumes["state"]["persistentVolumeClaim"]["claimName"] == manifests["PersistentVolumeClaim"]["metadata"]["name"]
    )
    assert volumes["config"]["configMap"]["name"] == manifests["ConfigMap"]["metadata"]["name"]


def test_the_config_map_is_read_without_a_mistake(manifests: dict[str, Any], tmp_path: Path) -> None:
    """Its two files are a config and a workflow, and the state is on the volume."""
    for name, text in manifests["ConfigMap"]["data"].items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    settings = load_settings(tmp_path / "config.yaml", environ={})
    pod = manifests["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert str(settings.state_dir) in {mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    assert load_workflow(tmp_path / "retail.yaml").name == "retail"


# -- GitHub Actions --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def actions() -> dict[Any, Any]:
    """The workflow of GitHub's; its key `on` is a boolean to YAML 1.1."""
    loaded: dict[Any, Any] = yaml.safe_load(ACTIONS.read_text(encoding="utf-8"))
    return loaded


def test_the_keys_are_given_behind_an_approval_alone(actions: dict[Any, Any]) -> None:
    """Only the job in the protected environment sees secrets, and a new run cancels no other."""
    cutover = actions["jobs"]["cutover"]
    assert cutover["environment"]
    assert "secrets." in str(cutover)
    assert "secrets." not in str({name: job for name, job in actions["jobs"].items() if name != "cutover"})
    assert actions["concurrency"]["cancel-in-progress"] is False
    for entry in actions[True]["schedule"]:
        check_fields(entry["cron"])


def test_the_scripts_of_the_jobs_are_sound(actions: dict[Any, Any], tmp_path: Path) -> None:
    """Their commands parse, they take no input as program text, and shellcheck finds nothing."""
    scripts = [step["run"] for step in mappings(actions["jobs"]) if isinstance(step.get("run"), str)]
    check_commands("\n".join(scripts), at_least=3)
    assert "${{" not in "".join(scripts), "an input would become part of the script"
    needs("shellcheck")
    for number, script in enumerate(scripts):
        path = tmp_path / f"step{number}.sh"
        path.write_text(f"#!/bin/bash\nset -e\n{script}")
        done = run("shellcheck", "--severity=warning", path)
        assert done.returncode == 0, done.stdout


# -- Airflow ---------------------------------------------------------------------------------------------------------


def test_the_dag_compiles_and_its_commands_parse() -> None:
    """What it runs in bash, the program understands."""
    tree = ast.parse(DAG.read_text(encoding="utf-8"))
    compile(tree, str(DAG), "exec")
    commands = [
        keyword.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "bash_command" and isinstance(keyword.value, ast.Constant)
    ]
    assert len(commands) == 2
    check_commands("\n".join(map(str, commands)), at_least=2)


def test_the_dag_tries_a_cutover_once_and_skips_what_is_no_failure() -> None:
    """3 and 5 are skipped; the task that sends PUTs is not retried."""
    constants: dict[str, int] = {}
    tasks: dict[str, dict[str, str]] = {}
    for node in ast.walk(ast.parse(DAG.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            constants[ast.unparse(node.targets[0])] = int(str(node.value.value))
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "BashOperator":
            given = {str(keyword.arg): ast.unparse(keyword.value) for keyword in node.keywords}
            tasks[given["task_id"].strip("'")] = given
    assert tasks["cutover"]["retries"] == "0"
    skipped = [constants[name] for name in re.findall(r"\w+", tasks["cutover"]["skip_on_exit_code"])]
    assert skipped == [ExitCode.INCOMPLETE, ExitCode.BUSY]


# -- all of them -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/*.y*ml")), ids=lambda path: path.name)
def test_yaml_files_parse(path: Path) -> None:
    """Each of their documents is a mapping."""
    assert all(isinstance(document, dict) for document in yaml.safe_load_all(path.read_text(encoding="utf-8")))


def test_the_pages_name_every_file() -> None:
    """No example is left without a word."""
    pages = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md"))
    files = [path.relative_to(ROOT).as_posix() for path in EXAMPLES.glob("*/*") if path.is_file()]
    assert [name for name in files if f"(../{name})" not in pages] == []


# -- workers of a Temporal cluster -----------------------------------------------------------------------------------

TEMPORAL = EXAMPLES / "temporal"


def test_the_workers_deployment_is_what_the_program_understands(tmp_path: Path) -> None:
    """Its config loads, its command parses, and a pod gets longer to end than a worker takes at most."""
    documents = list(yaml.safe_load_all((TEMPORAL / "workers.yaml").read_text(encoding="utf-8")))
    by_kind = {document["kind"]: document for document in documents}
    config = tmp_path / "config.yaml"
    config.write_text(by_kind["ConfigMap"]["data"]["config.yaml"])
    settings = load_settings(config, environ={"HOME": str(tmp_path)})
    assert settings.temporal.namespace == "cutovers"
    assert str(settings.temporal.codec_key_file) == "/codec/codec.key"
    pod = by_kind["Deployment"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert build_parser().parse_args(container["args"]).command == "worker"
    assert pod["terminationGracePeriodSeconds"] >= 900
    mounted = {each["mountPath"] for each in container["volumeMounts"]}
    assert {"/config", "/codec"} <= mounted
    labels = by_kind["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert by_kind["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels


def test_the_workers_unit_starts_a_worker_and_starts_it_again() -> None:
    """Its command parses; it comes back whatever ended it, but for a mistake in the config."""
    text = (TEMPORAL / "atlas-cutover-worker.service").read_text(encoding="utf-8")
    [command] = commands_in(text)
    assert build_parser().parse_args(command).command == "worker"
    assert "Restart=always" in text
    assert "RestartPreventExitStatus=2" in text
