"""Makes the generated pages of docs/ anew: cli.md, runbook.md, schema/*.json, images/polling.svg.

    python docs/generate.py            writes what has changed, and says so
    python docs/generate.py --check    writes nothing; exit code 1 when a page is not current

The command line's page is rendered here and not by argparse, whose help looks different in each version of Python.
"""

# ruff: noqa: SLF001 - argparse has no public way to list what a parser understands
from __future__ import annotations

import argparse
import json
import re
import sys
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.polling_picture import picture
from orchestrator.cli.commands import all_commands, build_parser
from orchestrator.cli.parser import Command
from orchestrator.files.config import config_schema
from orchestrator.files.in_code import build_settings
from orchestrator.files.workflow_file import read_workflow, workflow_schema
from orchestrator.machine.version import program_version
from orchestrator.operations.plan import plan
from orchestrator.operations.runbook import Occasion, runbook

DOCS = Path(__file__).resolve().parent
WIDTH = 100
"""Columns of a usage line, whatever the terminal's."""

COMMON = "options of all commands"
"""The title of the option group that every command has."""

HEAD = """\
# The command line

<!-- Made by `make docs` from the modules of orchestrator/cli: change it there. -->

`atlas-cutover` and `python -m orchestrator` are the same program. `atlas-cutover --help` lists the commands,
`atlas-cutover COMMAND --help` explains one. A `RUN_ID` may be shortened to its beginning, as long as that is one run's alone.
Without a `RUN_ID`, `resume` takes the newest unfinished run, a real one before any rehearsal; `report` and `status --watch` take
the newest run that is under way, else the newest of all, again a real one before any rehearsal; `status` lists all; `pause` and
`unpause` take the run that is under way. On a terminal, `run` wants the workflow's name typed before cutovers may start, and so
does `resume`, unless everything that is left is under way or in doubt; `--yes` stands in for that. Without a terminal `run` needs
`--yes`, and `resume` goes on, without `--only` with all that is left, also of waves that the first session was not about; a wave with
`approval` waits until somebody has approved all that is to start of it. Logs go to stderr; stdout has the summary alone. What a process ends with: [exit
codes](exit-codes.md).
"""


RUNBOOK_HEAD = """\
# The runbook of a night

<!-- Made by `make docs` from orchestrator/operations/runbook.py and runbook_steps.py: change it there. -->

From a week before to the morning after: each step with its command, its owner, and what can go wrong. This page is that of a made-up workflow; for yours,
with its own waves, times, hooks, approvals and [forecast](workflow.md#forecasts):

```sh
atlas-cutover plan retail.yaml --runbook retail-night.md
```

A file that is there is left alone; `--overwrite` replaces it, your notes in it included. The page has no key, and everything else that the workflow has: names, ids,
hooks, variables. Steps for a first cutover, with more explanation: [first-cutover.md](first-cutover.md); proving that the applications work: [verification.md](verification.md).
The made-up workflow:

```yaml
"""

EXAMPLE = """\
version: 1
name: retail-eu
window: {opens: 2026-11-28T01:00:00+01:00, closes: 2026-11-28T05:00:00+01:00, reserve: 30m}
defaults:
  group_id: 7e68e12770616e75e6df43d0
  hooks: {before: [./stop-writers.sh], verify: [./counts.py], after_success: [./start-writers.sh, new], after_failure: [./start-writers.sh, old]}
waves:
  - name: canary
    max_failures: 0
    soak: 15m
    migrations:
      - {name: staging, live_migration_id: 31ad2725bb37efa64f966774, vars: {owner: platform, size: S}}
  - name: shops
    approval: {timeout: 30m}
    concurrency: 2
    max_failures: 1
    migrations:
      - {name: orders, live_migration_id: a659ce44c03ca1e348b1e992, vars: {owner: orders, size: XL}}
      - {name: customers, live_migration_id: e330ccb17b3f6f8b137ddda5, vars: {owner: crm, size: M}}
      - {name: inventory, live_migration_id: 2a76d045cc89778fb6167222, vars: {owner: stock, size: M}}
"""


def runbook_page() -> str:
    """docs/runbook.md."""
    workflow = read_workflow(EXAMPLE.encode(), name="retail.yaml", directory=Path("/etc/atlas-cutover"))
    made_at = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
    settings = build_settings({"state_dir": "/srv/retail/state"}, environ={})
    page = runbook(
        workflow,
        plan(workflow, settings, now=made_at),
        Occasion(
            path="retail.yaml",
            file="retail-night.md",
            directory="/etc/atlas-cutover",
            environ={"ATLAS_CUTOVER_STATE_DIR": str(settings.state_dir)},
            made_at=made_at,
            version=program_version(),
        ),
    )
    return f"{RUNBOOK_HEAD}{EXAMPLE}```\n\n{re.sub('^#', '##', page, flags=re.MULTILINE)}"


def cli_page() -> str:
    """docs/cli.md."""
    parser = build_parser()
    parts = [HEAD, _command_table(), _common(parser)]
    parts += [_section(command) for command in all_commands()]
    return "\n".join(parts)


def pages() -> dict[Path, str]:
    """Every generated file and what it has to hold."""
    return {
        DOCS / "cli.md": cli_page(),
        DOCS / "runbook.md": runbook_page(),
        DOCS / "images" / "polling.svg": picture(),
        DOCS / "schema" / "workflow.schema.json": _json(workflow_schema()),
        DOCS / "schema" / "config.schema.json": _json(config_schema()),
    }


def outdated() -> dict[Path, str]:
    """Those of `pages` whose file says something else, or is not there."""
    return {
        path: text for path, text in pages().items() if not path.is_file() or path.read_text(encoding="utf-8") != text
    }


def main(arguments: list[str]) -> int:
    """Write what is outdated, or with `--check` only name it; the exit code."""
    parser = argparse.ArgumentParser(description="Makes the generated pages of docs/ anew.", allow_abbrev=False)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 when a page is not current")
    check = parser.parse_args(arguments).check
    stale = outdated()
    for path, text in stale.items():
        name = path.relative_to(DOCS.parent)
        if check:
            print(f"{name} is not current: make docs", file=sys.stderr)
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"{name} written")
    if not stale:
        print("the generated pages are current")
    return 1 if check and stale else 0


def usage(parser: argparse.ArgumentParser) -> str:
    """How *parser*'s command is called, its own options first, in lines of at most `WIDTH` columns."""
    words = [_usage_word(action) for group in _own_groups(parser) for action in group]
    words.append("[options of all commands]")
    lines = textwrap.wrap(
        " ".join(word.replace(" ", "\0") for word in words),
        width=WIDTH - len(parser.prog) - 1,
        break_long_words=False,
        break_on_hyphens=False,
    )
    indented = f"\n{' ' * (len(parser.prog) + 1)}".join(lines)
    return f"{parser.prog} {indented}".replace("\0", " ")


# -- sections --------------------------------------------------------------------------------------------------------


def _command_table() -> str:
    rows = [f"| [`{command.name}`](#{command.name}) | {_cell(command.help)} |" for command in all_commands()]
    return "\n".join(("| command | does |", "|---|---|", *rows, ""))


def _common(parser: argparse.ArgumentParser) -> str:
    group = next(group for group in parser._action_groups if group.title == COMMON)
    text = "These may be given before or after the command. What they override in the config file: [config](config.md)."
    return "\n".join(("## Options of all commands", "", text, "", _table(parser, group._group_actions, "option"), ""))


def _section(command: Command) -> str:
    parser = command.parser
    positionals, options = _own_groups(parser)
    lines = [f"## {command.name}", "", str(parser.description), "", "```text", usage(parser), "```", ""]
    arguments = [action for action in positionals if action.help]
    if arguments:
        lines += [_table(parser, arguments, "argument"), ""]
    if options:
        lines += [_table(parser, options, "option"), ""]
    return "\n".join((*lines, "```sh", *command.examples, "```", ""))


# -- pieces ----------------------------------------------------------------------------------------------------------


def _own_groups(parser: argparse.ArgumentParser) -> tuple[list[argparse.Action], list[argparse.Action]]:
    """*parser*'s arguments and its own options: without `--help`, and without what all commands have."""
    shared = {id(action) for group in parser._action_groups if group.title == COMMON for action in group._group_actions}
    own = [action for action in parser._actions if id(action) not in shared and "--help" not in action.option_strings]
    return [a for a in own if not a.option_strings], [a for a in own if a.option_strings]


def _usage_word(action: argparse.Action) -> str:
    word = _invocation(action)
    optional = action.option_strings or action.nargs == "?"
    repeated = "…" if isinstance(action, argparse._AppendAction) else ""
    return f"[{word}]{repeated}" if optional else word


def _invocation(action: argparse.Action) -> str:
    values = "{" + ",".join(action.choices) + "}" if action.choices else action.metavar or action.dest.upper()
    if not action.option_strings:
        return str(values)
    name = action.option_strings[-1]
    return name if action.nargs == 0 else f"{name} {values}"


def _table(parser: argparse.ArgumentParser, actions: list[argparse.Action], title: str) -> str:
    rows = [f"| `{_cell(_invocation(action))}` | {_cell(_help(parser, action))} |" for action in actions]
    return "\n".join((f"| {title} | meaning |", "|---|---|", *rows))


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    return (action.help or "") % {**vars(action), "prog": parser.prog}


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _json(schema: dict[str, object]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def all_parsers() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """The program's parser and each command's, with their names."""
    yield "atlas-cutover", build_parser()
    for command in all_commands():
        yield command.name, command.parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
