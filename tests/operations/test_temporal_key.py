"""Where a key for Temporal goes: to the address that its owner has named, and to none that others can read it on the way to."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import orchestrator
from orchestrator.cli.commands import build_parser
from orchestrator.core.errors import InputError
from orchestrator.core.settings import Temporal
from orchestrator.files.config import load_settings
from orchestrator.operations.temporal_runs import is_open_row
from orchestrator.store.journal import RunRow, open_journal

from ..builders import run_started, workflow

pytest.importorskip("temporalio")

OURS, THEIRS, HERE = "ours.tmprl.cloud:7233", "theirs.example:7233", "127.0.0.1:7233"
KEY = "made-up-key-of-temporal-cloud"
ADDRESS = "ATLAS_CUTOVER_TEMPORAL_ADDRESS"


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """Which key went to which address; nobody answers there."""
    keys: dict[str, str | None] = {}

    async def connect(address: str, *, api_key: str | None, **_: Any) -> None:
        keys[address] = api_key
        raise RuntimeError("nobody is there")

    monkeypatch.setattr("temporalio.client.Client.connect", connect)
    monkeypatch.setenv("TEMPORAL_API_KEY", f"{KEY}\n")
    monkeypatch.setenv(ADDRESS, "")
    return keys


def main(*arguments: str) -> None:
    """That command, in this process."""
    parsed = build_parser().parse_args(arguments)
    with suppress(orchestrator.TemporalError):
        parsed.handler(parsed)


def run_at(address: str, state_dir: Path, *, tls: bool = True) -> RunRow:
    """A run in the journal of *state_dir* that is open at *address*, as far as that says."""
    place = {"address": address, "namespace": "default", "tls": tls, "codec_key_file": None, "lease": 10.0}
    with open_journal(state_dir) as journal:
        journal.begin("r1", workflow(), run_started(workflow()), temporal=place)
        row = journal.find("r1")
        assert row is not None
        return row


def test_a_key_does_not_go_to_an_address_that_the_journal_alone_names(
    tmp_path: Path, sent: dict[str, str | None]
) -> None:
    """Whoever has handed the state directory over would have it; what is said is where it did not go, and how it would."""
    run_at(THEIRS, tmp_path)
    stale = orchestrator.status("r1", state_dir=tmp_path).stale
    assert sent == {THEIRS: None}
    assert stale is not None
    assert f"The key for Temporal was not sent to {THEIRS}" in stale
    assert f"set temporal.address, or {ADDRESS}={THEIRS}" in stale


@pytest.mark.parametrize("verb", ["status", "report", "pause", "abort"])
@pytest.mark.parametrize("config", [None, {"temporal": {"address": OURS}}, {"temporal": 7}])
def test_no_verb_sends_it_elsewhere(tmp_path: Path, sent: dict[str, str | None], verb: str, config: Any) -> None:
    """With a config that names another address, a broken one, or none."""
    run_at(THEIRS, tmp_path)
    file = tmp_path / "config.yaml"
    file.write_text(json.dumps(config or {}))
    main(verb, "r1", "--config", str(file), "--state-dir", str(tmp_path))
    assert sent == {THEIRS: None}


@pytest.mark.parametrize("address", [OURS, OURS.upper()])
def test_it_goes_to_the_address_that_the_config_names(
    tmp_path: Path, sent: dict[str, str | None], address: str
) -> None:
    """Without the line break that it came with."""
    run_at(address, tmp_path)
    file = tmp_path / "config.yaml"
    file.write_text(json.dumps({"temporal": {"address": OURS}, "polling": "a mistake that hinders nobody here"}))
    main("status", "r1", "--config", str(file), "--state-dir", str(tmp_path))
    assert sent == {address: KEY}


def test_it_goes_to_the_address_that_the_environment_names(
    tmp_path: Path, sent: dict[str, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For programs, whose verbs take no config; and settings take it from there as well."""
    run_at(OURS, tmp_path)
    monkeypatch.setenv(ADDRESS, OURS)
    assert orchestrator.status("r1", state_dir=tmp_path).stale is not None
    assert sent == {OURS: KEY}
    assert load_settings().temporal.address == OURS


def test_it_does_not_travel_in_clear(
    tmp_path: Path, sent: dict[str, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond this machine; the run can be ended and begun again with TLS."""
    run_at(OURS, tmp_path, tls=False)
    monkeypatch.setenv(ADDRESS, OURS)
    stale = orchestrator.status("r1", state_dir=tmp_path).stale
    assert sent == {OURS: None}
    assert stale is not None
    assert "without TLS" in stale
    assert "begin it with temporal.tls: true" in stale


def test_it_goes_without_tls_on_this_machine(tmp_path: Path, sent: dict[str, str | None]) -> None:
    """To the usual address, which nobody needs to name."""
    run_at(HERE, tmp_path, tls=False)
    orchestrator.status("r1", state_dir=tmp_path)
    assert sent == {HERE: KEY}


@pytest.mark.anyio
async def test_who_goes_on_with_a_run_sends_the_key_of_the_settings(
    tmp_path: Path, sent: dict[str, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command has removed the variable by then, or the key has another; it goes to their address alone."""
    row = run_at(OURS, tmp_path)
    monkeypatch.delenv("TEMPORAL_API_KEY")
    environ = {"TEMPORAL_API_KEY": KEY, "HOME": str(tmp_path)}
    settings = load_settings(environ={**environ, ADDRESS: OURS})
    with pytest.raises(orchestrator.TemporalError):
        await is_open_row(row, settings)
    assert sent == {OURS: KEY}
    with pytest.raises(orchestrator.TemporalError, match=f"was not sent to {OURS}"):
        await is_open_row(row, load_settings(environ=environ))
    assert sent == {OURS: None}


def test_settings_that_would_send_it_in_clear_are_a_mistake(tmp_path: Path) -> None:
    """Told with the file and the line."""
    file = tmp_path / "config.yaml"
    file.write_text(f"temporal:\n  address: {OURS}\n  tls: false\n")
    with pytest.raises(InputError, match=r"config\.yaml:3: temporal\.tls: without TLS everybody on the way"):
        load_settings(file)
    file.write_text(f"temporal:\n  address: {HERE}\n  tls: false\n")
    assert load_settings(file).temporal.api_key is not None
    file.write_text(f"temporal:\n  address: {OURS}\n")
    assert load_settings(file).temporal.tls


@pytest.mark.anyio
async def test_what_connects_refuses_to_send_it_in_clear(sent: dict[str, str | None]) -> None:
    """However the settings came to be."""
    from orchestrator.core.settings import Secret
    from orchestrator.engines.temporal.service import connect

    with pytest.raises(InputError, match=f"was not sent to {OURS}"):
        await connect(Temporal(address=OURS, tls=False, api_key=Secret(KEY)))
    assert sent == {}
