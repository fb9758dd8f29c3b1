"""What happens to a process, its exit code and its reports when its session is over, and when it runs short of files."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .harness import CHECKOUT, environment, night, wait_until, workflow

SCENARIO: dict[str, Any] = {"seed": 5, "jobs": {"ready_after": "0s", "cutover": "1s"}}

SIGNALLED = """
import os, sys
from orchestrator.cli import session
from orchestrator.cli.main import run_command
from orchestrator.operations import result
number, where, *arguments = sys.argv[1:]
write, observe = result.write_reports, session.observe

def signalled(function, *arguments, **named):
    os.kill(os.getpid(), int(number))
    return function(*arguments, **named)

def observed(settings, stack, *arguments, **named):
    stack.callback(signalled, str)
    return observe(settings, stack, *arguments, **named)

if where == "reports":
    result.write_reports = lambda *arguments, **named: signalled(write, *arguments, **named)
else:
    session.observe = observed
sys.exit(run_command(arguments))
"""
"""Sends itself a signal when it begins to write its reports, or when the last notifications are delivered."""

OVERTAKEN = """
import os, subprocess, sys
from orchestrator.cli import session
from orchestrator.cli.main import run_command
split = sys.argv.index("--")
other, arguments = sys.argv[1:split], sys.argv[split + 1:]
observe, environ = session.observe, dict(os.environ)  # the program removes its keys from the latter

def observed(settings, stack, *arguments, **named):
    stack.callback(subprocess.run, other, check=True, env=environ)
    return observe(settings, stack, *arguments, **named)

session.observe = observed
sys.exit(run_command(arguments))
"""
"""Its last notifications take as long as another session does."""


def as_program(script: str, *before: str, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run what *command* (of `Night.command`) runs, by *script*."""
    return subprocess.run(
        [sys.executable, "-c", script, *before, *command[3:]],
        cwd=CHECKOUT,
        env=environment(),
        text=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("where", ["reports", "notifications"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_takes_nothing_from_a_run_that_is_over(tmp_path: Path, number: int, where: str) -> None:
    """Its reports are there, and its exit code is its outcome's."""
    with night(tmp_path, plan=workflow(waves=(2,)), scenario=SCENARIO) as chaos:
        command = chaos.command("run", str(tmp_path / "workflow.yaml"), "--yes")
        done = as_program(SIGNALLED, str(int(number)), where, command=command)
        assert (done.returncode, chaos.report()["exit_code"]) == (0, 0)
        assert chaos.problems() == []


def test_a_session_that_is_over_does_not_write_its_report_over_that_of_the_next(tmp_path: Path) -> None:
    """The next may have begun and ended before the process of the last is gone."""
    with night(tmp_path, plan=workflow(waves=(1, 2)), scenario=SCENARIO) as chaos:
        first = chaos.command("run", str(tmp_path / "workflow.yaml"), "--yes", "--only", "wave-0")
        done = as_program(OVERTAKEN, *chaos.command("resume", "--yes"), "--", command=first)
        assert done.returncode == 0
        assert chaos.report()["totals"]["SUCCESS"] == 3
        assert chaos.problems() == []


@pytest.mark.parametrize(("kind", "files"), [("before", 256), ("after_success", 256), ("before", 64)])
def test_many_hooks_at_once_have_the_files_they_need(tmp_path: Path, kind: str, files: int) -> None:
    """They wait for each other, and for connections: nobody's cutover fails, and none goes on unwatched."""
    plan = workflow(waves=(200,), concurrency=200)
    plan["defaults"]["hooks"] = {kind: [["sleep", "0.7" if files > 100 else "0.05"]]}
    with night(tmp_path, plan=plan, scenario=SCENARIO) as chaos:
        process = chaos.start(
            "run",
            str(tmp_path / "workflow.yaml"),
            "--yes",
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files)),
        )
        assert process.wait(120) == 0
        assert chaos.problems() == []


def test_a_parent_that_ignores_and_blocks_signals_fails_no_hook(tmp_path: Path) -> None:
    """With SIGCHLD ignored the kernel would tell nobody how a hook has ended; a blocked SIGTERM would stop nothing."""
    plan = workflow(waves=(1, 1))
    plan["defaults"]["hooks"] = {"before": [["sh", "-c", "exit 0"]]}
    plan["waves"][1]["approval"] = True

    def as_bad_parents_do() -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGCHLD, signal.SIGTERM))

    with night(tmp_path, plan=plan, scenario=SCENARIO) as chaos:
        process = chaos.start("run", str(tmp_path / "workflow.yaml"), "--yes", preexec_fn=as_bad_parents_do)
        wait_until(lambda: "approval_waiting" in chaos.said())
        process.terminate()
        assert process.wait(60) == 143
        assert [m["outcome"] for m in chaos.report()["migrations"]] == ["SUCCESS", "NOT_STARTED"]


def test_the_second_signal_is_obeyed_at_once_also_when_all_is_over(tmp_path: Path) -> None:
    """Whoever asks twice is in a hurry."""
    script = SIGNALLED.replace("    return function", "    os.kill(os.getpid(), int(number))\n    return function")
    with night(tmp_path, plan=workflow(waves=(1,)), scenario=SCENARIO) as chaos:
        command = chaos.command("run", str(tmp_path / "workflow.yaml"), "--yes")
        assert as_program(script, "15", "notifications", command=command).returncode == 143
