"""The question on a terminal: it names what gets a PUT, no more and no less, and nothing else is done."""

from __future__ import annotations

import re

import pytest

from .program import GROUP, Atlas, Program, new_id

ASKED = "to go on: "
NO, YES = "no\n", "night\n"


def jobs(*names: str) -> dict[str, str]:
    """Migrations of these names."""
    return {name: new_id() for name in names}


def words(text: str) -> str:
    """*text* on one line."""
    return " ".join(text.split())


def test_the_question_counts_what_is_left_and_names_run_project_and_key(online: Program, atlas: Atlas) -> None:
    """3 of 40 are done."""
    canary, rest = jobs("orders", "carts", "search"), jobs(*(f"m{number:02}" for number in range(37)))
    workflow = online.workflow({"canary": canary, "rest": rest})
    first = online.run("run", workflow, "--yes", "--only", "canary", "--format", "json")
    asked = online.on_terminal("run", workflow, prompt=ASKED, answer=NO)
    assert (asked.code, asked.out) == (2, "")
    shown = words(asked.err)
    run_id, key = first.report["run_id"], atlas.keys["MONGODB_ATLAS_PUBLIC_API_KEY"]
    assert f"This cuts 37 live migrations over, continues run {run_id}, at {atlas.base_url}" in shown
    assert f"API key {key[:4]}...:" in shown
    assert key not in shown
    assert f"project: {GROUP} (37)" in shown
    assert "rest: 37 (m00, m01" in shown
    assert "canary" not in shown
    part = online.on_terminal("run", workflow, "--only", "m05", prompt=ASKED, answer=NO)
    assert "This cuts 1 live migration over, continues run" in words(part.err)
    assert "rest: 1 (m05)" in words(part.err)


@pytest.mark.parametrize("options", [(), ("--yes",), ("--only", "canary"), ("--only", "orders", "--yes")])
def test_a_file_without_what_the_recorded_run_would_still_cut_over_stops(
    online: Program, options: tuple[str, ...]
) -> None:
    """Two are done; the other two were taken out of the file. Nobody is asked, and they are named."""
    canary, rest = jobs("orders", "carts"), jobs("search", "users")
    whole = online.workflow({"canary": canary, "rest": rest})
    run_id = online.run("run", whole, "--yes", "--only", "canary", "--format", "json").report["run_id"]
    workflow = online.workflow({"canary": canary})
    done = online.on_terminal("run", workflow, *options, prompt=ASKED, answer=YES)
    assert (done.code, done.out, ASKED in done.err) == (2, "", False)
    shown = words(done.err)
    assert "migrations removed: search, users" in shown
    assert (
        f"atlas-cutover resume {run_id} continues it as it is recorded: cuts 2 live migrations over: search, users"
        in shown
    )
    assert f"atlas-cutover run --new {online.directory / workflow} starts another run" in shown
    new = online.run("run", workflow, "--yes", "--new", "--format", "json")
    assert (new.code, new.outcomes) == (0, {"orders": "SUCCESS", "carts": "SUCCESS"})


def test_another_teams_workflow_of_the_same_name_stops(online: Program) -> None:
    """From cron, too: it does not cut over the first team's migrations, and does not exit with 0."""
    ours = online.workflow({"a": jobs("orders"), "b": jobs("carts")})
    run_id = online.run("run", ours, "--yes", "--only", "a", "--format", "json").report["run_id"]
    theirs = online.workflow({"all": jobs("theirs")})
    done = online.run("run", theirs, "--yes", "--state-dir", str(online.state_dir))
    assert (done.code, done.out) == (2, "")
    assert "migrations removed: orders, carts" in done.err
    assert f"atlas-cutover resume {run_id} --state-dir {online.state_dir}\n" in done.err


def test_a_new_window_alone_is_asked_about_and_heeded(online: Program) -> None:
    """Yesterday's is over."""
    ids = jobs("orders")
    past = {"opens": "2020-01-01T01:00:00Z", "closes": "2020-01-01T02:00:00Z"}
    assert online.run("run", online.workflow({"all": ids}, window=past), "--yes").code == 3
    workflow = online.workflow({"all": ids}, window={"opens": "2020-01-01T01:00:00Z", "closes": "2120-01-01T02:00:00Z"})
    done = online.on_terminal("run", workflow, prompt=ASKED, answer=YES)
    assert (done.code, done.out.startswith("SUCCESS")) == (0, True)
    assert re.search(r"The window is that of the file now: 2020-01-01 01:00:00 to 2120-01-01", words(done.err))
    assert "2120-01-01" in online.run("report", "--output", "r.md").out + (online.directory / "r.md").read_text()


def test_what_is_in_doubt_is_named_as_such(online: Program, atlas: Atlas) -> None:
    """It may get another PUT, so it is asked about, though not counted with those that do."""
    waves = {"one": {"unclear": next(atlas.loses_put)}, "two": jobs("orders")}
    workflow = online.workflow(waves, one={"timeout": "1h"})
    with online.started("run", workflow, "--yes") as running:
        running.until("cutover_in_doubt")
        running.process.kill()
    asked = online.on_terminal("run", workflow, prompt=ASKED, answer="\x03")
    assert asked.code == 130
    shown = words(asked.err)
    assert "This cuts 1 live migration over, continues run" in shown
    assert "1 live migration has had a PUT that may have been carried out; another one leaves only if" in shown
    assert "one: 1 (unclear)" in shown
    assert "cutover_requested" not in shown


def test_nobody_is_asked_where_no_put_can_leave(online: Program, atlas: Atlas) -> None:
    """What Atlas has accepted is followed at once, without a terminal and without `--yes`, by `run` as by `resume`."""
    workflow = online.workflow({"one": {"slow": next(atlas.slow)}}, defaults={"timeout": "2s"})
    with online.started("run", workflow, "--yes") as running:
        running.until("cutover_accepted")
        running.process.terminate()
        assert running.end().code == 143
    done = online.run("run", workflow, "--format", "json")
    assert (done.code, done.outcomes) == (1, {"slow": "TIMED_OUT"})
    assert done.report["migrations"][0]["cutover_requests"] == 1


def test_a_new_run_says_which_one_is_over_then(online: Program) -> None:
    """What that one has not started is not started by anybody else."""
    workflow = online.workflow({"a": jobs("orders"), "b": jobs("carts")})
    first = online.run("run", workflow, "--yes", "--only", "a", "--format", "json")
    asked = online.on_terminal("run", workflow, "--new", prompt=ASKED, answer=NO)
    shown = words(asked.err)
    assert f"Run {first.report['run_id']} is over then" in shown
    assert "This cuts 1 live migration over at" in shown
    assert "a: 1 (orders)" in shown  # it had a PUT, in that run


def test_a_run_that_another_process_continues_while_the_question_stands_is_left_alone(online: Program) -> None:
    """What was confirmed is not there any more; nothing else is done instead."""
    workflow = online.workflow({"a": jobs("orders"), "b": jobs("carts"), "c": jobs("search")})
    online.run("run", workflow, "--yes", "--only", "a")
    done = online.on_terminal(
        "run", workflow, prompt=ASKED, answer=YES, meanwhile=lambda: online.run("resume", "--yes", "--only", "b")
    )
    assert (done.code, done.out) == (2, "")
    assert "has changed since you were asked" in words(done.err)
    assert "cutover_requested" not in done.err
