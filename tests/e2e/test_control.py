"""A second shell beside a run, and the confirmation on a terminal."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from ..terminal import screen
from .program import Atlas, Program, new_id


@pytest.fixture
def workflow(program: Program) -> str:
    """Two quick waves, the second of which wants approval."""
    program.scenario()
    waves = {"canary": {"orders": new_id()}, "the rest": {"carts": new_id()}}
    more: dict[str, Any] = {"the rest": {"approval": "true"}}
    return program.workflow(waves, **more)


def test_approve_from_another_shell(program: Program, workflow: str) -> None:
    """`status` says what the run waits for and how to let it go on; `approve` does that; `--watch` ends with the run."""
    with program.started("run", workflow, "--rehearse", "--format", "json") as running:
        run_id = running.until("approval_waiting")["run_id"]
        assert shows(program, run_id, f"\n  $ atlas-cutover approve {run_id} 'the rest'\n")
        assert "waits for approval" in program.run("status").out
        wrong = program.run("approve", run_id, "canary")
        assert (wrong.code, "needs no approval" in wrong.err) == (2, True)
        wrong = program.run("approve", run_id, "nowhere")
        assert (wrong.code, "canary, the rest" in wrong.err) == (2, True)
        assert program.run("approve", run_id, "the rest").code == 0
        assert program.run("status", run_id, "--watch").code == 0
        done = running.end()
    assert (done.code, set(done.outcomes.values())) == (0, {"SUCCESS"})
    late = program.run("approve", run_id, "the rest")
    assert (late.code, "is over" in late.err) == (2, True)


def test_pause_holds_and_unpause_lets_go(program: Program, workflow: str) -> None:
    """While paused no cutover starts, also of an approved wave, and `status` says who paused."""
    with program.started("run", workflow, "--rehearse", "--format", "json") as running:
        run_id = running.until("approval_waiting")["run_id"]
        assert program.run("pause", run_id).code == 0
        running.until("run_paused")
        assert program.run("approve", run_id, "the rest").code == 0
        assert shows(program, run_id, f"\n  $ atlas-cutover unpause {run_id}\n")
        assert program.run("unpause", run_id).code == 0
        running.until("run_unpaused")
        done = running.end()
    assert done.code == 0
    assert done.events.index("run_unpaused") < _last(done.events, "cutover_requested")


FOR_RUN_ALONE = """\
atlas: {private_key_file: "${CREDENTIALS_DIRECTORY}/key"}
notify: {urls: ["${CUTOVER_SLACK}"]}
poling: {}
state_dir: state
"""


def test_the_brake_needs_the_state_directory_and_nothing_else(program: Program, workflow: str) -> None:
    """Another shell has neither keys nor the unit's variables, and the config may have been broken since."""
    with program.started("run", workflow, "--rehearse", "--format", "json") as running:
        run_id = running.until("approval_waiting")["run_id"]
        program.write("config.yaml", FOR_RUN_ALONE)
        assert program.run("check", workflow).code == 2
        for command in (("status",), ("status", run_id), ("report", "--output", "r.md"), ("pause",), ("unpause",)):
            done = program.run(*command)
            assert (done.code, "CUTOVER_SLACK" in done.err) == (0, False), command
        program.write("config.yaml", FOR_RUN_ALONE + "logging: [\n")
        approved = program.run("approve", run_id, "the rest")
        assert (approved.code, "state_dir alone is used" in approved.err) == (0, True)
        assert running.end().code == 0
        aborted = program.run("abort", run_id)
        assert (aborted.code, "is over" in aborted.err) == (2, True)
    program.write("config.yaml", FOR_RUN_ALONE)
    with program.started("serve", "--port", "0") as serving:
        assert serving.process.stdout is not None
        assert serving.process.stdout.readline().startswith("http://127.0.0.1:")
        serving.process.terminate()
        assert serving.process.wait(60) == 0


def test_pause_without_an_id_means_the_run_under_way(program: Program, workflow: str) -> None:
    """Where none is under way, or several are, nothing is paused and the message says which there are."""
    with program.started("run", workflow, "--rehearse") as running:
        run_id = running.until("approval_waiting")["run_id"]
        paused = program.run("pause")
        assert (paused.code, run_id in paused.err) == (0, True)
        running.until("run_paused")
        assert program.run("unpause").code == 0
        running.until("run_unpaused")
        program.scenario("other", jobs={"ready_after": "never"})
        other = program.workflow({"one": {"search": new_id()}}, name="other")
        with program.started("run", other, "--rehearse") as second:
            other_id = second.until("gate_waiting")["run_id"]
            several = program.run("pause")
            assert (several.code, run_id in several.err, other_id in several.err) == (2, True, True)
            second.process.terminate()
            second.end()
        running.process.terminate()
        running.end()
    none = program.run("unpause")
    assert (none.code, "no run is under way" in none.err) == (2, True)


def test_the_run_under_way_goes_before_newer_ones_that_are_over(program: Program, workflow: str) -> None:
    """`report` and `status --watch` without an id show what is going on now, and `report` says that it is not over."""
    with program.started("run", workflow, "--rehearse") as running:
        run_id = running.until("approval_waiting")["run_id"]
        program.scenario("other")
        other = program.workflow({"one": {"search": new_id()}}, name="other")
        assert program.run("run", other, "--rehearse").code == 0
        assert shows(program, run_id, "waits for approval")
        report = program.run("report")
        assert (report.code, run_id in report.out) == (0, True)
        assert "is under way" in report.err
        assert report.out.startswith("REHEARSAL waits for approval (")
        assert "the run is over" not in report.out
        with program.started("status", "--watch") as watching:
            assert watching.process.stdout is not None
            assert watching.process.stdout.readline().startswith("REHEARSAL night  waits for approval  1 of 2")
            running.process.terminate()
            running.end()
            assert run_id in watching.end().out


def test_abort_ends_the_run(program: Program, workflow: str) -> None:
    """After `abort` the rest is NOT_STARTED, exit code 3, and there is nothing to resume."""
    with program.started("run", workflow, "--rehearse", "--format", "json") as running:
        run_id = running.until("approval_waiting")["run_id"]
        assert program.run("abort", run_id).code == 0
        done = running.end()
    assert (done.code, done.outcomes) == (3, {"orders": "SUCCESS", "carts": "NOT_STARTED"})
    assert "run_aborted" in done.events
    assert program.run("resume").code == 2
    for command in ("pause", "unpause", "abort"):
        over = program.run(command, run_id)
        assert (over.code, f"nothing to {command}" in over.err) == (2, True)


def test_abort_and_approve_of_an_interrupted_run(program: Program, workflow: str) -> None:
    """Where no process works on a run, `approve` and `pause` are kept for the next one, `abort` ends it."""
    with program.started("run", workflow, "--rehearse") as running:
        run_id = running.until("approval_waiting")["run_id"]
        running.process.terminate()
        assert running.end().code == 143
    held = program.run("pause", run_id, "--reason", "wait for ada")
    assert (held.code, f"`atlas-cutover resume {run_id}` continues it" in held.err) == (0, True)
    assert program.run("pause", run_id).code == 2
    kept = program.run("approve", run_id, "the rest")
    assert (kept.code, "resume" in kept.err) == (0, True)
    file = program.state_dir / "night.log"
    assert program.run("abort", run_id, "--reason", "the morning has come", "--log-file", str(file)).code == 0
    logged = [json.loads(line) for line in file.read_text().splitlines()]
    assert [each["event"] for each in logged] == ["run_aborted", "cutovers_stopped", "run_finished"]
    assert (logged[0]["run_id"], logged[0]["reason"]) == (run_id, "the morning has come")
    assert program.run("status", run_id, "--format", "json").outcomes["carts"] == "NOT_STARTED"
    assert program.run("resume").code == 2


def test_abort_of_an_interrupted_run_says_what_nobody_watches_any_more(online: Program, atlas: Atlas) -> None:
    """How many cutovers that are, and the run's reports are made anew: aborted by whom, and nothing to resume."""
    run_id = interrupted(online, atlas)
    done = online.run("abort", run_id)
    assert done.code == 0
    assert "1 cutover is under way or in doubt, and no longer watched" in done.err
    kept = online.state_dir / "runs" / run_id
    report = json.loads((kept / "report.json").read_text())
    assert (report["exit_code"], report["unfinished"]) == (4, False)
    assert report["aborted_by"] is not None
    shown = online.run("report", run_id)
    for text in (done.err, shown.out, *((kept / name).read_text() for name in ("report.json", "report.md"))):
        assert "resume" not in text
    assert online.run("resume").code == 2
    assert online.run("resume", run_id).code == 4


def test_an_application_that_an_interrupted_run_leaves_stopped_is_told_when_it_is_ended(online: Program) -> None:
    """By `abort`, and by `run --new`, whose own hooks begin anew; `status` of what was aborted says it, too."""
    for number, way in enumerate(("abort", "new")):
        hooks = {"before": [["sleep", "3"]], "after_failure": [["true"]]}
        workflow = online.workflow({"all": {f"orders{number}": new_id()}}, defaults={"hooks": hooks})
        with online.started("run", workflow, "--yes", "--format", "json", "--log-level", "debug") as running:
            run_id = str(running.until("hook_started")["run_id"])
            running.process.kill()
            running.end()
        point = online.run("status", run_id).out
        assert f"prepared (orders{number})" in point
        ended = online.run("abort", run_id) if way == "abort" else online.run("run", workflow, "--yes", "--new")
        text = " ".join(ended.err.split())
        assert (
            f"hooks of orders{number}: `before` may have stopped the application, and `after_failure` has not run"
            in text
        )
        assert "let the application write to the source by hand" in text
        assert "NOT_RUN" not in text
        told = " ".join(online.run("status", run_id).out.split())
        assert f"hooks of orders{number}: `before` may have stopped the application" in told


def test_name_typed_on_a_terminal(online: Program) -> None:
    """On a terminal the workflow's name confirms; target and counts are shown first, and stdout has the summary."""
    workflow = online.workflow({"canary": {"orders": new_id()}})
    done = online.on_terminal("run", workflow, prompt="to go on: ", answer="night\n")
    assert (done.code, done.out.startswith("SUCCESS")) == (0, True)
    assert "This cuts 1 live migration over at http://127.0.0.1:" in done.err
    assert "cannot be undone" in done.err


def interrupted(online: Program, atlas: Atlas) -> str:
    """A real run that was stopped with one migration under way and one that had no PUT; its id."""
    waves = {"one": {"slow": next(atlas.slow)}, "two": {"orders": new_id()}}
    workflow = online.workflow(waves, defaults={"timeout": "2s"})
    with online.started("run", workflow, "--yes") as running:
        run_id = str(running.until("cutover_accepted")["run_id"])
        running.process.terminate()
        assert running.end().code == 143
    return run_id


def test_resume_on_a_terminal_asks_before_cutovers_start(online: Program, atlas: Atlas) -> None:
    """It says how many may still start; another word starts nothing, `--yes` and a missing terminal ask nothing."""
    run_id = interrupted(online, atlas)
    refused = online.on_terminal("resume", prompt="to go on: ", answer="no\n")
    assert f"This cuts 1 live migration over, continues run {run_id}, at http://127.0.0.1:" in refused.err
    assert "two: 1 (orders)" in refused.err
    assert "1 cutover is under way at Atlas and only followed: slow" in refused.err
    assert refused.code == 1  # what was under way was followed, and is TIMED_OUT
    assert "NOT_STARTED orders (two): not confirmed on the terminal" in refused.out
    assert "TIMED_OUT slow (one)" in refused.out
    again = online.on_terminal("resume", prompt="to go on: ", answer="no\n")
    assert (again.code, again.out) == (2, "")  # there is nothing to follow any more
    done = online.on_terminal("resume", "--yes", prompt="to go on: ", answer="no\n")
    assert "Type the workflow" not in done.err
    assert online.run("report", "--format", "json").outcomes == {"slow": "TIMED_OUT", "orders": "SUCCESS"}


@pytest.mark.parametrize("command", ["run", "resume"])
def test_what_is_under_way_is_followed_while_the_question_stands(online: Program, atlas: Atlas, command: str) -> None:
    """An application stands still; nobody has to be at the terminal for its end to be seen. The rest waits for the answer."""
    run_id = interrupted(online, atlas)

    def followed() -> None:
        deadline = time.monotonic() + 60
        while (outcomes := online.run("status", run_id, "--format", "json").outcomes)["slow"] != "TIMED_OUT":
            assert time.monotonic() < deadline
        assert outcomes == {"slow": "TIMED_OUT", "orders": "NOT_STARTED"}

    arguments = ("run", "night.yaml") if command == "run" else ("resume",)
    done = online.on_terminal(*arguments, prompt="to go on: ", answer="night\n", meanwhile=followed)
    assert done.code == 1
    report = online.run("report", run_id, "--format", "json")
    assert report.outcomes == {"slow": "TIMED_OUT", "orders": "SUCCESS"}
    assert [m["cutover_requests"] for m in report.report["migrations"]] == [1, 1]


@pytest.mark.parametrize(("answer", "code"), [("\x04", 1), ("\x03", 130)])
def test_no_answer_starts_nothing_while_something_is_followed(
    online: Program, atlas: Atlas, answer: str, code: int
) -> None:
    """The end of input is no consent, and Ctrl-C stops in order."""
    run_id = interrupted(online, atlas)
    done = online.on_terminal("resume", prompt="to go on: ", answer=answer)
    report = online.run("report", run_id, "--format", "json")
    assert (done.code, report.outcomes["orders"]) == (code, "NOT_STARTED")


def test_resume_prefers_a_real_run_to_a_rehearsal(online: Program, atlas: Atlas) -> None:
    """A newer rehearsal that was cut short does not hide the night's run, and without a terminal nobody is asked."""
    run_id = interrupted(online, atlas)
    online.scenario("other", jobs={"ready_after": "never"})
    other = online.workflow({"one": {"search": new_id()}}, name="other")
    with online.started("run", other, "--rehearse") as rehearsal:
        rehearsal.until("gate_waiting")
        rehearsal.process.terminate()
        rehearsal.end()
    done = online.run("resume", "--format", "json")
    assert (done.code, done.report["run_id"]) == (1, run_id)
    assert online.run("report", "--format", "json").report["run_id"] == run_id
    refused = online.run("resume", run_id, "--speed", "3")
    assert (refused.code, "is a real one" in refused.err) == (2, True)


@pytest.mark.parametrize(("answer", "code"), [("yes\n", 2), ("\n", 2), ("\x04", 2), ("\x03", 130)])
def test_anything_else_on_a_terminal(online: Program, answer: str, code: int) -> None:
    """Another word, nothing, the end of input or Ctrl-C: nothing is sent, and the shell's prompt gets its own line."""
    workflow = online.workflow({"canary": {"orders": new_id()}})
    done = online.on_terminal("run", workflow, prompt="to go on: ", answer=answer)
    assert (done.code, done.out) == (code, "")
    assert done.err.replace("\r", "").endswith("\nnot confirmed; nothing was sent\n")
    assert not online.state_dir.exists()


def test_enter_on_the_terminal_approves_the_wave_that_waits(program: Program) -> None:
    """And the display that was there leaves no stale line between the log lines."""
    workflow = program.workflow({"canary": {"orders": new_id()}, "rest": {"carts": new_id()}}, rest={"approval": True})
    program.scenario()
    done = program.on_terminal("run", workflow, "--rehearse", prompt="waits for approval", answer="\n")
    assert (done.code, done.out.startswith("REHEARSAL SUCCESS")) == (0, True)
    shown = screen(done.err, 10_000)
    assert any("approved" in row and "the terminal" in row for row in shown)
    assert any("on this terminal: Enter alone, or rest and Enter, approves wave rest" in row for row in shown)
    assert [row for row in shown if row and not re.match(r"\d\d:\d\d:\d\d ", row)] == []


def test_on_the_terminal_a_real_wave_wants_the_number_of_its_migrations(online: Program) -> None:
    """Enter alone, somebody else's Enter or the wave's name cut nothing over."""
    workflow = online.workflow({"rest": {"carts": new_id(), "orders": new_id()}}, rest={"approval": True})
    typed = "\nrest\n3\n2\n"
    done = online.on_terminal("run", workflow, "--yes", prompt="waits for approval", answer=typed)
    assert (done.code, done.out.startswith("SUCCESS")) == (0, True)
    said = "not approved: type the number of the migrations of wave rest that are left (2) to cut them over"
    assert done.err.count(said) == 3
    assert "on this terminal: type the number of the migrations of wave rest that are left (2)" in done.err


def test_other_words_approve_nothing(program: Program) -> None:
    """Also bytes that are no text; the name of the wave does."""
    workflow = program.workflow({"canary": {"orders": new_id()}, "rest": {"carts": new_id()}}, rest={"approval": True})
    program.scenario()
    typed = "no\n\udce9\ncanary\nrest\n"
    done = program.on_terminal("run", workflow, "--rehearse", prompt="waits for approval", answer=typed)
    assert (done.code, done.out.startswith("REHEARSAL SUCCESS")) == (0, True)
    assert done.err.count("not approved: Enter alone, or rest and Enter, approves wave rest") == 3


def test_what_is_typed_in_the_shell_does_not_touch_a_run_in_the_background(program: Program) -> None:
    """It is neither stopped by reading from the terminal nor takes what is typed as approval."""
    workflow = program.workflow({"canary": {"orders": new_id()}}, canary={"approval": True})
    program.scenario()
    shell = 'set -m; "$@" & read line; sleep 1; kill -INT $!; wait $!'
    done = program.on_terminal("run", workflow, "--rehearse", prompt="waits for approval", answer="ls\n", shell=shell)
    assert (done.code, "INCOMPLETE" in done.out) == (130, True)
    assert "approved" not in done.err
    assert "on this terminal" not in done.err


def test_no_terminal_needs_yes(online: Program) -> None:
    """From cron the run is refused without `--yes`, which the message names."""
    done = online.run("run", online.workflow({"canary": {"orders": new_id()}}))
    assert (done.code, done.out) == (2, "")
    assert "--yes" in done.err


def shows(program: Program, run_id: str, text: str) -> bool:
    """Whether `status` shows *text*; the journal may be half a second behind the log, so it is asked again."""
    deadline = time.monotonic() + 60
    while text not in program.run("status", run_id).out:
        if time.monotonic() > deadline:
            return False
    return True


def _last(events: list[str], name: str) -> int:
    return len(events) - 1 - events[::-1].index(name)


def test_status_lists_all_with_what_was_last_read(program: Program) -> None:
    """Whatever their number, also while the run is under way: status, lag, age, and the last read that failed."""
    ids = {f"m{number:02}": new_id() for number in range(40)}
    program.scenario(
        special={"m07": {"ready_after": "never"}},
        faults=[{"on": "read", "kind": "status", "status": 500, "migration": "m07", "after": "2s"}],
    )
    workflow = program.workflow({"all": ids})
    with program.started("run", workflow, "--rehearse", "--speed", "1") as running:
        run_id = running.until("gate_waiting")["run_id"]
        while not re.search(r"^m07 .*500", (listed := program.run("status", run_id, "--all")).out, re.MULTILINE):
            running.until("request_retried")
        running.process.terminate()
        running.end()
    (row,) = [line for line in listed.out.splitlines() if line.startswith("m07 ")]
    assert re.search(r"^m07 +all +at the gate: not ready +\w+ .*s ago .*s ago: .*500", row)
    after = program.run("status", "--all")
    assert all(re.search(rf"^{name} +all ", after.out, re.MULTILINE) for name in ids)
    brief = program.run("status", run_id)
    assert "m07 " not in brief.out.partition("WAVE ")[2]
    assert f"all of them:\n  $ atlas-cutover status {run_id} --all" in brief.out
    document = program.run("status", run_id, "--all", "--format", "json").report
    (m07,) = [m for m in document["migrations"] if m["name"] == "m07"]
    assert "500" in m07["last_read"]["error"]
    assert m07["last_read"]["seen_at"] < m07["last_read"]["error_at"]
    assert "last_read" not in program.run("report", run_id, "--format", "json").report["migrations"][0]


STEERED = """version: 1
name: steered
defaults: {group_id: 7e68e12770616e75e6df43d0}
waves:
  - name: all
    max_failures: 0
    hooks: {before: [[test, -e, fixed]]}
    migrations:
      - {name: orders, live_migration_id: a659ce44c03ca1e348b1e992}
  - name: later
    migrations:
      - {name: carts, live_migration_id: a659ce44c03ca1e348b1e993}
      - {name: archive, live_migration_id: a659ce44c03ca1e348b1e994}
"""


def test_what_nobody_works_on_is_steered_for_the_session_that_continues_it(program: Program) -> None:
    """`retry`, `skip` and `reject` are recorded at once, and `resume` heeds them. What they say to do next finds the state directory that they were told."""
    path = program.directory / "steered.yaml"
    path.write_text(STEERED, encoding="utf-8")
    done = program.run("run", str(path), "--rehearse", "--format", "json")
    run_id = done.report["run_id"]
    assert (done.code, done.outcomes["orders"], done.outcomes["archive"]) == (1, "FAILED", "NOT_STARTED")
    (program.directory / "fixed").touch()
    assert program.run("retry", run_id, "orders", "--reason", "mended").code == 0
    again = program.run("retry", run_id, "orders")
    assert (again.code, "nothing to retry" in again.err) == (2, True)
    where = ("--state-dir", str(program.state_dir))
    skipped = program.run("skip", run_id, "carts", *where)
    assert (skipped.code, f"`atlas-cutover resume {run_id} {' '.join(where)}` continues" in skipped.err) == (0, True)
    nowhere = program.run("status", "1999", *where)
    assert (nowhere.code, f"`atlas-cutover status {' '.join(where)}` lists" in nowhere.err) == (2, True)
    assert program.run("reject", run_id, "later", "--reason", "not tonight").code == 0
    done = program.run("resume", run_id, "--format", "json")
    assert (done.code, done.outcomes) == (3, {"orders": "SUCCESS", "carts": "NOT_STARTED", "archive": "NOT_STARTED"})
    reasons = {each["name"]: each["error_message"] for each in done.report["migrations"]}
    assert reasons["carts"].startswith("skipped by ")
    assert "not tonight" in reasons["archive"]
