"""Text that people see, and names that they type, whatever alphabet, form or terminal."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.cli.streams import Legible

from .program import Program, new_id

MISLEADING = ("\u202e", "\u2066", "\x9b", "\x85", "\u200f")


def test_no_output_has_a_character_that_turns_the_direction_of_writing(program: Program) -> None:
    """Variables are anybody's text: they are shown with escapes in every report and on every stream, JSON included."""
    program.config()
    program.scenario()
    workflow = program.workflow(
        {"one": {"orders": new_id()}},
        vars={"note": "-".join(MISLEADING)},
        run_hooks={"before": [["printf", "\u202ehook\u009b"]]},
    )
    outputs = [f"r{end}" for end in (".json", ".md", ".html", ".xml", ".csv")]
    done = program.run(
        "run", workflow, "--rehearse", "--format", "json", *(word for o in outputs for word in ("--output", o))
    )
    assert done.code == 0
    run_id = done.report["run_id"]
    assert done.report["migrations"][0]["vars"]["note"] == "-".join(MISLEADING)
    texts = [
        done.out,
        done.err,
        *(
            program.run(*c).out
            for c in (
                ("plan", workflow),
                ("plan", workflow, "--format", "json"),
                ("status", run_id),
                ("report", run_id),
            )
        ),
    ]
    texts += [(program.directory / output).read_text() for output in outputs]
    for text in texts:
        assert not [f"{c!r}" for c in MISLEADING if c in text], text[:2000]


@pytest.mark.parametrize("kind", ["hook", "mistake", "argument", "option"])
def test_no_name_in_a_message_is_obeyed_by_a_terminal(program: Program, kind: str) -> None:
    """Whoever names a file or a hook's program moves no cursor, colours nothing and forges no line."""
    evil = "\x1b[31mEVIL\nwarning: all is well\r"
    program.config()
    workflow = program.workflow({"one": {"orders": new_id()}}, run_hooks={"before": [[f"./{evil}", "now"]]})
    if kind == "mistake":
        (program.directory / f"{evil}.yaml").write_text("waves: 1\n")
    told = {
        "hook": ("check", workflow),
        "mistake": ("check", f"{evil}.yaml"),
        "argument": ("check", workflow, evil),
        "option": ("plan", workflow, "--runbook", evil),
    }[kind]
    done = program.run(*told)
    assert "EVIL" in done.err
    assert not {"\x1b", "\r"} & set(done.out + done.err)
    assert kind == "option" or "\nwarning: all is well" not in done.err


@pytest.mark.parametrize("command", ["check", "plan", "status", "run"])
def test_a_terminal_that_lacks_a_letter_shows_its_code(program: Program, command: str) -> None:
    """An en dash on a latin-1 terminal: no traceback."""
    program.config()
    program.scenario()
    workflow = program.workflow({"one": {"orders \u2013 eu": new_id()}}, name="night")
    run = ("run", workflow, "--rehearse")
    run_id = program.run(*run, "--format", "json").report["run_id"]
    arguments = {"run": run, "status": ("status", run_id)}.get(command, (command, workflow))
    alone = replace(program, loaded=None)  # a new interpreter looks at the terminal's encoding
    done = alone.run(*arguments, "--log-format", "console", PYTHONIOENCODING="latin-1", PYTHONUTF8="0")
    assert done.code == 0
    assert command == "check" or "\\u2013" in done.out


def test_two_names_that_differ_in_form_alone_are_one_name(program: Program) -> None:
    """Composed and decomposed: refused together, and found by `--only` and `skip` in either form."""
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    program.config()
    program.scenario()
    refused = program.run("check", program.workflow({"one": {composed: new_id(), decomposed: new_id()}}))
    assert (refused.code, "is taken" in refused.err) == (2, True)
    workflow = program.workflow({decomposed: {"orders": new_id()}, "two": {"parts": new_id()}})
    for form in (composed, decomposed):
        done = program.run("run", workflow, "--rehearse", "--only", form, "--format", "json")
        assert {m["name"] for m in json.loads(done.out)["migrations"]} == {"orders"}
    assert program.run("run", workflow, "--rehearse", "--only", "cafe").code == 2


def test_what_is_printed_is_legible_wherever_it_comes_from() -> None:
    """The stream itself shows escapes, so a print that nobody thought of does too; our own colours stay."""
    stream = io.StringIO()
    assert Legible(stream).write(f"\x1b[1m{MISLEADING[0]}\x1b[0m") > 0
    Legible(stream).writelines(MISLEADING[1:])
    assert stream.getvalue() == "\x1b[1m\\u202e\x1b[0m\\u2066\\u009b\\u0085\\u200f"


def test_names_that_are_easily_taken_for_each_other_are_a_warning(program: Program) -> None:
    """With the letters that nobody tells apart by sight."""
    program.config()
    done = program.run(
        "check",
        program.workflow({"one": {"orders": new_id(), "\u043erders": new_id(), "Parts": new_id(), "parts": new_id()}}),
    )
    assert done.code == 0
    assert (
        "these names are easily taken for each other: 'orders', '\u043erders' (\u043e is U+043E cyrillic small letter o)"
        in done.err
    )
    assert "these names are easily taken for each other: 'Parts', 'parts'" in done.err


@pytest.mark.parametrize("key", ["state_dir", "logging", "metrics"])
def test_files_are_called_alike_in_any_locale(program: Program, key: str) -> None:
    """Of a config, which is UTF-8: a shell in another locale finds the same state directory."""
    program.scenario()
    program.config(**{key: {"logging": {"file": "Ж"}, "metrics": {"textfile": "Ж"}}.get(key, "Ж")})
    workflow = program.workflow({"one": {"orders": new_id()}})
    alone = replace(program, loaded=None, environ={**program.environ, "ATLAS_CUTOVER_STATE_DIR": ""})
    bare = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for command in (("check", workflow), ("run", workflow, "--rehearse"), ("status",)):
        done = alone.run(*command, **bare)
        assert done.code == 0, done.err
    assert (program.directory / "Ж").exists()


def test_hooks_start_in_a_locale_that_lacks_letters(program: Program) -> None:
    """Of a name, of a command, of a directory, of what Atlas says: they get them in UTF-8, as the workflow has them."""
    program.config()
    program.scenario()
    hook = ["/bin/sh", "-c", 'printf "%s %s" "$CUTOVER_MIGRATION" "$1" > proof', "sh", "„привет“"]
    workflow = Path(
        program.directory, program.workflow({"one": {"Заказы": new_id()}}, defaults={"hooks": {"before": [hook]}})
    )
    place = program.directory / "Ночь"
    place.mkdir()
    for file in (workflow, program.directory / "night.scenario.yaml"):
        file.rename(place / file.name)
    alone = replace(program, loaded=None)  # a new interpreter looks at the locale
    bare = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = alone.run("run", str(place / workflow.name), "--rehearse", **bare)
    assert done.code == 0, done.err
    assert (place / "proof").read_bytes() == "Заказы „привет“".encode()
