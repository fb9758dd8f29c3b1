"""What commands print on terminals of any width: lines break between words, and ids and commands to copy stay whole."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.cells import cell_len

from orchestrator.cli.commands import all_commands, build_parser
from orchestrator.core import events as ev
from orchestrator.core.errors import CutoverError
from orchestrator.core.outcomes import Outcome
from orchestrator.core.workflow import Wave, Workflow

from ..builders import GROUP, NOW, migration
from ..web.nights import RUN, Night, cutover_of

LONG = "eu-central-1-orders-and-returns"
IDEOGRAPHS = "注文-台帳"
REASON = "the oplog window was exceeded before the last operation could be applied: see `run --retry-failed`, or not"

READS = [
    "check {file}",
    "plan {file}",
    "auth",
    "auth {file}",
    "status",
    "status {run}",
    "status {run} --all",
    "report {run}",
    "report 2027",
    "status 99",
    "skip {run} orders",
    "approve {run} w9",
    "plan {missing}",
    "run {file}",
    "runs prune --older-than 1d",
]
STEERS = ("approve {run} w2", "pause {run}", "skip {run} users", "abort {run}")


class Screen(io.StringIO):
    """Stands for a stream that goes to a terminal, or to a pipe."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        """Whether it is one."""
        return self._terminal


@pytest.fixture
def night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Night:
    """A run with every kind of problem, in a directory with its workflow file."""
    names = ("orders", "carts", LONG, "stock", "slow")
    first = Wave(name="w1", migrations=tuple(migration(name, number) for number, name in enumerate(names, 1)))
    second = Wave(name="w2", migrations=(migration(IDEOGRAPHS, 90), migration("users", 91)), approval=True)
    night = Night(state_dir=tmp_path / "state")
    night.begin(Workflow(name="retail-eu", waves=(first, second), sha256="ab" * 32))
    hook = ev.HookFinished(
        at=NOW + 9, hook="after_success", argv=("./tell", "them"), exit_code=3, seconds=1.0, migration="orders"
    )
    night.write(
        *cutover_of("orders", NOW),
        *cutover_of("carts", NOW, outcome=Outcome.FAILED, message=REASON),
        *cutover_of(LONG, NOW, outcome=Outcome.FAILED, message=REASON),
        *cutover_of("stock", NOW, outcome=Outcome.UNVERIFIED, message="verify hook: ./prove ended with 1"),
        *cutover_of("slow", NOW, outcome=Outcome.TIMED_OUT, message="accepted, but not final within 2h"),
        hook,
        ev.ApprovalWaiting(at=NOW + 20, wave="w2"),
    )
    lines = "".join(f"      - {{name: {name}, live_migration_id: {n:024x}}}\n" for n, name in enumerate(names, 1))
    (tmp_path / "retail.yaml").write_text(
        f"version: 1\nname: another\ndefaults: {{group_id: {GROUP}}}\nwaves:\n  - name: w1\n    migrations:\n{lines}"
    )
    monkeypatch.chdir(tmp_path)
    for variable in ("NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TERM", "dumb")
    return night


Prints = Callable[[str, int | None], str]


@pytest.fixture
def prints(night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prints:
    """What a command prints, on stdout and stderr, on a terminal of so many columns (None: into a pipe)."""

    def prints(command: str, columns: int | None) -> str:
        file, missing = tmp_path / "retail.yaml", tmp_path / "there is none.yaml"
        words = [word.format(file=file, missing=missing, run=RUN) for word in command.split()]
        screen = Screen(terminal=columns is not None)
        size = os.terminal_size((columns or 80, 24))
        monkeypatch.setattr("orchestrator.machine.terminal._told_by", lambda _: size)
        monkeypatch.setattr(sys, "stdout", screen)
        monkeypatch.setattr(sys, "stderr", screen)
        parsed = build_parser().parse_args([*words, "--state-dir", str(night.state_dir)])
        try:
            parsed.handler(parsed)
        except CutoverError as error:
            from orchestrator.cli.outputs import tell  # after the streams were exchanged, as they are looked up there

            tell(str(error), file=screen)  # as the program does
        return screen.getvalue()

    return prints


def commands_in(text: str) -> set[str]:
    """Those that somebody copies."""
    return {found.strip("$ `") for found in re.findall(r"^ +\$ .+$|`atlas-cutover [^`\n]+`", text, re.MULTILINE)}


def words_in(text: str) -> set[str]:
    """In small letters, as titles are in rows that became lines."""
    return {word.strip(",").lower() for word in text.split()} - {"-", ""}


def may_be_long(line: str) -> bool:
    """Whether *line* holds nothing but what must stay whole."""
    bare = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?: UTC)?", "-", line.strip())
    return bare.startswith(("$ ", "report: ")) or len(re.sub(r"`[^`]*`", "`", bare).split()) == 1


@pytest.mark.parametrize("command", READS)
def test_lines_break_between_words_at_any_width(prints: Prints, command: str) -> None:
    """None is wider than the terminal but one that must stay whole; no word, id or command is broken or lost, and none is coloured."""
    whole = prints(command, None)
    assert whole
    for columns in (80, 60, 20):
        shown = prints(command, columns)
        wide = [line for line in shown.splitlines() if cell_len(line) > columns and not may_be_long(line)]
        assert wide == []
        assert commands_in(shown) == commands_in(whole)
        lost = words_in(whole) - words_in(shown)
        assert {word for word in lost if word.upper() not in whole.split()} == set()  # titles of columns that are empty
        assert "\x1b" not in shown


@pytest.mark.parametrize("columns", [60, 20])
@pytest.mark.parametrize("command", STEERS)
def test_answers_to_steering_keep_run_and_command_whole(
    prints: Prints, night: Night, command: str, columns: int
) -> None:
    """What came of it, for which run, and what carries it out, in the state directory that was named."""
    shown = prints(command, columns)
    assert [line for line in shown.splitlines() if cell_len(line) > columns and not may_be_long(line)] == []
    assert RUN in "".join(line for line in shown.splitlines() if RUN in line)
    assert all(f"`{found}`" in shown for found in commands_in(shown))
    assert command.startswith("abort") or commands_in(shown) == {
        f"atlas-cutover resume {RUN} --state-dir {night.state_dir}"
    }


def test_into_a_pipe_nothing_is_broken(prints: Prints) -> None:
    """So that each fact is one line, which can be searched."""
    text = prints("status {run}", None)
    assert max(map(len, text.splitlines())) > 150
    assert any(line.startswith("FAILED 2 migrations") and f": {REASON}, since " in line for line in text.splitlines())


def test_help_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every command, at 60 columns; examples stay whole, and options are never broken at their hyphens."""
    monkeypatch.setenv("COLUMNS", "60")
    for text in (build_parser().format_help(), *(each.parser.format_help() for each in all_commands())):
        head, _, rest = text.partition("\n\n")  # the usage, which argparse breaks between options
        wide = [line for line in rest.splitlines() if len(line) > 60 and not line.startswith("  atlas-cutover ")]
        assert wide == []
        assert not re.search(r"\w-$", text, re.MULTILINE)
        assert head.startswith("usage: ")


def test_an_option_that_a_command_lacks_is_told_with_that_commands_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """And what an argument is called, as its help calls it."""
    for arguments, usage, said in (
        (["run", "a.yaml", "--rehears"], "usage: atlas-cutover run ", "unrecognized arguments: --rehears"),
        (["schema"], "usage: atlas-cutover schema ", "required: workflow|config"),
        (["skip", "R", "-rf"], "usage: atlas-cutover skip ", "NAME; a name that begins with - stands behind --"),
        (["skip", "R", "a", "-rf"], "usage: atlas-cutover skip ", "-rf; a name that begins with - stands behind --"),
        (["run", "a.yaml", "--only", "-rf"], "usage: atlas-cutover run ", "begins with - is given as --only=-..."),
        (["run", "a.yaml", "--dry-run"], "usage: atlas-cutover run ", "there is no --dry-run"),
    ):
        with pytest.raises(SystemExit) as ended:
            build_parser().parse_args(arguments)
        told = capsys.readouterr().err
        assert (ended.value.code, told.startswith(usage), said in told) == (2, True, True)
