"""A journal with an event of every kind and a request of every command, one of whose rows is damaged; and all who read it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing, redirect_stderr, redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from shutil import copytree, rmtree
from typing import Any, NamedTuple

from hypothesis import strategies as st

from orchestrator.cli.main import INTERNAL_ERROR, run_command
from orchestrator.core.errors import CutoverError
from orchestrator.core.event_json import EVENTS, to_json
from orchestrator.core.events import CutoverRequested
from orchestrator.core.listing import RunStanding
from orchestrator.core.steered import Command
from orchestrator.core.steering import ABOUT_A_WAVE, ABOUT_MIGRATIONS, GateChange, SteeringRequest
from orchestrator.files.in_code import build_settings
from orchestrator.operations.abort import abort
from orchestrator.operations.assignment import last_words
from orchestrator.operations.forecasting import history_of
from orchestrator.operations.foresight import foresee_resume
from orchestrator.operations.options import Options
from orchestrator.operations.report import report
from orchestrator.operations.steering import Taken
from orchestrator.store.journal import open_journal
from orchestrator.web.feed import RunFeed
from orchestrator.web.look import look_at_runs

from ..observers.examples import AT, ORDERS, WORKFLOW, started
from ..observers.examples import EVENTS as ALL

RUN = "20261128-010000-3f9a1c"
WRITTEN = [
    started(),
    *(event for event in ALL[1:] if event.journaled),
    CutoverRequested(at=AT, migration="orders"),  # so that a PUT stays
]
DATA: list[dict[str, Any]] = [json.loads(json.dumps(to_json(event))) for event in WRITTEN]
DEEP = "[" * 20_000
"""More brackets in brackets than the reader of JSON goes into, on any of the machines and versions."""

ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        None, "nope", "", "orders", "rest", "\ud800", 10**400, -(10**400), -1, 0, 1, 2**63, 1e308, -1e308, 1e18, -1e11, float("nan"), float("inf"),
        [], {}, True, False, [None], {"by_status": {"200": "x"}}, {"orders": "x"}, [[]], ["orders", 7], "Europe", "25:00", DEEP[:500],
    ]
)  # fmt: skip
ANY_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), ODD),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=8,
)


class Damage(NamedTuple):
    """What is done to the row *key* of *table*: *values* by column."""

    table: str
    key: int
    values: dict[str, Any]


@st.composite
def _spoilt(draw: st.DrawFn, good: Any) -> Any:
    """*good* with something in it replaced, left out or added, however deep."""
    if isinstance(good, dict) and good and draw(st.integers(0, 9)):
        key = draw(st.sampled_from(sorted(good)))
        match draw(st.integers(0, 7)):
            case 0:
                return {name: value for name, value in good.items() if name != key}
            case 1:
                return good | {draw(st.text(max_size=5)): draw(ANY_JSON)}
        return good | {key: draw(_spoilt(good[key]))}
    if isinstance(good, list) and good and draw(st.integers(0, 9)):
        at = draw(st.integers(0, len(good) - 1))
        return [
            *good[:at],
            *draw(st.sampled_from([[], [good[at], good[at]], [draw(_spoilt(good[at]))]])),
            *good[at + 1 :],
        ]
    return draw(st.one_of(ODD, ANY_JSON))


_TIMES = st.floats(allow_nan=False) | st.sampled_from([0.0, AT, 1e11, -1e11, 2.5e11])
_REQUESTS = [
    SteeringRequest(
        command=command,
        who="ada",
        wave="rest" if command in ABOUT_A_WAVE else None,
        migration="orders" if command in ABOUT_MIGRATIONS else None,
        gate=GateChange(max_lag=60.0) if command is Command.GATE else None,
    )
    for command in Command
    if command is not Command.ABORT
]
_DETAIL = {"reason": "why", "migration": "orders", "gate": [60.0, None], "covers": ["orders"]}


@st.composite
def _event_damage(draw: st.DrawFn) -> Damage:
    place = draw(st.integers(0, len(WRITTEN) - 1))
    data = draw(st.one_of(_spoilt(DATA[place]), _spoilt(DATA[place]), ANY_JSON, st.sampled_from(DATA)))
    text = draw(st.sampled_from([json.dumps(data)] * 20 + [DEEP, '{"a":' * 20_000, "{", "", "\0", '{"at": 1e999}']))
    values: dict[str, Any] = {"data": text}
    match draw(st.integers(0, 9)):
        case 0:
            values["name"] = draw(st.sampled_from(sorted(EVENTS)) | st.text(max_size=5))
        case 1:
            values["at"] = draw(_TIMES)
    return Damage("events", place + 1, values)


DAMAGES: st.SearchStrategy[Damage] = st.one_of(
    _event_damage(),
    _event_damage(),
    _event_damage(),
    st.builds(
        Damage,
        st.just("controls"),
        st.integers(1, len(_REQUESTS)),
        st.fixed_dictionaries(
            {"detail": st.one_of(_spoilt(_DETAIL), ANY_JSON).map(json.dumps) | st.sampled_from([DEEP, "{", ""])},
            optional={
                "command": st.sampled_from(Command).map(str) | st.text(max_size=5),
                "wave": st.sampled_from(["rest", "x", "", None]),
                "who": st.text(max_size=5),
            },
        ),
    ),
    st.builds(
        Damage,
        st.just("runs"),
        st.just(1),
        st.fixed_dictionaries(
            {},
            optional={
                "workflow": st.text(max_size=5),
                "migrations": st.integers(-(2**63), 2**63 - 1),
                "started_at": _TIMES,
                "finished_at": st.none() | _TIMES,
                "outcome": st.sampled_from(["SUCCESS", "MAYBE", "", None]),
                "exit_code": st.none() | st.integers(-(2**63), 2**63 - 1),
                "temporal": st.one_of(ANY_JSON.map(json.dumps), st.sampled_from([DEEP, "{", ""])),
            },
        ).filter(bool),
    ),
    st.builds(Damage, st.sampled_from(["puts", "ready"]), st.just(1), st.fixed_dictionaries({"at": _TIMES})),
)  # fmt: skip


def _written(directory: Path) -> Path:
    """The state directory, made where it is not there yet."""
    state_dir = directory / "state"
    if not state_dir.exists():
        with open_journal(state_dir) as journal:
            journal.begin(RUN, WORKFLOW, started())
            journal.commit(RUN, WRITTEN[1:], {"orders": ("g", ORDERS)})
            journal.request(RUN, *_REQUESTS, at=AT)
    return state_dir


def read_damaged(damage: Damage, directory: Path) -> None:
    """Nothing but an error of the tree comes out of who reads a journal with *damage*, whatever they want of it; and `abort` ends the run."""
    state_dir = _written(directory)
    columns = {"first_seen_at" if damage.table == "ready" else name: value for name, value in damage.values.items()}
    names, changed = ", ".join(columns), ", ".join(f"{name} = ?" for name in columns)
    change = f"UPDATE {damage.table} SET {changed} WHERE rowid = ?"  # noqa: S608 - the names are those above
    with closing(sqlite3.connect(state_dir / "journal.db", isolation_level=None)) as db:
        [before] = db.execute(f"SELECT {names} FROM {damage.table} WHERE rowid = ?", (damage.key,)).fetchall()  # noqa: S608
        try:
            db.execute(change, (*columns.values(), damage.key))
        except (sqlite3.Error, OverflowError, UnicodeEncodeError):  # no such row can be
            return
        try:
            _read(state_dir)
            if damage.table != "runs":
                _end(state_dir, directory / "ended")
        finally:
            db.execute(change, (*before, damage.key))


def _read(state_dir: Path) -> None:
    for arguments in (["status"], ["status", RUN, "--all"]):
        said = StringIO()
        with redirect_stdout(said), redirect_stderr(said):
            code = run_command([*arguments, "--state-dir", str(state_dir)])
        assert code != INTERNAL_ERROR, said.getvalue()
    outputs = [state_dir / f"report.{suffix}" for suffix in ("json", "md", "html", "xml", "csv")]
    settings = build_settings({"state_dir": str(state_dir)}, environ={"HOME": "/"})
    readers: tuple[Callable[[], object], ...] = (
        lambda: report(RUN, outputs=outputs, state_dir=state_dir),
        lambda: foresee_resume(RUN, settings, Options(), now=AT),
        lambda: _rest(state_dir),
    )
    for read in readers:
        with suppress(CutoverError):
            read()
    feed = RunFeed(state_dir, RUN)
    changes = feed._run_look.look()
    assert changes is not None
    feed._take_in(changes, 1)
    feed._message(0)
    assert look_at_runs(state_dir, {})["journal"]


def _end(state_dir: Path, copy: Path) -> None:
    rmtree(copy, ignore_errors=True)
    copytree(state_dir, copy)
    assert abort(RUN, state_dir=copy).taken is Taken.ENDED
    with open_journal(copy, readonly=True) as journal:
        row = journal.find(RUN)
        assert row is not None
        assert not row.unfinished


def _rest(state_dir: Path) -> None:
    with open_journal(state_dir, readonly=True) as journal:
        history_of(journal, WORKFLOW, rehearsal=False)
        journal.bring_up_to_date(RUN, RunStanding())
        journal.earlier_puts("another")
        journal.first_seen_ready()
        journal.seen_jobs()
        last_words(journal.state(RUN), now=AT)
