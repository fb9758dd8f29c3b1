from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from pathlib import Path

import pytest

from ..loaded import Order, Process, loaded_program

TOKEN = "correct-horse-battery-staple"


@contextmanager
def serving(state_dir: Path, *arguments: str) -> Iterator[tuple[Process, str]]:
    """A page in a process of its own, and the line that it printed."""
    serve = ["serve", "--state-dir", str(state_dir), "--port", "0", *arguments]
    loaded, environ = loaded_program(), dict(os.environ)
    started: Process = (
        subprocess.Popen(
            [sys.executable, "-m", "orchestrator", *serve],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environ,
        )
        if loaded is None
        else loaded.start(Order(argv=serve, cwd=str(Path.cwd()), environ=environ))
    )
    with started as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_as_it_should_while_somebody_watches(tmp_path: Path, number: signal.Signals) -> None:
    """With 0, at once, and without a word but who came."""
    with serving(tmp_path) as (process, address):
        origin, _, code = address.partition("/?code=")
        assert origin.startswith("http://127.0.0.1:")
        assert len(code) == 43
        assert process.stdout is not None
        assert "It opens the page once" in process.stdout.readline()
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        with browser.open(address, timeout=120) as answer:
            assert answer.status == 200
            key = re.search(rb'name="key" content="([0-9a-f]+)"', answer.read())
        assert key is not None
        with browser.open(f"{origin}/api/events?follow=*&key={key[1].decode()}", timeout=120) as stream:
            assert stream.readline() == b"event: beat\n"
            process.send_signal(number)
            assert process.wait(60) == 0
        assert process.stderr is not None
        (entered,) = map(json.loads, process.stderr.read().splitlines())
        assert (entered["event"], entered["by"]) == ("page_entered", "code")


def test_the_token_may_come_from_a_file(tmp_path: Path) -> None:
    """So that it stays the same, and a page may be open to other machines."""
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n", encoding="utf-8")
    file.chmod(0o600)
    with serving(tmp_path, "--host", "0.0.0.0", "--token-file", str(file)) as (process, address):  # noqa: S104
        assert address.startswith("http://127.0.0.1:")
        assert TOKEN not in address
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert "not encrypted" in process.stderr.read()


def test_a_host_that_others_reach_needs_a_token_file(tmp_path: Path) -> None:
    """A mistake of usage: exit code 2, and a message that names the option."""
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", "serve", "--state-dir", str(tmp_path), "--host", "0.0.0.0"],  # noqa: S104 - it is refused
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert "--token-file" in done.stderr
    assert done.stdout == ""
