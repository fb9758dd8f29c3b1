"""What stands at the far ends of what is possible: named by `check`, or working; nothing in between."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from ..strength import examples
from .program import Program, new_id

LONG, SHORT = "3650d", "1ms"
WEEK = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
ALWAYS = {"from": "00:00", "to": "00:00", "days": WEEK}


@pytest.mark.parametrize(
    "workflow",
    [
        {"window": {"opens": "2000-01-01T00:00:00+14:00", "closes": "2999-12-31T23:59:59-12:00"}},
        {"window": {**ALWAYS, "timezone": "Pacific/Kiritimati", "except": ["2000-01-01", "2999-12-31"]}},
        {"window": {**ALWAYS, "timezone": "Etc/GMT"}},
        {"defaults": {"timeout": LONG, "gate": {"max_lag": LONG, "timeout": LONG}}},
        {
            "run_hooks": {
                "before": [["true"]],
                "timeout": LONG,
                "verify": [["true"]],
                "verify_every": LONG,
                "verify_timeout": LONG,
            }
        },
        {"one": {"concurrency": "999999999", "max_failures": "999999999"}},
        {"one": {"max_failures": "0.000000001%"}},
    ],
)
def test_what_check_passes_is_run_to_its_end(program: Program, workflow: dict[str, Any]) -> None:
    """Dates, durations and numbers."""
    program.config()
    program.scenario()
    name = program.workflow({"one": {"orders": new_id()}}, **workflow)
    for command in (("check", name), ("plan", name), ("run", name, "--rehearse")):
        assert program.run(*command).code == 0, command


@pytest.mark.parametrize(
    "config",
    [
        {"atlas": {"request_timeout": LONG, "settle": LONG}},
        {"rate_limit": {"per": LONG}},
        {"rate_limit": {"requests": "999999999", "burst": "999999999", "per": "10ms"}},
        {"polling": {"initial": "1ms", "factor": "999999999", "max": LONG, "jitter": "0.999999999"}},
    ],
)
def test_what_check_passes_of_a_config_is_run_with(program: Program, config: dict[str, Any]) -> None:
    """The same for its numbers."""
    program.write("config.yaml", {"polling": {"initial": "0.05", "max": "0.2"}, "state_dir": "state", **config})
    program.scenario()
    name = program.workflow({"one": {"orders": new_id()}})
    for command in (("check", name), ("run", name, "--rehearse")):
        assert program.run(*command).code == 0, command


@pytest.mark.parametrize(
    ("window", "why"),
    [
        (
            {"opens": "0001-01-01T00:00:00+14:00", "closes": "2999-12-31T00:00:00Z"},
            "window.opens: expected a time in the years 2000 to 2999",
        ),
        (
            {"opens": "2026-01-01T00:00:00Z", "closes": "9999-12-31T23:59:59-14:00"},
            "window.closes: expected a time in the years 2000 to 2999",
        ),
        ({**ALWAYS, "timezone": "UTC", "except": ["0001-01-01"]}, "expected a day in the years 2000 to 2999"),
        (
            {**ALWAYS, "timezone": "EST"},
            "EST is 5h behind UTC all year round, without daylight saving time; expected a place such as America/New_York",
        ),
        ({**ALWAYS, "timezone": "Etc/GMT+5"}, "Etc/GMT+5 is 5h behind UTC, not ahead of it (its sign is turned round)"),
        ({**ALWAYS, "timezone": "Etc/GMT-14"}, "Etc/GMT-14 is 14h ahead of UTC, not behind it"),
        ({**ALWAYS, "timezone": "localtime"}, "expected a time zone such as "),
        ({**ALWAYS, "timezone": "Factory"}, "expected a time zone such as "),
        ({**ALWAYS, "timezone": "posix/Europe/Berlin"}, "expected a time zone such as Europe/Berlin"),
    ],
)
def test_what_no_clock_can_be_reckoned_with_is_named(program: Program, window: dict[str, Any], why: str) -> None:
    """Years before anybody's clock, and zones that are not what they seem."""
    program.config()
    done = program.run("check", program.workflow({"one": {"orders": new_id()}}, window=window))
    assert done.code == 2
    assert why in done.err


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root can work as a user without a name"
)
def test_a_user_without_name_and_home_can_work(program: Program) -> None:
    """A container's uid: every command works with `--state-dir`, and says what to set without; in a brief run one of those that only look."""
    with TemporaryDirectory(dir="/tmp") as theirs:  # pytest's own is closed to others
        alone = replace(program, directory=Path(theirs))
        alone.write("config.yaml", {"polling": {"initial": "0.05", "max": "0.2"}})
        alone.scenario()
        workflow = alone.workflow({"one": {"orders": new_id()}})
        for path in (alone.directory, *alone.directory.iterdir()):
            os.chown(path, 54321, 54321)
        environ = {name: value for name, value in program.environ.items() if name not in ("HOME", "XDG_CONFIG_HOME")}
        alone = replace(alone, environ=environ, user=54321)
        as_them = ("setpriv", "--reuid=54321", "--regid=54321", "--clear-groups")
        command = (*as_them, *alone.argv("--version"))
        if subprocess.run(command, cwd=theirs, env=environ, capture_output=True, check=False).returncode != 0:
            pytest.skip("this checkout cannot be read by others")
        refused = alone.run("run", workflow, "--rehearse")
        assert (refused.code, "set HOME" in refused.err, "--state-dir DIR" in refused.err) == (2, True, True)
        place = ("--state-dir", str(alone.directory / "state"))
        only_look = [("check", workflow), ("plan", workflow), ("status",)]
        for command in (("run", workflow, "--rehearse"), *random.sample(only_look, examples(len(only_look)))):
            done = alone.run(*command, *place)
            assert done.code == 0, (command, done.err)
        assert alone.run("auth", *place).code == 2
