"""The commands on runs of a Temporal cluster: workers as processes, keys on workers alone."""

from __future__ import annotations

import signal
from pathlib import Path

import anyio
import pytest

from ..house import KEYS, house, wave, workflow
from .cluster import until
from .fleet import fleet, run_id
from .servers import Server, needs_temporal
from .test_nights import own, quick

pytestmark = [pytest.mark.anyio, needs_temporal]


async def test_a_run_is_followed_detached_from_and_attached_to_again_from_any_machine(
    tmp_path: Path, temporal: Server
) -> None:
    """SIGTERM ends the command with 143 and not the run; `resume` follows it to its end, with the whole report.

    A second state directory knows nothing of the run, follows it from its first event on, and pauses it.
    """
    plan = own(workflow(wave("one", "a", "b"), wave("two", "c", approval=True)))
    async with house(tmp_path / "atlas", plan, quick(1.0)) as it:
        with fleet(tmp_path, temporal, it) as those:
            worker = those.worker()
            file = those.write(plan)
            at_temporal = ("run", str(file), "--engine", "temporal")
            refused = await those.run(*at_temporal)
            assert (refused.code, "--yes" in refused.err) == (2, True), refused.err
            begun = await those.run(*at_temporal, "--yes", "--detach")
            assert begun.code == 0, begun.err
            name = run_id(begun.out)
            first = those.begin(*at_temporal, "--yes")
            await until(lambda: it.puts("a") > 0 and "cutover_requested" in those.journal())
            first.send_signal(signal.SIGTERM)
            detached = await those.end(first)
            assert (detached.code, run_id(detached.err)) == (143, name), detached.err
            listed = await those.run("status")
            assert "under way" in listed.out or "waits for approval" in listed.out, listed.out
            local = await those.run("run", str(file), "--yes", "--engine", "local")
            assert local.code in (2, 5)  # without keys it is not even asked
            attached = those.begin("resume", name, "--format", "json")
            other = those.begin(*at_temporal, "--format", "json", state="other")
            for state in ("state", "other"):
                await until(lambda state=state: "approval_waiting" in those.journal(state))  # type: ignore[misc]
            paused = await those.run("pause", name, state="other")
            assert paused.code == 0, paused.err
            approved = await those.run("approve", name, "two")
            assert (approved.code, "has carried it out" in approved.err) == (0, True), approved.err
            await anyio.sleep(1.5)
            assert {each: it.puts(each) for each in "abc"} == {"a": 1, "b": 1, "c": 0}
            shown = await those.run("status", name)
            assert "paused" in shown.out, shown.out + shown.err
            assert (await those.run("unpause", name, state="other")).code == 0
            for follower in (attached, other):
                done = await those.end(follower)
                assert (done.code, set(done.outcomes.values())) == (0, {"SUCCESS"}), done.err
            assert {it.puts(each) for each in "abc"} == {1}
            assert those.journal() == those.journal("other")
            again = await those.run("resume", name)
            assert again.code == 0
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(30) == 0
            everything = those.logs() + detached.err + attached.args.__repr__()
            assert KEYS[1] not in everything


async def test_a_worker_that_reaches_nobody_ends_with_6(tmp_path: Path, temporal: Server) -> None:
    """Temporal, or Atlas, at the start."""
    plan = own(workflow(wave("one", "a")))
    async with house(tmp_path / "atlas", plan, quick()) as it:
        with fleet(tmp_path, temporal, it) as those:
            config = those.directory / "config.yaml"
            right = config.read_text()
            config.write_text(right.replace(temporal.address, "127.0.0.1:1"))
            assert await anyio.to_thread.run_sync(those.worker().wait, 60.0) == 6
            run = await those.run("run", str(those.write(plan)), "--engine", "temporal", "--yes")
            assert run.code == 6
            assert not (those.directory / "state" / "journal.db").exists()
            config.write_text(right.replace(f'"{temporal.namespace}"', '"nobodys"'))
            assert await anyio.to_thread.run_sync(those.worker().wait, 60.0) == 6
            run = await those.run("run", str(those.write(plan)), "--engine", "temporal", "--yes")
            assert (run.code, "has no namespace 'nobodys'" in run.err) == (6, True), run.err
            assert "has no namespace 'nobodys'" in those.logs()
            assert not (those.directory / "state" / "journal.db").exists()
            config.write_text(right.replace(it.settings.atlas.base_url, "http://127.0.0.1:1/api/atlas/v2"))
            assert await anyio.to_thread.run_sync(those.worker().wait, 120.0) == 6
            assert KEYS[1] not in those.logs()


async def test_what_goes_with_a_rehearsal_alone_or_not_at_all_is_said(tmp_path: Path, temporal: Server) -> None:
    """Nobody believes to have rehearsed what was not; nothing is sent."""
    plan = own(workflow(wave("one", "a")))
    async with house(tmp_path / "atlas", plan, quick()) as it:
        with fleet(tmp_path, temporal, it) as those:
            file = str(those.write(plan))
            for options, said in (
                (("--engine", "temporal", "--rehearse", "--detach"), "--detach does not go with --rehearse"),
                (
                    ("--engine", "temporal", "--yes", "--workers", "2"),
                    "--workers goes with --rehearse and engine temporal",
                ),
                (("--rehearse", "--workers", "2"), "--workers goes with --rehearse and engine temporal"),
                (("--engine", "temporal", "--rehearse", "--workers", "0"), "expected a whole number of at least 1"),
            ):
                asked = await those.run("run", file, *options)
                assert (asked.code, said in asked.err) == (2, True), asked.err
            assert it.puts("a") == 0
