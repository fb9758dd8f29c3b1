from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.core.errors import InputError
from orchestrator.files.config import load_settings
from orchestrator.files.state_place import find_state_dir

ENVIRON = {"HOME": "/home/ops", "DIR": "there", "STATE_DIRECTORY": "/var/lib/x"}


def config(directory: Path, text: str) -> Path:
    """A config file."""
    path = directory / "config.yaml"
    path.write_text(text)
    return path


def found(path: Path | None, given: str | None = None, warnings: list[str] | None = None, variable: str = "") -> Path:
    """The state directory of that config."""
    told: list[str] = [] if warnings is None else warnings
    return find_state_dir(
        path,
        environ=ENVIRON | {"ATLAS_CUTOVER_STATE_DIR": variable},
        given=None if given is None else Path(given),
        warn=told.append,
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "state_dir: here\n",
        "state_dir: ~/runs\n",
        "state_dir: /var/lib/runs\n",
        "state_dir: ${DIR}/$$runs\n",
        "state_dir: ${STATE_DIRECTORY}\n",
        "state_dir:\n",
        "polling: {initial: 3s}\nstate_dir: '12'\n",
    ],
)
@pytest.mark.parametrize("given", [None, "else/where", "~/mine"])
@pytest.mark.parametrize("variable", ["", "by/variable"])
def test_it_is_where_the_whole_settings_say(tmp_path: Path, text: str, given: str | None, variable: str) -> None:
    """Command line, environment, file, default: the brake acts on the very runs that `run` makes."""
    whole = load_settings(
        config(tmp_path, text),
        environ=ENVIRON | {"ATLAS_CUTOVER_STATE_DIR": variable},
        overrides={} if given is None else {"state_dir": given},
    )
    assert found(tmp_path / "config.yaml", given, variable=variable) == whole.state_dir


def test_without_a_config_it_is_the_default() -> None:
    """Or what command line and environment say."""
    assert found(None) == Path("/home/ops/.local/state/atlas-cutover")


@pytest.mark.parametrize(
    "mistake",
    [
        "notify: {urls: ['${CUTOVER_SLACK}']}",
        "atlas: {private_key_file: '${CREDENTIALS_DIRECTORY}/key'}",
        "atlas: {public_key: a b, ca_file: /no/such/file}",
        "polling: {initial: often}",
        "wholly: unknown",
        "polling: {}\npolling: {}",
        "credentials: [1, 2]",
    ],
)
def test_what_is_wrong_elsewhere_does_not_matter(tmp_path: Path, mistake: str) -> None:
    """Nor is anything said of it: `check` and `run` do."""
    told: list[str] = []
    path = config(tmp_path, f"state_dir: here\n{mistake}\n")
    assert (found(path, warnings=told), told) == (tmp_path / "here", [])
    with pytest.raises(InputError):
        load_settings(path, environ=ENVIRON)


def test_a_file_that_is_no_yaml_still_says_where_the_state_is(tmp_path: Path) -> None:
    """By its one line, with a warning."""
    told: list[str] = []
    path = config(tmp_path, "atlas:\n  - [\nstate_dir: here # since May\nnotify: }\n")
    assert found(path, warnings=told) == tmp_path / "here"
    (warning,) = told
    assert "config.yaml:" in warning
    assert "state_dir alone is used" in warning


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("state_dir: ${NO_SUCH}\n", "config.yaml:1: state_dir: the environment variable NO_SUCH is not set"),
        ("\nstate_dir: ${}\n", "config.yaml:2: state_dir: expected ${NAME}"),
        ("state_dir: a\nstate_dir: b\n", "config.yaml:2: state_dir: "),
        ("state_dir: [a]\n", "config.yaml:1: state_dir: expected the name of a directory"),
        ("- a\n", "config.yaml"),
        ("a: }\nstate_dir: a\nstate_dir: b\n", "not valid YAML"),
    ],
)
def test_what_is_wrong_with_itself_is_told_with_the_way_around(tmp_path: Path, text: str, message: str) -> None:
    """Nobody guesses: another directory knows nothing of the runs. `--state-dir` needs no config."""
    path = config(tmp_path, text)
    with pytest.raises(InputError) as refused:
        found(path)
    assert message in str(refused.value)
    assert "--state-dir" in refused.value.__notes__[0]
    assert found(path, "/runs") == Path("/runs")
    assert found(tmp_path / "missing.yaml", "/runs") == Path("/runs")
