"""Who Atlas says is asking, told by a server that echoes what it was sent, and writes as long and as badly as it likes."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import pytest

from orchestrator.atlas.identity import LONGEST_NAME
from orchestrator.atlas.wire import LONGEST_TEXT
from orchestrator.cli.main import run_command

from .servers import GROUP, KEYS, LIVE, Answer, Raw, http, job_document, raw_server

pytestmark = pytest.mark.anyio

SECRET = "mdb_sa_" + "sk_TheSecretIsHere0123456789abcdefghijkl"
TOKEN = "tok3nABCDEFGH1234567890abcdefghij"
FORGED = "\nFORGED: all is well\x1b[2J"


async def echoing(raw: Raw) -> bytes:
    """A token for whoever asks, its job, and else all that was ever sent for authorization, in each text of the root resource."""
    if "oauth" in raw.requests[-1]:
        return http(body=json.dumps({"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"}).encode())
    if "/liveMigrations/" in raw.requests[-1]:
        return http(body=job_document(raw))
    seen = " ".join(headers.get("Authorization", "") for headers in raw.headers) + f" {SECRET} {TOKEN}"
    if "Bearer" not in seen:
        seen = KEYS[1]
    names = {"roleName": seen + FORGED, "orgId": seen + FORGED, "groupId": seen}
    roles = [names, {"roleName": "B" * 50_000, "orgId": "C" * 50_000}]
    access = [seen + FORGED, {"cidrBlock": seen}, {"ipAddress": "D" * 50_000}, *(f"10.0.0.{n}" for n in range(250))]
    return http(body=json.dumps({"apiKey": {"roles": roles, "accessList": access}}).encode())


@pytest.fixture(params=["service account", "API key"])
def credentials(request: pytest.FixtureRequest) -> dict[str, str]:
    """Those of `atlas` in the config."""
    if request.param == "API key":
        return {"public_key": KEYS[0], "private_key": KEYS[1]}
    return {"client_id": "mdb_sa_id_1234567890abcdef12345678", "client_secret": SECRET}


async def printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], credentials: dict[str, str], answer: Answer, *command: str
) -> tuple[int, str]:
    """The exit code of *command* and all that it printed, where the server gives that *answer*."""
    async with raw_server(answer) as raw:
        config, workflow = tmp_path / "config.yaml", tmp_path / "night.yaml"
        config.write_text(json.dumps({"atlas": {"base_url": raw.base_url, **credentials}}))
        migration = {"name": "m", "group_id": GROUP, "live_migration_id": LIVE}
        workflow.write_text(
            json.dumps({"version": 1, "name": "night", "waves": [{"name": "w", "migrations": [migration]}]})
        )
        options = ["--config", str(config)] + (["--state-dir", str(tmp_path / "state")] if command[0] == "plan" else [])
        words = [str(workflow) if word == "WORKFLOW" else word for word in command]
        code = await anyio.to_thread.run_sync(run_command, [*words, *options])
    out, err = capsys.readouterr()
    return code, out + err


@pytest.mark.parametrize("shape", ["table", "json"])
@pytest.mark.parametrize("command", [("auth", "--online"), ("plan", "WORKFLOW", "--online")])
async def test_no_command_prints_what_a_server_echoes(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    credentials: dict[str, str],
    command: tuple[str, ...],
    shape: str,
) -> None:
    """No key, secret or token, no line of the server's own, and no text of any length: neither for people nor for programs."""
    code, text = await printed(tmp_path, capsys, credentials, echoing, *command, "--format", shape)
    assert code in (1, 6)  # the role is too small
    assert all(secret not in text for secret in (SECRET, TOKEN, KEYS[1]))
    assert "[redacted]" in text or (command[0], shape) == ("plan", "table")  # which names no role
    assert not any(line.lstrip().startswith("FORGED") for line in text.splitlines())
    assert "\x1b" not in text
    assert all(name * (LONGEST_NAME + 1) not in text for name in "BCD")
    if shape == "table":
        assert all(len(line) < 10_000 for line in text.splitlines())


@pytest.mark.parametrize("command", [("auth", "--online"), ("plan", "WORKFLOW", "--online")])
async def test_what_a_server_says_of_an_error_is_told_on_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], credentials: dict[str, str], command: tuple[str, ...]
) -> None:
    """It makes no line that could be taken for one of ours, and no text of any length."""

    async def refusing(raw: Raw) -> bytes:
        problem = {"errorCode": "NO" + FORGED, "detail": "you may not" + FORGED + "E" * 50_000}
        return http(401 if "oauth" in raw.requests[-1] else 403, json.dumps(problem).encode())

    code, text = await printed(tmp_path, capsys, credentials, refusing, *command)
    assert code == 6
    assert "you may not" in text
    assert not any(line.lstrip().startswith("FORGED") for line in text.splitlines())
    assert "E" * (LONGEST_TEXT + 1) not in text


@pytest.mark.parametrize("credentials", ["API key"], indirect=True)
async def test_what_a_server_offers_in_its_headers_is_told_in_short(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], credentials: dict[str, str]
) -> None:
    """A refusal's challenges may be many and long: as much of them is told as of any other text."""

    async def offering(_: Raw) -> bytes:
        offers = "".join(f"WWW-Authenticate: {'F' * 4_000}{n} a=1\r\n" for n in range(6))
        return f"HTTP/1.1 401 No\r\n{offers}Content-Length: 0\r\n\r\n".encode()

    code, text = await printed(tmp_path, capsys, credentials, offering, "auth", "--online")
    assert code == 6
    assert "offers no digest authentication that is known here" in text
    assert len(text) < LONGEST_TEXT + 1000
