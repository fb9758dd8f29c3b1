"""The recipes of docs/ and examples/, carried out as they are written: in a directory in place of the machine.

`/etc`, `/opt` and `/var` of the recipes are directories in it. What changes a machine (`useradd`, `crontab`, `systemctl`, `sudo`,
`systemd-run`, `python3 -m venv`) is played by scripts that keep to what matters: a user has to be made before anything is given
to it, a directory before something is put into it, and a unit gets its credentials and directories and nothing else.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml

from orchestrator.core.settings import PRIVATE_KEY_VARIABLE, PUBLIC_KEY_VARIABLE
from orchestrator.core.window import Window
from orchestrator.files.workflow_file import load_workflow

from .commandlines import shell_blocks
from .e2e.program import Program
from .loaded import ForShells, loaded_program

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
KEYS = {PUBLIC_KEY_VARIABLE: "recipekey", PRIVATE_KEY_VARIABLE: "0b4f1c1e-5d0c-4b77-9e0e-recipe-keys0"}
JOBS = {"orders": "a659ce44c03ca1e348b1e992", "customers": "e330ccb17b3f6f8b137ddda5"}
WORKFLOW = {
    "version": "1",
    "name": "retail",
    "defaults": {"group_id": "7e68e12770616e75e6df43d0"},
    "waves": [
        {"name": f"wave-{name}", "migrations": [{"name": name, "live_migration_id": job}]} for name, job in JOBS.items()
    ],
}
SCENARIO = {"jobs": {"ready_after": "0s", "initial_lag": "0s", "ready_lag": "0s", "cutover": "1s"}}

PRELUDE = r"""
user() { grep -qx "$1" "$ROOT/users" || { echo "user $1 is nobody that was made" >&2; exit 67; }; }
"""
PLAYED = {
    "useradd": 'for name; do :; done; echo "$name" >>"$ROOT/users"',
    # `install` itself, once its -o has been seen to be somebody.
    "install": r"""
words=; skip=
for word; do
  if [ -n "$skip" ]; then user "$word"; skip=; continue; fi
  if [ "$word" = -o ]; then skip=1; continue; fi
  words="$words '$word'"
done
eval "exec /usr/bin/install $words" """,
    "crontab": '[ "$1" = -u ] && user "$2" && cp "$3" "$ROOT/crontab"',
    "sudo": 'if [ "$1" = -u ]; then user "$2"; shift 2; fi; exec "$@"',
    "systemctl": 'echo "$*" >>"$ROOT/systemctl"',
    "journalctl": "true",
    "python3": r"""
[ "$1 $2" = "-m venv" ] || exec "$PYTHON" "$@"
mkdir -p "$3/bin"
printf '#!/bin/sh\nprintf "#!/bin/sh\\nexec %s \\"\\$@\\"\\n" >%s/bin/atlas-cutover; chmod 755 %s/bin/atlas-cutover\n' \
  "$PROGRAM" "$3" "$3" >"$3/bin/pip"
chmod 755 "$3/bin/pip" """,
    "systemd-run": r"""
export CREDENTIALS_DIRECTORY="$ROOT/run"; rm -rf "$ROOT/run"; mkdir "$ROOT/run"
while :; do
  case $1 in
    --uid=*) user "${1#--uid=}" ;;
    --working-directory=*) cd "${1#*=}" || exit 200 ;;
    --property=LoadCredential=*) pair=${1#--property=LoadCredential=}; cp "${pair#*:}" "$ROOT/run/${pair%%:*}" || exit 243 ;;
    --pty | --wait | --collect) ;;
    *) break ;;
  esac
  shift
done
env -u MONGODB_ATLAS_PUBLIC_API_KEY -u MONGODB_ATLAS_PRIVATE_API_KEY "$@" """,
}


@dataclass(frozen=True, slots=True)
class Machine:
    """A directory in place of a machine, and what is typed there."""

    root: Path
    base_url: str
    program: ForShells

    def run(self, script: str, *, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Carry *script* out, in the checkout, as a login shell without any of our variables would."""
        return subprocess.run(
            ["/bin/sh", "-euc", self.moved(script)],
            cwd=self.root / "checkout",
            env={"PATH": f"{self.root / 'played'}:/usr/bin:/bin", **self.variables, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            pass_fds=self.program.inherited,
        )

    def does(self, script: str) -> str:
        """`run`, to its end with exit code 0; what it printed."""
        done = self.run(script)
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    @property
    def variables(self) -> dict[str, str]:
        """What the played programs need."""
        given = {"ROOT": str(self.root), "PYTHON": sys.executable, "PYTHONPATH": str(ROOT), "HOME": str(self.root)}
        return {**given, "PROGRAM": self.program.command}

    def moved(self, text: str) -> str:
        """*text* with the machine's directories where they are here."""
        return re.sub(r"(?<![\w/.])/(etc|opt|var)/", rf"{self.root}/\1/", text)

    def with_its_run(self, command: str) -> str:
        """*command* with the run that is recorded here in place of the page's."""
        (run_id,) = (path.name for path in (self.root / "var/lib/atlas-cutover/runs").iterdir())
        return command.replace("20261128-000000-3f9a1c", run_id)

    def start_unit(self, instance: str) -> subprocess.CompletedProcess[str]:
        """What `systemctl start` does with the service that was installed: user, directories, credentials, command."""
        unit = (self.root / "etc/systemd/system/atlas-cutover@.service").read_text().replace("%i", instance)
        given = dict(re.findall(r"^(\w+)=(.+)$", unit, re.MULTILINE))
        for name, place in (("StateDirectory", "var/lib"), ("LogsDirectory", "var/log")):
            (self.root / place / given[name]).mkdir(mode=int(given[f"{name}Mode"], 8), parents=True, exist_ok=True)
        credentials = " ".join(
            f"--property=LoadCredential={pair}" for pair in re.findall(r"^LoadCredential=(.+)$", unit, re.MULTILINE)
        )
        return self.run(f"systemd-run --uid={given['User']} {credentials} {given['ExecStart']}")


@pytest.fixture
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An Atlas that makes each job as it is asked for."""
    scenario = tmp_path_factory.mktemp("atlas") / "scenario.yaml"
    scenario.write_text(json.dumps({"unknown_jobs": "create", "rate_limit": "off", **SCENARIO}))
    simulator = Program(directory=ROOT, environ={**os.environ, **KEYS}, loaded=loaded_program())
    with simulator.started("simulate", "--scenario", str(scenario), "--speed", "100") as running:
        assert running.process.stdout is not None
        yield running.process.stdout.readline().strip()


@pytest.fixture
def machine(tmp_path: Path, base_url: str) -> Machine:
    """A machine with nothing on it but a checkout, and beside it the files that recipes ask for."""
    if not Path("/usr/bin/install").exists():
        pytest.skip("needs install")
    loaded = loaded_program()
    fresh = ForShells(f"{sys.executable} -m orchestrator", ())
    it = Machine(tmp_path, base_url, fresh if loaded is None else loaded.for_shells())
    for directory in ("checkout", "played", "etc/systemd/system", "var/lib", "var/log", "opt"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "users").touch()
    for name, text in PLAYED.items():
        (tmp_path / "played" / name).write_text(f"#!/bin/sh\n{PRELUDE}{text}\n")
        (tmp_path / "played" / name).chmod(0o755)
    checkout = tmp_path / "checkout"
    (checkout / "requirements").mkdir()
    (checkout / "requirements" / "runtime.txt").touch()
    for path in EXAMPLES.glob("*/*"):
        if path.is_file():
            target = checkout / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(
                it.moved(path.read_text(encoding="utf-8")).replace("https://cloud.mongodb.com/api/atlas/v2", base_url)
            )
            target.chmod(path.stat().st_mode)
    config = {"atlas": {"base_url": base_url}, "polling": {"initial": "0.05s", "max": "0.2s"}}
    (checkout / "config.yaml").write_text(json.dumps(config))
    (checkout / "retail.yaml").write_text(json.dumps(WORKFLOW))
    (checkout / "keys.env").write_text("".join(f"{name}={value}\n" for name, value in KEYS.items()))
    (checkout / "public.key").write_text(KEYS[PUBLIC_KEY_VARIABLE] + "\n")
    (checkout / "private.key").write_text(KEYS[PRIVATE_KEY_VARIABLE] + "\n")
    return it


def section(page: str, heading: str) -> list[str]:
    """The shell blocks under *heading* of a page."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found, heading
    return list(shell_blocks(found[1]))


def cron_lines(machine: Machine) -> tuple[dict[str, str], list[str]]:
    """The settings and the commands of the crontab that was installed."""
    lines = [line for line in (machine.root / "crontab").read_text().splitlines() if line and not line.startswith("#")]
    settings = dict(line.split("=", 1) for line in lines if re.match(r"[A-Z]+=", line))
    return settings, [line.split(None, 5)[5] for line in lines if not re.match(r"[A-Z]+=", line)]


def test_the_recipe_for_cron_runs_as_it_is_written(machine: Machine) -> None:
    """Steps, both lines of the crontab with nothing but cron's own environment, and the commands by hand."""
    steps, by_hand = section("scheduling.md", "cron")
    machine.does(steps)
    settings, (night, look) = cron_lines(machine)
    assert "customers" in machine.does(look)
    only_first = machine.run(f"sudo -u atlas-cutover {night}", env={"PATH": path_of(machine, settings)})
    assert only_first.returncode == 0, only_first.stdout + only_first.stderr
    assert "Exit code 0. Nothing to do." in only_first.stdout
    status, plan, resume = by_hand.strip().splitlines()
    assert "retail" in machine.does(status)
    over = machine.run(plan)
    assert (over.returncode, "2 of 2 jobs cut over already" in over.stdout) == (1, True)
    assert "2 SUCCESS" in machine.does(machine.with_its_run(resume))


def path_of(machine: Machine, settings: dict[str, str]) -> str:
    """The PATH that a crontab gives, with the played programs before it."""
    return f"{machine.root / 'played'}:{settings['PATH']}"


def test_what_the_cron_mail_says_to_do_can_be_done(machine: Machine) -> None:
    """A night that failed before its PUT: the mail's whole command tries it again, and ends it well."""
    machine.does(section("scheduling.md", "cron")[0])
    flag = machine.root / "writes-are-stopped"
    plan = {**WORKFLOW, "defaults": {**WORKFLOW["defaults"], "hooks": {"before": [["test", "-e", str(flag)]]}}}  # type: ignore[dict-item]
    (machine.root / "etc/atlas-cutover/retail.yaml").write_text(json.dumps(plan))
    settings, (night, _) = cron_lines(machine)
    failed = machine.run(f"sudo -u atlas-cutover {night}", env={"PATH": path_of(machine, settings)})
    assert failed.returncode == 1, failed.stdout
    (command,) = re.findall(r"sudo -u .*resume \S+ --retry-failed$", failed.stdout, re.MULTILINE)
    flag.touch()
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    machine.does(f"useradd {user}; {command}")


def test_the_recipe_for_systemd_runs_as_it_is_written(machine: Machine) -> None:
    """Steps, the unit with what systemd gives it, the steering commands, and `resume` as a unit with the keys."""
    steps, steering, as_a_unit = section("scheduling.md", "systemd")
    machine.does(steps)
    assert "enable --now atlas-cutover@retail.timer" in (machine.root / "systemctl").read_text()
    config = machine.root / "etc/atlas-cutover/config.yaml"
    config.write_text(config.read_text() + "polling: {initial: 50ms, max: 200ms}\n")
    done = machine.start_unit("retail")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (machine.root / "var/log/atlas-cutover/retail.jsonl").exists()
    start, status, approve, journal = steering.strip().splitlines()
    for command in (start, status, journal):
        machine.does(command)
    asked = machine.run(machine.with_its_run(approve))
    assert (asked.returncode, "has no wave 'rest'" in asked.stderr) == (2, True), asked.stderr
    assert "2 SUCCESS" in machine.does(machine.with_its_run(as_a_unit))


def test_a_unit_that_failed_is_taken_up_by_the_command_of_the_page(machine: Machine) -> None:
    """`resume --retry-failed` has its keys from systemd, as the unit had."""
    steps, _, as_a_unit = section("scheduling.md", "systemd")
    machine.does(steps)
    flag = machine.root / "writes-are-stopped"
    plan = {**WORKFLOW, "defaults": {**WORKFLOW["defaults"], "hooks": {"before": [["test", "-e", str(flag)]]}}}  # type: ignore[dict-item]
    (machine.root / "etc/atlas-cutover/retail.yaml").write_text(json.dumps(plan))
    assert machine.start_unit("retail").returncode == 1
    flag.touch()
    assert "2 SUCCESS" in machine.does(machine.with_its_run(as_a_unit))


class Beginner:
    """Somebody who follows docs/first-cutover.md in a directory of their own, with the simulator in place of Atlas."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        text = (ROOT / "docs" / "first-cutover.md").read_text(encoding="utf-8")
        config, workflow = (block for block in re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
        checkout = machine.root / "checkout"
        at = f"atlas: {{base_url: '{machine.base_url}'}}\npolling: {{initial: 50ms, max: 200ms}}\n"
        (checkout / "config.yaml").write_text(machine.moved(config) + at)
        # Its window is one night of the past or the future.
        (checkout / "retail.yaml").write_text(re.sub(r"^window:.*\n", "", workflow, flags=re.MULTILINE))
        program = machine.root / "played" / "atlas-cutover"
        program.write_text(f'#!/bin/sh\nexec {machine.program.command} "$@"\n')
        program.chmod(0o755)

    def types(self, heading: str, *, answer: str = "") -> str:
        """Carry the blocks under *heading* out; *answer* is added where a terminal would be asked."""
        script = "\n".join(section("first-cutover.md", heading))
        return self.machine.does(self._with_keys(re.sub(r"(run \S+\.yaml[^\n]*)", rf"\1{answer}", script)))

    def approves_meanwhile(self) -> Callable[[], object]:
        """Another shell, which approves the wave `rest` of the newest run when it waits; wait for its end."""
        script = (
            "until run=$(atlas-cutover status --format json 2>/dev/null | $PYTHON -c 'import json, sys;"
            ' print(next(row["run_id"] for row in json.load(sys.stdin) if row["running"]))\' 2>/dev/null);'
            ' do sleep 0.5; done; until atlas-cutover approve "$run" rest; do sleep 0.5; done'
        )
        thread = threading.Thread(target=self.machine.run, args=(self._with_keys(script),))
        thread.start()
        return thread.join

    def _with_keys(self, script: str) -> str:
        exports = "\n".join(f"export {name}={value}" for name, value in KEYS.items())
        return f"{exports}\n{script}"


def test_the_first_cutover_goes_as_the_page_says(machine: Machine) -> None:
    """Directories, the three looks, the rehearsal, the canary, and the rest with its approval from another shell."""
    beginner = Beginner(machine)
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    machine.does(f"useradd {user}")
    beginner.types("2. The config file")
    beginner.types("4. Look before anything is sent")
    ended = beginner.approves_meanwhile()
    beginner.types("5. Rehearse")
    ended()
    canary = beginner.types("6. The canary", answer=" --yes")
    assert re.search(r"^orders +canary +SUCCESS +COMPLETE", canary, re.MULTILINE), canary
    ended = beginner.approves_meanwhile()
    rest, _steering = section("first-cutover.md", "7. The rest")
    done = machine.run(beginner._with_keys(rest.replace(".yaml", ".yaml --yes")))
    ended()
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^3 migrations: 3 SUCCESS", done.stdout, re.MULTILINE), done.stdout


# -- when they start ---------------------------------------------------------------------------------------------------

BERLIN = ZoneInfo("Europe/Berlin")
DAYS = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Window:
    """The window of the example's workflow: Saturday from 01:00 to 04:00 in Berlin."""
    documents = yaml.safe_load_all((EXAMPLES / "kubernetes" / "cronjob.yaml").read_text(encoding="utf-8"))
    (text,) = [document["data"]["retail.yaml"] for document in documents if document["kind"] == "ConfigMap"]
    path = tmp_path_factory.mktemp("window") / "retail.yaml"
    path.write_text(text)
    found = load_workflow(path).window
    assert found is not None
    return found


def schedules() -> Iterator[tuple[str, str, tzinfo]]:
    """Each example's start as a cron schedule, and the zone that its scheduler reckons in."""
    crontab = (EXAMPLES / "cron" / "cutover.crontab").read_text(encoding="utf-8")
    (line,) = re.findall(r"^(\S+ \S+ \S+ \S+ \S+)\s+\S+cutover-night\.sh", crontab, re.MULTILINE)
    yield "cron on a machine on UTC", line, UTC
    yield "cron on a machine in Berlin", line, BERLIN
    yield "cron on a machine in Helsinki", line, ZoneInfo("Europe/Helsinki")
    actions = yaml.safe_load((EXAMPLES / "github-actions" / "cutover.yml").read_text(encoding="utf-8"))
    yield "GitHub Actions, in UTC", actions[True]["schedule"][0]["cron"], UTC
    documents = yaml.safe_load_all((EXAMPLES / "kubernetes" / "cronjob.yaml").read_text(encoding="utf-8"))
    (cron,) = [document["spec"] for document in documents if document["kind"] == "CronJob"]
    yield "Kubernetes, in its timeZone", cron["schedule"], ZoneInfo(cron["timeZone"])
    dag = (EXAMPLES / "airflow" / "cutover_dag.py").read_text(encoding="utf-8")
    (schedule,) = re.findall(r'schedule="(.+)"', dag)
    (zone,) = re.findall(r'start_date=.*ZoneInfo\("(.+?)"\)', dag)
    yield "Airflow, in the zone of start_date", schedule, ZoneInfo(zone)
    timer = (EXAMPLES / "systemd" / "atlas-cutover@.timer").read_text(encoding="utf-8")
    (day, hour, minute, zone) = re.findall(r"^OnCalendar=(\w+) \*-\*-\* (\d+):(\d+):00 (\S+)$", timer, re.MULTILINE)[0]
    yield "systemd, in the zone it names", f"{minute} {hour} * * {day.lower()}", ZoneInfo(zone)


@pytest.mark.parametrize(("schedule", "zone"), [pytest.param(s, z, id=name) for name, s, z in schedules()])
def test_an_example_starts_before_its_window_opens(window: Window, schedule: str, zone: tzinfo) -> None:
    """In every week of two years, whatever its scheduler and the window make of daylight saving."""
    minute, hour, _, _, weekday = schedule.split()
    day = DAYS.get(weekday, int(weekday) if weekday.isdigit() else -1)
    first = datetime(2026, 1, 1, int(hour), int(minute), tzinfo=zone)
    nights = [first + timedelta(days=number) for number in range(730)]
    starts = [night.timestamp() for night in nights if night.isoweekday() % 7 == day]
    assert len(starts) >= 104
    for start in starts:
        span = window.span_at_or_after(start)
        assert span is not None
        assert 5 * 60 <= span.opens - start <= 5 * 3600, datetime.fromtimestamp(start, UTC)
