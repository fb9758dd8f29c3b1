"""Two nights of one run: approval, pause, the end of the window, and the next night's opening."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestrator.core.events import ApprovalWaiting, CutoverRequested, Event, RunPaused, WindowOpened, WindowWaiting
from orchestrator.core.outcomes import ExitCode, Outcome
from orchestrator.core.run import RunState
from orchestrator.core.window import DAYS, RecurringWindow
from orchestrator.engines.local import controls

from .house import house, outcomes, wall, wave, workflow

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]


def clock(instant: float) -> str:
    """The time of day, in UTC."""
    return datetime.fromtimestamp(instant, UTC).strftime("%H:%M")


@pytest.mark.slow
async def test_a_run_goes_on_in_the_next_opening_of_its_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first night waits, is approved and paused, and ends with its window; the second starts what is left."""
    monkeypatch.setattr(controls, "LOOK_EVERY", 2.0)  # a day of looks at the journal is many
    opens = wall() + 600
    minutes = timedelta(minutes=2).total_seconds()
    window = RecurringWindow(start=clock(opens), end=clock(opens + minutes), days=DAYS, timezone="UTC")
    bulk = wave("bulk", *(f"b{number:02}" for number in range(20)), concurrency=1, approval=True)
    async with house(tmp_path, workflow(wave("canary", "c1"), bulk, window=window)) as it:

        def operator(event: Event, _state: RunState) -> None:
            """Approves the bulk when asked, and pauses and unpauses once."""
            match event:
                case ApprovalWaiting():
                    it.ask("approve", "bulk")
                case CutoverRequested(migration="b01"):
                    it.ask("pause")
                case RunPaused():
                    it.ask("unpause")

        it.watchers.append(operator)
        first = await it.start()
        assert first.exit_code is ExitCode.INCOMPLETE
        done = [name for name, outcome in outcomes(first).items() if outcome is Outcome.SUCCESS]
        assert 3 < len(done) < 21
        assert first.state.waves["bulk"].approved_by == "somebody"
        assert it.names(RunPaused)

        monkeypatch.setattr(controls, "LOOK_EVERY", 300.0)
        second = await it.resume(first.state.run_id)
        assert second.exit_code is ExitCode.INCOMPLETE or set(outcomes(second).values()) == {Outcome.SUCCESS}
        nights = [event.at for event in it.names(WindowOpened)]
        assert nights[1] - nights[0] == pytest.approx(86400, abs=60)
        assert len(it.names(WindowWaiting)) == 2
        assert len(it.names(ApprovalWaiting)) == 1, "an approval holds for the run, not for the night"
        for requested in it.names(CutoverRequested):
            assert 0 <= (requested.at - nights[0]) % 86400 < minutes
        while second.exit_code is ExitCode.INCOMPLETE:
            second = await it.resume(first.state.run_id)
        assert set(outcomes(second).values()) == {Outcome.SUCCESS}
        assert {it.puts(name) for name in outcomes(second)} == {1}
