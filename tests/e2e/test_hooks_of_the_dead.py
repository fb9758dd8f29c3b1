"""Hooks whose run is killed, or ended by a second signal: they end with it, and whoever goes on waits for that."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..machine.test_kept_groups import keepers_of
from .program import Program, Running, new_id

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")]

HOOK = """#!/bin/sh
grep -qs '^State:[[:space:]]*[^Z[:space:]]' "/proc/$(cat first 2>/dev/null)/status" && echo "$1 beside the first" >> beside
[ -e "$2" ] || { echo $$ > first; echo $$ > "$2"; sleep 8; echo "$1" >> let_in; }
echo "$1" >> ended
"""
"""Says when the one that hung is still there, and no zombie that nobody has reaped yet; hangs if it is the first to make the file that it is told, and lets the writers in at last."""


def until(happened: Callable[[], object]) -> None:
    """Wait until it has *happened*."""
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def whole_line(path: Path) -> str:
    """What is in *path*, once it ends with a line's end."""
    text = path.read_text() if path.exists() else ""
    return text if text.endswith("\n") else ""


def lines(program: Program, name: str) -> list[str]:
    """What hooks have written into the file *name*."""
    path = program.directory / name
    return path.read_text().splitlines() if path.exists() else []


@contextmanager
def hanging(online: Program, *, before: str, undo: str) -> Iterator[Running]:
    """A run whose `before` hook hangs as long as there is no file *before*, and whose `after_failure` hook, no file *undo*."""
    online.write("hook", HOOK)
    (online.directory / "hook").chmod(0o755)
    hooks = {"before": [["./hook", "before", before]], "after_failure": [["./hook", "undo", undo]]}
    workflow = online.workflow({"one": {"orders": new_id()}}, defaults={"hooks": hooks})
    with online.started("run", workflow, "--yes", "--format", "json") as running:
        yield running


def test_a_hook_whose_run_is_killed_ends_before_the_run_goes_on(online: Program) -> None:
    """Whoever resumes it at once waits, and no hook of the first session lets writers in after the PUT of the second."""
    with hanging(online, before="before", undo="undo") as running:
        until(lambda: whole_line(online.directory / "before"))
        running.process.kill()
        running.process.wait(60)
        assert "interrupted" in online.run("status").out
        done = online.run("resume", "--format", "json", "--yes")
    assert (done.code, done.outcomes) == (0, {"orders": "SUCCESS"})
    assert (lines(online, "ended"), lines(online, "beside"), lines(online, "let_in")) == (["before"], [], [])


def test_a_hook_whose_run_gets_a_second_signal_ends_before_the_run_goes_on(online: Program) -> None:
    """The program ends at once, and its `after_failure` hook with it."""
    with hanging(online, before="before", undo="undo") as running:
        until(lambda: whole_line(online.directory / "before"))
        running.process.send_signal(signal.SIGTERM)
        until(lambda: whole_line(online.directory / "undo"))
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(60) == 143
        done = online.run("resume", "--format", "json", "--yes")
    assert (done.code, done.outcomes) == (0, {"orders": "SUCCESS"})
    assert (lines(online, "beside"), lines(online, "let_in")) == ([], [])


def test_what_ends_hooks_is_told_no_key(online: Program) -> None:
    """Whoever reads its memory or environment finds none."""
    with hanging(online, before="before", undo="undo") as running:
        until(lambda: whole_line(online.directory / "before"))
        (keeper,) = keepers_of(running.process.pid)
        environ = Path(f"/proc/{keeper}/environ").read_bytes().decode(errors="replace")
        assert "PATH=" in environ
        assert not any(secret in environ for secret in online.secrets)


def test_an_abort_lets_go_of_a_killed_run_when_its_hooks_have_ended(online: Program) -> None:
    """Its jobs may be another run's at once."""
    with hanging(online, before="before", undo="undo") as running:
        until(lambda: whole_line(online.directory / "before"))
        running.process.kill()
        running.process.wait(60)
        assert online.run("abort", running.until("run_started")["run_id"]).code == 0
        hook = int(whole_line(online.directory / "first"))
        assert not Path(f"/proc/{hook}").exists()
    assert lines(online, "let_in") == []
