"""Values that would be taken silently for something else than was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.core.errors import InputError
from orchestrator.core.settings import ApiKey
from orchestrator.files.config import load_settings
from orchestrator.files.state_place import find_state_dir
from orchestrator.operations.check import check

KEYS = {"MONGODB_ATLAS_PUBLIC_API_KEY": "abcdefgh", "MONGODB_ATLAS_PRIVATE_API_KEY": "0123-4567"}


def mistakes(directory: Path, text: str = "", *, environ: dict[str, str] | None = None, **overrides: str) -> list[str]:
    """What is wrong with a config file of this *text*, in this environment, with these options."""
    file = directory / "c.yaml"
    file.write_text(text)
    with pytest.raises(InputError) as wrong:
        load_settings(file, environ={"HOME": str(directory), **(environ or {})}, overrides=overrides)
    return [str(problem).replace(str(directory), ".") for problem in wrong.value.problems]


@pytest.mark.parametrize("key", ["state_dir", "logging.file", "atlas.ca_file", "metrics.textfile", "atlas.private_key"])
def test_a_name_without_braces_is_a_mistake(tmp_path: Path, key: str) -> None:
    """`$HOME/cutover` would be a directory of that name, and so a second journal."""
    section, _, name = key.rpartition(".")
    text = f"{section}: {{{name}: $HOME/cutover}}" if section else f"{name}: $HOME/cutover"
    assert mistakes(tmp_path, text)[0] == (
        f"./c.yaml:1: {key}: $HOME is not replaced: write ${{HOME}}, or $$HOME where a dollar sign is meant"
    )


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("state_dir: $STATE", "state_dir"),
        ("atlas: {ca_file: $CA/x}", "atlas.ca_file"),
        ("atlas: {base_url: https://$H/api/atlas/v2}", "atlas.base_url"),
        ("atlas: {public_key: a, private_key: $K}", "atlas.private_key"),
        ("temporal: {address: $HOST:7233}", "temporal.address"),
        ("polling: {initial: $X}", "polling.initial"),
        ("polling: {initial: '${NOT_SET}'}", "polling.initial"),
        ("notify: {urls: ['json://$T@h/x']}", "notify.urls[0]"),
    ],
)
def test_what_could_not_be_put_in_is_one_mistake(tmp_path: Path, text: str, key: str) -> None:
    """Nothing is said of a value that is not there."""
    [line] = mistakes(tmp_path, text)
    assert line.startswith(f"./c.yaml:1: {key}: ")


def test_a_command_that_a_shell_would_put_in_is_a_mistake(tmp_path: Path) -> None:
    """`$(pwd)/cutover` would be a directory of that name, wherever it is written."""
    why = "$( is not replaced, as no shell reads this: write what it stands for, or $$( where a dollar sign is meant"
    assert mistakes(tmp_path, "state_dir: $(pwd)/cutover") == [f"./c.yaml:1: state_dir: {why}"]
    [option] = mistakes(tmp_path, state_dir="$(pwd)/cutover")
    assert option.startswith("command line: --state-dir: $( is not replaced here")


def test_a_dollar_sign_alone_stays_one(tmp_path: Path) -> None:
    """Nothing follows that could be a name."""
    file = tmp_path / "c.yaml"
    file.write_text("atlas: {public_key: a, private_key: 'pa$1$$x$'}")
    credentials = load_settings(file, environ={"HOME": str(tmp_path)}).atlas.credentials.credentials
    assert isinstance(credentials, ApiKey)
    assert credentials.private_key.reveal() == "pa$1$x$"


@pytest.mark.parametrize("value", ["$HOME/cutover", "${HOME}/cutover"])
def test_where_nothing_is_replaced_a_reference_is_a_mistake(tmp_path: Path, value: str) -> None:
    """In an environment file, or in quotes on the command line; for commands that only look for the state directory, too."""
    named = value.partition("/")[0]
    [option] = mistakes(tmp_path, state_dir=value)
    assert option.startswith(f"command line: --state-dir: {named} is not replaced here")
    [variable] = mistakes(tmp_path, environ={"ATLAS_CUTOVER_LOG_FILE": value})
    assert variable.startswith(f"environment: ATLAS_CUTOVER_LOG_FILE: {named} is not replaced here")
    for environ, given in (({"ATLAS_CUTOVER_STATE_DIR": value}, None), ({}, Path(value))):
        with pytest.raises(InputError, match="is not replaced here"):
            find_state_dir(None, environ=environ, given=given, warn=print)


def test_the_home_of_somebody_else_is_not_guessed(tmp_path: Path) -> None:
    """`~ana/x` would be a directory of that name."""
    with pytest.raises(InputError, match="~ana/x: ~ alone is replaced"):
        load_settings(None, environ={"HOME": str(tmp_path)}, overrides={"state_dir": "~ana/x"})


@pytest.mark.parametrize(
    "key",
    [
        "state_dir",
        "logging.file",
        "atlas.ca_file",
        "metrics.textfile",
        "temporal.codec_key_file",
        "atlas.private_key_file",
    ],
)
def test_a_home_that_is_nowhere_is_told_at_its_line_with_the_other_mistakes(
    tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of somebody else, or of a user who has none; whoever gathers mistakes must not lose it."""
    section, _, name = key.rpartition(".")

    def text(value: str) -> str:
        return f"{section}: {{{name}: {value}}}" if section else f"{name}: {value}"

    [told] = mistakes(tmp_path, text("~ana/x"))
    assert (
        told
        == f"./c.yaml:1: {key}: ~ana/x: ~ alone is replaced, by your own home directory: give another's with its whole path"
    )
    monkeypatch.setattr("orchestrator.files.state_place.home_of", lambda _: None)
    said = f"./c.yaml:1: {key}: ~/x is in the home directory, and this user has none: set HOME"
    assert any(told.startswith(said) for told in mistakes(tmp_path, text("~/x")))


def test_check_tells_what_has_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the default of a setting is what is wrong: it ended without a word."""
    monkeypatch.setattr("orchestrator.files.state_place.home_of", lambda _: None)
    with pytest.raises(InputError, match="set HOME") as refused:
        check(tmp_path / "none.yaml", environ={})
    assert "none.yaml: does not exist" in str(refused.value)


def test_an_error_that_is_one_sentence_is_one_problem() -> None:
    """So that it stays in a list of them."""
    [problem] = InputError("there is none").problems
    assert str(problem) == "there is none" == str(InputError(problems=[problem]))


@pytest.mark.parametrize(
    ("section", "said"),
    [
        (
            "atlas: {base_url: 'https://cloud.mongodb.com:0'}",
            "atlas.base_url: expected a port from 1 to 65535, or none",
        ),
        (
            "temporal: {address: '127.0.0.1:99999'}",
            "temporal.address: expected a port from 1 to 65535 behind the colon",
        ),
        ("temporal: {address: '127.0.0.1:0'}", "temporal.address: expected a port from 1 to 65535 behind the colon"),
    ],
)
def test_a_port_that_nothing_listens_on_is_a_mistake(tmp_path: Path, section: str, said: str) -> None:
    """It would be no mistake of the file, but of a connection in the night."""
    [told] = mistakes(tmp_path, section)
    assert told.startswith(f"./c.yaml:1: {said}")


@pytest.mark.parametrize("quote", ['"', "'"])
@pytest.mark.parametrize(
    "variable",
    ["MONGODB_ATLAS_PRIVATE_API_KEY", "ATLAS_CUTOVER_STATE_DIR", "MONGODB_ATLAS_BASE_URL", "ATLAS_CUTOVER_LOG_LEVEL"],
)
def test_quotes_around_a_value_are_told(tmp_path: Path, variable: str, quote: str) -> None:
    """`docker --env-file` keeps them, and no message shows the value."""
    found = mistakes(tmp_path, environ={**KEYS, variable: f"{quote}topsecret{quote}"})
    assert any(
        line.startswith(f"environment: {variable}: its value is wrapped in quotes, which are a part of it here")
        for line in found
    )
    assert "topsecret" not in "".join(found)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_line_end_behind_a_key_is_no_part_of_it(tmp_path: Path, end: str) -> None:
    """From an environment variable, by name or through the file, as from a file of its own."""
    environ = {"HOME": str(tmp_path), "A": f"abcdefgh{end}", "B": f"0123-4567{end}"}
    by_name = {"MONGODB_ATLAS_PUBLIC_API_KEY": environ["A"], "MONGODB_ATLAS_PRIVATE_API_KEY": environ["B"]}
    file = tmp_path / "c.yaml"
    file.write_text("atlas: {public_key: '${A}', private_key: '${B}'}")
    for settings in (load_settings(file, environ=environ), load_settings(None, environ={**environ, **by_name})):
        credentials = settings.atlas.credentials.credentials
        assert isinstance(credentials, ApiKey)
        assert (credentials.public_key.reveal(), credentials.private_key.reveal()) == ("abcdefgh", "0123-4567")
        assert settings.secrets() == ["abcdefgh", "0123-4567"]


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("https://2130706433", "an address of four numbers"),
        ("https://0x7f.1", "an address of four numbers"),
        ("https://10.1", "an address of four numbers"),
        ("https://cloud.xn--mngodb-wqf.com", "its host looks like cloud.mongodb.com and is another one"),
        ("https://cloud.m\u043engodb.com", "expected an address such as"),
    ],
)
def test_a_host_that_is_not_what_it_seems_is_refused(tmp_path: Path, host: str, why: str) -> None:
    """Numbers that are addresses in disguise, and letters of another alphabet."""
    assert why in mistakes(tmp_path, f"atlas: {{base_url: '{host}'}}")[0]


@pytest.mark.parametrize(
    "host", ["https://cloud.mongodb.com.", "https://10.0.0.1", "https://[::1]:8443", "https://xn--bcher-kva.example"]
)
def test_other_hosts_are_taken(host: str) -> None:
    """A name with its last dot, addresses, a name with an umlaut."""
    load_settings(None, environ={"HOME": "/"}, overrides={"atlas": {"base_url": host}})
