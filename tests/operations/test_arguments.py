"""Arguments of the verbs that are wrong, as a program that embeds the package may give them: told of, and nothing recorded or sent."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

import orchestrator
from orchestrator.core.errors import InputError
from orchestrator.core.events import Event, GateChanged, WaveApproved
from orchestrator.core.steered import Command
from orchestrator.core.steering import GateChange, SteeringRequest, decide
from orchestrator.core.workflow import Gate
from orchestrator.operations import temporal_runs
from orchestrator.operations.find import find_run
from orchestrator.store.journal import open_journal

from ..builders import NOW, WHO, run_started, wave_with, workflow
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
        return journal.state(RUN).wave_and_migration(name)[1].gate


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
    assert control.request == SteeringRequest(
        command=Command.GATE, who=control.request.who, migration="orders", gate=GateChange(max_lag=60.0)
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


# -- every function, every argument ------------------------------------------------------------------------------------

FUNCTIONS = {
    name: function
    for name in orchestrator.__all__
    if name.islower() and inspect.isfunction(function := getattr(orchestrator, name))
}
ARGUMENTS = [(name, each) for name, function in FUNCTIONS.items() for each in inspect.signature(function).parameters]


def given_to(name: str, night: Night) -> dict[str, Any]:
    """Arguments that are right, for the function *name*, as far as it needs any."""
    file = night.state_dir / "night.yaml"
    file.write_text("{}")
    needed: dict[str, Any] = {"path": file, "run_id": RUN, "wave": "w1", "workflow": workflow(), "document": {}}
    settings = orchestrator.build_settings({"state_dir": night.state_dir}, environ={"HOME": "/"})
    needed |= {"state_dir": night.state_dir, "settings": settings}
    if name == "check":
        needed["workflow"] = file
    if name == "gate":
        needed["max_lag"] = 5
    known = inspect.signature(FUNCTIONS[name]).parameters
    return {key: value for key, value in needed.items() if key in known}


@pytest.mark.parametrize(("name", "argument"), ARGUMENTS, ids=[".".join(each) for each in ARGUMENTS])
def test_an_argument_of_the_wrong_kind_is_named(night: Night, name: str, argument: str) -> None:
    """Whatever it is: one error of the package, which says which argument, and nothing is recorded or sent."""
    function, arguments, names = FUNCTIONS[name], given_to(name, night), [object()]
    if inspect.signature(function).parameters[argument].kind is inspect.Parameter.VAR_POSITIONAL:
        call = partial(function, arguments.pop("run_id"), *names, **arguments)
    else:
        call = partial(function, **arguments | {argument: object()})

    with pytest.raises(orchestrator.InputError) as caught:
        anyio.run(call) if inspect.iscoroutinefunction(function) else call()
    called = {argument, {"document": "workflow", "config": "settings"}.get(argument, argument)}
    assert any(f"{each}:" in str(caught.value) for each in called)
    assert recorded(night) == []


LONG = 10**400
"""A whole number that no float is as large as."""
LONGER = 10**5000
"""One that Python does not even print."""


class Unprintable:
    """What raises when it is shown."""

    def __str__(self) -> str:
        raise RuntimeError("this cannot be shown")

    __repr__ = __str__


def itself() -> dict[str, Any]:
    """A mapping that holds itself."""
    found: dict[str, Any] = {}
    found["waves"] = found
    return found


WRONG: dict[str, tuple[Any, ...]] = {
    "state_dir": ("\0", "a\0b", Path("\0"), "\ud800"),
    "path": ("\0", Path("a\ud800")),
    "directory": ("\0",),
    "config": ("\0", {"\0": 1}, {"[key]": 1}, itself(), {Unprintable(): 1}, {"state_dir": "\0"}),
    "document": ({"\0": 1}, itself(), {Unprintable(): 1}),
    "overrides": ({"\0": 1}, itself(), {Unprintable(): 1}, {"temporal": {"lease": LONGER}}),
    "environ": (
        {1: 2},
        {"A": None},
        {"A": "\0"},
        {"\0": ""},
        {"": ""},
        {"A=B": ""},
        {Unprintable(): ""},
        {"A": "\ud800"},
    ),
    "outputs": (["\0.md"], ["\ud800.md"]),
    "now": (LONG, -LONG, LONGER, float("nan"), 1e308),
    "older_than": (LONG,),
    "limit": (LONG, -LONGER),
    "max_lag": (LONG, -LONGER, "1" * 5000),
    "timeout": (LONG, "9" * 5000 + "h"),
    "engine": (Unprintable(), b"local", [Unprintable()]),
    "stop": (threading.Event(), lambda: None, Unprintable()),
    "host": (orchestrator.Host(environ={1: 2}), orchestrator.Host(environ=3)),  # type: ignore[arg-type, dict-item]
}


@pytest.mark.parametrize(("name", "argument"), [each for each in ARGUMENTS if each[1] in WRONG], ids=".".join)
def test_an_argument_that_nothing_can_be_done_with_is_one_error_of_the_package(
    night: Night, name: str, argument: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the right kind, but too large, with characters that no name can have, or nothing to wait for: told before anything begins."""
    monkeypatch.setattr("orchestrator.operations.result.ReadsFile", None)  # with which a session would begin
    for wrong in WRONG[argument]:
        call = partial(FUNCTIONS[name], **given_to(name, night) | {argument: wrong})
        with pytest.raises(orchestrator.InputError) as caught:
            anyio.run(call) if inspect.iscoroutinefunction(call.func) else call()
        assert len(str(caught.value)) < 1000
    assert recorded(night) == []


# -- runs at Temporal --------------------------------------------------------------------------------------------------

TEMPORAL = {"address": "127.0.0.1:1", "namespace": "default", "tls": False, "codec_key_file": None, "lease": 10.0}


@pytest.fixture
def elsewhere_night(tmp_path: Path) -> Night:
    """A run that a Temporal cluster works on, and that nobody here follows."""
    with open_journal(tmp_path) as journal:
        given = workflow(("orders",), ("users",))
        journal.begin(RUN, given, run_started(given), temporal=TEMPORAL)
    return Night(state_dir=tmp_path)


STEERING: dict[str, tuple[Any, ...]] = {
    "pause": (),
    "abort": (),
    "reject": ("w2",),
    "skip": ("orders",),
    "gate": ("orders",),
}


@pytest.mark.parametrize("verb", STEERING)
@pytest.mark.anyio
async def test_what_has_to_ask_temporal_does_not_hold_up_a_loop(elsewhere_night: Night, verb: str) -> None:
    """It says how to call it instead: an answer of Temporal's may take seconds."""
    more = {"off": True} if verb == "gate" else {}
    with pytest.raises(orchestrator.InputError, match=r"await asyncio\.to_thread\(orchestrator"):
        getattr(orchestrator, verb)(RUN, *STEERING[verb], state_dir=elsewhere_night.state_dir, **more)


@pytest.mark.anyio
async def test_what_reads_under_a_loop_says_that_temporal_was_not_asked(elsewhere_night: Night) -> None:
    """What the journal has is better than nothing, and is told to be older."""
    where = elsewhere_night.state_dir
    for stale in (
        orchestrator.status(RUN, state_dir=where).stale,
        orchestrator.report(state_dir=where).stale,
        orchestrator.runs(state_dir=where)[0].stale,
    ):
        assert stale is not None
        assert "when it was last followed from here" in stale
        assert "asyncio.to_thread" in stale


def test_what_reads_asks_temporal_first(elsewhere_night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to know that a run is there; one that Temporal does not tell of is told to be older."""
    where = elsewhere_night.state_dir
    asked: list[str] = []

    async def catch_up(row: orchestrator.RunRow, state_dir: Path) -> None:
        asked.append(row.run_id)
        elsewhere_night.write(WaveApproved(at=NOW + len(asked), wave="w2", who=WHO))

    monkeypatch.setattr(temporal_runs, "catch_up", catch_up)
    assert orchestrator.status(RUN, state_dir=where).report.waves[1].approved_by == WHO
    assert orchestrator.report(RUN, state_dir=where).stale is None
    assert [each.stale for each in orchestrator.runs(state_dir=where)] == [None]
    assert asked == [RUN] * 3

    async def unheard(row: orchestrator.RunRow, state_dir: Path) -> None:
        raise orchestrator.TemporalError("Temporal does not answer")

    monkeypatch.setattr(temporal_runs, "catch_up", unheard)
    stale = orchestrator.status(RUN, state_dir=where).stale
    assert stale is not None
    assert stale.endswith("Temporal does not answer")
    with elsewhere_night.held():  # whoever follows it writes down all that Temporal tells
        assert orchestrator.status(RUN, state_dir=where).stale is None


def test_the_list_of_runs_is_as_long_as_it_is_asked_to_be(tmp_path: Path) -> None:
    """The newest; and a run under way is found however many have been started after it."""
    given = workflow()
    with open_journal(tmp_path) as journal:
        for number in range(5):
            run_id = f"20270115-08000{number}-3f9a1c"
            journal.begin(run_id, given, run_started(given, at=NOW + number, rehearsal=True))
    listed = [each.row.run_id[14:15] for each in orchestrator.runs(state_dir=tmp_path, limit=2)]
    assert listed == ["4", "3"]
    for wrong in (0, -1, True, "2"):
        with pytest.raises(orchestrator.InputError, match="limit: expected a whole number"):
            orchestrator.runs(state_dir=tmp_path, limit=wrong)  # type: ignore[arg-type]


def test_what_is_no_text_names_no_run_and_is_no_reason(night: Night) -> None:
    """A command line may hold bytes that are no UTF-8: no journal and no report could have them."""
    with (
        open_journal(night.state_dir, readonly=True) as journal,
        pytest.raises(InputError, match="run_id: holds bytes that are no UTF-8 text"),
    ):
        find_run(journal, "\udcff")
    with pytest.raises(InputError, match="reason: holds bytes that are no UTF-8 text"):
        orchestrator.approve(RUN, "users", state_dir=night.state_dir, reason="\udcff")
