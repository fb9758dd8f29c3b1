"""Which cases of a test a brief run has."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from .cases import PROGRAMS, pytest_collection_modifyitems, pytest_generate_tests, pytest_report_header

NAMES = ["a.py::test_one", "a.py::test_many[x[0]]", "a.py::test_many[y]", "a.py::test_many[z]", "b.py::test_many[x]"]
PROGRAM_NAMES = [f"tests/e2e/{name}" for name in NAMES]


@dataclass(frozen=True, slots=True)
class Named:
    """What there is of an item."""

    nodeid: str


def drawn(most: int | None, *, run: str | None, share: float | None = None) -> list[str]:
    """What a run has, as a worker of the test run *run*; None: without workers. *share*: of those that start programs."""
    left_out: list[Named] = []
    about = {} if run is None else {"workerinput": {"testrunuid": run}}

    def deselected(items: list[Named]) -> None:
        left_out.extend(items)

    hook = SimpleNamespace(pytest_deselected=deselected)
    config = SimpleNamespace(getoption={"cases": most, "programs": share}.get, hook=hook, **about)
    items = [Named(name) for name in [*NAMES, *PROGRAM_NAMES]]
    pytest_collection_modifyitems(cast("pytest.Config", config), cast("list[Any]", items))
    names = [item.nodeid for item in items]
    assert sorted([*names, *(item.nodeid for item in left_out)]) == sorted([*NAMES, *PROGRAM_NAMES])
    return names


def test_all_cases_are_run_unless_fewer_are_asked_for() -> None:
    """As in continuous integration."""
    assert drawn(None, run="1") == [*NAMES, *PROGRAM_NAMES]


def test_of_each_test_so_many_cases_are_run_in_their_order() -> None:
    """None is left out as a whole, and files that use the same name have one each."""
    names = drawn(1, run=None)
    assert Counter(name.partition("[")[0] for name in names) == {
        f"{directory}{name}": 1
        for directory in ("", "tests/e2e/")
        for name in ("a.py::test_one", "a.py::test_many", "b.py::test_many")
    }
    assert names == [name for name in [*NAMES, *PROGRAM_NAMES] if name in names]
    assert len(drawn(2, run=None)) == 8


def test_of_the_tests_that_start_programs_a_share_is_run() -> None:
    """Of them alone; and of those that are run, so many cases."""
    names = drawn(None, run=None, share=0.3)
    assert names[: len(NAMES)] == NAMES
    assert len({name.partition("[")[0] for name in names[len(NAMES) :]}) == 1
    assert len(drawn(1, run=None, share=0.5)) == 3 + 2
    assert drawn(None, run=None, share=1.0) == [*NAMES, *PROGRAM_NAMES]


def test_other_runs_draw_others_and_the_workers_of_one_agree() -> None:
    """Workers that differ in what there is to do would be refused."""
    of_many_runs = {run: drawn(1, run=run, share=0.4) for run in map(str, range(80))}
    assert {name for names in of_many_runs.values() for name in names} == {*NAMES, *PROGRAM_NAMES}
    assert all(drawn(1, run=run, share=0.4) == names for run, names in of_many_runs.items())


def test_a_run_says_what_it_leaves_out() -> None:
    """And one that leaves nothing out says nothing."""
    said = [
        pytest_report_header(cast("pytest.Config", SimpleNamespace(getoption=options.get)))
        for options in ({}, {"cases": 1}, {"cases": 1, "programs": 0.5})
    ]
    assert said[0] is None
    assert said[1] == "drawn, others each time: 1 case(s) of each test at most"
    assert said[2] == f"{said[1]}, 50% of the tests that start whole programs"


def test_where_programs_are_started_is_there() -> None:
    """A directory that has another name by now would be run as a whole each time."""
    here = Path(__file__).parent.parent
    assert [place for place in PROGRAMS if not (here / place).exists()] == []


def made(
    most: int | None, *, run: str, keyword: str = "", args: tuple[str, ...] = (), marks: tuple[str, ...] = ()
) -> str:
    """The cases of a test with the cases a to e that a worker of the test run *run* makes."""
    options = {"cases": most, "keyword": keyword}
    config = SimpleNamespace(getoption=options.get, args=args, workerinput={"testrunuid": run})
    calls = [SimpleNamespace(id=each, marks=marks) for each in "abcde"]
    metafunc = SimpleNamespace(config=config, _calls=calls, definition=Named("a.py::test_many"))
    assert list(pytest_generate_tests(cast("pytest.Metafunc", metafunc))) == [None]
    return "".join(call.id for call in metafunc._calls)


def test_what_is_not_drawn_is_not_even_made() -> None:
    """Other runs draw others, the workers of one agree, and the order stays."""
    of_many_runs = {run: made(2, run=run) for run in map(str, range(40))}
    assert {case for cases in of_many_runs.values() for case in cases} == set("abcde")
    assert all(made(2, run=run) == cases for run, cases in of_many_runs.items())
    assert all(len(cases) == 2 and sorted(cases) == list(cases) for cases in of_many_runs.values())


def test_all_cases_are_made_where_they_are_chosen_from_first() -> None:
    """By name, by words or by marks; and where no fewer are asked for."""
    assert made(None, run="1") == "abcde"
    assert made(1, run="1", keyword="b") == "abcde"
    assert made(1, run="1", args=("tests/a.py::test_many[b]",)) == "abcde"
    assert made(1, run="1", marks=("chaos",)) == "abcde"
