"""`pytest --cases N`: of each test with many cases N at most, drawn anew by each run, for somebody who waits.

Every test is run, and in time every case; CI runs all of them. What is drawn hangs on the run's id, which xdist's workers
share: they have to agree on what there is to do.
"""

from __future__ import annotations

import random
import uuid
from collections import defaultdict
from collections.abc import Generator

import pytest

_ALONE = uuid.uuid4().hex
"""Where no workers have to agree."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--cases`."""
    parser.addoption(
        "--cases", type=int, metavar="N", help="run N cases of each test at most, drawn anew each time; else all"
    )


def pytest_report_header(config: pytest.Config) -> str | None:
    """That some are left out."""
    most = config.getoption("cases")
    return None if most is None else f"cases: {most} of each test at most, others each time"


@pytest.hookimpl(wrapper=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> Generator[None]:
    """Do not even make the cases that are not drawn, unless what is asked for is to be chosen from all of them.

    Cases with marks of their own are left to the selection by marks.
    """
    yield
    config = metafunc.config
    most, calls = config.getoption("cases"), metafunc._calls
    chosen = config.getoption("keyword") or any("::" in each for each in config.args)
    if most is None or chosen or len(calls) <= most or any(call.marks for call in calls):
        return
    dice = random.Random(f"{run_of(config)} {metafunc.definition.nodeid}")
    places = sorted(dice.sample(range(len(calls)), most))
    metafunc._calls = [calls[place] for place in places]


def run_of(config: pytest.Config) -> str:
    """What the workers of a test run agree on, and no other run."""
    return str(getattr(config, "workerinput", {}).get("testrunuid") or _ALONE)


@pytest.hookimpl(trylast=True)  # what is named on the command line is chosen from first
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not drawn."""
    most = config.getoption("cases")
    if most is None:
        return
    cases = defaultdict(list)
    for item in items:
        cases[item.nodeid.partition("[")[0]].append(item)
    dice = random.Random(run_of(config))
    drawn = {item for those in cases.values() for item in dice.sample(those, min(most, len(those)))}
    config.hook.pytest_deselected(items=[item for item in items if item not in drawn])
    items[:] = [item for item in items if item in drawn]
