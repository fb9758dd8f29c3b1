"""What OpenSSL's variables may name."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from orchestrator.cli.main import run_command
from orchestrator.machine.openssl_variables import odd_authorities

VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.mark.parametrize("variable", VARIABLES)
def test_what_can_be_waited_for_without_end_is_refused(variable: str, tmp_path: Path) -> None:
    """A FIFO, a socket, a device; also where a link leads to one."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        for place in (tmp_path / "fifo", tmp_path / "link", tmp_path / "socket", Path("/dev/zero")):
            assert f"{variable} names {place}, which is neither a file nor a directory" in str(
                odd_authorities({variable: str(place)})
            )


@pytest.mark.parametrize("variable", VARIABLES)
def test_what_openssl_can_read_or_passes_over_is_left_to_it(variable: str, tmp_path: Path) -> None:
    """Files, directories and lists of them, what is not there, and nothing at all."""
    (tmp_path / "ca.pem").touch()
    for value in (str(tmp_path / "ca.pem"), str(tmp_path), f"{tmp_path}:/nowhere", "/nowhere", "", os.devnull, "a\0b"):
        assert odd_authorities({variable: value}) is None
    assert odd_authorities({}) is None


def test_every_command_says_so_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before it imports what would read there."""
    os.mkfifo(tmp_path / "fifo")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "fifo"))
    assert run_command(["status", "--state-dir", str(tmp_path)]) == 2
    assert "SSL_CERT_FILE names" in capsys.readouterr().err
