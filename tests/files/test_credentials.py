"""Where credentials come from, and what is said where they are not to be had. No message holds a secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, NoKeyringError

from orchestrator.core.errors import InputError
from orchestrator.core.settings import ApiKey, Credentials, Secret, ServiceAccount, Settings
from orchestrator.engines.hooks import without_keys
from orchestrator.files.atlas_profiles import config_toml
from orchestrator.files.config import config_schema, load_settings

from .with_keys import load_with_keys

ID, SECRET = "mdb_sa_id_65f0a1", "mdb_sa_sk_topsecret"
ACCOUNT = ServiceAccount(client_id=ID, client_secret=Secret(SECRET))
OTHER = ServiceAccount(client_id="mdb_sa_id_other", client_secret=Secret("x"))
KEY = ApiKey(public_key=Secret("abcdefgh"), private_key=Secret("topsecret-key"))
ACCOUNT_ENVIRON = {"MONGODB_ATLAS_CLIENT_ID": ID, "MONGODB_ATLAS_CLIENT_SECRET": SECRET}
KEY_ENVIRON = {"MONGODB_ATLAS_PUBLIC_API_KEY": "abcdefgh", "MONGODB_ATLAS_PRIVATE_API_KEY": "topsecret-key"}
ACCOUNT_FILE = f"atlas: {{client_id: {ID}, client_secret: {SECRET}}}\n"
KEY_FILE = "atlas: {public_key: abcdefgh, private_key: topsecret-key}\n"
PROFILES = f"""\
version = 2
skip_update_check = true

[default]
public_api_key = "abcdefgh"
private_api_key = "topsecret-key"
org_id = "5d1fe3a59ccf64a4f6e5a3c1"
service = "cloud"

[ops]
auth_type = "service_account"
client_id = "{ID}"
client_secret = "{SECRET}"
project_id = "7e68e12770616e75e6df43d0"
ops_manager_url = "https://cloud-dev.mongodb.com/"

[person]
auth_type = "user_account"
access_token = "eyJtopsecret"
refresh_token = "topsecret"

[hidden]
client_id = "{ID}"

[gov]
client_id = "{ID}"
client_secret = "{SECRET}"
service = "cloudgov"

[nothing]
output = "json"
"""


class Home:
    """A home directory with or without profiles of the Atlas CLI, and a config file in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environ = {"HOME": str(directory)}

    def profiles(self, text: str = PROFILES, mode: int = 0o600) -> Path:
        """Write the Atlas CLI's file."""
        path = self.directory / ".config" / "atlascli" / "config.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def load(
        self, text: str | None = None, environ: Mapping[str, str] | None = None, *, keys: bool = False, **options: Any
    ) -> Settings:
        """Settings of a config file with *text*."""
        path = None
        if text is not None:
            path = self.directory / "c.yaml"
            path.write_text(text)
            path.chmod(0o600)
        read = load_with_keys if keys else load_settings
        return read(path, environ={**self.environ, **(environ or {})}, **options)

    def found(
        self, text: str | None = None, environ: Mapping[str, str] | None = None, **options: Any
    ) -> Credentials | None:
        """The credentials of `atlas`."""
        return self.load(text, environ, **options).atlas.credentials.credentials

    def mistakes(self, text: str | None = None, environ: Mapping[str, str] | None = None, **options: Any) -> list[str]:
        """What is wrong, as lines, none of which shows a secret."""
        with pytest.raises(InputError) as caught:
            self.load(text, environ, keys=True, **options)
        lines = [str(problem).replace(f"{self.directory}/", "") for problem in caught.value.problems]
        assert "topsecret" not in "\n".join(lines)
        return lines


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty home directory."""
    return Home(tmp_path)


class Keychain(KeyringBackend):
    """A keychain of a test: what is in it, or what it raises."""

    priority = 1.0

    def __init__(self, contents: Mapping[tuple[str, str], str], error: Exception | None = None) -> None:
        self.contents = contents
        self.error = error

    def get_password(self, service: str, username: str) -> str | None:
        """As keyring calls it."""
        if self.error is not None:
            raise self.error
        return self.contents.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        """Nobody may write."""
        raise NotImplementedError


@pytest.fixture
def keychain(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts a keychain in the place of the system's."""

    def use(contents: Mapping[tuple[str, str], str], error: Exception | None = None) -> None:
        monkeypatch.setattr(keyring.core, "_keyring_backend", Keychain(contents, error))

    return use


@pytest.mark.parametrize(
    ("text", "environ", "expected"),
    [
        (None, ACCOUNT_ENVIRON, ACCOUNT),
        (None, KEY_ENVIRON, KEY),
        (ACCOUNT_FILE, {}, ACCOUNT),
        (KEY_FILE, {}, KEY),
        (ACCOUNT_FILE, KEY_ENVIRON, KEY),
        (KEY_FILE, ACCOUNT_ENVIRON, ACCOUNT),
        (f"atlas: {{client_id: {ID}}}\n", {"MONGODB_ATLAS_CLIENT_SECRET": SECRET}, ACCOUNT),
        ("atlas: {client_id: '${A}', client_secret: '${B}'}\n", {"A": ID, "B": SECRET}, ACCOUNT),
        ("atlas: {client_id: '${A}', client_secret: '${B}'}\n", KEY_ENVIRON, KEY),
        ("atlas: {public_key: '${A}', client_id: '${I}', client_secret: '${S}'}\n", {"I": ID, "S": SECRET}, ACCOUNT),
        (ACCOUNT_FILE, {"MONGODB_ATLAS_CLIENT_ID": "mdb_sa_id_other", "MONGODB_ATLAS_CLIENT_SECRET": "x"}, OTHER),
        (f"atlas: {{client_id: {ID}, client_secret: old}}\n", {"MONGODB_ATLAS_CLIENT_SECRET": SECRET}, ACCOUNT),
        (None, {}, None),
    ],
)
def test_the_nearest_place_says_which_kind(
    home: Home, text: str | None, environ: dict[str, str], expected: Credentials | None
) -> None:
    """The environment before the file, also key by key of one kind."""
    assert home.found(text, environ) == expected


def test_keys_of_the_file_that_are_not_used_are_told(home: Home) -> None:
    """`auth` says where those in use come from; nothing is told where both places have the same."""
    settings = home.load(
        ACCOUNT_FILE, {"MONGODB_ATLAS_CLIENT_ID": "mdb_sa_id_other", "MONGODB_ATLAS_CLIENT_SECRET": "x"}
    )
    assert settings.atlas.credentials.source == (
        "environment: MONGODB_ATLAS_CLIENT_ID, environment: MONGODB_ATLAS_CLIENT_SECRET"
    )
    told = [warning for warning in settings.warnings if "is not used" in warning]
    assert [warning.partition(" ")[0] for warning in told] == ["atlas.client_id", "atlas.client_secret"]
    assert all(" in the environment goes before it" in warning for warning in told)
    same = home.load(ACCOUNT_FILE, ACCOUNT_ENVIRON)
    assert not [warning for warning in same.warnings if "is not used" in warning]


def test_what_a_program_gives_goes_before_the_environment(home: Home) -> None:
    """Half by half, with whatever file."""
    given = {"atlas": {"client_id": ID, "client_secret": SECRET}}
    environ = {"MONGODB_ATLAS_CLIENT_ID": "mdb_sa_id_other", "MONGODB_ATLAS_CLIENT_SECRET": "x"}
    assert home.found(None, environ, overrides=given) == ACCOUNT


def test_a_kind_that_is_not_used_is_told(home: Home) -> None:
    """Nobody wonders whose key it was."""
    (warning,) = home.load(ACCOUNT_FILE, KEY_ENVIRON).warnings
    assert "a service account in" in warning
    assert "MONGODB_ATLAS_PUBLIC_API_KEY in the environment goes before it" in warning


@pytest.mark.parametrize(
    ("text", "environ", "expected"),
    [
        (
            None,
            ACCOUNT_ENVIRON | KEY_ENVIRON,
            "environment: MONGODB_ATLAS_CLIENT_ID: stands beside MONGODB_ATLAS_PUBLIC_API_KEY: a service account and an API key",
        ),
        (
            None,
            KEY_ENVIRON | {"MONGODB_ATLAS_PROFILE": "ops"},
            "environment: MONGODB_ATLAS_PUBLIC_API_KEY: stands beside MONGODB_ATLAS_PROFILE: an API key and a profile",
        ),
        (
            f"atlas: {{client_id: {ID}, client_secret: {SECRET}, public_key: a}}\n",
            {},
            "c.yaml:1: atlas.client_id: stands beside public_key: a service account and an API key in one place",
        ),
        (
            f"credentials:\n  eu: {{client_id: {ID}, client_secret: {SECRET}, profile: ops}}\n",
            KEY_ENVIRON,
            "c.yaml:2: credentials.eu.client_id: stands beside profile: a service account and a profile in one place",
        ),
    ],
)
def test_two_kinds_in_one_place_are_a_mistake(
    home: Home, text: str | None, environ: dict[str, str], expected: str
) -> None:
    """Which of them was meant, nobody can tell."""
    assert any(line.startswith(expected) for line in home.mistakes(text, environ))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"atlas: {{public_key: {ID}, private_key: x}}", "atlas.public_key: is a service account's id, no API key: it goes into client_id"),
        (f"atlas: {{public_key: abc, private_key: {SECRET}}}", "atlas.private_key: is a service account's secret, no API key: it goes into client_secret"),
        (f"atlas: {{client_id: {SECRET}, client_secret: x}}", "atlas.client_id: is a service account's secret: it goes into client_secret"),
        (f"atlas: {{client_id: x, client_secret: {ID}}}", "atlas.client_secret: is a service account's id"),
        (f"atlas: {{client_id: {ID}}}", "atlas.client_secret: is missing: set MONGODB_ATLAS_CLIENT_SECRET, or client_secret or client_secret_file"),
        (f"atlas: {{client_secret: {SECRET}}}", "atlas.client_id: is missing: set MONGODB_ATLAS_CLIENT_ID"),
        ("atlas: {client_id: '${NOPE}', client_secret: x}", "atlas.client_id: is missing: NOPE is not set or empty"),
        (f"atlas: {{client_id: {ID}, client_secret_file: none}}", "atlas.client_secret_file: the file it names does not exist"),
        (f"atlas: {{client_id: {ID}, client_secret: a, client_secret_file: b}}", "atlas.client_secret: stands beside client_secret_file"),
        (f"credentials: {{eu: {{client_secret: {SECRET}, client_id: 'a b'}}}}", "credentials.eu.client_id: expected a key of printable ASCII"),
        ("credentials: {eu: {}}", "credentials.eu: is empty: expected client_id and client_secret"),
        ("credentials: {eu: {client: a}}", "credentials.eu.client: unknown key; did you mean 'client_id'?"),
        ("credentials: {eu: ops}", "credentials.eu: expected a mapping"),
        ("atlas: {profile: nobody}", "atlas.profile: the Atlas CLI's profile 'nobody' is looked for in"),
    ],
)  # fmt: skip
def test_what_is_wrong_or_missing_is_told_with_the_way_on(home: Home, text: str, expected: str) -> None:
    """With its key, and without a value."""
    assert any(expected in line for line in home.mistakes(text))


def test_where_there_is_nothing_all_ways_are_named(home: Home) -> None:
    """An API key, a service account, a profile."""
    told = "\n".join(home.mistakes())
    for way in ("MONGODB_ATLAS_PUBLIC_API_KEY", "MONGODB_ATLAS_CLIENT_ID", "--profile"):
        assert way in told


def test_a_secret_may_lie_in_a_file(home: Home) -> None:
    """Relative to the config file; warned of where others can read it."""
    secret = home.directory / "secret"
    secret.write_text(f"{SECRET}\n")
    secret.chmod(0o644)
    settings = home.load(f"atlas: {{client_id: {ID}, client_secret_file: secret}}\n")
    assert settings.atlas.credentials.credentials == ACCOUNT
    assert settings.warnings == (f"the key file {secret} can be read by others than its owner: chmod 600 {secret}",)


# -- named sets ----------------------------------------------------------------------------------------------------------


def test_named_sets_are_read_beside_that_of_atlas(home: Home) -> None:
    """Each of its own kind; one whose secret is not on this machine is missed only where it is needed."""
    home.profiles()
    text = f"""\
credentials:
  eu: {{client_id: {ID}, client_secret: {SECRET}}}
  us: {{public_key: abcdefgh, private_key: '${{US_KEY}}'}}
  ops: {{profile: default}}
  far: {{public_key: abcdefgh, private_key: '${{FAR_KEY}}'}}
"""
    settings = home.load(text, {"US_KEY": "topsecret-key", **KEY_ENVIRON})
    found = {name: one.credentials for name, one in settings.credentials.items()}
    assert found == {"eu": ACCOUNT, "us": KEY, "ops": KEY, "far": None}
    assert settings.credential_set("eu").credentials == ACCOUNT
    assert settings.credential_set(None).credentials == KEY
    (missing,) = settings.credential_set("far").problems
    assert str(missing).startswith(
        f"{home.directory}/c.yaml:5: credentials.far.private_key: is missing: FAR_KEY is not set"
    )
    assert set(settings.secrets()) == {SECRET, "abcdefgh", "topsecret-key"}
    jsonschema.validate(
        {"credentials": {"eu": {"client_id": ID, "client_secret": "${X}"}, "ops": {"profile": "a"}}}, config_schema()
    )


def test_named_sets_take_nothing_from_the_environment(home: Home) -> None:
    """The variables belong to `atlas`."""
    settings = home.load(f"credentials: {{eu: {{client_id: {ID}}}}}", ACCOUNT_ENVIRON)
    assert settings.credentials["eu"].credentials is None
    assert "give client_secret or client_secret_file" in str(settings.credentials["eu"].problems[0])


# -- profiles ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["version = 2\n", "version = 1\n", ""])
def test_a_profile_of_the_atlas_cli_is_used(home: Home, version: str) -> None:
    """Named by the option, the variable or the file; with its address."""
    path = home.profiles(PROFILES.replace("version = 2\n", version).replace("[hidden]", "[unused]"))
    for settings in (
        home.load(overrides={"atlas": {"profile": "ops"}}),
        home.load(environ={"MONGODB_ATLAS_PROFILE": "ops"}),
        home.load("atlas: {profile: ops}\n"),
    ):
        assert settings.atlas.credentials.credentials == ACCOUNT
        assert settings.atlas.credentials.project_id == "7e68e12770616e75e6df43d0"
        assert f"profile ops of {path}" in settings.atlas.credentials.source
        assert settings.atlas.base_url == "https://cloud-dev.mongodb.com/api/atlas/v2"
    assert home.load("atlas: {base_url: https://a.example.com, profile: ops}").atlas.base_url.startswith("https://a.ex")


def test_the_option_goes_before_everything(home: Home) -> None:
    """Whatever else is given."""
    home.profiles()
    assert home.found(KEY_FILE, KEY_ENVIRON, overrides={"atlas": {"profile": "ops"}}) == ACCOUNT


def test_the_default_profile_is_used_where_nothing_is_given(home: Home) -> None:
    """As the Atlas CLI does; a variable or key that is named and not set is no reason to ask with another's."""
    home.profiles()
    settings = home.load()
    assert settings.atlas.credentials.credentials == KEY
    assert settings.atlas.credentials.org_id == "5d1fe3a59ccf64a4f6e5a3c1"
    assert "profile default of" in settings.atlas.credentials.source
    assert home.found("atlas: {public_key: '${NOPE}'}") is None
    assert home.found(environ=ACCOUNT_ENVIRON) == ACCOUNT


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("opss", "is not in .config/atlascli/config.toml; did you mean 'ops'?"),
        ("person", "is logged in as a person (`atlas auth login`), whose login ends within hours"),
        ("nothing", "has neither a service account nor an API key"),
    ],
)
def test_a_profile_that_cannot_be_used_says_why(home: Home, name: str, expected: str) -> None:
    """And what to do."""
    home.profiles()
    (line,) = home.mistakes(overrides={"atlas": {"profile": name}})
    assert line.startswith(f"command line: --profile: the Atlas CLI's profile {name!r} {expected}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("version = ", "which is not TOML"), ("\\udcff", "which is not UTF-8 text"), ("", "is not in .config/atlascli")],
)
def test_a_file_that_cannot_be_read_is_told(home: Home, text: str, expected: str) -> None:
    """Broken, or empty."""
    path = home.profiles()
    path.write_bytes(b"\xff" if "udcff" in text else text.encode())
    (line,) = home.mistakes(overrides={"atlas": {"profile": "ops"}})
    assert expected in line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"[default", "which is not TOML"),
        (b"a = " + b"[" * 20_000, "nested too deep"),
        (b"a." * 100_000 + b"b = 1", "nested too deep"),
        (b"\xff", "which is not UTF-8 text"),
        (None, "is a directory"),
    ],
)
def test_a_broken_file_is_told_where_nothing_else_is_given(home: Home, text: bytes | None, expected: str) -> None:
    """It is there, so somebody means it to be used; and it troubles nobody who has other credentials."""
    path = home.profiles()
    path.unlink()
    path.mkdir() if text is None else path.write_bytes(text)
    (line,) = home.mistakes()
    assert "there are no credentials, and the Atlas CLI's profile 'default' is looked for in " in line
    assert expected in line
    assert home.found(environ=KEY_ENVIRON) == KEY


@pytest.mark.parametrize("key", ["client_id", "client_secret"])
@pytest.mark.parametrize("broken", ["mdb sa", "mdb_sä", "mdb\\n1"])
def test_a_profile_holds_keys_and_nothing_else(home: Home, key: str, broken: str) -> None:
    """As the config file and the environment: what no key can be is told by its name, and its value is not shown."""
    home.profiles(
        "[odd]\n"
        + "".join(f'{name} = "{broken if name == key else "topsecret"}"\n' for name in ("client_id", "client_secret"))
    )
    (line,) = home.mistakes(overrides={"atlas": {"profile": "odd"}})
    assert f"the Atlas CLI's profile 'odd' is not usable: its {key}: expected a key of printable ASCII" in line
    assert broken not in line


def test_a_secret_in_the_keychain_is_read_from_there(home: Home, keychain: Any) -> None:
    """As version 2 of the file keeps it."""
    home.profiles()
    keychain({("atlascli_hidden", "client_secret"): SECRET})
    settings = home.load("atlas: {profile: hidden}\n")
    assert settings.atlas.credentials.credentials == ACCOUNT
    assert "and the system's keychain" in settings.atlas.credentials.source


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, "is incomplete: client_secret of it is not in .config/atlascli/config.toml, nor in the keychain"),
        (KeyringLocked("it is locked"), "keychain, which cannot be read (it is locked)"),
        (NoKeyringError(), "keychain, which cannot be read (NoKeyringError)"),
        (ModuleNotFoundError("No module named 'kr'"), "keychain, which cannot be read (No module named 'kr')"),
        (
            Exception("org.freedesktop.DBus: no reply"),
            "keychain, which cannot be read (org.freedesktop.DBus: no reply)",
        ),
    ],
)
def test_a_keychain_that_gives_nothing_is_told(
    home: Home, keychain: Any, error: Exception | None, expected: str
) -> None:
    """Locked, absent, without this secret, or broken in a way of its own; with what will do in its place."""
    home.profiles()
    keychain({}, error)
    (line,) = home.mistakes("atlas: {profile: hidden}\n")
    assert expected in line
    assert error is None or "unlock it, or give the same credentials in the environment or the config file" in line


def test_without_the_extra_the_keychain_is_told_to_need_it(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it."""
    monkeypatch.setitem(__import__("sys").modules, "keyring", None)
    home.profiles()
    (line,) = home.mistakes("atlas: {profile: hidden}\n")
    assert "pip install 'atlas-cutover[keyring]'" in line


def test_version_1_has_no_keychain(home: Home, keychain: Any) -> None:
    """What is missing in the file is missing."""
    home.profiles(PROFILES.replace("version = 2", "version = 1"))
    keychain({("atlascli_hidden", "client_secret"): SECRET})
    (line,) = home.mistakes("atlas: {profile: hidden}\n")
    assert "is incomplete: client_secret of it is not in" in line


def test_profiles_that_others_can_read_are_warned_of(home: Home) -> None:
    """They hold secrets."""
    path = home.profiles(mode=0o644)
    (warning,) = home.load("atlas: {profile: ops}\n").warnings
    assert warning.endswith(f"can be read by others than its owner: chmod 600 {path}")


def test_a_profile_for_government_goes_there_with_a_warning(home: Home) -> None:
    """Its service says where."""
    home.profiles()
    settings = home.load("atlas: {profile: gov}\n")
    assert settings.atlas.base_url == "https://cloud.mongodbgov.com/api/atlas/v2"
    assert "Atlas for Government" in settings.warnings[0]


def test_a_run_goes_to_one_address(home: Home) -> None:
    """A named set whose profile is for another one is a mistake."""
    home.profiles()
    told = home.mistakes("credentials: {other: {profile: ops}}\n", KEY_ENVIRON)
    assert "is for cloud-dev.mongodb.com, and this run goes to cloud.mongodb.com" in told[0]


@pytest.mark.parametrize(
    ("platform", "environ", "expected"),
    [
        ("linux", {"HOME": "/h"}, "/h/.config/atlascli/config.toml"),
        ("linux", {"HOME": "/h", "XDG_CONFIG_HOME": "/x"}, "/x/atlascli/config.toml"),
        ("darwin", {"HOME": "/h"}, "/h/Library/Application Support/atlascli/config.toml"),
        ("win32", {"HOME": "/h", "AppData": "/a"}, "/a/atlascli/config.toml"),
    ],
)
def test_profiles_are_where_the_atlas_cli_keeps_them(platform: str, environ: dict[str, str], expected: str) -> None:
    """On each system."""
    assert config_toml(environ, platform) == Path(expected)


def test_no_secret_is_shown_by_settings(home: Home) -> None:
    """Nor by their repr."""
    home.profiles()
    settings = home.load(
        f"credentials: {{eu: {{client_id: {ID}, client_secret: {SECRET}}}, ops: {{profile: default}}}}"
    )
    assert "topsecret" not in repr(settings)
    assert "topsecret" not in json.dumps([one.source for one in settings.credentials.values()])


def test_what_addresses_of_notifications_are_made_of_is_secret(tmp_path: Path) -> None:
    """Whatever it looks like and wherever in the address it is put, but for a host; no hook gets it under any name."""
    config = tmp_path / "config.yaml"
    config.write_text(
        "notify: {urls: ['ntfys://${PUSH}@ntfy.example.com/night', '${CHAT}', 'mailtos://me:${WORD}@${MAIL_HOST}/',"
        " 'json://h/${ROOM}', 'slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ']}\n"
    )
    environ = {
        "PUSH": "tk_AgQdq7mVBoFD37zQVN29",
        "CHAT": "json://bot:letmein@chat.example.com",
        "WORD": "horse",
        "ROOM": "westwing",
        "COPY": "of json://bot:letmein@chat.example.com",
    }
    settings = load_settings(config, environ={**environ, "MAIL_HOST": "mail.example.com", "HOME": str(tmp_path)})
    kept = {"MAIL_HOST": "mail.example.com", "LANG": "C", "PATH": "/opt/tk_AgQdq7mVBoFD37zQVN29/bin"}
    needed = {"KUBECONFIG": "/etc/horse.yaml", "CLUSTER": "A1BRTD4JD"}  # short, or a word that looks like a token
    assert without_keys({**environ, **kept, **needed}, settings.secrets()) == {**kept, **needed}
    secret = [*(value for name, value in environ.items() if name != "COPY"), "TIiajkdnlazkcOXrIdevi7FQ", "letmein"]
    assert settings.redactor.text(" ".join(secret)) == " ".join(["[redacted]"] * len(secret))
    assert settings.redactor.text("mail.example.com, ntfy.example.com") == "mail.example.com, ntfy.example.com"


def test_keys_beside_those_in_use_are_secret_as_well(tmp_path: Path) -> None:
    """By what their variable is called, or by the place in the config that names it; no hook gets them under any name."""
    config = tmp_path / "config.yaml"
    config.write_text("atlas: {public_key: '${OLD_USER}', private_key: '${OLD_KEY}'}\n")
    environ = ACCOUNT_ENVIRON | {
        "OLD_USER": "qwertyui",
        "OLD_KEY": "old-private-key",
        "MONGODB_ATLAS_ACCESS_TOKEN": "token-of-a-person",
        "COPY": "of token-of-a-person",
        "MONGODB_ATLAS_ORG_ID": "5d1fe3a59ccf64a4f6e5a3c1",
    }
    settings = load_settings(config, environ=environ)
    assert settings.atlas.credentials.credentials == ACCOUNT
    kept = {"MONGODB_ATLAS_CLIENT_ID": ID, "MONGODB_ATLAS_ORG_ID": environ["MONGODB_ATLAS_ORG_ID"]}
    assert without_keys(environ, settings.secrets()) == kept
    assert settings.redactor.text("old-private-key token-of-a-person") == "[redacted] [redacted]"
