"""Cut over is not yet good: `verify` hooks, and what a run does when they do not say yes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from orchestrator.core.events import HookFinished, VerificationStarted, WaveSoaking, WaveStarted
from orchestrator.core.outcomes import ExitCode, Outcome
from orchestrator.core.run import RunState
from orchestrator.core.times import cutover_seconds, downtime_seconds

from .house import Hooks, House, die_when, house, migration, outcomes, wall, wave, workflow

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

YES = ("true", "verify")
NO = ("false", "verify")
FAIL = ("sh", "-c", "exit 3")


def yes_after(path: Path, times: int) -> tuple[str, ...]:
    """A command that says "not yet" so often, and then yes."""
    count = f'n=$(cat "{path}" 2>/dev/null || echo 0); echo $((n + 1)) >"{path}"; test "$n" -ge {times} || exit 75'
    return ("sh", "-c", count)


def ran(it: House) -> list[str]:
    """The hooks that ran, by kind."""
    return [event.hook for event in it.names(HookFinished)]


def hooks_of(state: RunState, name: str) -> Hooks:
    """The hooks of migration *name*."""
    return state.wave_and_migration(name)[1].hooks


async def test_a_verified_migration_is_a_success_and_its_downtime_lasts_until_its_last_hook(tmp_path: Path) -> None:
    """`verify` comes before `after_success`; cutover time ends with Atlas's word, downtime with ours."""
    hooks = Hooks(before=(("true",),), verify=(yes_after(tmp_path / "n", 2),), after_success=(("true",),))
    async with house(tmp_path, workflow(wave("w", migration("a", hooks=hooks)))) as it:
        ending = await it.start()
        assert outcomes(ending) == {"a": Outcome.SUCCESS}
        assert ran(it) == ["before", "verify", "verify", "verify", "after_success"]
        state = ending.state.migrations["a"]
        assert state.verified_at is not None
        assert state.ended_at is not None
        assert 30 <= state.verified_at - state.ended_at < 45  # `verify_every` twice, and the hooks' own time
        took, down = cutover_seconds(state), downtime_seconds(state, hooks_of(ending.state, "a"))
        assert took is not None
        assert down is not None
        assert 30 <= down - took < 45
        (started,) = it.names(VerificationStarted)
        assert (started.migration, started.status) == ("a", "COMPLETE")


@pytest.mark.parametrize("command", [NO, FAIL, ("no-such-program",)])
async def test_one_that_is_refuted_is_unverified_and_runs_its_own_hooks(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    """Neither `after_success` nor `after_failure`: writers must not go back to the source of a finished cutover."""
    hooks = Hooks(verify=(command, YES), after_success=(YES,), after_unverified=(YES,), after_failure=(YES,))
    async with house(tmp_path, workflow(wave("w", migration("a", hooks=hooks), "b"))) as it:
        ending = await it.start()
        assert outcomes(ending) == {"a": Outcome.UNVERIFIED, "b": Outcome.SUCCESS}
        assert ran(it) == ["verify", "after_unverified"]
        assert (ending.exit_code, ending.state.recorded_unfinished) == (ExitCode.FAILED, False)
        message = ending.state.result("a").error_message
        assert message is not None
        assert message.startswith("cut over, but not verified: verify hook:")
        assert downtime_seconds(ending.state.migrations["a"], hooks) is None
        assert it.puts("a") == 1


async def test_not_yet_for_too_long_is_unverified(tmp_path: Path) -> None:
    """It is asked again every `verify_every`, for no longer than `verify_timeout`."""
    hooks = Hooks(verify=(("sh", "-c", "exit 75"),), verify_every=15.0, verify_timeout=60.0)
    async with house(tmp_path, workflow(wave("w", migration("a", hooks=hooks)))) as it:
        ending = await it.start()
        assert outcomes(ending) == {"a": Outcome.UNVERIFIED}
        assert ran(it) == ["verify"] * 4
        assert "did not pass within 1m" in str(ending.state.result("a").error_message)


async def test_an_unverified_migration_counts_for_max_failures(tmp_path: Path) -> None:
    """A canary that is not proven good lets no other wave go."""
    canary = wave("canary", migration("a", hooks=Hooks(verify=(NO,))), max_failures=0)
    async with house(tmp_path, workflow(canary, wave("rest", "b"))) as it:
        ending = await it.start()
        assert outcomes(ending) == {"a": Outcome.UNVERIFIED, "b": Outcome.NOT_STARTED}
        assert it.puts("b") == 0


async def test_a_verification_that_a_death_cut_off_runs_again(tmp_path: Path) -> None:
    """The report of the first session says that it is under way, and the second sends no PUT."""
    hooks = Hooks(verify=(yes_after(tmp_path / "n", 1),), after_success=(YES,))
    async with house(tmp_path, workflow(wave("w", migration("a", hooks=hooks)))) as it:
        run_id = await die_when(it, lambda event: isinstance(event, HookFinished))
        ending = await it.resume(run_id)
        assert outcomes(ending) == {"a": Outcome.SUCCESS}
        assert ran(it) == ["verify", "verify", "after_success"]
        assert it.puts("a") == 1


async def test_a_wave_that_is_not_verified_starts_nothing_more_until_it_is(tmp_path: Path) -> None:
    """Its migrations are SUCCESS; a session that goes on verifies it first."""
    ok = tmp_path / "ok"
    hooks = Hooks(verify=(("test", "-e", str(ok)),), after_success=(YES,), after_unverified=(YES,))
    async with house(tmp_path, workflow(wave("one", "a", hooks=hooks), wave("two", "b"))) as it:
        ending = await it.start()
        assert outcomes(ending) == {"a": Outcome.SUCCESS, "b": Outcome.NOT_STARTED}
        assert ran(it) == ["verify", "after_unverified"]
        assert (ending.exit_code, ending.state.recorded_unfinished) == (ExitCode.FAILED, True)
        assert "wave 'one' is not verified" in str(ending.state.result("b").error_message)
        again = await it.resume(ending.state.run_id)
        assert (again.exit_code, it.puts("b")) == (ExitCode.FAILED, 0)
        ok.touch()
        ending = await it.resume(ending.state.run_id)
        assert outcomes(ending) == {"a": Outcome.SUCCESS, "b": Outcome.SUCCESS}
        assert ending.exit_code is ExitCode.SUCCESS
        assert ran(it)[-2:] == ["verify", "after_success"]


async def test_a_run_that_is_not_verified_ends_with_1(tmp_path: Path) -> None:
    """`run_hooks.verify` says no when all waves are through; "not yet" has its time there, too."""
    for command, every in ((NO, 15.0), (("sh", "-c", "exit 75"), 40.0)):
        hooks = Hooks(verify=(command,), after_success=(YES,), verify_every=every, verify_timeout=60.0)
        async with house(tmp_path / str(every), workflow(wave("w", "a"), hooks=hooks)) as it:
            ending = await it.start()
            assert outcomes(ending) == {"a": Outcome.SUCCESS}
            assert (ending.exit_code, set(ran(it))) == (ExitCode.FAILED, {"verify"})


async def test_a_soak_holds_verification_and_the_next_wave_until_after_the_last_cutover(tmp_path: Path) -> None:
    """`concurrency` is not blocked by those that wait for it."""
    hooks = Hooks(verify=(YES,))
    one = wave("one", *(migration(name, hooks=hooks) for name in "abc"), concurrency=1, soak=900.0)
    async with house(tmp_path, workflow(one, wave("two", "d"))) as it:
        ending = await it.start()
        assert set(outcomes(ending).values()) == {Outcome.SUCCESS}
        last = max(ending.state.migrations[name].ended_at or 0.0 for name in "abc")
        (soaking,) = it.names(WaveSoaking)
        assert (soaking.wave, soaking.until) == ("one", pytest.approx(last + 900))
        assert all(hook.at >= last + 900 for hook in it.names(HookFinished))
        assert it.names(WaveStarted)[1].at >= last + 900


async def test_a_soak_after_the_last_wave_holds_nothing_up(tmp_path: Path) -> None:
    """There is nobody to wait for it."""
    async with house(tmp_path, workflow(wave("one", "a", soak=900.0))) as it:
        began = wall()
        assert outcomes(await it.start()) == {"a": Outcome.SUCCESS}
        assert wall() - began < 60


async def test_an_approval_that_nobody_gives_in_time_rejects_its_wave(tmp_path: Path) -> None:
    """Exit code 3; the session that goes on asks again."""
    two = wave("two", "b", approval=True, approval_timeout=1800.0)
    async with house(tmp_path, workflow(wave("one", "a"), two, wave("three", "c"))) as it:
        began = wall()
        ending = await it.start()
        assert outcomes(ending) == {"a": Outcome.SUCCESS, "b": Outcome.NOT_STARTED, "c": Outcome.NOT_STARTED}
        assert ending.exit_code is ExitCode.INCOMPLETE
        assert "nobody approved it within 30m" in str(ending.state.result("b").error_message)
        assert 1800 <= wall() - began <= 1830
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: it.ask_after(60, "approve", wave="two"))
            ending = await it.resume(ending.state.run_id)
        assert set(outcomes(ending).values()) == {Outcome.SUCCESS}


# -- steering ----------------------------------------------------------------------------------------------------------


def slow_gates(*names: str) -> tuple[object, ...]:
    """Migrations whose gate does not open."""
    return tuple(migration(name, gate=replace(migration(name).gate, max_lag=0.0)) for name in names)  # type: ignore[type-var]


async def test_skip_lets_a_migration_at_its_gate_go_within_a_second(tmp_path: Path) -> None:
    """It is NOT_STARTED, says who skipped it, and does not keep the run unfinished."""
    async with house(tmp_path, workflow(wave("w", "a", *slow_gates("b")))) as it:  # type: ignore[arg-type]
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: it.ask_after(100, "skip", migration="b", reason="no longer needed"))
            began = wall()
            ending = await it.start()
        assert wall() - began <= 101
        assert outcomes(ending) == {"a": Outcome.SUCCESS, "b": Outcome.NOT_STARTED}
        assert ending.state.result("b").error_message == "skipped by somebody: no longer needed"
        assert (ending.state.recorded_unfinished, it.puts("b")) == (False, 0)


async def test_a_gate_that_is_changed_is_heeded_at_once(tmp_path: Path) -> None:
    """The job that waits at it is read again within a second."""
    async with house(tmp_path, workflow(wave("w", *slow_gates("a")))) as it:  # type: ignore[arg-type]
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: it.ask_after(100, "gate", migration="a", gate=migration("a").gate))
            ending = await it.start()
        assert outcomes(ending) == {"a": Outcome.SUCCESS}
        assert 100 <= it.put_at("a") <= 101.5


async def test_retry_takes_up_what_failed_without_a_put_and_what_was_skipped(tmp_path: Path) -> None:
    """While the run goes on; a wave that has finished meanwhile is taken up again."""
    fixed = tmp_path / "fixed"
    failing = migration("a", hooks=Hooks(before=(("test", "-e", str(fixed)),)))
    later = wave("later", "c", approval=True)
    async with house(tmp_path, workflow(wave("w", failing, *slow_gates("b")), later)) as it:  # type: ignore[arg-type]

        async def steer() -> None:
            await it.ask_after(100, "skip", migration="b")
            fixed.touch()
            await it.ask_after(100, "retry", migration="a")
            it.ask("gate", migration="b")
            it.ask("retry", migration="b")
            it.ask("gate", migration="b")
            await it.ask_after(100, "approve", wave="later")

        async with anyio.create_task_group() as group:
            group.start_soon(steer)
            ending = await it.start()
        assert set(outcomes(ending).values()) == {Outcome.SUCCESS}
        assert {it.puts(name) for name in "abc"} == {1}


async def test_retry_verifies_an_unverified_migration_again_and_sends_no_put(tmp_path: Path) -> None:
    """What was wrong on the new cluster has been mended by hand."""
    fixed = tmp_path / "fixed"
    canary = migration("a", hooks=Hooks(verify=(("test", "-e", str(fixed)),)))
    async with house(tmp_path, workflow(wave("w", canary), wave("later", "b", approval=True))) as it:

        async def steer() -> None:
            await anyio.sleep(100)
            fixed.touch()
            it.ask("retry", migration="a")
            await it.ask_after(10, "approve", wave="later")

        async with anyio.create_task_group() as group:
            group.start_soon(steer)
            ending = await it.start()
        assert set(outcomes(ending).values()) == {Outcome.SUCCESS}
        assert (it.puts("a"), ending.exit_code) == (1, ExitCode.SUCCESS)


async def test_a_rejected_wave_and_those_after_it_are_not_started_and_those_before_it_are(tmp_path: Path) -> None:
    """Exit code 3; an approval lifts it in the next session."""
    plan = workflow(wave("one", "a"), wave("two", "b"), wave("three", "c"))
    async with house(tmp_path, plan) as it:
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: it.ask_after(1, "reject", wave="two", reason="the app is not ready"))
            ending = await it.start()
        assert outcomes(ending) == {"a": Outcome.SUCCESS, "b": Outcome.NOT_STARTED, "c": Outcome.NOT_STARTED}
        assert ending.exit_code is ExitCode.INCOMPLETE
        assert ending.state.result("c").error_message == "wave 'two' was rejected by somebody: the app is not ready"
        ending = await it.resume(ending.state.run_id)
        assert (outcomes(ending)["b"], ending.exit_code) == (Outcome.NOT_STARTED, ExitCode.INCOMPLETE)
