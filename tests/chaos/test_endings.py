"""What happens to a process, its exit code and its reports when its session is over, and when it runs short of files."""

from __future__ import annotations

import resource
import signal
from pathlib import Path
from typing import Any

import pytest

from .harness import night, wait_until, workflow

SCENARIO: dict[str, Any] = {"seed": 5, "jobs": {"ready_after": "0s", "cutover": "1s"}}


@pytest.mark.parametrize("where", ["reports", "notifications"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_takes_nothing_from_a_run_that_is_over(tmp_path: Path, number: int, where: str) -> None:
    """Its reports are there, and its exit code is its outcome's."""
    with night(tmp_path, plan=workflow(waves=(2,)), scenario=SCENARIO) as chaos:
        signalled = ("tests.chaos.signalled", str(int(number)), where, "1")
        process = chaos.start("run", str(tmp_path / "workflow.yaml"), "--yes", module=signalled)
        assert (process.wait(60), chaos.report()["exit_code"]) == (0, 0)
        assert chaos.problems() == []


def test_a_session_that_is_over_does_not_write_its_report_over_that_of_the_next(tmp_path: Path) -> None:
    """The next may have begun and ended before the process of the last is gone."""
    with night(tmp_path, plan=workflow(waves=(1, 2)), scenario=SCENARIO) as chaos:
        overtaken = ("tests.chaos.overtaken", *chaos.command("resume", "--yes"), "--")
        process = chaos.start("run", str(tmp_path / "workflow.yaml"), "--yes", "--only", "wave-0", module=overtaken)
        assert process.wait(60) == 0
        assert chaos.report()["totals"]["SUCCESS"] == 3
        assert chaos.problems() == []


@pytest.mark.parametrize(("kind", "files"), [("before", 128), ("after_success", 128), ("before", 64)])
def test_many_hooks_at_once_have_the_files_they_need(tmp_path: Path, kind: str, files: int) -> None:
    """They wait for each other, and for connections: nobody's cutover fails, and none goes on unwatched."""
    plan = workflow(waves=(60,), concurrency=60)
    plan["defaults"]["hooks"] = {kind: [["sleep", "0.3" if files > 64 else "0.05"]]}
    with night(tmp_path, plan=plan, scenario=SCENARIO) as chaos:
        process = chaos.start(
            "run",
            str(tmp_path / "workflow.yaml"),
            "--yes",
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files)),
        )
        assert process.wait(120) == 0
        assert chaos.problems() == []


@pytest.mark.parametrize(("host", "where"), [("localhost", "after_intent"), ("127.0.0.1", "run_begun")])
def test_a_run_without_further_threads_goes_on_and_ends_as_recorded(tmp_path: Path, host: str, where: str) -> None:
    """Somebody of the same name has used up what processes and threads the user may have: hooks run, commits are made, exit code and summary come."""
    plan = workflow(waves=(2, 2))
    plan["defaults"]["hooks"] = {"after_success": [["sh", "-c", "exit 0"]]}
    with night(tmp_path, plan=plan, scenario=SCENARIO) as chaos:
        config = chaos.directory / "config.yaml"
        config.write_text(config.read_text().replace("//127.0.0.1:", f"//{host}:"))
        alone = ("tests.chaos.without_threads", where)
        process = chaos.start("run", str(tmp_path / "workflow.yaml"), "--yes", module=alone)
        assert process.wait(60) == 0, chaos.said()
        assert chaos.problems() == []
        assert "SUCCESS (exit code 0" in (chaos.directory / "stdout").read_text()
        assert chaos.said().count('"hook_finished"') == 4


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
    with night(tmp_path, plan=workflow(waves=(1,)), scenario=SCENARIO) as chaos:
        signalled = ("tests.chaos.signalled", "15", "notifications", "2")
        process = chaos.start("run", str(tmp_path / "workflow.yaml"), "--yes", module=signalled)
        assert process.wait(60) == 143
