"""What is left in the environment once a command has read its config."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path

import pytest

from orchestrator.cli.inputs import read_settings


def test_variables_go_that_hold_a_key_and_none_that_has_a_short_word_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A hook needs them: without `KUBECONFIG` it acts elsewhere. One that goes for a part of its value is named."""
    config = tmp_path / "config.yaml"
    config.write_text(
        "atlas: {public_key: '${USER_OF_NIGHT}', private_key: '${KEY_OF_NIGHT}'}\n"
        "notify: {urls: ['json://ops:prod1@127.0.0.1:9/shop-eu1/x']}\n"
    )
    key = "0a1b2c3d-4e5f-6789-abcd-ef0123456789"
    gone = {"USER_OF_NIGHT": "abcdefgh", "KEY_OF_NIGHT": key, "COPY": f"k={key}"}
    path = f"/opt/shop-eu1/{key}/bin{os.pathsep}{os.environ['PATH']}"
    kept = {"KUBECONFIG": "/etc/kube/prod1.yaml", "CLUSTER": "shop-eu1", "OWNER": "abcdefgh-team", "PATH": path}
    for name, value in (gone | kept).items():
        monkeypatch.setenv(name, value)
    names = ("profile", "state_dir", "log_level", "log_format", "log_file", "engine")
    read_settings(Namespace(config=config, **dict.fromkeys(names)))
    assert {name: os.environ.get(name) for name in gone | kept} == dict.fromkeys(gone) | kept
    said = capsys.readouterr().err
    assert "no hook gets COPY: a key of the config is a part of the value" in said
    assert key not in said
