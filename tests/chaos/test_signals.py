"""Signals, lost terminals and closed outputs: the run goes on, or stops in order."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import resource
import signal
import subprocess
import termios
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ..loaded import Process
from .harness import CHECKOUT, ChaosNight, environment, night, wait_until, workflow

FAILING = {"m001": {"ends": "FAILED", "error_message": "made to fail"}}
SCENARIO: dict[str, Any] = {"seed": 5, "jobs": {"ready_after": "0s", "cutover": "6s"}, "special": FAILING}


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[ChaosNight]:
    """Two waves of two, one of which fails: exit code 1 says that the run itself decided it."""
    with night(tmp_path, plan=workflow(waves=(2, 2)), scenario=SCENARIO) as chaos:
        yield chaos


def begin(chaos: ChaosNight, **popen: Any) -> Process:
    """Start the run of *chaos*."""
    return chaos.start("run", str(chaos.directory / "workflow.yaml"), "--yes", **popen)


def test_the_first_signal_waits_for_the_answer_writes_reports_and_lets_resume_finish(tmp_path: Path) -> None:
    """The PUT on the wire gets its answer, no other leaves, and the exit code is the signal's own."""
    slow = [{"on": "cutover", "kind": "slow", "migration": name, "delay": 4, "times": 1} for name in ("m000", "m001")]
    scenario, patient = {**SCENARIO, "faults": slow}, {"request_timeout": "150s"}
    with night(tmp_path, plan=workflow(waves=(1, 1, 2)), scenario=scenario, atlas=patient) as chaos:
        for number, code, requests in ((signal.SIGINT, 130, [1, 0, 0, 0]), (signal.SIGTERM, 143, [1, 1, 0, 0])):
            process = begin(chaos)
            wait_until(partial(_processed, chaos, sum(requests)))
            process.send_signal(number)
            assert process.wait(60) == code  # with the answer: the request timeout would take longer
            report = chaos.report()
            assert report["exit_code"] == code
            assert [entry["cutover_requests"] for entry in report["migrations"]] == requests
            assert [entry["accepted_at"] is not None for entry in report["migrations"]] == [bool(n) for n in requests]
        assert chaos.finish() == 1
        assert chaos.problems() == []


def test_the_second_signal_ends_the_program_at_once(tmp_path: Path) -> None:
    """Whoever asks twice does not want to wait for an answer that may take half a minute; `resume` finds out."""
    slow = [{"on": "cutover", "kind": "slow", "delay": 120, "times": 1}]
    config = {"polling": {"initial": "0.1s"}}
    with night(tmp_path, plan=workflow(waves=(2,)), scenario={**SCENARIO, "faults": slow}, config=config) as chaos:
        settings = (tmp_path / "config.yaml").read_text().replace("request_timeout: 1s", "request_timeout: 150s")
        (tmp_path / "config.yaml").write_text(settings)
        process = begin(chaos)
        wait_until(lambda: chaos.processed() == 2)
        process.terminate()
        wait_until(lambda: "stopped by SIGTERM" in chaos.said())
        process.terminate()
        assert process.wait(60) == 143  # before the answers
        (tmp_path / "config.yaml").write_text(settings.replace("request_timeout: 150s", "request_timeout: 1s"))
        assert chaos.finish() == 1
        assert chaos.problems() == []


def test_hangups_stop_nothing_not_even_the_reports(quick: ChaosNight) -> None:
    """SIGHUP from the beginning of the run to the last line of its summary."""
    process = begin(quick)
    wait_until(quick.run_id)
    while process.poll() is None:
        process.send_signal(signal.SIGHUP)
        time.sleep(0.01)
    assert process.returncode == 1
    assert quick.problems() == []


def test_a_run_whose_readers_have_gone_goes_on_and_keeps_its_exit_code(quick: ChaosNight) -> None:
    """Both outputs are pipes without a reader: every line meets EPIPE."""
    process = begin(quick, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stderr.close()
    assert process.wait(60) == 1
    assert quick.problems() == []


def test_a_run_without_any_standard_stream_goes_on(quick: ChaosNight) -> None:
    """All three are closed before the start, and no lock, journal or socket gets their numbers."""
    command = quick.command("run", str(quick.directory / "workflow.yaml"), "--yes")
    closed = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command]
    assert subprocess.run(closed, cwd=CHECKOUT, env=environment(), timeout=60, check=False).returncode == 1
    assert quick.problems() == []


def test_a_lost_terminal_stops_nothing(quick: ChaosNight) -> None:
    """The terminal of an ssh session goes away: a hangup, and every read and write on it fails from then on."""
    master, slave = pty.openpty()

    def take_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = begin(quick, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, preexec_fn=take_terminal)
    os.close(slave)
    wait_until(quick.run_id)
    with contextlib.suppress(OSError):
        os.read(master, 100_000)
    os.close(master)
    assert process.wait(60) == 1
    assert quick.problems() == []


@contextlib.contextmanager
def stalled(path: Path | None = None) -> Iterator[tuple[int, int]]:
    """Both ends of a pipe, or of a FIFO at *path*, that takes nothing more, as a terminal does after Ctrl-S, before somebody reads."""
    if path is None:
        read, written_to = os.pipe()
    else:
        os.mkfifo(path, 0o600)
        read, written_to = os.open(path, os.O_RDONLY | os.O_NONBLOCK), os.open(path, os.O_WRONLY)
        os.set_blocking(read, True)
    size = fcntl.fcntl(written_to, fcntl.F_SETPIPE_SZ, 4096)
    os.write(written_to, b"\n" * size)
    try:
        yield read, written_to
    finally:
        os.close(read)


def test_outputs_that_take_nothing_stop_nothing_and_get_all_once_they_do(quick: ChaosNight) -> None:
    """Terminal and log file take nothing from before the first line to after the reports: each line and the summary come then, in order."""
    log = quick.directory / "log"
    with stalled() as (terminal, shown), stalled(log) as (filed, held):
        run = ("run", str(quick.directory / "workflow.yaml"), "--yes", "--log-level", "debug", "--log-file", str(log))
        process = quick.start(*run, stdout=shown, stderr=shown)
        os.close(shown)
        wait_until(lambda: len(list(quick.state_dir.glob("runs/*/report.html"))) == 1)
        assert quick.problems() == []
        os.close(held)
        with ThreadPoolExecutor() as readers:
            said, lines = readers.map(_read, (terminal, filed))
        assert process.wait(60) == 1
    assert said[: len(lines)] == lines
    events = [json.loads(line)["event"] for line in lines]
    assert (events[0], events[-1]) == ("run_started", "run_finished")
    assert "log_entries_lost" not in events
    assert any(line.startswith("workflow chaos, run ") for line in said[len(lines) :])


@pytest.mark.slow
def test_signals_end_a_run_whose_terminal_takes_nothing(tmp_path: Path) -> None:
    """The first one stops it in order, though nobody reads a word of it until it has ended."""
    slow = {**SCENARIO, "jobs": {"ready_after": "0s", "cutover": "600s"}}
    with night(tmp_path, plan=workflow(waves=(2, 2)), scenario=slow) as chaos, stalled() as (_, shown):
        process = begin(chaos, stdout=shown, stderr=shown)
        os.close(shown)
        wait_until(lambda: chaos.processed() == 2)
        process.terminate()
        wait_until(lambda: len(list(chaos.state_dir.glob("runs/*/report.html"))) == 1)
        assert process.wait(30) == 143
        assert chaos.report()["exit_code"] == 143


@pytest.mark.chaos
def test_a_disk_that_is_full_stops_cutovers_and_loses_none(tmp_path: Path) -> None:
    """The journal cannot grow any more: no PUT leaves without its intent on disk, and a later `resume` finishes."""

    def limit_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (140_000, resource.RLIM_INFINITY))

    plan = workflow(waves=(4, 4, 4, 4), concurrency=1)
    with night(tmp_path, plan=plan, scenario={**SCENARIO, "jobs": {"ready_after": "0s", "cutover": "1s"}}) as chaos:
        process = begin(chaos, preexec_fn=limit_files, stderr=subprocess.PIPE)
        _, said = process.communicate(timeout=60)
        assert process.returncode in (1, 3, 4), said
        assert "the journal" in said
        assert 0 < chaos.processed() < 16
        known = {row[0] for row in chaos.rows("SELECT live_migration_id FROM puts")}
        truth = chaos.atlas.record()["migrations"]
        assert {one for one, true in truth.items() if true["puts_received"]} <= known
        assert chaos.finish() == 1
        assert chaos.problems() == []


def _read(descriptor: int) -> list[str]:
    """The lines that come after those that it was full of, until nobody has its other end."""
    with open(descriptor, encoding="utf-8", closefd=False) as reader:
        return reader.read().lstrip("\n").splitlines()


def _processed(chaos: ChaosNight, count: int) -> bool:
    return chaos.processed() == count
