"""The runbook of a workflow: its own waves and times, commands that can be given as they stand, and no text that becomes something else."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.commands import build_parser
from orchestrator.core.vars import Vars
from orchestrator.core.window import AbsoluteWindow
from orchestrator.core.workflow import Hooks, Migration, Wave, Workflow
from orchestrator.files.in_code import build_settings
from orchestrator.operations.plan import plan
from orchestrator.operations.runbook import LIST_ALL, Occasion, runbook

from ..builders import GROUP, NOW, live_id

_BLOCK = re.compile(r"^```sh\n(.*?)\n```$", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`(atlas-cutover [^`]+)`")
VERIFY = Hooks(before=(("./stop.sh", "a b"),), verify=(("./counts.py",),))


def made(given: Workflow, tmp_path: Path, *, now: float = NOW) -> str:
    """The runbook of *given*."""
    settings = build_settings({"state_dir": tmp_path / "state"}, environ={})
    occasion = Occasion(
        path="my night.yaml", file="my night.md", directory="/etc/a b", environ={"X": "y z"}, made_at=now, version="1"
    )
    return runbook(given, plan(given, settings, now=now), occasion)


def migrations(*names: str, **more: Any) -> tuple[Migration, ...]:
    """Migrations of these names."""
    return tuple(
        Migration(name=name, group_id=GROUP, live_migration_id=live_id(number), **more)
        for number, name in enumerate(names)
    )


def night(**more: Any) -> Workflow:
    """A canary that soaks, and a wave that waits for approval."""
    waves = (
        Wave(name="canary", migrations=migrations("orders", hooks=VERIFY), soak=900.0, max_failures=0),
        Wave(
            name="the rest", migrations=migrations("a", "b", "c"), concurrency=2, approval=True, approval_timeout=1800.0
        ),
    )
    return Workflow(**{"name": "retail", "waves": waves, "sha256": "ab" * 32, **more})


WINDOW = AbsoluteWindow(opens=NOW + 10 * 86_400, closes=NOW + 10 * 86_400 + 7200, reserve=1800.0)


def commands(text: str) -> list[str]:
    """Every command of this program that is in *text*."""
    blocks = [line for block in _BLOCK.findall(text) for line in block.splitlines()]
    return [line for line in (*blocks, *_INLINE.findall(text)) if line.startswith("atlas-cutover ")]


def test_a_wave_whose_name_looks_like_an_option_is_approved_as_it_stands(tmp_path: Path) -> None:
    """Its name is the last word, behind all options."""
    given = night()
    text = made(replace(given, waves=(given.waves[0], replace(given.waves[1], name="-w"))), tmp_path)
    told = [line for line in commands(text) if line.split()[1] in ("approve", "reject") and line.endswith("-- -w")]
    read = [build_parser().parse_args(shlex.split(command)[1:]) for command in told]
    assert [(each.command, each.names, each.reason) for each in read] == [
        ("approve", ["-w"], "who said so"),
        ("reject", ["-w"], "why"),
    ]


def test_every_command_can_be_given_as_it_stands(tmp_path: Path) -> None:
    """The program's own parser takes each; paths and names with spaces are quoted. Each block has one, so that none is given by accident."""
    text = made(night(window=WINDOW), tmp_path)
    found = commands(text)
    assert {command.split()[1] for command in found} >= {
        *("check", "auth", "plan", "run", "status", "serve", "approve", "reject"),
        *("pause", "unpause", "skip", "retry", "gate", "abort", "resume", "report"),
    }
    for command in found:
        words = shlex.split(command.replace("$RUN_ID", "20261128-000000-3f9a1c"))
        args = build_parser().parse_args(words[1:])
        assert getattr(args, "workflow", None) in (None, Path("my night.yaml"))
        assert getattr(args, "wave", None) in (None, "the rest", "WAVE")
    for block in _BLOCK.findall(text):
        assert len(block.splitlines()) == 1 or block.startswith("cd '/etc/a b'\nexport X='y z'")
        assert " #" not in block  # zsh would take a comment for arguments


def test_it_has_the_workflows_own_waves_times_hooks_and_approvals(tmp_path: Path) -> None:
    """Who does what when, from a week ahead on; the window with its reserve; the jobs that must not be ready too early."""
    text = made(night(window=WINDOW), tmp_path)
    assert "**When:** 2027-01-18 08:00:00 UTC, 7 days before the window opens. **Owner:** operator" in text
    assert "the last moment at which a cutover may start: 2027-01-25 09:30:00 UTC" in text
    assert "before 2027-01-20 10:00:00 UTC (120 hours before the window closes)" in text
    assert "15m after the last cutover of canary, once it is **approved** within 30m" in text
    assert "atlas-cutover approve $RUN_ID 'the rest' --reason 'who said so'" in text
    assert "before: ./stop.sh 'a b' (at most 5m)" in text
    assert "verify: ./counts.py (at most 10m)" in text
    assert "When more than 0 of them end without SUCCESS, no further cutover starts" in text
    assert "the application team stops the writers of these migrations before the wave starts" in text  # no hook does
    assert "no forecast: the journal in" in text
    assert text.count("| [ ] |") == 4
    late = made(night(window=WINDOW), tmp_path, now=NOW + 9 * 86_400)
    assert "7 days before the window opens, which is over: now" in late


def test_without_a_window_times_count_from_the_start(tmp_path: Path) -> None:
    """Nobody knows when that is."""
    text = made(night(), tmp_path)
    assert "**When:** 7 days before. **Owner:**" in text
    assert "earlier than 120 hours before its cutover" in text


HOSTILE = "a|b `rm -rf ~` <b>x</b> [y](http://z) **w** @all $(id) '"


@pytest.mark.parametrize("place", ["name", "wave", "migration", "var", "hook"])
def test_no_text_of_the_workflow_becomes_markup_or_another_command(tmp_path: Path, place: str) -> None:
    """Tables keep their columns, and shells get a name as one word."""
    text_of = dict.fromkeys(("name", "wave", "migration", "var", "hook"), "plain") | {place: HOSTILE}
    members = migrations(
        text_of["migration"],
        vars=Vars(("owner",), (text_of["var"],)),
        hooks=Hooks(before=((text_of["hook"],),)),
    )
    waves = (Wave(name=text_of["wave"], migrations=members, approval=True),)
    text = made(Workflow(name=text_of["name"], waves=waves), tmp_path)
    outside = _BLOCK.sub("", text)
    assert "<b>" not in outside
    assert not re.search(r"(?<!\\)\]\(http|(?<!\\)`rm", outside)
    for command in commands(text):
        words = shlex.split(command)
        assert place != "wave" or words[1] not in ("approve", "reject") or words[3] in (HOSTILE, "WAVE")
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}
        assert len(widths) == 1, table


def test_thousands_of_migrations_are_not_listed(tmp_path: Path) -> None:
    """A page that nobody reads helps nobody."""
    waves = (Wave(name="w", migrations=migrations(*(f"m{n}" for n in range(LIST_ALL + 1)))),)
    text = made(Workflow(name="n", waves=waves), tmp_path)
    assert "| [ ] |" not in text
    assert f"{LIST_ALL + 1} of them: see `plan`" in text
