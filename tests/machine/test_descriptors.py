"""Who may have how many of the files that a process may open."""

from __future__ import annotations

import resource
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.machine import descriptors
from orchestrator.machine.descriptors import RESERVE, connections_at_most, hooks_at_most, raise_limit

Limits = tuple[int, int]


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], list[Limits]]:
    """Let this process's limit be (soft, hard); what it is set to is collected."""

    def pretend(soft: int, hard: int) -> list[Limits]:
        asked: list[Limits] = []
        monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
        monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: asked.append(wanted))
        return asked

    return pretend


@pytest.mark.parametrize(
    ("soft", "hard", "asked"),
    [
        (64, 64, []),
        (64, 1024, [(1024, 1024)]),
        (1024, 1_048_576, [(descriptors.ENOUGH, 1_048_576)]),
        (256, resource.RLIM_INFINITY, [(descriptors.ENOUGH, resource.RLIM_INFINITY)]),
        (65536, 65536, []),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, []),
    ],
)
def test_the_limit_is_raised_as_far_as_it_may_be_and_helps(
    limits: Callable[[int, int], list[Limits]], soft: int, hard: int, asked: list[Limits]
) -> None:
    """Never lowered, and not beyond what is of use."""
    done = limits(soft, hard)
    raise_limit()
    assert done == asked


@given(allowed=st.integers(8, 100_000), taken=st.integers(3, 60))
def test_connections_and_hooks_together_leave_the_reserve(allowed: int, taken: int) -> None:
    """Both ends of each connection, four files a hook, and four of what ends hooks; but one of each there always is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resource, "getrlimit", lambda _: (allowed, allowed))
        patch.setattr(descriptors, "_open_now", lambda: taken)
        connections = connections_at_most(100)
        hooks = hooks_at_most(64, connections=connections)
    assert 1 <= connections <= 100
    assert 1 <= hooks <= 64
    if min(connections, hooks) > 1:
        assert 2 * connections + 4 * hooks + 4 <= allowed - taken - RESERVE


def test_an_ordinary_limit_bounds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """1,024 files are what most shells allow."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1024))
    monkeypatch.setattr(descriptors, "_open_now", lambda: 30)
    assert (connections_at_most(100), hooks_at_most(64, connections=100)) == (100, 64)
