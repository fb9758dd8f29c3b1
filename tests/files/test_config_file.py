from __future__ import annotations

import copy
import json
import pickle
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.errors import InputError
from orchestrator.core.settings import Api, ApiKey, RateLimit, Secret, Settings
from orchestrator.files.config import config_schema, find_config, load_settings
from orchestrator.files.yaml_file import read_yaml

from .with_keys import load_with_keys

ROOT = Path(__file__).parents[2]
VALID = jsonschema.Draft202012Validator(config_schema())
PUBLIC, PRIVATE = "abcdwxyz", "11111111-2222-3333-4444-555555555555"
KEYS = {"MONGODB_ATLAS_PUBLIC_API_KEY": PUBLIC, "MONGODB_ATLAS_PRIVATE_API_KEY": PRIVATE}

Load = Callable[..., Settings]
Mistakes = Callable[..., list[str]]


def key(public: str, private: str) -> ApiKey:
    """An API key."""
    return ApiKey(public_key=Secret(public), private_key=Secret(private))


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads settings from the text of a config file, readable by its owner alone."""

    def load(text: str, environ: Mapping[str, str] = KEYS, *, keys: bool = False, **options: Any) -> Settings:
        path = tmp_path / "c.yaml"
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        return (
            load_with_keys(path, environ=environ, **options)
            if keys
            else load_settings(path, environ=environ, **options)
        )

    return load


@pytest.fixture
def mistakes(load: Load, tmp_path: Path) -> Mistakes:
    """The mistakes in a config file's text, as lines, without the directory."""

    def mistakes(text: str, environ: Mapping[str, str] = KEYS, **options: Any) -> list[str]:
        with pytest.raises(InputError) as caught:
            load(text, environ, **options)
        return [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]

    return mistakes


def test_a_proxys_password_is_secret_whether_it_is_used_or_not(load: Load) -> None:
    """Hooks see the variable, and may print it in a rehearsal as well."""
    settings = load(
        "atlas: {base_url: 'http://127.0.0.1:9'}",
        {**KEYS, "HOME": "/", "https_proxy": "http://ops:s3cret-w0rd@proxy:1"},
    )
    assert (
        settings.redactor.text("https_proxy=http://ops:s3cret-w0rd@proxy:1") == "https_proxy=http://[redacted]@proxy:1"
    )


def test_without_a_file_the_documented_defaults_hold() -> None:
    """Nothing has to be configured but the two keys."""
    settings = load_with_keys(environ={**KEYS, "HOME": "/home/op"})
    assert settings.atlas.base_url == "https://cloud.mongodb.com/api/atlas/v2"
    assert (settings.atlas.api, settings.atlas.request_timeout, settings.atlas.ca_file) == (Api.V2, 30, None)
    assert settings.atlas.credentials.credentials == key(PUBLIC, PRIVATE)
    assert settings.rate_limit == RateLimit(requests=500, per=60, burst=1200, scope="group", learn=True)
    assert asdict(settings.polling) == {"initial": 2, "factor": 1.5, "max": 30, "jitter": 0.1}
    assert settings.state_dir == Path("/home/op/.local/state/atlas-cutover")
    assert asdict(settings.logging) == {"level": "info", "format": None, "file": None}
    assert settings.warnings == ()


@pytest.mark.parametrize(
    ("atlas", "seconds"),
    [("{}", 30), ("{settle: 5s}", 30), ("{request_timeout: 1s, settle: 2s}", 2), ("{request_timeout: 50s}", 50)],
)
def test_a_put_settles_no_sooner_than_its_request_timeout(load: Load, atlas: str, seconds: float) -> None:
    """`atlas.settle`, or `request_timeout` where that is longer; polling has no say in it."""
    assert load(f"atlas: {atlas}\npolling: {{initial: 200ms}}\n").atlas.settle == seconds


def test_the_example_is_the_defaults(load: Load) -> None:
    """config.example.yaml says what holds without it, apart from the log format."""
    text = (ROOT / "config.example.yaml").read_text(encoding="utf-8")
    settings = load(text)
    default = load_settings(environ=KEYS)
    assert (settings.atlas, settings.rate_limit, settings.polling) == (
        default.atlas,
        default.rate_limit,
        default.polling,
    )
    assert (settings.state_dir, settings.logging.format) == (default.state_dir, "console")
    VALID.validate(read_yaml(ROOT / "config.example.yaml").data)


def test_the_path_of_the_address_chooses_api_and_limits(load: Load) -> None:
    """v1.0 has its own, lower limits; what is written replaces single figures."""
    settings = load("atlas: {base_url: https://cloud.mongodb.com/api/atlas/v1.0/}\nrate_limit: {burst: 7}\n")
    assert settings.atlas.api is Api.V1
    assert settings.atlas.base_url == "https://cloud.mongodb.com/api/atlas/v1.0"
    assert settings.rate_limit == RateLimit(requests=100, per=60, burst=7, scope="group")


@pytest.mark.parametrize(
    ("text", "learns"),
    [
        ("{}", True),
        ("rate_limit: {learn: false}", False),
        ("rate_limit: {requests: 100}", False),
        ("rate_limit: {scope: account}", False),
        ("rate_limit: {requests: 100, learn: true}", True),
        ("atlas: {base_url: 'https://cloud.mongodb.com/api/atlas/v1.0'}", False),
    ],
)
def test_limits_are_learnt_where_none_were_given(load: Load, text: str, learns: bool) -> None:
    """Whoever gives figures means them, unless they say otherwise; v1.0 knows no such question."""
    assert load(text).rate_limit.learn is learns


@pytest.mark.parametrize("url", ["https://cloud.mongodb.com", "https://cloud.mongodb.com/", "http://127.0.0.1:80"])
def test_a_host_alone_means_its_api_v2(load: Load, url: str) -> None:
    """As the Atlas CLI and Terraform name it."""
    settings = load(f"atlas: {{base_url: '{url}'}}")
    assert settings.atlas.base_url == url.rstrip("/") + "/api/atlas/v2"
    assert settings.warnings == ()


def test_atlas_for_government_is_warned_of(load: Load) -> None:
    """The official command line refuses live migrations there."""
    (warning,) = load("atlas: {base_url: 'https://cloud.mongodbgov.com'}").warnings
    assert "Atlas for Government" in warning


@pytest.mark.parametrize("name", ["MONGODB_ATLAS_BASE_URL", "MONGODB_ATLAS_OPS_MANAGER_URL"])
def test_the_address_of_the_official_tools_is_taken_from_the_environment(load: Load, name: str) -> None:
    """It knows no API: where the file names one at the same host, that stays."""
    environ = {**KEYS, name: "https://cloud.mongodb.com/"}
    v1 = "atlas: {base_url: 'https://cloud.mongodb.com/api/atlas/v1.0'}"
    assert load("{}", environ).atlas.base_url == "https://cloud.mongodb.com/api/atlas/v2"
    assert load(v1, environ).atlas.api is Api.V1
    assert load("atlas: {base_url: 'https://a.example.com/api/atlas/v1.0'}", environ).atlas.api is Api.V2
    assert load(v1, {**environ, "ATLAS_CUTOVER_BASE_URL": "https://cloud.mongodb.com"}).atlas.api is Api.V2


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "127.8.9.1", "[::1]:80", "localhost:1", "LOCALHOST"])
def test_plain_http_is_for_loopback(load: Load, host: str) -> None:
    """A simulator on this machine needs no TLS."""
    assert load(f"atlas: {{base_url: 'http://{host}/api/atlas/v2'}}").atlas.base_url == f"http://{host}/api/atlas/v2"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://cloud.mongodb.com/api/atlas/v2", "plain http is for loopback hosts alone"),
        ("http://localhost.example.com/api/atlas/v2", "plain http is for loopback hosts alone"),
        ("http://127.0.0.1.example.com/api/atlas/v2", "plain http is for loopback hosts alone"),
        ("https://u:p@cloud.mongodb.com/api/atlas/v2", "without a user name or password"),
        ("https://cloud.mongodb.com/api/atlas/v2?a=b", "without '?' and '#'"),
        ("https://cloud.mongodb.com/api/atlas/v2#", "without '?' and '#'"),
        ("https://cloud.mongodb.com/api/atlas/v3", "ends with /api/atlas/v2 or /api/atlas/v1.0"),
        ("https://cloud.mongodb.com/api", "ends with /api/atlas/v2 or /api/atlas/v1.0"),
        ("https:///api/atlas/v2", "with a host"),
        ("https://a:99999/api/atlas/v2", "an address such as"),
        ("https://[::1/api/atlas/v2", "an address such as"),
        ("https://a b/api/atlas/v2", "an address such as"),
        ("ftp://cloud.mongodb.com/api/atlas/v2", "begins with https://"),
        ("", "an address such as"),
    ],
)
def test_any_other_address_is_a_mistake(mistakes: Mistakes, url: str, expected: str) -> None:
    """The address is told what it may be, and is not shown, as it may hold a password."""
    (line,) = mistakes(f"atlas:\n  base_url: '{url}'\n")
    assert line.startswith("c.yaml:2: atlas.base_url: expected ")
    assert expected in line
    assert "u:p" not in line


def test_command_line_beats_environment_beats_file(load: Load, tmp_path: Path) -> None:
    """Each layer replaces single values of the one below; relative paths belong to who wrote them."""
    text = "state_dir: from-file\nlogging: {level: error, format: json, file: log.jsonl}\n"
    environ = {**KEYS, "ATLAS_CUTOVER_LOG_LEVEL": "WARNING", "ATLAS_CUTOVER_STATE_DIR": "/env"}
    assert load(text).state_dir == tmp_path / "from-file"
    assert load(text).logging.file == tmp_path / "log.jsonl"
    settings = load(text, environ, overrides={"logging": {"level": "debug"}})
    assert (settings.logging.level, settings.logging.format, settings.state_dir) == ("debug", "json", Path("/env"))
    settings = load(text, environ, overrides={"state_dir": "here"})
    assert (settings.logging.level, settings.state_dir) == ("warning", Path.cwd() / "here")
    environ = {
        **KEYS,
        "ATLAS_CUTOVER_BASE_URL": "http://127.0.0.1:1/api/atlas/v1.0",
        "ATLAS_CUTOVER_LOG_FORMAT": "json",
    }
    assert load_settings(environ=environ).atlas.api is Api.V1
    assert load_settings(environ={**environ, "ATLAS_CUTOVER_LOG_FILE": "/l"}).logging.file == Path("/l")


def test_a_bad_value_names_the_variable_or_option_it_came_from(mistakes: Mistakes) -> None:
    """Nobody looks in the file for what the file does not say."""
    environ = {**KEYS, "ATLAS_CUTOVER_LOG_LEVEL": "loud"}
    assert mistakes("{}", environ, overrides={"logging": {"format": "xml"}, "state_dir": ""}) == [
        "command line: --log-format: expected one of console, json",
        "command line: --state-dir: expected text without control characters",
        "environment: ATLAS_CUTOVER_LOG_LEVEL: expected one of debug, info, warning, error",
    ]


def test_variables_stand_anywhere_in_the_file(load: Load) -> None:
    """${NAME} is replaced, alone or inside a text; $$ is a dollar sign."""
    environ = {**KEYS, "D": "/data", "N": "7"}
    settings = load("state_dir: ${D}/x$$y$$z\nrate_limit: {requests: '${N}'}\n", environ)
    assert settings.state_dir == Path("/data/x$y$z")
    assert settings.rate_limit.requests == 7


def test_an_unset_variable_is_a_mistake_but_for_keys(load: Load, mistakes: Mistakes) -> None:
    """A key that is not there is only missed where it is needed."""
    text = "atlas:\n  public_key: ${NO_KEY}\n  private_key: ${MONGODB_ATLAS_PRIVATE_API_KEY}\n"
    assert load(text, {}).atlas.credentials.credentials is None
    lines = mistakes(text, {}, keys=True)
    assert lines[0].startswith(
        "c.yaml:2: atlas.public_key: is missing: NO_KEY is not set or empty; set MONGODB_ATLAS_PU"
    )
    assert lines[1].startswith("c.yaml:3: atlas.private_key: is missing: MONGODB_ATLAS_PRIVATE_API_KEY is not set")
    assert mistakes("a:\nstate_dir: ${NOPE}/${x\n") == [
        "c.yaml:1: a: unknown key; allowed: atlas, credentials, engine, logging, metrics, notify, polling, rate_limit, state_dir, temporal",
        "c.yaml:2: state_dir: expected ${NAME}, or $$ for a dollar sign",
        "c.yaml:2: state_dir: the environment variable NOPE is not set",
    ]


def test_missing_keys_without_a_file_are_told(tmp_path: Path) -> None:
    """The message names the variables that cure it."""
    assert load_settings(environ={}).atlas.credentials.credentials is None
    with pytest.raises(
        InputError, match=r"settings: atlas\.private_key: is missing: set MONGODB_ATLAS_PRIVATE_API_KEY"
    ):
        load_with_keys(environ={"MONGODB_ATLAS_PRIVATE_API_KEY": ""})


def test_the_usual_variables_go_before_keys_named_by_the_file(load: Load, tmp_path: Path) -> None:
    """The file's hold where a variable is not set, and that they do not is told."""
    (tmp_path / "private").write_text("file-key\r\n")
    (tmp_path / "private").chmod(0o600)
    text = "atlas: {public_key: literal, private_key_file: private}\n"
    nothing = {"MONGODB_ATLAS_PUBLIC_API_KEY": "", "MONGODB_ATLAS_PRIVATE_API_KEY": ""}
    settings = load(text, nothing)
    assert settings.atlas.credentials.credentials == key("literal", "file-key")
    assert settings.warnings == ()
    nearer = load(text, {"MONGODB_ATLAS_PUBLIC_API_KEY": "nearer", "MONGODB_ATLAS_PRIVATE_API_KEY": "by-far"})
    assert nearer.atlas.credentials.credentials == key("nearer", "by-far")
    assert [warning.partition(" ")[0] for warning in nearer.warnings] == ["atlas.public_key", "atlas.private_key_file"]


def test_keys_that_others_can_read_are_warned_of(tmp_path: Path) -> None:
    """A config file with a literal key, and a key file, should be the owner's alone; a reference is no key."""
    config, key = tmp_path / "c.yaml", tmp_path / "key"
    key.write_text(PRIVATE)
    config.write_text(f"atlas: {{public_key: {PUBLIC}, private_key_file: key}}\n")
    key.chmod(0o644)
    config.chmod(0o640)
    warnings = load_settings(config, environ={}).warnings
    assert [warning.endswith(f"chmod 600 {path}") for warning, path in zip(warnings, (config, key), strict=True)]
    assert PUBLIC not in "".join(warnings)
    config.write_text("atlas: {public_key: '${MONGODB_ATLAS_PUBLIC_API_KEY}'}\n")
    assert load_settings(config, environ=KEYS).warnings == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("atlas: {private_key: a, private_key_file: b}", "atlas.private_key: stands beside private_key_file; give one"),
        ("atlas: {private_key_file: none}", "atlas.private_key_file: the file it names does not exist"),
        ("atlas: {private_key_file: .}", "atlas.private_key_file: the file it names is a directory"),
        ("atlas: {private_key_file: empty}", "atlas.private_key_file: names a file that is empty"),
        ("atlas: {private_key_file: binary}", "atlas.private_key_file: names a file that is not UTF-8 text"),
        ("atlas: {private_key_file: lines}", "atlas.private_key_file: expected a key of printable ASCII"),
        ("atlas: {private_key: 'topsecret x'}", "atlas.private_key: expected a key of printable ASCII"),
        ("atlas: {private_key: [topsecret]}", "atlas.private_key: expected a key, not a list"),
        ("atlas: {private_key_file: '${MONGODB_ATLAS_PRIVATE_API_KEY}'}", "atlas.private_key_file: the file it names"),
        ("atlas: {private_key:topsecret}", "atlas: holds a key with a colon in it"),
        ("atlas: {ca_file: none}", "atlas.ca_file: the file it names does not exist"),
        (
            "atlas: {ca_file: lines}",
            "atlas.ca_file: the file it names holds no PEM certificates; expected -----BEGIN CERTIFICATE----- and what follows it",
        ),
        ("atlas: private_key topsecret", "atlas: expected a mapping"),
        ("atlas: {privat_key: a}", "atlas.privat_key: unknown key; did you mean 'private_key'?"),
        ("atlas: {private_key: !topsecret a}", "atlas.private_key: a tag (!…) is not allowed"),
        ("atlas: {private_key: *topsecret }", "atlas.private_key: an alias (*…) has to name something"),
        ("atlas: {request_timeout: 0}", "atlas.request_timeout: expected a duration longer than 0s"),
        ("atlas: {settle: 0}", "atlas.settle: expected a duration longer than 0s"),
        (
            "atlas: {request_timeout: '${MONGODB_ATLAS_PRIVATE_API_KEY}'}",
            "atlas.request_timeout: expected a duration su",
        ),
        ("rate_limit: {requests: 0}", "rate_limit.requests: expected a whole number of at least 1"),
        (
            "rate_limit: {requests: 99999999999999999999999}",
            "rate_limit.requests: expected a whole number of at most 999,999,999",
        ),
        ("rate_limit: {scope: world}", "rate_limit.scope: expected one of group, account"),
        ("polling: {initial: 0}", "polling.initial: expected a duration longer than 0s"),
        ("polling: {factor: 0.9}", "polling.factor: expected a number of at least 1"),
        ("polling: {jitter: 1}", "polling.jitter: expected a number from 0 up to, but not including, 1"),
        ("polling: {max: 1s}", "polling: max has to be at least initial"),
        ("logging: {level: 3}", "logging.level: expected one of debug, info"),
        ("- a", ": expected a mapping, not a list"),
    ],
)
def test_a_mistake_in_the_config_is_told_without_a_key(
    mistakes: Mistakes, tmp_path: Path, text: str, expected: str
) -> None:
    """Each mistake has its place; no message shows a value, which could be a key."""
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff")
    (tmp_path / "lines").write_text("topsecret\nsecond")
    lines = mistakes(text)
    assert any(line.startswith(f"c.yaml:1: {expected}".replace(": :", ":")) for line in lines)
    assert "topsecret" not in "".join(lines)
    assert PRIVATE not in "".join(lines)


def test_all_mistakes_are_told_at_once(mistakes: Mistakes) -> None:
    """Keys, files, values and doubles in one go."""
    assert [line.split(": ")[1] for line in mistakes("""\
atlas:
  public_key: "a b"
  private_key_file: none
  request_timeout: soon
polling: {factor: x}
polling: {}
nope: 1
""")] == ["atlas.public_key", "atlas.private_key_file", "atlas.request_timeout", "polling.factor", "polling", "nope"]  # fmt: skip


def test_the_documented_mistakes_are_real(mistakes: Mistakes) -> None:
    """What docs/config.md shows is what is printed."""
    page = (ROOT / "docs" / "config.md").read_text(encoding="utf-8")
    text, shown = (page.split(f"```{kind}\n")[-1].split("```")[0] for kind in ("yaml", "text"))
    file = [line for line in shown.splitlines() if line.startswith("config.yaml")]
    with_variable = {**KEYS, "PROD_KEY": "x", "ATLAS_CUTOVER_LOG_LEVEL": "loud"}
    lines = mistakes(text) + mistakes(text, with_variable)
    assert {line.replace("c.yaml", "config.yaml") for line in lines} == {*file, shown.splitlines()[-1]}


def test_a_ca_file_is_checked(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle of certificates is taken as it is."""
    monkeypatch.delenv("SSL_CERT_FILE")
    bundle = ssl.get_default_verify_paths().cafile
    if not Path(bundle or "none").is_file():
        pytest.skip("this system has no CA bundle in one file")
    assert load(f"atlas: {{ca_file: {bundle}}}").atlas.ca_file == Path(bundle)


def test_a_file_of_comments_says_nothing(load: Load) -> None:
    """Every key is optional, so the file may be empty."""
    assert load("# nothing yet\n") == load_settings(environ=KEYS)
    assert load("atlas:\nlogging: null\n") == load_settings(environ=KEYS)


def test_a_secret_shows_itself_to_reveal_alone() -> None:
    """No way of printing or storing gives it away."""
    secret = Secret(PRIVATE)
    shown = (
        f"{secret} {secret!r} {secret!s} {[secret]} {load_settings(environ=KEYS)} {asdict(load_settings(environ=KEYS))}"
    )
    assert PRIVATE not in shown
    assert PUBLIC not in shown
    assert secret.reveal() == PRIVATE
    assert secret == copy.deepcopy(secret) == copy.copy(secret)
    assert secret != PRIVATE
    assert len({secret, Secret(PRIVATE)}) == 1
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(secret)


def test_the_config_file_is_found_by_option_variable_or_name(tmp_path: Path) -> None:
    """A named file is taken even if missing, so that it is told; the usual one only where it exists."""
    assert find_config(None, {}, tmp_path) is None
    (tmp_path / "config.yaml").touch()
    assert find_config(None, {}, tmp_path) == tmp_path / "config.yaml"
    assert find_config(None, {"ATLAS_CUTOVER_CONFIG": "/e.yaml"}, tmp_path) == Path("/e.yaml")
    assert find_config(Path("/o.yaml"), {"ATLAS_CUTOVER_CONFIG": "/e.yaml"}, tmp_path) == Path("/o.yaml")
    with pytest.raises(InputError, match=r"o\.yaml: does not exist"):
        load_settings(tmp_path / "o.yaml", environ={})


@given(st.text(alphabet="atlas: {}[]\n-$x12'polingrate_mtkeyub&*!", max_size=80))
def test_any_text_is_settings_or_an_input_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Nothing else ever comes out of a config file."""
    path = tmp_path_factory.mktemp("c") / "c.yaml"
    path.write_text(text, encoding="utf-8")
    with suppress(InputError):
        assert load_settings(path, environ=KEYS).atlas.api is Api.V2


@pytest.mark.parametrize(
    "data",
    [
        {}, {"atlas": None}, {"atlas": {"request_timeout": 30, "ca_file": None, "public_key": 12345678}},
        {"rate_limit": {"requests": 5, "per": "60s", "burst": "7", "scope": "account"}},
        {"polling": {"initial": 1, "factor": 2, "max": "PT30S", "jitter": 0}}, {"logging": {"level": "INFO"}},
        {"rate_limit": {"requests": "${N}", "per": "${N}"}},
    ],
)  # fmt: skip
def test_the_schema_accepts_what_the_loader_accepts(load: Load, data: dict[str, Any]) -> None:
    """An editor must not mark what is right."""
    VALID.validate(data)
    load(json.dumps(data), {**KEYS, "N": "3"})


def test_the_committed_schema_is_current() -> None:
    """docs/schema/config.schema.json is what `schema config` prints."""
    jsonschema.Draft202012Validator.check_schema(config_schema())
    committed = (ROOT / "docs" / "schema" / "config.schema.json").read_text(encoding="utf-8")
    assert json.loads(committed) == config_schema()
