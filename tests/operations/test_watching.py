"""Watching a run: `status --watch` on terminals that can be painted, on those that cannot, and into a file."""

from __future__ import annotations

import io
import os
import re
import sys
from argparse import Namespace
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.cli import watch as watching
from orchestrator.core import events as ev
from orchestrator.core.events import Event
from orchestrator.core.run import RunState
from orchestrator.operations.watching import Watching
from orchestrator.store.last_read import SILENT_AFTER, reads_path
from orchestrator.store.schema import FILE

from ..builders import NOW, workflow
from ..web.nights import RUN, Night, cutover_of, fleet

ARGS = Namespace(run_id=RUN, config=None, state_dir=None)


class Terminal(io.TextIOWrapper):
    """A terminal that keeps what was written."""

    def __init__(self) -> None:
        self.kept = io.BytesIO()
        super().__init__(self.kept, encoding="utf-8", write_through=True)

    def isatty(self) -> bool:
        """It is one."""
        return True

    def text(self) -> str:
        """All that was written."""
        return self.kept.getvalue().decode()


@pytest.fixture
def night(tmp_path: Path) -> Night:
    """A run of two waves that has begun."""
    night = Night(state_dir=tmp_path)
    night.begin(workflow(("orders", "carts"), ("stock",)))
    return night


def test_each_look_reads_what_is_new_and_tells_it_to_observers(night: Night) -> None:
    """No event twice; nobody works on the run when its process has let it go."""
    told: list[str] = []

    def observe(event: Event, state: RunState) -> None:
        told.append(f"{event.name} {state.run_id}")

    with night.held():
        watching = Watching(RUN, state_dir=night.state_dir, observers=[observe])
        assert (watching.look().new, watching.look().new) == (True, False)
        night.write(*cutover_of("orders", NOW + 1)[:1])
        seen = watching.look()
        assert (seen.new, seen.no_news, seen.holder is not None) == (True, None, True)
    assert told == [f"run_started {RUN}", f"gate_waiting {RUN}"]
    assert watching.look().holder is None


def test_a_journal_that_cannot_be_read_for_a_while_is_no_news(night: Night) -> None:
    """What was seen before stands, as of then; when it is back the watching goes on."""
    with night.held():
        watching = Watching(RUN, state_dir=night.state_dir, wall=lambda: NOW + 5)
        watching.look()
        journal = night.state_dir / FILE
        away = journal.rename(night.state_dir / "away")
        seen = watching.look()
        assert (seen.as_of, "events of it are missing" in str(seen.no_news)) == (NOW + 5, True)
        assert seen.state.workflow.name == "retail-eu"
        away.rename(journal)
        assert watching.look().no_news is None


def test_a_process_that_gives_no_sign_of_life_is_no_news_since_then(night: Night) -> None:
    """It may be stopped, or its machine may be gone."""
    life = reads_path(night.state_dir, RUN)
    life.parent.mkdir()
    life.write_text("{}")
    os.utime(life, (NOW, NOW))
    with night.held():
        seen = Watching(RUN, state_dir=night.state_dir, wall=lambda: NOW + SILENT_AFTER + 1).look()
    assert (seen.as_of, seen.silent) == (NOW, NOW)
    assert str(seen.no_news).endswith("gives no sign of life.")


class Steps:
    """Stands in for the passing of time: each wait does what comes next, and the last one lets go of the run."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        self._steps = list(steps)

    def __call__(self, _seconds: float) -> None:
        """So many seconds pass."""
        if self._steps:
            self._steps.pop(0)()


def watched(
    night: Night, out: io.TextIOBase, monkeypatch: pytest.MonkeyPatch, *steps: Callable[[], object], term: str
) -> None:
    """`status --watch` of the run that is held, until the last of *steps*."""
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("NO_COLOR", "1")
    with ExitStack() as held:
        held.enter_context(night.held())
        assert watching.watch(ARGS, night.state_dir, sleep=Steps(*steps, held.close)) == RUN


def test_a_terminal_is_painted_over_in_whatever_size_it_has(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """On its second screen, so that what was there before is there again; without colour where none is wanted."""
    size = [os.terminal_size((80, 24))]
    monkeypatch.setattr("orchestrator.observers.terminal.screen.size_of", lambda _: size[0])
    out = Terminal()
    watched(night, out, monkeypatch, lambda: size.insert(0, os.terminal_size((20, 12))), term="xterm")
    text = out.text()
    assert text.startswith("\x1b[?1049h")
    assert text.endswith("\x1b[?1049l")
    first, second = (re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", frame) for frame in text.split("\x1b[H")[1:3])
    assert "retail-eu  under way  0 of 3 cut over" in first
    assert "Ctrl-C ends this view, and not the run." in first
    lines = second.splitlines()
    assert all(len(line) < 20 for line in lines)
    assert len(lines) <= 12
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", text)


def test_ctrl_c_leaves_on_the_screen_what_was_seen_last(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """And ends as Ctrl-C does."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    out = Terminal()
    with pytest.raises(KeyboardInterrupt):
        watched(night, out, monkeypatch, interrupt, term="xterm")
    left = out.text().split("\x1b[?1049l")[1]
    assert "retail-eu" in left
    assert "under way" in left


@pytest.mark.parametrize("terminal", [True, False])
def test_where_nothing_can_be_painted_over_a_report_is_no_longer_than_what_it_is_read_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, terminal: bool
) -> None:
    """Of a thousand under way: who is wanted, and how many there are besides; with each migration it was out of sight in a second."""
    night = Night(state_dir=tmp_path)
    given = fleet(300)
    night.begin(replace(given, waves=(*given.waves, replace(workflow(("z",)).waves[0], approval=True))))
    under_way = [event for m in given.waves[0].migrations for event in cutover_of(m.name, NOW)[:4]]
    night.write(ev.WaveStarted(at=NOW, wave="bulk", migrations=300, concurrency=300), *under_way)
    night.write(ev.ApprovalWaiting(at=NOW, wave="w1"))
    for module in ("columns_of", "size_of"):
        told = 80 if module == "columns_of" else os.terminal_size((80, 24))
        if terminal:
            monkeypatch.setattr(watching, module, lambda _, told=told: told)
    out: io.TextIOBase = (
        Terminal() if terminal else io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    )
    watched(night, out, monkeypatch, term="dumb")
    lines = out.buffer.getvalue().decode().splitlines()  # type: ignore[attr-defined]
    assert len(lines) <= (23 if terminal else 50)
    assert lines[1] == "NEEDS YOU NOW"
    assert any(f"approve {RUN} w1" in line for line in lines[:10])
    assert any(re.fullmatch(r"  and 2\d\d more", line) for line in lines)


@pytest.mark.parametrize("terminal", [True, False])
def test_where_nothing_can_be_painted_over_it_is_said_again_when_something_has_happened(
    night: Night, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    """On a dumb terminal, or into a file: no escape sequence, and no line for a look that found nothing new."""
    out: io.TextIOBase = (
        Terminal() if terminal else io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    )
    quiet = [lambda: None] * 6
    approval = ev.ApprovalWaiting(at=NOW, wave="w2")
    watched(night, out, monkeypatch, *quiet, lambda: night.write(approval), *quiet, term="dumb")
    text = out.buffer.getvalue().decode()  # type: ignore[attr-defined]
    assert "\x1b" not in text
    assert text.count("of 3 cut over") == 2
    assert text.count(f"$ atlas-cutover approve {RUN} w2") == 1
