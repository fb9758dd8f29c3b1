"""Hooks as they are written: lists of words, and the list form of what is none."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from orchestrator.files.commands import parse_commands
from orchestrator.files.yaml_file import parse_yaml

from ..strength import examples


@pytest.mark.parametrize(
    ("value", "commands"),
    [
        (None, ()),
        ([], ()),
        (["./stop.sh"], (("./stop.sh",),)),
        (
            ["kubectl", "scale", "deployment/shop", "--replicas=0"],
            (("kubectl", "scale", "deployment/shop", "--replicas=0"),),
        ),
        ([["a"], ["b", "c d"]], (("a",), ("b", "c d"))),
        (["sh", "-c", "a | b"], (("sh", "-c", "a | b"),)),
        ([["/opt/my tools/run", "--now"]], (("/opt/my tools/run", "--now"),)),
    ],
)
def test_commands_are_lists_of_words(value: Any, commands: tuple[tuple[str, ...], ...]) -> None:
    """One may stand without the outer brackets; a word may hold spaces, and so may a program's path."""
    assert parse_commands(value) == commands


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("kubectl scale deploy/shop --replicas=0", "write [[kubectl, scale, deploy/shop, --replicas=0]]"),
        (["kubectl scale deploy/shop"], "write [[kubectl, scale, deploy/shop]]"),
        ([["kubectl scale deploy/shop"]], "write [kubectl, scale, deploy/shop]"),
        (["./stop.sh --all", "./page.sh"], "write [[./stop.sh, --all], [./page.sh]]"),
        ([["./stop.sh --all", "now"]], "write [./stop.sh, --all, now]"),
        (["./stop.sh --all", ["./page.sh"]], "write [./stop.sh, --all]"),
        (["notify 'it is over' me"], "write [[notify, 'it is over', me]]"),
        (["notify it's over"], "write [[notify, 'it''s', over]]"),
        (["a | tee $HOME/log"], "write [[sh, -c, 'a | tee $HOME/log']]"),
        (["x" * 300 + " y"], "write a list of words"),
    ],
)
def test_a_line_for_a_shell_is_told_with_its_list_form(value: Any, form: str) -> None:
    """So that it is clear what is meant; what only a shell understands is given to one."""
    with pytest.raises(ValueError, match="is one text with spaces") as caught:
        parse_commands(value)
    assert str(caught.value).endswith(form)


@pytest.mark.parametrize("value", ["stop", {"a": "b"}, [["a"], []], [[""]], [["a", ["b"]]], [["a\0"]], ["a", ["b"]]])
def test_anything_else_is_told_with_an_example(value: Any) -> None:
    """Of the form that is expected."""
    with pytest.raises(ValueError, match=r"such as \[/usr/bin/notify, --now\]"):
        parse_commands(value)


@settings(max_examples=examples(1000), deadline=None)
@given(
    st.lists(
        st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S", "Zs")), min_size=1), min_size=2, max_size=5
    )
)
def test_the_list_form_is_yaml_that_is_right(words: list[str]) -> None:
    """What is shown can be pasted: it is a list whose words are those of the line, or a line for `sh`."""
    assume(" " not in words[0])
    line = shlex.join(words)
    with pytest.raises(ValueError, match="is one text with spaces") as caught:
        parse_commands([line])
    form = str(caught.value).rpartition("; write ")[2]
    if form == "a list of words":
        return
    (command,) = parse_commands(parse_yaml(form.encode(), "w.yaml").data)
    assert command in (tuple(words), ("sh", "-c", line.strip()))
