"""Variables of migrations: what holds where several levels say something."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.vars import NO_VARS, Vars, merged, variable_key

levels = st.lists(
    st.dictionaries(st.text("abAB_1", min_size=1, max_size=3), st.text(max_size=2), max_size=4), max_size=4
)


def test_the_nearest_value_of_each_variable_wins() -> None:
    """One by one: what a nearer level leaves out is taken from further away."""
    found = merged([{"cluster": "top", "region": "eu"}, {"size": "S"}, {"region": "us"}])
    assert found.as_dict() == {"cluster": "top", "region": "us", "size": "S"}


def test_names_that_differ_in_case_are_one_variable() -> None:
    """As they are to a hook; it is spelled as it was first."""
    assert merged([{"Cluster": "a"}, {"CLUSTER": "b"}]).as_dict() == {"Cluster": "b"}


def test_nothing_is_no_variable() -> None:
    """And is false."""
    assert merged([]) == merged([{}, {}]) == NO_VARS
    assert not NO_VARS
    assert Vars(("a",), ("",))


@given(levels)
def test_each_variable_has_one_name_and_the_last_value(given_levels: list[dict[str, str]]) -> None:
    """Whatever the levels say."""
    last = {variable_key(name): value for level in given_levels for name, value in level.items()}
    found = merged(given_levels)
    assert {variable_key(name): value for name, value in found.items()} == last
    assert len(found.names) == len(last)
