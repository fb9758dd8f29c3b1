"""What is passed on to a run at Temporal of what was left for it here, and what is dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from orchestrator.core.errors import TemporalError
from orchestrator.core.leftovers import FRESH
from orchestrator.core.steered import Command
from orchestrator.core.steering import SteeringRequest
from orchestrator.operations import temporal_runs
from orchestrator.operations.options import Host
from orchestrator.operations.passing_on import PassingOn
from orchestrator.store.journal import Journal, open_journal

from ..builders import NOW, run_started, workflow

pytestmark = pytest.mark.anyio

RUN = "20270115-080000-3f9a1c"
THERE = {"address": "127.0.0.1:1", "namespace": "default", "tls": False, "codec_key_file": None, "lease": 10.0}
LETS_GO = (
    SteeringRequest(command=Command.UNPAUSE, who="ada"),
    SteeringRequest(command=Command.APPROVE, who="ada", wave="w1"),
    SteeringRequest(command=Command.RETRY, who="ada", migration="items"),
    SteeringRequest(command=Command.GATE, who="ada", migration="items"),
)
HOLDS = (
    SteeringRequest(command=Command.PAUSE, who="olga"),
    SteeringRequest(command=Command.REJECT, who="olga", wave="w1"),
    SteeringRequest(command=Command.SKIP, who="olga", migration="items"),
    SteeringRequest(command=Command.ABORT, who="olga"),
)


class Taking:
    """A run that takes what it is asked for, whether or not its answer is lost."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[Command]]] = []
        self.patience = 0.0
        self.answers = True

    async def steer(
        self, run_id: str, requests: Sequence[SteeringRequest], *, number: str, patience: float
    ) -> list[None]:
        """Take them."""
        assert run_id == RUN
        self.asked.append((number, [each.command for each in requests]))
        self.patience = patience
        if not self.answers:
            raise TemporalError("Temporal does not answer (connection reset)")
        return [None] * len(requests)


class Following:
    """Whoever follows the run, at a time that a test sets."""

    def __init__(self, journal: Journal) -> None:
        self.journal, self.run, self.now = journal, Taking(), NOW
        self.told: list[tuple[str, str]] = []
        host = Host(wall=lambda: self.now, say=lambda event, **fields: self.told.append((event, str(fields["detail"]))))
        clean: Callable[[str], str] = str
        self._passing_on = PassingOn(journal, cast("Any", self.run), host, run_id=RUN, clean=clean)

    def ask(self, *requests: SteeringRequest, at: float = NOW) -> None:
        """Leave *requests* for it."""
        self.journal.request(RUN, *requests, at=at)

    async def at(self, now: float, *, answers: bool = True) -> list[Command]:
        """Pass on what waits at *now*, and tell what was sent."""
        self.now, self.run.answers, before = now, answers, len(self.run.asked)
        if answers:
            await self._passing_on.pass_on()
        else:
            with pytest.raises(TemporalError):
                await self._passing_on.pass_on()
        return [command for _, commands in self.run.asked[before:] for command in commands]

    def left(self) -> list[Command]:
        """What still waits."""
        return [control.request.command for control in self.journal.controls(RUN)]


@pytest.fixture
def it(tmp_path: Path) -> Iterator[Following]:
    """Whoever follows a run."""
    with open_journal(tmp_path) as journal:
        given = workflow(("orders", "items"))
        journal.begin(RUN, given, run_started(given), temporal=THERE)
        yield Following(journal)


@pytest.mark.parametrize("late", [FRESH + 0.001, 9e6, -0.001])
async def test_what_would_let_the_run_go_on_is_dropped_with_a_word_when_it_is_not_fresh(
    it: Following, late: float
) -> None:
    """Whoever follows was frozen or cut off, or a clock was set; what holds the run up goes there all the same."""
    it.ask(*LETS_GO, *HOLDS)
    assert await it.at(NOW + late) == [each.command for each in HOLDS]
    assert [event for event, _ in it.told] == ["request_dropped"] * len(LETS_GO)
    assert it.told[0][1].startswith("`unpause` by ada, of 2027-01-15 08:00:00 UTC, is not done any more, as ")
    assert f"ask run {RUN} again" in it.told[0][1]
    assert it.left() == []


async def test_what_is_fresh_is_passed_on_in_its_order_and_for_as_long_as_it_stays_fresh(it: Following) -> None:
    """No answer is waited for that would come when it is old."""
    it.ask(*LETS_GO, *HOLDS)
    assert await it.at(NOW + 2.0) == [each.command for each in (*LETS_GO, *HOLDS)]
    assert it.run.patience == pytest.approx(FRESH - 2.0)
    assert (it.told, it.left()) == ([], [])


async def test_what_is_sent_again_after_a_lost_answer_keeps_its_number(it: Following) -> None:
    """So the run does it once; what was asked meanwhile comes after it, with a number of its own."""
    it.ask(LETS_GO[0], HOLDS[2])
    first = await it.at(NOW + 1.0, answers=False)
    it.ask(HOLDS[0], at=NOW + 2.0)
    assert await it.at(NOW + 2.0) == first == [Command.UNPAUSE, Command.SKIP]
    assert await it.at(NOW + 2.5) == [Command.PAUSE]
    numbers = [number for number, _ in it.run.asked]
    assert (numbers[0] == numbers[1], numbers[1] == numbers[2], it.left()) == (True, False, [])


async def test_what_was_sent_without_an_answer_and_is_old_by_now_is_not_called_undone(it: Following) -> None:
    """It may have been carried out, which the word says; what held the run up beside it is sent again, under the same number."""
    it.ask(LETS_GO[0], HOLDS[0])
    await it.at(NOW + 1.0, answers=False)
    assert await it.at(NOW + FRESH + 1.0) == [Command.PAUSE]
    [(event, said)] = it.told
    assert event == "request_dropped"
    assert "the run may have carried it out" in said
    assert "not done" not in said
    assert len({number for number, _ in it.run.asked}) == 1
    assert it.left() == []


class There:
    """A run at Temporal, which is asked by commands."""

    def __init__(self, *, answers: bool) -> None:
        self.asked: list[list[Command]] = []
        self._answers = answers

    async def steer(self, run_id: str, requests: Sequence[SteeringRequest]) -> list[str | None]:
        """Take them, or let them wait."""
        assert run_id == RUN
        self.asked.append([each.command for each in requests])
        if not self._answers:
            raise TemporalError("no worker has taken this up")
        return [f"answer to {each.command}" for each in requests]


@pytest.mark.parametrize("answers", [True, False])
async def test_what_was_left_by_a_process_that_is_gone_keeps_nobody_from_holding_the_run_up(
    monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    """With no worker each would wait for itself, and the command told of the older one as if it had been its own. What lets the run go on is not asked then."""
    row: Any = SimpleNamespace(run_id=RUN)
    there = There(answers=answers)

    async def remote_of_run(_: Any) -> There:
        return there

    async def is_open_row(_: Any) -> bool:
        return True

    monkeypatch.setattr(temporal_runs, "remote_of_run", remote_of_run)
    monkeypatch.setattr(temporal_runs, "is_open_row", is_open_row)
    pause, abort = HOLDS[0], HOLDS[3]
    if answers:
        assert await temporal_runs.steer(row, [abort], before=[pause]) == ["answer to abort"]
        assert await temporal_runs.steer(row, [LETS_GO[0]], before=[pause]) == ["answer to unpause"]
        assert there.asked == [[Command.PAUSE, Command.ABORT], [Command.PAUSE], [Command.UNPAUSE]]
        return
    with pytest.raises(TemporalError, match=r"^no worker"):
        await temporal_runs.steer(row, [abort], before=[pause])
    with pytest.raises(TemporalError, match=r"nothing was asked of run .* by this command, as something older"):
        await temporal_runs.steer(row, [LETS_GO[0]], before=[pause])
    assert there.asked == [[Command.PAUSE, Command.ABORT], [Command.PAUSE]]
