from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from orchestrator.cli.commands import all_commands, build_parser
from orchestrator.cli.completion import SHELLS, completion_script
from orchestrator.cli.main import run_command
from orchestrator.cli.parser import EXIT_CODES
from orchestrator.core.outcomes import EXIT_MEANINGS, ExitCode
from orchestrator.core.workflow import Workflow
from orchestrator.files.workflow_file import load_workflow
from orchestrator.store.journal import open_journal

from .builders import run_started
from .commandlines import commands_in, shell_blocks

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]

_FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_VERSION = re.compile(r"^## \[([^\]]+)\]", re.MULTILINE)


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    """docs/generate.py, which is a script and in no package."""
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def anchors(page: Path) -> set[str]:
    """The anchors of *page*'s headings, as they are made where Markdown is shown."""
    text = _FENCED.sub("", page.read_text(encoding="utf-8"))
    plain = (re.sub(r"[^\w\- ]", "", heading.strip().lower()) for heading in _HEADING.findall(text))
    return {heading.replace(" ", "-") for heading in plain}


def keys_of(schema: Any) -> Iterator[str]:
    """Every key that a file with this JSON Schema may have."""
    if isinstance(schema, dict):
        for name, value in schema.items():
            if name == "properties":
                yield from value
            yield from keys_of(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from keys_of(item)


def codes_in_tables(text: str) -> set[int]:
    """The exit codes in the first column of the tables in *text*."""
    cells = re.findall(r"^\| ([\d, ]+) \|", text, re.MULTILINE)
    return {int(code) for cell in cells for code in cell.split(",")}


# -- generated pages -------------------------------------------------------------------------------------------------


def test_the_generated_pages_are_current(generate: ModuleType) -> None:
    """What `make docs` would write is what is there."""
    assert sorted(str(path) for path in generate.outdated()) == []


def test_the_generator_tells_what_it_would_write(
    generate: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--check` only complains; without it the pages are written, and are current from then on."""
    monkeypatch.setattr(generate, "DOCS", tmp_path / "docs")
    (tmp_path / "docs").mkdir()
    assert generate.main(["--check"]) == 1
    assert "docs/cli.md is not current" in capsys.readouterr().err
    assert not (tmp_path / "docs" / "cli.md").exists()
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    assert json.loads((tmp_path / "docs" / "schema" / "workflow.schema.json").read_text(encoding="utf-8"))


def test_usage_lines_do_not_depend_on_the_terminal(generate: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A narrow terminal makes the same page."""
    page = generate.cli_page()
    monkeypatch.setenv("COLUMNS", "40")
    assert generate.cli_page() == page
    for command, parser in generate.all_parsers():
        if command != "atlas-cutover":
            assert max(map(len, generate.usage(parser).splitlines())) <= generate.WIDTH


# -- help ------------------------------------------------------------------------------------------------------------


def test_every_command_has_help_and_an_example() -> None:
    """And each example is one of its own."""
    for command in all_commands():
        assert command.help, command.name
        assert command.examples, command.name
        for example in command.examples:
            assert example.startswith(f"atlas-cutover {command.name}"), example


def test_every_option_has_help(generate: ModuleType) -> None:
    """No option is left to be guessed at."""
    parsers: list[tuple[str, ArgumentParser]] = list(generate.all_parsers())
    missing = [
        f"{name} {action.option_strings[-1]}"
        for name, parser in parsers
        for action in parser._actions
        if action.option_strings and not action.help
    ]
    assert missing == []


def test_every_command_can_be_understood_as_it_is_shown() -> None:
    """The examples of `--help` parse."""
    for command in all_commands():
        for example in command.examples:
            (arguments,) = commands_in(example)
            assert build_parser().parse_args(arguments).command == command.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_on_a_page_parse(page: Path) -> None:
    """Whatever a reader is told to type is understood."""
    for block in shell_blocks(page.read_text(encoding="utf-8")):
        for arguments in commands_in(block):
            if arguments[0] not in {"--help", "--version"}:
                build_parser().parse_args(arguments)


# -- pages and facts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Files of the checkout exist, and so do the headings that are linked to."""
    broken = []
    for link in _LINK.findall(_FENCED.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize(("which", "page"), [("config", "config.md"), ("workflow", "workflow.md")])
def test_every_key_of_a_file_is_explained(which: str, page: str) -> None:
    """The reference names each key that the JSON Schema has."""
    schema = json.loads((DOCS / "schema" / f"{which}.schema.json").read_text(encoding="utf-8"))
    text = (DOCS / page).read_text(encoding="utf-8")
    explained = {name for code in re.findall(r"^\| `([\w.]+)` \|", text, re.MULTILINE) for name in code.split(".")}
    assert sorted(set(keys_of(schema)) - explained) == []


def test_the_page_of_exit_codes_has_them_all() -> None:
    """Each code with its name, and no other."""
    text = (DOCS / "exit-codes.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (\w+) \|", text, re.MULTILINE)
    assert {(int(code), name) for code, name in rows} == {(int(code), code.name) for code in ExitCode}


def test_help_and_readme_say_what_each_exit_code_means() -> None:
    """In the same words."""
    rows = [(str(int(code)), meaning) for code, meaning in EXIT_MEANINGS.items()]
    assert re.findall(r"^  (\d+) +(.+)$", EXIT_CODES, re.MULTILINE) == rows
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| (\d+) \| (.+) \|$", readme, re.MULTILINE) == rows
    assert {int(code) for code in EXIT_MEANINGS} == {int(code) for code in ExitCode}


def test_each_scheduler_says_what_to_do_on_each_exit_code() -> None:
    """One table per scheduler, complete."""
    text = (DOCS / "scheduling.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE))
    wanted = {int(code) for code in ExitCode}
    for scheduler in ("cron", "systemd", "Kubernetes", "GitHub Actions", "Airflow"):
        assert codes_in_tables(sections[scheduler]) >= wanted, scheduler


def test_changelog_and_version_agree() -> None:
    """The newest version in the changelog, if any has been released, is the package's."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    first, *rest = _VERSION.findall((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    released = rest if first == "Unreleased" else [first, *rest]
    assert released[:1] in ([], [version])
    assert "Unreleased" not in released


def test_the_glossary_has_each_word_once_and_in_order() -> None:
    """One word for one thing."""
    words = re.findall(r"^- \*\*(.+?)\*\*", (DOCS / "glossary.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert words == sorted(set(words))


# -- completion ------------------------------------------------------------------------------------------------------


def complete(line: str, *, directory: Path) -> set[str]:
    """What bash offers after *line* with the completion script, which asks the program."""
    script = directory / ".completion.bash"
    script.write_text(completion_script("bash"), encoding="utf-8")
    program = directory / ".bin" / "atlas-cutover"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m orchestrator "$@"\n')
    program.chmod(0o755)
    asked = (
        'source "$1"; read -ra COMP_WORDS <<<"$2"; [[ $2 == *" " ]] && COMP_WORDS+=("");'
        " COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMP_LINE=$2; COMP_POINT=${#2}; COMP_TYPE=9;"
        ' function=$(complete -p atlas-cutover | sed "s/.*-F \\([^ ]*\\).*/\\1/"); "$function" atlas-cutover;'
        ' printf "%s\\n" "${COMPREPLY[@]}"'
    )
    command = ["bash", "--norc", "--noprofile", "-c", asked, "bash", str(script), line]
    environ = os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": str(DOCS.parent)}
    done = subprocess.run(command, cwd=directory, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.fixture
def bash(tmp_path: Path) -> Path:
    """A directory to complete in, where there is a bash."""
    if shutil.which("bash") is None:
        pytest.skip("needs bash")
    (tmp_path / "retail.yaml").touch()
    (tmp_path / "state").mkdir()
    return tmp_path


def test_a_command_is_completed(bash: Path) -> None:
    """`atlas-cutover ru<TAB>`."""
    assert complete("atlas-cutover ru", directory=bash) == {"run", "runs"}


def test_options_of_a_command_are_completed(bash: Path) -> None:
    """`atlas-cutover run --re<TAB>`: the command's own and no other's."""
    assert complete("atlas-cutover run --re", directory=bash) == {"--retry-failed", "--rehearse"}


def test_files_and_directories_are_completed(bash: Path) -> None:
    """A workflow is a file; a state directory is a directory alone."""
    assert "retail.yaml" in complete("atlas-cutover run ret", directory=bash)
    assert complete("atlas-cutover run --state-dir s", directory=bash) == {"state/"}
    assert complete("atlas-cutover run --state-dir ret", directory=bash) == set()


def test_choices_are_completed(bash: Path) -> None:
    """`atlas-cutover schema <TAB>`."""
    assert complete("atlas-cutover schema ", directory=bash) >= {"workflow", "config"}


def test_runs_waves_and_migrations_are_completed(bash: Path) -> None:
    """Those of the state directory for commands that steer, those of the file for `--only`."""
    jobs = {"orders": "a659ce44c03ca1e348b1e992", "customers": "e330ccb17b3f6f8b137ddda5"}
    waves = [{"name": f"the-{n}", "migrations": [{"name": n, "live_migration_id": job}]} for n, job in jobs.items()]
    document = {"version": "1", "name": "night", "defaults": {"group_id": "7e68e12770616e75e6df43d0"}, "waves": waves}
    workflow = load_workflow_of(bash / "night.yaml", document)
    with open_journal(bash / "state") as journal:
        journal.begin("20261128-000000-3f9a1c", workflow, run_started(workflow))
    assert complete("atlas-cutover run night.yaml --only cu", directory=bash) == {"customers"}
    on = "atlas-cutover --state-dir state"
    assert complete(f"{on} status 2026", directory=bash) == {"20261128-000000-3f9a1c"}
    assert complete(f"{on} approve 20261128-000000-3f9a1c ", directory=bash) >= {"the-orders", "the-customers"}
    assert complete(f"{on} approve 20261128-000000-3f9a1c or", directory=bash) == set()
    assert complete(f"{on} skip 20261128-000000-3f9a1c or", directory=bash) == {"orders"}
    assert complete("atlas-cutover --state-dir nowhere status 2026", directory=bash) == set()


def load_workflow_of(path: Path, document: object) -> Workflow:
    """Write *document* into the file *path*, and read it as the program does."""
    path.write_text(json.dumps(document), encoding="utf-8")
    return load_workflow(path)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """For each shell, and whole."""
    assert run_command(["completion", shell]) == 0
    assert capsys.readouterr().out == completion_script(shell) + "\n"


@pytest.mark.parametrize("shell", SHELLS[:2])
def test_the_script_is_sound(shell: str) -> None:
    """The shell itself reads it without complaint."""
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    done = subprocess.run(
        [shell, "-n"], input=completion_script(shell), capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
