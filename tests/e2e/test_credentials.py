"""Service accounts and profiles of the Atlas CLI, over two organisations, as an operator meets them."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ..loaded import loaded_program
from .conftest import environment
from .program import GROUP, Program, new_id

EU = {"MONGODB_ATLAS_CLIENT_ID": "mdb_sa_id_eu", "MONGODB_ATLAS_CLIENT_SECRET": "mdb_sa_sk_topsecret_eu"}
US = ("mdb_sa_id_us", "mdb_sa_sk_topsecret_us")
US_GROUP = "5e5e5e5e5e5e5e5e5e5e5e5e"
PROFILE = f'[us]\nauth_type = "service_account"\nclient_id = "{US[0]}"\nclient_secret = "{US[1]}"\norg_id = "5d1fe3a59ccf64a4f6e5a3c2"\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A simulated Atlas of two organisations, and the program in a home of its own."""

    origin: str
    program: Program

    @property
    def record(self) -> dict[str, Any]:
        """What the simulator saw."""
        with urllib.request.urlopen(f"{self.origin}/__simulator__/record") as answer:  # noqa: S310 - loopback
            found: dict[str, Any] = json.load(answer)
        return found

    def profiles(self, text: str) -> None:
        """Write the Atlas CLI's file."""
        path = self.program.directory / ".config" / "atlascli" / "config.toml"
        path.parent.mkdir(parents=True)
        path.write_text(text)
        path.chmod(0o600)

    def workflow(self, count: int = 6) -> str:
        """*count* migrations of each organisation, a wave for each."""
        return self.program.workflow(
            {name: {f"{name}{number}": new_id() for number in range(count)} for name in ("eu", "us")},
            us={"group_id": US_GROUP, "credentials": "us"},
        )


@contextmanager
def world(directory: Path, *, account: dict[str, str] | None = None, **scenario: Any) -> Iterator[World]:
    """The two organisations: one of the account in the environment, one of the profile `us`."""
    jobs = {"ready_after": "0s", "initial_lag": "0s", "ready_lag": "0s", "cutover": "10s"}
    us = {"client_id": US[0], "client_secret": US[1], "projects": [US_GROUP]}
    content = {"unknown_jobs": "create", "rate_limit": "off", "jobs": jobs, "organisations": [us], **scenario}
    file = directory / "atlas.json"
    file.write_text(json.dumps(content))
    loaded = loaded_program()
    simulator = Program(directory=directory, environ={**environment(), **EU}, loaded=loaded)
    with simulator.started("simulate", "--scenario", str(file), "--speed", "4") as running:
        assert running.process.stdout is not None
        origin = running.process.stdout.readline().strip().removesuffix("/api/atlas/v2")
        home = {key: value for key, value in environment().items() if not key.startswith("XDG_")}
        environ = {**home, "HOME": str(directory), **(EU if account is None else account)}
        yield World(
            origin=origin,
            program=Program(directory=directory, environ=environ, loaded=loaded, secrets=("topsecret", "eyJ")),
        )


def left_behind(directory: Path) -> list[str]:
    """Files that the program wrote with something in them that nobody may see."""
    forbidden = (b"topsecret", b"eyJ", b"Bearer ", b"Basic ")
    return [
        f"{word.decode()} in {path}"
        for path in (*(directory / "state").rglob("*"), directory / "log.jsonl")
        if path.is_file()
        for word in forbidden
        if word in path.read_bytes()
    ]


def test_a_night_over_two_organisations(tmp_path: Path) -> None:
    """Twelve migrations: one set from the environment, one a profile; tokens of two seconds are renewed on the way."""
    with world(tmp_path, tokens={"life": "2s", "per_minute": "off"}) as it:
        program = it.program
        it.profiles(PROFILE)
        program.config(
            atlas={"base_url": it.origin, "request_timeout": "2s", "settle": "2s"},
            credentials={"us": {"profile": "us"}},
        )
        workflow = it.workflow()

        done = program.run("auth")
        assert done.code == 0
        assert "service account  mdb_sa_id_eu" in done.out
        assert "environment: MONGODB_ATLAS_CLIENT_ID" in done.out
        assert "profile us of" in done.out

        done = program.run("auth", workflow, "--online")
        assert (done.code, done.err) == (0, "")
        assert f"atlas: project {GROUP} readable" in done.out
        assert f"us: project {US_GROUP} readable" in done.out
        assert "us: taken by Atlas; organisation 5d1fe3a59ccf64a4f6e5a3c2" in done.out

        assert program.run("plan", workflow, "--online").code == 0
        done = program.run(
            "run", workflow, "--yes", "--format", "json", "--log-level", "debug", "--log-file", "log.jsonl"
        )
        assert done.code == 0
        assert set(done.outcomes.values()) == {"SUCCESS"}
        record = it.record
        assert record["tokens"]["issued"] >= 8
        assert record["unauthorized"] < record["tokens"]["issued"]  # a busy machine may be late with a renewal
        assert record["tokens"]["live"] == 0
        assert {job["puts_processed"] for job in record["migrations"].values()} == {1}
        assert left_behind(tmp_path) == []


def test_a_profile_alone_in_a_fresh_home_is_enough(tmp_path: Path) -> None:
    """No config file, no variable: the address and the credentials come from the Atlas CLI's file."""
    with world(tmp_path, account={}) as it:
        it.profiles(PROFILE + f'base_url = "{it.origin}/"\n')
        workflow = it.program.workflow({"w": {"one": new_id()}}, defaults={"group_id": US_GROUP})
        assert it.program.run("plan", workflow, "--online", "--profile", "us").code == 0
        assert it.program.run("plan", workflow, "--online", MONGODB_ATLAS_PROFILE="us").code == 0
        done = it.program.run("plan", workflow, "--online")
        assert done.code == 2
        assert "--profile" in done.err


def test_credentials_that_are_not_good_are_told_before_the_night(tmp_path: Path) -> None:
    """A wrong secret, a project of somebody else, a role too small: `auth --online` and `plan --online` say which."""
    us = {"public_key": "abcdefgh", "private_key": "topsecret-key", "projects": [US_GROUP], "role": "ORG_READ_ONLY"}
    with world(tmp_path, organisations=[us]) as it:
        atlas = {"base_url": it.origin, "request_timeout": "2s"}
        sets = {"us": {"public_key": "abcdefgh", "private_key": "topsecret-key"}}
        it.program.config(atlas=atlas, credentials=sets)
        workflow = it.workflow(count=2)
        done = it.program.run("auth", workflow, "--online")
        assert done.code == 6
        assert "us: roles ORG_READ_ONLY; the cutover needs ORG_OWNER" in done.out
        jobs = json.loads(it.program.run("plan", workflow, "--online", "--format", "json").out)["jobs"]
        assert [(job["name"], job["verdict"]) for job in jobs] == [
            ("eu0", "ready"), ("eu1", "ready"), ("us0", "refused"), ("us1", "refused"),
        ]  # fmt: skip
        assert "lacks the role Organization Owner" in jobs[2]["error"]
        done = it.program.run("plan", workflow, "--online")
        assert (done.code, done.out.splitlines()[-1]) == (1, "2 of 4 jobs without the role Organization Owner")

        wrong = {"MONGODB_ATLAS_CLIENT_SECRET": "topsecret-wrong"}
        done = it.program.run("auth", "--online", **wrong)
        assert done.code == 6
        assert "atlas: not usable: POST /api/oauth/token: 401 invalid_client" in done.out
        done = it.program.run("run", workflow, "--yes", **wrong)
        assert done.code == 6
        assert "gives no access token for the service account" in done.err

        foreign = it.program.workflow({"w": {"x": new_id()}}, name="foreign", defaults={"group_id": US_GROUP})
        it.program.config(atlas=atlas, credentials=sets)
        done = it.program.run("auth", foreign, "--online", "--format", "json")
        assert done.code == 6
        (project,) = json.loads(done.out)["sets"][0]["atlas"]["projects"]
        assert (project["group_id"], project["readable"]) == (US_GROUP, False)


def test_what_is_missing_is_told_at_once_and_offline(tmp_path: Path) -> None:
    """`check` knows the names; `auth` and `run` what lacks, exit 2, nothing sent."""
    program = Program(directory=tmp_path, environ={**environment(), "HOME": str(tmp_path)}, loaded=loaded_program())
    program.config(credentials={"us": {"client_id": "a", "client_secret": "${US_SECRET}"}})
    workflow = program.workflow({"w": {"one": new_id()}}, w={"credentials": "us"})
    done = program.run("auth", workflow)
    assert (done.code, "US_SECRET is not set" in done.err) == (2, True)
    done = program.run("run", workflow, "--yes")
    assert (done.code, "US_SECRET is not set" in done.err) == (2, True)
    assert "MONGODB_ATLAS_PUBLIC_API_KEY" not in done.err
    workflow = program.workflow({"w": {"one": new_id()}}, w={"credentials": "usa"})
    for command in (("check",), ("plan",), ("run", "--yes")):
        done = program.run(command[0], workflow, *command[1:])
        assert done.code == 2
        assert "waves[0].credentials: the config has no credentials called 'usa'; did you mean 'us'?" in done.err


def test_resume_asks_for_no_set_of_what_is_over(tmp_path: Path) -> None:
    """One organisation is cut over and its set is out of the config; the other's cutover is under way, and followed to its end."""
    jobs = {"ready_after": "0s", "initial_lag": "0s", "ready_lag": "0s", "cutover": "2s"}
    slow, quick = new_id(), new_id()
    with world(tmp_path, jobs=jobs, special={slow: {"cutover": "60s"}}) as it:
        atlas = {"base_url": it.origin, "request_timeout": "2s", "settle": "2s"}
        it.profiles(PROFILE)
        it.program.config(atlas=atlas, credentials={"us": {"profile": "us"}})
        workflow = it.program.workflow(
            {"us": {"quick": quick}, "eu": {"slow": slow}}, us={"group_id": US_GROUP, "credentials": "us"}
        )
        with it.program.started("run", workflow, "--yes", "--log-format", "json") as running:
            while running.until("cutover_accepted")["migration"] != "slow":
                pass
            os.kill(running.process.pid, signal.SIGKILL)
            running.end()
        it.program.config(atlas=atlas)
        done = it.program.run("resume", "--yes", "--format", "json")
        assert done.code == 0
        assert done.outcomes == {"quick": "SUCCESS", "slow": "SUCCESS"}


def test_a_config_of_named_sets_alone_lacks_nothing(tmp_path: Path) -> None:
    """`auth` without a workflow asks for no set under `atlas` that nobody gave; one that was given and is incomplete is told."""
    program = Program(directory=tmp_path, environ={**environment(), "HOME": str(tmp_path)}, loaded=loaded_program())
    sets = {"us": {"client_id": US[0], "client_secret": US[1]}}
    program.config(credentials=sets)
    done = program.run("auth")
    assert (done.code, "is missing" in done.err, "atlas  none" in done.out) == (0, False, False)
    program.config(atlas={"client_id": "mdb_sa_id_eu"}, credentials=sets)
    done = program.run("auth")
    assert (done.code, "atlas.client_secret: is missing" in done.err) == (2, True)
    program.config(credentials={})
    assert program.run("auth").code == 2


@pytest.mark.parametrize("hangs", [False, True])
def test_sigterm_gives_tokens_back_and_waits_no_longer_than_it_should(tmp_path: Path, hangs: bool) -> None:
    """Exit 143 within seconds, also where the endpoint is silent; `resume` goes on."""
    faults = [{"on": "revoke", "kind": "hang_before", "delay": "100s"}] if hangs else []
    jobs = {"ready_after": "0s", "initial_lag": "0s", "ready_lag": "0s", "cutover": "60s"}
    with world(tmp_path, faults=faults, jobs=jobs) as it:
        it.program.config(atlas={"base_url": it.origin, "request_timeout": "2s", "settle": "2s"})
        workflow = it.program.workflow({"w": {"one": new_id()}})
        with it.program.started("run", workflow, "--yes", "--log-format", "json") as running:
            running.until("cutover_accepted")
            environ = Path(f"/proc/{running.process.pid}/cmdline").read_bytes()
            assert b"topsecret" not in environ
            os.kill(running.process.pid, signal.SIGTERM)
            assert running.end().code == 143
        assert it.record["tokens"]["live"] == (1 if hangs else 0)
        assert it.program.run("resume").code == 0
