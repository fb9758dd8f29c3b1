"""The commands that people are told to type are taken by the program as they were meant."""

from __future__ import annotations

import shlex

from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.cli.commands import build_parser
from orchestrator.core import events as ev
from orchestrator.core.needs import needs
from orchestrator.core.outcomes import Outcome
from orchestrator.core.run import fold
from orchestrator.core.typed import about, with_options, with_options_in
from orchestrator.core.workflow import Wave

from ..builders import NOW, WHO, finished, migration, run_started, workflow

RUN = "20261128T000000Z-5f3a"
OPTIONS = " --state-dir '/srv/a -- b'"
NAMES = st.text(st.sampled_from("-rf a'\"$`~=*.:,é"), min_size=1, max_size=8).filter(
    lambda name: name == name.strip() and name != "--"
)
parser = build_parser()


@given(st.lists(NAMES, min_size=1, max_size=3, unique=True), st.sampled_from(["", OPTIONS]))
@example(["-rf"], OPTIONS)
@example(["orders", "--off"], OPTIONS)
@example(["a -- b"], OPTIONS)
def test_a_command_names_what_it_was_made_for(names: list[str], options: str) -> None:
    """Whatever the names are, of which some look like options, and wherever the state directory is."""
    for verb in ("skip", "retry", "gate"):
        argv = shlex.split(with_options(about(verb, RUN, *names), options))
        parsed = parser.parse_args(argv[1:])
        assert (argv[0], parsed.command, parsed.run_id, parsed.names) == ("atlas-cutover", verb, RUN, names)
        assert str(parsed.state_dir) == ("/srv/a -- b" if options else "None")


def test_what_needs_somebody_has_commands_that_the_program_takes() -> None:
    """Of a wave and of migrations whose names look like options, with the options that find the state directory."""
    given_one = workflow()
    waves = (
        Wave(name="first", migrations=(migration("-rf", 1), migration("--off", 2))),
        Wave(name="-w", migrations=(migration("b", 3),), approval=True),
    )
    state = fold(
        RUN,
        [
            run_started(given_one.__class__(name="n", waves=waves, sha256="ab" * 32)),
            ev.CutoverRequested(at=NOW, migration="-rf"),
            finished("-rf", Outcome.UNVERIFIED),
            finished("--off", Outcome.FAILED),
            ev.ApprovalWaiting(at=NOW, wave="-w"),
        ],
    )
    told = [need.with_options(OPTIONS).command for need in needs(state, NOW, holder=WHO)]
    parsed = [parser.parse_args(shlex.split(command or "")[1:]) for command in told]
    assert [(each.command, each.names) for each in parsed] == [
        ("retry", ["-rf"]),
        ("retry", ["--off"]),
        ("approve", ["-w"]),
    ]
    assert {str(each.state_dir) for each in parsed} == {"/srv/a -- b"}


def test_commands_within_a_sentence_get_their_options_too() -> None:
    """And what is no command stays as it is."""
    text = f"first `{about('approve', RUN, '-w')}`, then `resume`, then `atlas-cutover resume {RUN}`"
    assert with_options_in(text, " --config c.yaml") == (
        f"first `atlas-cutover approve {RUN} --config c.yaml -- -w`, then `resume`, then `atlas-cutover resume {RUN} --config c.yaml`"
    )
    assert with_options_in(text, "") == text
