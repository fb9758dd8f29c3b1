"""Runs against a simulated Atlas over real HTTP: every exit code, continuation, and what a rehearsal must not touch."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import orchestrator

from .program import Atlas, Program, new_id

JSON = ("--format", "json", "--yes")


def claims(program: Program) -> int:
    """How many live migrations are claimed."""
    with sqlite3.connect(program.state_dir / "journal.db") as journal:
        (count,) = journal.execute("SELECT count(*) FROM claims").fetchone()
    journal.close()
    return int(count)


@pytest.mark.parametrize("api", ["v2", "v1.0"])
def test_all_succeed_exit_0(online: Program, atlas: Atlas, api: str) -> None:
    """Both APIs, chosen by the base URL: each migration one PUT, SUCCESS, exit code 0; stdout is the report alone."""
    online.config(atlas=atlas.config(api))
    waves = {"canary": {"orders": new_id()}, "rest": {"carts": new_id(), "search": new_id()}}
    done = online.run("run", online.workflow(waves), *JSON)
    assert (done.code, done.report["outcome"], done.report["exit_code"]) == (0, "SUCCESS", 0)
    assert set(done.outcomes.values()) == {"SUCCESS"}
    assert [migration["cutover_requests"] for migration in done.report["migrations"]] == [1, 1, 1]
    assert done.report["base_url"].endswith(api)
    assert done.report["rehearsal"] is False
    assert claims(online) == 0


def test_failed_exit_1_and_resume_tells_it_again(online: Program, atlas: Atlas) -> None:
    """One FAILED migration makes exit code 1; `resume` of the finished run prints its report and exits likewise."""
    waves = {"one": {"orders": new_id(), "broken": next(atlas.fails)}}
    done = online.run("run", online.workflow(waves), *JSON)
    assert (done.code, done.report["outcome"]) == (1, "FAILED")
    assert done.outcomes == {"orders": "SUCCESS", "broken": "FAILED"}
    again = online.run("resume", done.report["run_id"], "--format", "json")
    assert (again.code, again.err) == (1, "")
    assert again.report["run_id"] == done.report["run_id"]
    assert again.outcomes == done.outcomes


def test_timed_out_exit_1(online: Program, atlas: Atlas) -> None:
    """A cutover that does not end within the timeout is TIMED_OUT, which is exit code 1."""
    workflow = online.workflow({"one": {"slow": next(atlas.slow)}}, defaults={"timeout": "1s"})
    done = online.run("run", workflow, *JSON)
    assert (done.code, done.outcomes) == (1, {"slow": "TIMED_OUT"})


def test_window_closed_exit_3(online: Program) -> None:
    """After the window nothing starts, nothing failed: exit code 3."""
    window = {"opens": "2020-01-01T00:00:00Z", "closes": "2020-01-01T01:00:00Z"}
    workflow = online.workflow({"one": {"orders": new_id()}}, window=window)
    done = online.run("run", workflow, *JSON)
    assert (done.code, done.report["outcome"]) == (3, "INCOMPLETE")
    assert done.outcomes == {"orders": "NOT_STARTED"}
    assert "cutover_requested" not in done.events
    run_id = done.report["run_id"]
    for text in (
        online.run("report", run_id).out,
        online.run("status", run_id).out,
        (online.state_dir / "runs" / run_id / "report.md").read_text(),
    ):
        assert f"atlas-cutover run {online.directory / workflow}" in text  # `resume` would meet the same window
        assert "atlas-cutover resume" not in text


def test_in_doubt_exit_4_comes_before_failed(online: Program, atlas: Atlas) -> None:
    """Where the time is too short to tell whether a lost PUT was taken: IN_DOUBT, exit code 4, though another FAILED."""
    online.config(atlas=atlas.config("v1.0"))
    waves = {"one": {"lost": next(atlas.loses_put), "broken": next(atlas.fails)}}
    done = online.run("run", online.workflow(waves, defaults={"timeout": "1s"}), *JSON)
    assert (done.code, done.report["outcome"]) == (4, "IN_DOUBT")
    assert done.outcomes == {"lost": "IN_DOUBT", "broken": "FAILED"}
    assert claims(online) > 0


def test_busy_exit_5(online: Program, atlas: Atlas) -> None:
    """While a run is active, neither its workflow nor one of its live migrations can be run again."""
    never = next(atlas.never_ready)
    workflow = online.workflow({"one": {"orders": never}})
    other = online.workflow({"one": {"same": never}}, name="other")
    with online.started("run", workflow, *JSON) as first:
        run_id = first.until("gate_waiting")["run_id"]
        for second in (workflow, other):
            done = online.run("run", second, *JSON)
            assert (done.code, done.out) == (5, "")
            assert run_id in done.err
        first.process.terminate()
        assert first.end().code == 143


def test_no_way_to_atlas_exit_6(online: Program, atlas: Atlas) -> None:
    """Nobody listens, no TLS, wrong keys: each says where Atlas was looked for and what to check; no run is left."""
    nobody = {"base_url": "http://127.0.0.1:9/api/atlas/v2"}
    plain = {"base_url": atlas.base_url.replace("http:", "https:")}
    locked_out = replace(online, environ={**online.environ, "MONGODB_ATLAS_PRIVATE_API_KEY": "no-such-key"})
    online.write("nobody.yaml", {"atlas": nobody})
    online.write("plain.yaml", {"atlas": plain})
    cases = [
        (
            online,
            ("run", "--yes", "--config", "nobody.yaml"),
            f"{nobody['base_url']}; nothing was cut over. Check atlas.",
        ),
        (online, ("plan", "--online", "--config", "nobody.yaml"), f"{nobody['base_url']}; nothing was cut over. Check"),
        (online, ("run", "--yes", "--config", "plain.yaml"), "SSL"),
        (locked_out, ("run", "--yes"), f"Atlas at {atlas.base_url} refuses the API keys"),
    ]
    with ExitStack() as stack:  # side by side, as each tries for some seconds
        running = []
        for number, (program, command, _) in enumerate(cases):
            workflow = program.workflow({"one": {"orders": new_id()}}, name=f"w{number}")
            running.append(stack.enter_context(program.started(*command, "--state-dir", "state", workflow)))
        for case, process in zip(cases, running, strict=True):
            done = process.end()
            assert (done.code, done.out) == (6, "")
            assert case[2] in done.err
            assert "no-such-key" not in done.err
    assert online.run("status").out == "no run has been started yet\n"


def test_no_way_to_a_cutover_that_is_under_way_exit_6(online: Program, atlas: Atlas) -> None:
    """A run that cannot be continued, as Atlas is not reached or refuses the keys, says which cutovers go on there unseen."""
    workflow = online.workflow({"one": {"slow": next(atlas.slow)}})
    with online.started("run", workflow, *JSON) as running:
        run_id = running.until("cutover_accepted")["run_id"]
        running.process.terminate()
        assert running.end().code == 143
    locked_out = replace(online, environ={**online.environ, "MONGODB_ATLAS_PRIVATE_API_KEY": "no-such-key"})
    done = locked_out.run("resume", *JSON)
    assert (done.code, done.out) == (6, "")
    assert f"1 cutover of run {run_id} may be under way there, seen by nobody (slow)" in done.err
    assert "nothing was cut over" not in done.err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_at_the_gate_stops_in_order(online: Program, atlas: Atlas, number: signal.Signals, code: int) -> None:
    """A signal ends the run with reports and its exit code; `resume` goes on with it, and is stopped the same way."""
    workflow = online.workflow({"one": {"orders": next(atlas.never_ready)}})
    with online.started("run", workflow, *JSON) as running:
        run_id = running.until("gate_waiting")["run_id"]
        running.process.send_signal(number)
        done = running.end()
    assert (done.code, done.report["exit_code"], done.outcomes) == (code, code, {"orders": "NOT_STARTED"})
    assert done.events[-1] == "run_finished"
    assert (online.state_dir / "runs" / run_id / "report.json").exists()
    with online.started("resume", "--yes") as running:
        assert running.until("run_resumed")["run_id"] == run_id
        running.process.send_signal(number)
        assert running.end().code == code


def test_signal_during_a_cutover_and_resume_without_the_file(online: Program, atlas: Atlas) -> None:
    """What was accepted is UNDER_WAY in the reports, and `resume` follows it without another PUT or the file."""
    workflow = online.workflow({"one": {"slow": next(atlas.slow)}}, defaults={"timeout": "2s"})
    with online.started("run", workflow, *JSON) as running:
        running.until("cutover_accepted")
        running.process.terminate()
        done = running.end()
    assert (done.code, done.outcomes, done.report["outcome"]) == (143, {"slow": "UNDER_WAY"}, "INCOMPLETE")
    assert (done.report["totals"]["UNDER_WAY"], done.report["totals"]["IN_DOUBT"]) == (1, 0)
    summary = online.run("report").out
    assert "NEEDS YOU NOW\nUNDER_WAY slow (one): Atlas accepted the cutover" in summary
    assert "\ncontinue with (at once: " in summary
    assert f"\n  $ atlas-cutover resume {done.report['run_id']}\n" in summary
    (online.directory / workflow).unlink()
    again = online.run("resume", *JSON)
    assert (again.code, again.outcomes) == (1, {"slow": "TIMED_OUT"})
    assert again.report["migrations"][0]["cutover_requests"] == 1
    assert "cutover_requested" not in again.events


def test_only_then_the_rest(online: Program) -> None:
    """`--only` runs a part; a second `run` continues the same run with the rest and leaves the part alone."""
    workflow = online.workflow({"canary": {"orders": new_id()}, "rest": {"carts": new_id()}})
    part = online.run("run", workflow, *JSON, "--only", "canary")
    assert (part.code, part.outcomes) == (0, {"orders": "SUCCESS"})
    rest = online.run("run", workflow, *JSON)
    assert (rest.code, rest.outcomes) == (0, {"orders": "SUCCESS", "carts": "SUCCESS"})
    assert rest.report["run_id"] == part.report["run_id"]
    assert [m["cutover_requests"] for m in rest.report["migrations"]] == [1, 1]
    assert [e["migration"] for e in rest.log if e["event"] == "cutover_requested"] == ["carts"]


def test_new_starts_another_run(online: Program) -> None:
    """`--new` leaves the unfinished run; what is COMPLETE already gets no PUT."""
    workflow = online.workflow({"canary": {"orders": new_id()}, "rest": {"carts": new_id()}})
    first = online.run("run", workflow, *JSON, "--only", "orders")
    second = online.run("run", workflow, *JSON, "--new")
    assert (second.code, second.report["run_id"] != first.report["run_id"]) == (0, True)
    assert [m["cutover_requests"] for m in second.report["migrations"]] == [0, 1]


def test_retry_failed(online: Program) -> None:
    """What FAILED before its PUT is tried again with `--retry-failed`, and only then."""
    hooks: dict[str, Any] = {"before": [["test", "-e", str(online.directory / "writes-are-stopped")]]}
    workflow = online.workflow({"one": {"orders": new_id()}}, defaults={"hooks": hooks})
    failed = online.run("run", workflow, *JSON)
    assert (failed.code, failed.outcomes) == (1, {"orders": "FAILED"})
    online.write("writes-are-stopped", "")
    run_id = failed.report["run_id"]
    assert online.run("resume", run_id, "--format", "json").outcomes == {"orders": "FAILED"}
    retried = online.run("resume", run_id, *JSON, "--retry-failed")
    assert (retried.code, retried.outcomes, retried.report["run_id"]) == (0, {"orders": "SUCCESS"}, run_id)


def test_nothing_to_resume_exit_2(online: Program) -> None:
    """When every run is finished, `resume` without an id has nothing to do."""
    assert online.run("run", online.workflow({"one": {"orders": new_id()}}), "--yes").code == 0
    done = online.run("resume")
    assert (done.code, done.out) == (2, "")
    assert "nothing to resume" in done.err


def test_rehearsal_is_marked_and_touches_nothing(online: Program, atlas: Atlas) -> None:
    """Marked in report, log, summary and status; it claims nothing, blocks no real run, and none continues it."""
    workflow = online.workflow({"one": {"orders": new_id()}})
    online.scenario(jobs={"ready_after": "never"})
    with online.started("run", workflow, "--rehearse") as rehearsal:
        run_id = rehearsal.until("gate_waiting")["run_id"]
        assert claims(online) == 0
        real = online.run("run", workflow, *JSON)
        assert (real.code, real.outcomes, real.report["rehearsal"]) == (0, {"orders": "SUCCESS"}, False)
        rehearsal.process.terminate()
        done = rehearsal.end()
    assert done.code == 143
    assert all(entry["rehearsal"] is True for entry in done.log)
    assert done.out.startswith("REHEARSAL ")
    assert re.search(rf"^{run_id} +night \(rehearsal\)", online.run("status").out, re.MULTILINE)
    assert online.run("report", run_id, "--format", "json").report["rehearsal"] is True
    for name in ("report.md", "report.html"):
        assert "rehearsal" in (online.state_dir / "runs" / run_id / name).read_text().lower()
    after = online.run("run", workflow, *JSON)
    assert after.report["run_id"] not in (run_id, real.report["run_id"])
    assert after.report["rehearsal"] is False


def test_rehearsal_needs_no_keys(program: Program) -> None:
    """Without keys, network or `--yes`: the main job, start to end."""
    program.scenario(special={"carts": {"ends": "FAILED"}})
    workflow = program.workflow({"one": {"orders": new_id(), "carts": new_id()}})
    done = program.run("run", workflow, "--rehearse", "--format", "json")
    assert (done.code, done.outcomes) == (1, {"orders": "SUCCESS", "carts": "FAILED"})
    assert done.report["base_url"].startswith("http://127.0.0.1:")


def test_what_a_run_of_the_configured_state_directory_holds_is_not_begun_with_another(
    online: Program, atlas: Atlas
) -> None:
    """Neither by the option nor by the variable: a run there would know nothing of its PUTs. Once it is ended, another place may be chosen."""
    workflow = online.workflow({"one": {"orders": next(atlas.never_ready)}})
    with online.started("run", workflow, *JSON) as running:
        run_id = running.until("gate_waiting")["run_id"]
        running.process.send_signal(signal.SIGINT)
        assert running.end().code == 130
    for option, environ in (("--state-dir", {}), ("", {"ATLAS_CUTOVER_STATE_DIR": "other"})):
        refused = online.run("run", workflow, *JSON, *((option, "other") if option else ()), **environ)
        assert (refused.code, refused.out) == (5, "")
        assert f"(orders) belongs to run {run_id} in the state directory {online.state_dir}, " in refused.err
        assert f"`resume {run_id}` goes on with it" in refused.err
    assert not (online.directory / "other").exists()
    assert online.run("abort", run_id).code == 0
    with online.started("run", workflow, *JSON, "--state-dir", "other") as running:
        running.until("gate_waiting")


def test_a_run_is_not_gone_on_with_in_a_copy_beside_its_own_state_directory(online: Program, atlas: Atlas) -> None:
    """Both had sent PUTs for the same live migrations. A copy that is as far as the original may be gone on with, once nobody works there."""
    workflow = online.workflow({"one": {"orders": next(atlas.never_ready)}})
    with online.started("run", workflow, *JSON) as running:
        run_id = running.until("gate_waiting")["run_id"]
        running.process.kill()
        running.process.wait()
    shutil.copytree(online.state_dir, online.directory / "copy")
    with online.started("resume", *JSON) as running:
        running.until("run_resumed")
        refused = online.run("resume", *JSON, "--state-dir", "copy")
        assert (refused.code, refused.out) == (5, "")
        assert f"run {run_id} is worked on by " in refused.err
        assert f" in the state directory {online.state_dir}, " in refused.err
        running.process.send_signal(signal.SIGINT)
        assert running.end().code == 130
    with online.started("resume", *JSON, "--state-dir", "copy") as running:
        running.until("run_resumed")


def test_a_configured_state_directory_that_cannot_be_read_is_warned_of(online: Program, atlas: Atlas) -> None:
    """What its runs hold is not known then; who wants to begin with another one may know."""
    online.state_dir.mkdir(mode=0o700)
    (online.state_dir / "journal.db").write_text("these are not the bytes you are looking for" * 99)
    (online.state_dir / "journal.db").chmod(0o600)
    workflow = online.workflow({"one": {"orders": next(atlas.never_ready)}})
    with online.started("run", workflow, *JSON, "--state-dir", "other") as running:
        assert running.process.stderr is not None
        assert "live migrations of this workflow is not known: " in running.process.stderr.readline()


def test_rehearsal_is_interrupted_and_resumed(program: Program) -> None:
    """Ctrl-C while a cutover is under way; `resume` sees its end, without another PUT, and starts the rest."""
    program.scenario(jobs={"cutover": "40s"}, special={"carts": {"ends": "FAILED"}})
    waves = {"canary": {"orders": new_id()}, "rest": {"carts": new_id()}}
    with program.started("run", program.workflow(waves), "--rehearse", "--format", "json") as rehearsal:
        rehearsal.until("cutover_accepted")
        rehearsal.process.send_signal(signal.SIGINT)
        interrupted = rehearsal.end()
    assert (interrupted.code, interrupted.outcomes) == (130, {"orders": "UNDER_WAY", "carts": "NOT_STARTED"})
    done = program.run("resume", "--speed", "100", "--format", "json")
    assert (done.code, done.outcomes) == (1, {"orders": "SUCCESS", "carts": "FAILED"})
    assert [migration["cutover_requests"] for migration in done.report["migrations"]] == [1, 1]
    assert done.report["run_id"] == interrupted.report["run_id"]
    assert done.report["rehearsal"] is True


def test_resume_of_a_rehearsal_takes_the_scenario_that_is_named(program: Program) -> None:
    """It need not be the one beside the workflow; a finished rehearsal needs none, so a wrong one is no hindrance."""
    program.scenario(jobs={"ready_after": "never"})
    with program.started("run", program.workflow({"one": {"orders": new_id()}}), "--rehearse") as rehearsal:
        rehearsal.until("gate_waiting")
        rehearsal.process.send_signal(signal.SIGINT)
        assert rehearsal.end().code == 130
    program.scenario("quick")
    done = program.run("resume", "--scenario", "quick.scenario.yaml", "--format", "json")
    assert (done.code, done.outcomes) == (0, {"orders": "SUCCESS"})
    program.write("night.scenario.yaml", "jobs: many")
    assert program.run("resume", done.report["run_id"]).code == 0


def test_keys_are_nowhere(online: Program, atlas: Atlas) -> None:
    """Neither in a file that a run leaves, nor in the list of processes, nor in what hooks are given."""
    hooks = {"before": [["sh", "-c", "env; ps -ef 2>/dev/null || true"]]}
    workflow = online.workflow({"one": {"orders": new_id()}}, defaults={"hooks": hooks})
    done = online.run("run", workflow, *JSON, "--log-level", "debug", "--log-file", "log.jsonl", "--output", "r.xml")
    assert done.code == 0
    private = atlas.keys["MONGODB_ATLAS_PRIVATE_API_KEY"].encode()
    files = [path for path in online.directory.rglob("*") if path.is_file()]
    assert {"journal.db", "report.json", "report.md", "report.html", "log.jsonl", "r.xml"} <= {f.name for f in files}
    for path in files:
        content = path.read_bytes()
        assert private not in content, path
        assert b"Digest username" not in content, path


def test_a_new_run_takes_the_place_of_an_interrupted_one(online: Program) -> None:
    """`--new` starts afresh what was interrupted; a PUT that was sent is read first and not repeated."""
    ids = {"orders": new_id(), "carts": new_id()}
    workflow = online.workflow({"all": ids}, all={"concurrency": "1"})
    with online.started("run", workflow, *JSON) as running:
        running.until("cutover_accepted")
        running.process.send_signal(signal.SIGINT)
        interrupted = running.end()
    assert interrupted.code == 130
    refused = online.run("run", workflow, "--yes", "--new", "--only", "carts")
    assert (refused.code, refused.out) == (2, "")
    assert "(orders)" in refused.err  # which nobody would follow
    done = online.run("run", workflow, "--yes", "--new", "--format", "json")
    assert (done.code, set(done.outcomes.values())) == (0, {"SUCCESS"})
    assert "run_superseded" in done.events
    old = (online.state_dir / "runs" / interrupted.report["run_id"] / "report.md").read_text()
    assert f"Run {done.report['run_id']} has taken its place" in old
    assert "atlas-cutover resume" not in old
    assert [migration["cutover_requests"] for migration in done.report["migrations"]] == [0, 1]
    assert online.run("resume").code == 2


def test_a_before_hook_that_is_ended_by_a_signal_is_recorded_and_undone(program: Program) -> None:
    """Half of it may have been done, so `after_failure` runs, and the report tells of both."""
    began, undone = program.directory / "began", program.directory / "undone"
    hooks = {
        "before": [["sh", "-c", f"touch {began}; exec sleep 60"]],
        "after_failure": [["touch", str(undone)]],
    }
    workflow = program.workflow({"all": {"orders": new_id()}}, defaults={"hooks": hooks})
    program.scenario()
    with program.started("run", workflow, "--rehearse") as running:
        running.until("gate_opened")
        while not began.exists():
            time.sleep(0.01)
        running.process.terminate()
        done = running.end()
    assert done.code == 143
    assert undone.exists()
    ended = [entry for entry in done.log if entry["event"] == "hook_finished"]
    assert [(entry["hook"], entry["exit_code"], entry["error"]) for entry in ended] == [
        ("before", None, "ended, because the run was stopped"),
        ("after_failure", 0, None),
    ]


def test_a_signal_before_the_session_begins_ends_with_its_own_code(program: Program) -> None:
    """Atlas does not answer, and somebody gives up."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        program.config(atlas={"base_url": f"http://127.0.0.1:{port}/api/atlas/v2"})
        workflow = program.workflow({"all": {"orders": new_id()}})
        keys = {"MONGODB_ATLAS_PUBLIC_API_KEY": "abcdefgh", "MONGODB_ATLAS_PRIVATE_API_KEY": "made-up-for-this"}
        program = replace(program, environ={**program.environ, **keys})
        with program.started("run", workflow, "--yes") as running, deaf.accept()[0] as connection:
            connection.recv(1)
            running.process.terminate()
            assert running.end().code == 143


@pytest.mark.parametrize(("command", "code"), [("run", 2), ("resume", 2), ("worker", 2), ("status", -signal.SIGHUP)])
def test_a_terminal_that_is_lost_at_once_ends_nothing_that_works_on_a_run(
    tmp_path: Path, command: str, code: int
) -> None:
    """Also before the modules are loaded, which takes half a second; what only shows something ends with its terminal."""
    hangs_up = (
        "import signal, sys; from orchestrator import __main__ as program; "
        "signal.signal(signal.SIGHUP, signal.SIG_DFL); "  # whoever runs the tests may ignore it
        "program.work_below_init = lambda: signal.raise_signal(signal.SIGHUP); "
        f"sys.argv = ['atlas-cutover', {command!r}, '--config', 'absent.yaml', 'absent']; program.main()"
    )
    environ = os.environ | {"PYTHONPATH": str(Path(orchestrator.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", hangs_up], cwd=tmp_path, env=environ, check=False, capture_output=True)
    assert done.returncode == code, done.stderr


def test_a_word_that_is_not_known_is_a_warning_from_the_first_read_on(program: Program) -> None:
    """Somebody should look at it before the cutover."""
    program.scenario(faults=[{"on": "read", "kind": "garbage", "body": "unknown_status", "times": 1}])
    done = program.run("run", program.workflow({"all": {"orders": new_id()}}), "--rehearse")
    seen = [entry["level"] for entry in done.log if entry["event"] in ("gate_opened", "gate_waiting")]
    assert "warning" in seen


def test_a_put_that_is_sent_again_counts_as_a_retry(program: Program) -> None:
    """In the report and in the log."""
    program.scenario(faults=[{"on": "cutover", "kind": "too_many_requests", "times": 1, "retry_after": "1s"}])
    done = program.run("run", program.workflow({"all": {"orders": new_id()}}), "--rehearse", "--format", "json")
    assert (done.code, done.report["requests"]["retries"]) == (0, 1)
    assert [entry["method"] for entry in done.log if entry["event"] == "request_retried"] == ["PUT"]


def test_status_lists_rehearsals_apart(online: Program) -> None:
    """The newest run of all may be one; the night's is not looked for among them."""
    workflow = online.workflow({"one": {"orders": new_id()}})
    real = online.run("run", workflow, "--yes", "--format", "json").report["run_id"]
    rehearsal = online.run("run", workflow, "--rehearse", "--speed", "100", "--format", "json").report["run_id"]
    runs, _, rehearsals = online.run("status").out.partition("\n\nrehearsals, which have cut nothing over at Atlas:\n")
    assert (real in runs, rehearsal in runs) == (True, False)
    assert (real in rehearsals, rehearsal in rehearsals) == (False, True)
    listed = json.loads(online.run("status", "--format", "json").out)
    assert [(run["run_id"], run["rehearsal"]) for run in listed] == [(rehearsal, True), (real, False)]


def test_hooks_begin_with_no_signal_ignored_that_a_lost_terminal_sends(program: Program) -> None:
    """What they do about it is theirs; a shell cannot even trap what was ignored when it began."""
    program.config()
    program.scenario()
    hook = ["/bin/sh", "-c", "trap 'touch heard' HUP; kill -HUP $$"]
    workflow = program.workflow({"one": {"orders": new_id()}}, defaults={"hooks": {"before": [hook]}})
    before = signal.signal(
        signal.SIGHUP, signal.SIG_DFL
    )  # `nohup make test` ignores it, as everything that it starts does
    try:
        done = replace(program, loaded=None).run("run", workflow, "--rehearse")
    finally:
        signal.signal(signal.SIGHUP, before)
    assert done.code == 0
    assert (program.directory / "heard").exists()
