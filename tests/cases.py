"""`pytest --cases N --programs SHARE`: a part of the tests, drawn anew by each run, for somebody who waits.

Of each test with many cases N at most; and of the tests that start whole programs, browsers and Temporal, which take more than half
of the time, a share. In time every one is run; CI runs all of them. What is drawn hangs on the run's id, which xdist's workers share:
they have to agree on what there is to do.
"""

from __future__ import annotations

import math
import random
import uuid
from collections import defaultdict
from collections.abc import Generator

import pytest

PROGRAMS = (
    "tests/chaos/",
    "tests/e2e/",
    "tests/engines/temporal/",
    "tests/reports/test_browser.py",
    "tests/test_recipes.py",
    "tests/web/test_browser.py",
    "tests/web/test_freshness.py",
)
"""Where the tests are that start programs, browsers and Temporal."""

_ALONE = uuid.uuid4().hex
"""Where no workers have to agree."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--cases` and `--programs`."""
    parser.addoption(
        "--cases", type=int, metavar="N", help="run N cases of each test at most, drawn anew each time; else all"
    )
    parser.addoption(
        "--programs",
        type=float,
        metavar="SHARE",
        help="run this share (0 to 1) of the tests that start whole programs, drawn anew each time; else all",
    )


def pytest_report_header(config: pytest.Config) -> str | None:
    """That some are left out."""
    most, share = config.getoption("cases"), config.getoption("programs")
    said = [] if most is None else [f"{most} case(s) of each test at most"]
    if share is not None:
        said.append(f"{share:.0%} of the tests that start whole programs")
    return f"drawn, others each time: {', '.join(said)}" if said else None


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
    most, share = config.getoption("cases"), config.getoption("programs")
    dice = random.Random(run_of(config))
    cases = defaultdict(list)
    for item in items:
        cases[item.nodeid.partition("[")[0]].append(item)
    if share is not None:
        programs = [name for name in cases if name.startswith(PROGRAMS)]
        for name in dice.sample(programs, len(programs) - math.ceil(share * len(programs))):
            del cases[name]
    drawn = {item for those in cases.values() for item in _some(those, most, dice)}
    config.hook.pytest_deselected(items=[item for item in items if item not in drawn])
    items[:] = [item for item in items if item in drawn]


def _some(cases: list[pytest.Item], most: int | None, dice: random.Random) -> list[pytest.Item]:
    return cases if most is None or len(cases) <= most else dice.sample(cases, most)
