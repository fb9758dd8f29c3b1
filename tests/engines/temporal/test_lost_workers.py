"""Workers that die or freeze at any moment, servers too, with the simulator's record as judge."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from orchestrator.core.outcomes import Outcome
from orchestrator.simulator.scenario import Fault, FaultKind, Kind, Range, Special

from ...machine.test_kept_groups import is_alive
from ..house import House, house, live, wave, workflow
from .cluster import LEASE, until
from .fleet import Fleet, Process, fleet
from .servers import Server, needs_temporal, server
from .test_nights import own, quick

pytestmark = [pytest.mark.anyio, needs_temporal]


@contextmanager
def _carried_on(process: Process) -> Iterator[None]:
    """Let *process* go on at the end, whatever happens: a stopped one cannot even be waited for."""
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def is_stopped(process: Process) -> bool:
    """Whether *process* has been stopped by a signal."""
    state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state == "T"


async def frozen_and_woken(those: Fleet, it: House, moment: str) -> tuple[int | None, str]:
    """Freeze the worker that sends a PUT at *moment*, wake it when another one has cut the job over.

    How the frozen one has ended (None: it works), and what the command says of the run.
    """
    frozen = those.worker(("tests.engines.temporal.freezing", moment))
    await those.serves(1)
    plan = own(workflow(wave("one", "a")))
    run = those.begin("run", str(those.write(plan)), "--engine", "temporal", "--yes", "--format", "json")
    await until(lambda: is_stopped(frozen))
    with _carried_on(frozen):
        those.worker()
        done = await those.end(run)
    assert done.code == 0, done.err
    with anyio.move_on_after(5):
        while frozen.poll() is None:  # noqa: ASYNC110 - it is asked for
            await anyio.sleep(0.1)
    await anyio.sleep(1.0)
    return frozen.poll(), done.outcomes["a"]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")
async def test_a_worker_frozen_at_the_write_dies_before_it_writes(tmp_path: Path, temporal: Server) -> None:
    """Another worker has settled the doubt, and sent the PUT: the first one wakes, and its alarm ends it."""
    scenario = replace(quick(), repeat_puts=True)
    async with house(tmp_path / "atlas", workflow(wave("one", "a")), scenario) as it:
        with fleet(tmp_path, temporal, it) as those:
            ended, outcome = await frozen_and_woken(those, it, "writing")
            assert (ended, outcome) == (-signal.SIGALRM, "SUCCESS")
            assert (it.puts("a"), it.seen("a")["puts_processed"]) == (1, 1)


@pytest.mark.chaos
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")
async def test_a_worker_frozen_before_the_last_question_sends_nothing(tmp_path: Path, temporal: Server) -> None:
    """It sees by its clock that Temporal's word is too old, and works on."""
    scenario = replace(quick(), repeat_puts=True)
    async with house(tmp_path / "atlas", workflow(wave("one", "a")), scenario) as it:
        with fleet(tmp_path, temporal, it) as those:
            ended, outcome = await frozen_and_woken(those, it, "asking")
            assert (ended, outcome) == (None, "SUCCESS")
            assert (it.puts("a"), it.seen("a")["puts_processed"]) == (1, 1)


@pytest.mark.chaos
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("broken", ["guardless", "timeless"])
async def test_without_the_guard_or_a_time_to_leave_by_a_frozen_worker_would_send_a_second_put(
    tmp_path: Path, temporal: Server, broken: str
) -> None:
    """So it is each of them that keeps it from that, at another moment."""
    scenario = replace(quick(), repeat_puts=True)
    async with house(tmp_path / "atlas", workflow(wave("one", "a")), scenario) as it:
        with fleet(tmp_path, temporal, it) as those:
            await frozen_and_woken(those, it, broken)
            await until(lambda: it.puts("a") == 2)
            assert it.seen("a")["puts_processed"] == 2


@pytest.mark.chaos
async def test_if_temporal_gave_a_lost_put_to_another_worker_it_would_be_sent_twice(
    tmp_path: Path, temporal: Server
) -> None:
    """So it is given out once: the worker dies when Atlas has carried the PUT out and has not answered."""
    unanswered = Fault(on=Kind.CUTOVER, kind=FaultKind.HANG_AFTER, share=1.0, times=1, delay=60.0, migration="a")
    scenario = replace(quick(30.0), faults=(unanswered,), repeat_puts=True)
    program = ("tests.engines.temporal.freezing", "retried")
    plan = own(workflow(wave("one", "a")))
    async with house(tmp_path / "atlas", plan, scenario) as it:
        with fleet(tmp_path, temporal, it) as those:
            first = those.worker(program)
            those.begin("run", str(those.write(plan)), "--engine", "temporal", "--yes")
            await until(lambda: it.puts("a") == 1)
            first.kill()
            those.worker(program)
            await until(lambda: it.puts("a") == 2)
            assert it.seen("a")["puts_processed"] == 2


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")
async def test_a_worker_that_is_killed_takes_its_hooks_with_it(tmp_path: Path, temporal: Server) -> None:
    """Another worker is about to run them again."""
    plan, pids = own(workflow(wave("one", "a"))), tmp_path / "pids"
    hooks = {"before": [["sh", "-c", f"echo $$ >>{pids}; sleep 600"]]}
    async with house(tmp_path / "atlas", plan, quick()) as it:
        with fleet(tmp_path, temporal, it) as those:
            worker = those.worker()
            await those.serves(1)
            those.begin("run", str(those.write(plan, defaults={"hooks": hooks})), "--engine", "temporal", "--yes")
            await until(lambda: pids.exists() and pids.read_text().endswith("\n"))
            (hook,) = map(int, pids.read_text().split())
            assert is_alive(hook)
            worker.kill()
            await until(lambda: not is_alive(hook))


async def test_a_night_survives_its_workers_and_its_server(tmp_path: Path) -> None:
    """The owner of the budget is killed, and another worker reads on within the lease and 3 s; then the server, then that worker.

    Each job is cut over once, and Atlas refuses nobody.
    """
    names = [f"m{number}" for number in range(6)]
    plan = own(workflow(wave("one", *names[:3]), wave("two", *names[3:])))
    long = Special(cutover=Range(low=9.0, high=9.0))  # under way when the owner dies
    scenario = replace(quick(2.0), repeat_puts=True, special={live("m0"): long, live("m1"): long})
    async with house(tmp_path / "atlas", plan, scenario) as it:
        with server(tmp_path / "server") as own_server, fleet(tmp_path, own_server, it) as those:
            config = those.directory / "config.yaml"
            config.write_text(config.read_text().replace('"max": "2s"', '"max": "500ms"'))  # no pause of a new owner's
            await own_server.connect()
            first = those.worker()
            await those.serves(1)
            run = those.begin("run", str(those.write(plan)), "--engine", "temporal", "--yes", "--format", "json")
            await until(lambda: all(it.puts(name) for name in names[:3]))
            second = those.worker()
            await those.serves(2)
            first.kill()
            first.wait()
            read, died = sum(it.seen(name)["reads"] for name in names), anyio.current_time()
            await until(lambda: sum(it.seen(name)["reads"] for name in names) > read)
            taken_over = anyio.current_time() - died
            await until(lambda: any(it.puts(name) for name in names[3:]))
            own_server.kill()
            await anyio.sleep(1.0)
            own_server.start()
            await own_server.connect()
            those.worker()
            second.kill()
            done = await those.end(run, within=150)
            assert done.code == 0, done.err
            assert set(done.outcomes.values()) == {str(Outcome.SUCCESS)}
            assert {name: (it.puts(name), it.seen(name)["puts_processed"]) for name in names[:3]} == dict.fromkeys(
                names[:3], (1, 1)
            )
            assert {it.seen(name)["puts_processed"] for name in names} == {1}
            assert "429" not in it.atlas.record()["requests"]["by_status"]
    assert taken_over <= LEASE + 3.0
