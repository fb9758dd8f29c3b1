"""Workflows and settings that are built in code: the same checks and defaults as those of files."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest

import orchestrator
from orchestrator.core.settings import ApiKey, Secret

GROUP = "7e68e12770616e75e6df43d0"
NIGHT: dict[str, Any] = {
    "name": "night",
    "defaults": {"group_id": GROUP},
    "waves": [
        {"name": "canary", "migrations": [{"name": "orders", "live_migration_id": "a659ce44c03ca1e348b1e992"}]},
        {
            "name": "rest",
            "concurrency": 2,
            "approval": True,
            "migrations": [{"name": "carts", "live_migration_id": "012345678901234567890123"}],
        },
    ],
}


def as_file(directory: Path, text: str, name: str = "night.yaml") -> Path:
    """A file with *text*."""
    path = directory / name
    path.write_text(text)
    return path


def test_a_workflow_built_in_code_is_the_one_that_a_file_would_be(tmp_path: Path) -> None:
    """But for the digest of the file: an id is text, also one of digits alone, and defaults are filled in."""
    built = orchestrator.build_workflow(NIGHT, directory=tmp_path)
    file = as_file(
        tmp_path,
        f"""
version: 1
name: night
defaults: {{group_id: {GROUP}}}
waves:
  - {{name: canary, migrations: [{{name: orders, live_migration_id: a659ce44c03ca1e348b1e992}}]}}
  - name: rest
    concurrency: 2
    approval: true
    migrations: [{{name: carts, live_migration_id: '012345678901234567890123'}}]
""",
    )
    read = orchestrator.load_workflow(file)
    assert (built.waves, built.window, built.directory) == (read.waves, read.window, read.directory)
    assert len(built.sha256) == 64


def test_a_mistake_in_a_built_workflow_is_told_by_its_key() -> None:
    """All of them at once, without lines, which it has not."""
    twice = [{"name": "a", "live_migration_id": "xyz"}, {"name": "a", "live_migration_id": "0" * 24}]
    with pytest.raises(orchestrator.InputError) as caught:
        orchestrator.build_workflow({**NIGHT, "waves": [{"name": "w", "migrations": twice, "conurrency": 1}]})
    told = str(caught.value).splitlines()
    assert all(line.startswith("workflow: waves[0]") for line in told), told
    assert {problem.line for problem in caught.value.problems} == {0}
    assert any("conurrency" in line for line in told)
    assert any("live_migration_id" in line for line in told)


def test_what_is_no_value_of_a_file_is_refused_with_a_reason() -> None:
    """No traceback of the YAML library's."""
    with pytest.raises(orchestrator.InputError, match="workflow: cannot be written"):
        orchestrator.build_workflow({**NIGHT, "name": object()})


def test_settings_built_in_code_have_the_defaults_of_files(tmp_path: Path) -> None:
    """`build_settings()` is an empty config file, and what is given stands over the environment."""
    environ = {
        "HOME": str(tmp_path),
        "ATLAS_CUTOVER_STATE_DIR": "/elsewhere",
        "MONGODB_ATLAS_PUBLIC_API_KEY": "abcdefgh",
        "MONGODB_ATLAS_PRIVATE_API_KEY": "secret",
    }
    empty = as_file(tmp_path, "", "config.yaml")
    assert orchestrator.build_settings(environ=environ) == orchestrator.load_settings(empty, environ=environ)
    settings = orchestrator.build_settings(
        {
            "atlas": {
                "base_url": "http://127.0.0.1:1/api/atlas/v1.0",
                "public_key": "ijklmnop",
                "private_key": "a${b}$c",
                "request_timeout": 5,
            },
            "polling": {"initial": 0.5},
            "notify": {"urls": ["json://localhost"]},
            "state_dir": tmp_path / "state",
        },
        environ=environ,
    )
    assert settings.state_dir == tmp_path / "state"
    assert (settings.atlas.base_url, settings.atlas.request_timeout) == ("http://127.0.0.1:1/api/atlas/v1.0", 5.0)
    key = ApiKey(public_key=Secret("ijklmnop"), private_key=Secret("a${b}$c"))
    assert settings.atlas.credentials.credentials == key
    assert (settings.polling.initial, settings.rate_limit.requests) == (0.5, 100)
    assert len(settings.observers.notify) == 1


KEY = {"public_key": "ijklmnop", "private_key": "in-code-0000"}
ACCOUNT = {"client_id": "mdb_sa_id_c0de", "client_secret": "mdb_sa_sk_in-code"}
OTHERS = {
    "a key": {"MONGODB_ATLAS_PUBLIC_API_KEY": "abcdefgh", "MONGODB_ATLAS_PRIVATE_API_KEY": "environ"},
    "an account": {"MONGODB_ATLAS_CLIENT_ID": "mdb_sa_id_e1", "MONGODB_ATLAS_CLIENT_SECRET": "mdb_sa_sk_e1"},
    "a profile": {"MONGODB_ATLAS_PROFILE": "ops"},
    "a key and an account": {"MONGODB_ATLAS_PUBLIC_API_KEY": "abcdefgh", "MONGODB_ATLAS_CLIENT_ID": "mdb_sa_id_e1"},
    "nothing": {},
}


@pytest.mark.parametrize("others", OTHERS)
@pytest.mark.parametrize("given", [KEY, ACCOUNT], ids=["key", "account"])
def test_credentials_in_code_go_before_all_of_the_environment(given: dict[str, str], others: str) -> None:
    """Whoever names an account in code must not ask as another, and is told where they come from."""
    settings = orchestrator.build_settings({"atlas": given}, environ={"HOME": "/", **OTHERS[others]})
    found = settings.atlas.credentials
    assert found.credentials is not None
    values = [value.reveal() if isinstance(value, Secret) else value for value in astuple(found.credentials)]
    assert (values, settings.warnings) == (list(given.values()), ())
    assert found.source == ", ".join(f"settings: atlas.{name}" for name in given)


def test_a_profile_in_code_goes_before_the_environment(tmp_path: Path) -> None:
    """Its mistakes are told by its key; two kinds in one place are one."""
    path = tmp_path / ".config" / "atlascli" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text('[ops]\npublic_api_key = "ijklmnop"\nprivate_api_key = "in-profile"\n')
    path.chmod(0o600)
    environ = {"HOME": str(tmp_path), **OTHERS["an account"]}
    found = orchestrator.build_settings({"atlas": {"profile": "ops"}}, environ=environ).atlas.credentials
    assert found.credentials == ApiKey(public_key=Secret("ijklmnop"), private_key=Secret("in-profile"))
    assert found.source.endswith("(settings: atlas.profile)")
    (problem,) = orchestrator.build_settings({"atlas": {"profile": "o"}}, environ=environ).atlas.credentials.problems
    assert (problem.file, problem.key) == ("settings", "atlas.profile")
    with pytest.raises(orchestrator.InputError, match=r"^settings: atlas\.client_id: stands beside public_key"):
        orchestrator.build_settings({"atlas": {**KEY, **ACCOUNT}}, environ=environ)


@pytest.mark.parametrize("name", ["eu", "eu.west", "a b"])
def test_sets_of_credentials_have_any_name(name: str) -> None:
    """A dot in it divides nothing; an empty set is a mistake, as in a file."""
    settings = orchestrator.build_settings({"credentials": {name: KEY}}, environ={"HOME": "/"})
    found = settings.credentials[name]
    assert found.credentials == ApiKey(public_key=Secret("ijklmnop"), private_key=Secret("in-code-0000"))
    with pytest.raises(orchestrator.InputError, match="is empty: expected client_id and client_secret"):
        orchestrator.build_settings({"credentials": {name: {}}}, environ={"HOME": "/"})


@pytest.mark.parametrize("wrong", ["night.yaml", Path("night.yaml"), 3, ["name"]], ids=repr)
def test_what_is_no_mapping_is_refused_with_what_reads_files(wrong: Any) -> None:
    """It is most likely the name of one."""
    with pytest.raises(orchestrator.InputError, match=r"^workflow: expected a mapping.*`load_workflow` reads a file"):
        orchestrator.build_workflow(wrong)
    with pytest.raises(orchestrator.InputError, match=r"^settings: expected a mapping.*`load_settings` reads a file"):
        orchestrator.build_settings(wrong)


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"state_dir": object()}, "state_dir"),
        ({"notify": {"urls": ["json://localhost", object()]}}, "notify.urls[1]"),
        ({"notify": {"urls": [{"to": "json://localhost"}]}}, "notify.urls[0]"),
        ({"credentials": {"eu": 3}}, "credentials.eu"),
        ({"atlas": 3}, "atlas"),
        ({"state_dir": ""}, "state_dir"),
        ({"atlas": {"bas_url": "x"}}, "atlas.bas_url"),
        ({"polling": {"initial": "soon"}}, "polling.initial"),
    ],
)
def test_a_mistake_in_built_settings_is_told_by_its_key(config: dict[str, Any], key: str) -> None:
    """As a file's, and not as an option's of the command line."""
    with pytest.raises(orchestrator.InputError) as caught:
        orchestrator.build_settings(config, environ={})
    assert [(problem.file, problem.key) for problem in caught.value.problems] == [("settings", key)]
