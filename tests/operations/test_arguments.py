"""Arguments of the verbs that are wrong, as a program that embeds the package may give them: told of, and nothing recorded or sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

import orchestrator
from orchestrator.core.events import Event, GateChanged
from orchestrator.core.steering import GateChange, Request, decide
from orchestrator.core.workflow import Gate
from orchestrator.store.journal import open_journal

from ..builders import NOW, WHO, wave_with, workflow
from ..web.nights import RUN, Night

OWN = Gate(max_lag=5.0, timeout=600.0)
"""The gate that the workflow gives its migrations."""


@pytest.fixture
def night(tmp_path: Path) -> Night:
    """A run that was interrupted: two waves, whose migrations have a gate of their own."""
    made = workflow(("orders", "carts"), ("users",))
    waves = tuple(wave_with(w, migrations=tuple(replace(m, gate=OWN) for m in w.migrations)) for w in made.waves)
    night = Night(state_dir=tmp_path)
    night.begin(replace(made, waves=waves))
    return night


def recorded(night: Night) -> list[Event]:
    """What the journal has of the run after its beginning."""
    with open_journal(night.state_dir, readonly=True) as journal:
        return [event for _, event in journal.events(RUN)][1:]


def gate_of(night: Night, name: str) -> Gate | None:
    """The gate of migration *name* as it now stands."""
    with open_journal(night.state_dir, readonly=True) as journal:
        return journal.state(RUN).place_of(name)[1].gate


# -- gate --------------------------------------------------------------------------------------------------------------

NO_GATES: list[dict[str, Any]] = [
    {"max_lag": "soon"},
    {"max_lag": -5},
    {"max_lag": float("nan")},
    {"max_lag": float("inf")},
    {"max_lag": True},
    {"max_lag": [5]},
    {"timeout": "10 minutes"},
    {"timeout": -0.5},
    {"timeout": 1e9},
    {},
    {"off": "yes"},
    {"off": True, "max_lag": 5},
    {"off": True, "timeout": 0},
]


@pytest.mark.parametrize("change", NO_GATES, ids=str)
@pytest.mark.parametrize("held", [False, True])
def test_what_is_no_gate_is_refused_before_anything_is_recorded(
    night: Night, change: dict[str, Any], held: bool
) -> None:
    """A journal that has it could not be gone on with."""
    before = gate_of(night, "orders")

    def ask() -> None:
        with pytest.raises(orchestrator.InputError, match=next(iter(change), "gate")):
            orchestrator.gate(RUN, "orders", state_dir=night.state_dir, **change)

    if held:
        with night.held():
            ask()
        assert night.asked() == []
    else:
        ask()
    assert (recorded(night), gate_of(night, "orders")) == ([], before)


@pytest.mark.parametrize(
    ("change", "gate"),
    [
        ({"max_lag": "60s"}, Gate(max_lag=60.0, timeout=600.0)),
        ({"max_lag": 0}, Gate(max_lag=0.0, timeout=600.0)),
        ({"timeout": "1m30s"}, Gate(max_lag=5.0, timeout=90.0)),
        ({"max_lag": 7.5, "timeout": 1}, Gate(max_lag=7.5, timeout=1.0)),
        ({"off": True}, None),
    ],
    ids=str,
)
def test_a_gate_changes_as_it_was_asked_and_no_more(night: Night, change: dict[str, Any], gate: Gate | None) -> None:
    """Seconds or a duration; what is not given stays as the workflow has it."""
    orchestrator.gate(RUN, "orders", state_dir=night.state_dir, **change)
    assert (gate_of(night, "orders"), gate_of(night, "carts")) == (gate, OWN)
    (event,) = recorded(night)
    assert isinstance(event, GateChanged)
    assert isinstance(event.max_lag, float | None)


def test_a_gate_changes_twice(night: Night) -> None:
    """The second change keeps what the first one gave; a gate that was off begins with the defaults of a workflow."""
    changes: tuple[dict[str, Any], ...] = ({"max_lag": "1m"}, {"timeout": "1h"})
    for change in changes:
        orchestrator.gate(RUN, "orders", state_dir=night.state_dir, **change)
    assert gate_of(night, "orders") == Gate(max_lag=60.0, timeout=3600.0)
    orchestrator.gate(RUN, "orders", state_dir=night.state_dir, off=True)
    orchestrator.gate(RUN, "orders", state_dir=night.state_dir, timeout=5)
    assert gate_of(night, "orders") == Gate(timeout=5.0)


def test_a_change_that_a_process_is_left_keeps_what_it_does_not_name(night: Night) -> None:
    """It is the process that knows how the gate stands."""
    with night.held():
        orchestrator.gate(RUN, "orders", state_dir=night.state_dir, max_lag=60)
    with open_journal(night.state_dir, readonly=True) as journal:
        (control,) = journal.controls(RUN)
        event = decide(journal.state(RUN), control.request, at=NOW)
    assert control.request == Request(
        command="gate", who=control.request.who, migration="orders", gate=GateChange(max_lag=60.0)
    )
    assert isinstance(event, GateChanged)
    assert (event.max_lag, event.timeout) == (60.0, 600.0)


# -- names -------------------------------------------------------------------------------------------------------------

ABOUT_MIGRATIONS: dict[str, dict[str, Any]] = {"skip": {}, "retry": {}, "gate": {"max_lag": 5}}


@pytest.mark.parametrize("verb", ABOUT_MIGRATIONS)
@pytest.mark.parametrize("names", [(), ("",), (None,), (["orders"],), ("nobody",)], ids=str)
def test_a_verb_about_migrations_wants_their_names(night: Night, verb: str, names: tuple[Any, ...]) -> None:
    """Without a name it would be about the whole run, which none of these is."""
    with pytest.raises(orchestrator.InputError, match=r"name|neither a wave nor a migration"):
        getattr(orchestrator, verb)(RUN, *names, state_dir=night.state_dir, **ABOUT_MIGRATIONS[verb])
    assert recorded(night) == []


VERBS: dict[str, Callable[..., object]] = {
    "run": lambda **more: orchestrator.run(workflow(), orchestrator.build_settings(environ={"HOME": "/"}), **more),
    "rehearse": lambda **more: orchestrator.rehearse(
        workflow(), orchestrator.build_settings(environ={"HOME": "/"}), **more
    ),
    "resume": lambda **more: orchestrator.resume(None, orchestrator.build_settings(environ={"HOME": "/"}), **more),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"only": "canary"}, r"only: expected a list, got 'canary': write \['canary'\]"),
        ({"only": 3}, "only: expected a list, got 3"),
        ({"only": [3]}, "only: expected a text, got 3"),
        ({"outputs": "night.html"}, r"outputs: expected a list, got 'night.html': write \['night.html'\]"),
        ({"outputs": [3]}, "outputs: expected a path, got 3"),
        ({"outputs": ["night.doc"]}, r"^night.doc: the suffix chooses the format"),
        ({"observers": 3}, "observers: expected a list, got 3"),
        ({"observers": ["print"]}, "observers: expected something that can be called, got 'print'"),
    ],
    ids=str,
)
def test_what_a_session_cannot_do_is_refused_before_it_begins(verb: str, wrong: dict[str, Any], told: str) -> None:
    """In words for whoever calls it, without options of the command line; a text is no list of its characters."""

    async def main() -> None:
        await VERBS[verb](**wrong)  # type: ignore[misc]

    with pytest.raises(orchestrator.InputError, match=told):
        anyio.run(main)


@pytest.mark.parametrize("verb", ["run", "rehearse"])
def test_an_engine_is_one_of_the_two(verb: str) -> None:
    """Another word is no wish for the local one; `temporal` as a text means what the word of the library means."""

    async def main(engine: str) -> None:
        await VERBS[verb](engine=engine, only=["nobody"])  # type: ignore[misc]

    with pytest.raises(orchestrator.InputError, match="engine: expected local or temporal, got 'Temporal'"):
        anyio.run(main, "Temporal")
    with pytest.raises(orchestrator.InputError, match="neither a wave nor a migration 'nobody'"):
        anyio.run(main, "temporal")


def test_names_may_come_from_a_generator(night: Night) -> None:
    """Whatever can be gone through once."""
    names = (name for name in ("orders", "users"))
    orchestrator.skip(RUN, *names, state_dir=night.state_dir, who=WHO)
    assert [event.name for event in recorded(night)] == ["migration_skipped"] * 2
