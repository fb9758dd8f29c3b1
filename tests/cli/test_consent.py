"""The operator's word on a terminal that takes its time."""

from __future__ import annotations

import io
import sys
from argparse import Namespace
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.cli.consent import consent_to
from orchestrator.cli.question import question
from orchestrator.core.consent import Intention
from orchestrator.core.errors import InputError
from orchestrator.core.settings import Api, AtlasSettings, Logging, Polling, RateLimit, Settings

from ..engines.house import key_set
from ..observers.examples import WORKFLOW


class Terminal(io.StringIO):
    """A terminal that has been stopped (Ctrl-S), for longer than anybody waits for it."""

    def isatty(self) -> bool:
        """It is one."""
        return True

    def flush(self) -> None:
        """Wait in vain."""
        raise TimeoutError


INTENTION = Intention(
    run_id=None,
    workflow=WORKFLOW,
    recorded_window=None,
    base_url="https://x",
    ends=(),
    starts=("orders",),
    repeats=(),
    follows=(),
)


def settings(state_dir: Path) -> Settings:
    """Any."""
    return Settings(
        atlas=AtlasSettings(
            base_url="https://x", api=Api.V2, credentials=key_set(), request_timeout=5.0, settle=30.0, ca_file=None
        ),
        rate_limit=RateLimit(requests=500, per=60.0, burst=1200, scope="group"),
        polling=Polling(initial=2.0, factor=1.5, max=30.0, jitter=0.1),
        state_dir=state_dir,
        logging=Logging(level="info", format=None, file=None),
    )


def test_a_question_waits_for_its_answer_on_a_terminal_that_takes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is shown when the terminal goes on; nothing begins before, and nothing is given up."""
    monkeypatch.setattr(sys, "stderr", shown := Terminal())
    monkeypatch.setattr(sys, "stdin", Terminal(f"{WORKFLOW.name}\n"))
    consent = consent_to(Namespace(yes=False, command="run"), INTENTION, settings(tmp_path))
    assert consent.confirmed is INTENTION
    assert "A cutover cannot be undone." in shown.getvalue()


def test_who_confirms_is_told_what_gets_no_put_for_one_that_went_elsewhere(tmp_path: Path) -> None:
    """It is not among those that may get another."""
    lines = list(question(replace(INTENTION, elsewhere=("carts",)), settings(tmp_path)))
    [line] = [line for line in lines if "carts" in line]
    assert line.startswith("1 live migration had a PUT at another address whose end is not known")
    assert line.endswith("so none leaves: carts")


class Stopped(Terminal):
    """One that goes on after the first answer."""

    behind = property(lambda self: "type it now" not in self.getvalue())


@pytest.mark.parametrize(("then", "confirmed"), [(WORKFLOW.name, True), ("no", False), (None, False)])
def test_what_is_typed_before_the_question_can_have_been_read_is_no_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, then: str | None, confirmed: bool
) -> None:
    """It is asked for again, and then it counts."""
    monkeypatch.setattr(sys, "stderr", Stopped())
    monkeypatch.setattr(sys, "stdin", Terminal("".join(f"{each}\n" for each in (WORKFLOW.name, then) if each)))
    with nullcontext() if confirmed else pytest.raises(InputError, match="not confirmed"):
        assert consent_to(Namespace(yes=False, command="run"), INTENTION, settings(tmp_path)).confirmed is INTENTION
