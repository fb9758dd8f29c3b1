"""Whatever is in a file or an answer, its reader says what is wrong with it, or reads it: no other error, and no end of waiting.

A fleet is a workflow with its CSV files: nothing else that lists migrations is read.
A short form is one of the tests. `make fuzz` gives each reader a time of its own (SECONDS=600), and tells how much it has read.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.atlas import wire
from orchestrator.atlas.auth.challenge import challenges, described, digest_challenge
from orchestrator.atlas.identity import identity
from orchestrator.core.errors import InputError, JournalError
from orchestrator.core.event_json import EVENTS, from_json
from orchestrator.core.steered import Command
from orchestrator.files.atlas_profiles import ProfileError, read_profile
from orchestrator.files.config import load_settings
from orchestrator.files.config_model import ConfigSpec
from orchestrator.files.csv_file import parse_csv
from orchestrator.files.in_code import build_settings, build_workflow
from orchestrator.files.state_place import find_state_dir
from orchestrator.files.workflow_file import read_workflow
from orchestrator.files.workflow_model import WorkflowSpec
from orchestrator.machine.certificates import pem_certificates
from orchestrator.simulator import load_scenario
from orchestrator.store.last_read import read_reads
from orchestrator.store.marks import Mark
from orchestrator.text.durations import parse_duration
from orchestrator.text.escaping import lines_of_text, one_line, visible
from orchestrator.text.likeness import as_it_looks, skeletons
from orchestrator.text.redaction import Redactor
from orchestrator.text.tokens_in import secret_parts
from orchestrator.web import control
from orchestrator.web.access import read_tokens, split_host

from ..strength import examples
from .rows import DAMAGES, read_damaged

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
SLOWEST = 5.0
"""Seconds that one of these small inputs may take on a busy machine."""
GROUP, LIVE = "7e68e12770616e75e6df43d0", "a659ce44c03ca1e348b1e992"

WORKFLOW = f"""version: 1
name: retail-eu
window: {{from: "01:00", to: "04:00", days: [sat, sun], timezone: Europe/Berlin, reserve: 30m, except: [2026-12-24]}}
vars: {{cluster: orders}}
run_hooks: {{before: [[echo, now]], timeout: 1m30s}}
defaults: {{group_id: {GROUP}, gate: {{max_lag: 10s, timeout: 30m}}, timeout: 2h, hooks: {{verify: [["true"]]}}}}
waves:
  - name: canary
    concurrency: 1
    max_failures: 10%
    approval: {{timeout: 30m}}
    soak: 15m
    migrations:
      - {{name: orders, live_migration_id: &id {LIVE}}}
      - {{name: "caf\\u00e9", live_migration_id: 1e5, gate: off}}
"""
CONFIG = """atlas: {base_url: https://cloud.mongodb.com, public_key: "${A}", private_key_file: key, ca_file: ca.pem, settle: 30s}
credentials: {eu: {client_id: mdb_sa_id_1, client_secret: mdb_sa_sk_2}}
rate_limit: {requests: 500, per: 60s, burst: 1200, scope: group, learn: true}
polling: {initial: 2s, factor: 1.5, max: 30s, jitter: 0.1}
state_dir: ~/cutover
logging: {level: info, format: json, file: log}
notify: {urls: ["mailto://a:b@c"]}
metrics: {textfile: x.prom}
"""
SCENARIO = """seed: 1
jobs: {ready_after: 0s-5s, cutover: 10s, initial_lag: 30s}
faults: [{on: cutover, kind: lost_after, share: 0.5, times: 1}]
nonce: {uses: 3}
rate_limit: {capacity: 100, refill: 10, per: 60s}
latency: atlas
"""
CSV = f'sep=,\nname,group_id,live_migration_id,CLUSTER\norders,{GROUP},{LIVE},eu\n"a ""b",,{LIVE},\n'
PROFILE = 'version = 2\n[default]\npublic_api_key = "a"\nprivate_api_key = "b"\norg_id = "c"\nservice = "cloudgov"\n'
HEADERS = 'Digest realm="MMS Public API", domain="", nonce="abc", algorithm=MD5, qop="auth", stale=false\nBasic realm=x, Bearer'

_ODD = [
    *"\0\t\n\r\x1b\x7f\x85\xa0\u200b\u202e\u2028\ufeff\ud83d'\"`@%&*!|>?-:#,{}[]()<>=~$\\/;0Ol",
    "${A}", "$A", "$$", "${", "\\ud83d\\ude80", "\\x", "<<: *id", "*id", "&id", "!!python/object:x", "---\n", "...\n", "%YAML 1.2\n",
    "null", "true", "off", "~", "NaN", "-1", "1e999", "9" * 30, "0x1F", "1_000", "0o17", "12:30:45", "2026-02-30", "9999-12-31T23:59:59-14:00",
    "PT", "P1Y", "1d1h", "\u0661", "\uff11", "caf\u0065\u0301", "[[[[", "{{{{", "a" * 500, " " * 100, "\r\n", "mdb_sa_sk_x",
]  # fmt: skip


@st.composite
def spoilt(draw: st.DrawFn, good: str) -> str:
    """*good* with a few pieces removed, repeated, swapped or replaced by odd ones."""
    text = good
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(text)))
        length = draw(st.integers(0, 12))
        piece = draw(st.one_of(st.sampled_from(_ODD), st.text(max_size=4), st.just(text[at : at + length])))
        keep = draw(st.booleans())
        text = text[:at] + piece + text[at if keep else at + length :]
    return text


def bytes_of(good: str) -> st.SearchStrategy[bytes]:
    """Files that are nearly *good*, and some that are nothing."""
    return st.one_of(
        spoilt(good).map(lambda text: text.encode("utf-8", "surrogatepass")),
        spoilt(good).map(lambda text: text.encode("utf-16", "surrogatepass")),
        st.binary(max_size=200),
    )


ANY_JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.sampled_from(["PENDING", LIVE])
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=8,
)
KEYS = st.sampled_from(
    [
        "_id", "status", "readyForCutover", "lagTimeSeconds", "errorMessage", "error", "errorCode", "detail", "reason", "parameters", "results",
        "content", "links", "endpointPaths", "limitName", "capacity", "refillRate", "refillDurationSeconds", "apiKey", "roles", "accessList",
    ]
)  # fmt: skip
DOCUMENTS = st.one_of(
    ANY_JSON, st.dictionaries(KEYS, ANY_JSON), st.dictionaries(KEYS, ANY_JSON).map(lambda found: {**found, "_id": LIVE})
)


EVENT_DATA = st.dictionaries(
    st.sampled_from(sorted({field.name for kind in EVENTS.values() for field in fields(kind)} - {"at"})),
    ANY_JSON,
    max_size=12,
)
BUTTON_KEYS = st.sampled_from(["who", "reason", "wave", "migrations", "count", "max_lag", "timeout", "off"])
CODE_KEYS = st.sampled_from([*WorkflowSpec.model_fields, *ConfigSpec.model_fields])


def in_file(name: str, data: bytes, directory: Path) -> Path:
    """The file *name* with *data*."""
    path = directory / name
    path.write_bytes(data)
    path.chmod(0o600)
    return path


def _workflow(data: bytes, directory: Path) -> None:
    read_workflow(data, name="w.yaml", directory=directory)


def _table(data: bytes, directory: Path) -> None:
    in_file("rest.csv", data, directory)
    text = f"version: 1\nname: n\ndefaults: {{group_id: {GROUP}}}\nwaves: [{{name: w, migrations_file: rest.csv}}]"
    read_workflow(text.encode(), name="w.yaml", directory=directory)
    parse_csv(data.decode(errors="replace"), "rest.csv")


def _config(data: bytes, directory: Path) -> None:
    in_file("key", data[:300], directory)
    in_file("ca.pem", data, directory)
    path = in_file("config.yaml", data, directory)
    environ = {"HOME": str(directory), "A": data[:40].decode(errors="replace").replace("\0", "")}
    find_state_dir(path, environ=environ, given=None, warn=lambda _: None)
    load_settings(path, environ=environ)


def _scenario(data: bytes, directory: Path) -> None:
    load_scenario(in_file("s.yaml", data, directory))


def _profile(data: bytes, directory: Path) -> None:
    try:
        read_profile("default", in_file("config.toml", data, directory))
    except ProfileError:
        return


def _bundle(data: bytes, directory: Path) -> None:
    try:
        pem_certificates(data)
    except ValueError:
        return


def _reads(data: bytes, directory: Path) -> None:
    read_reads(in_file("reads.json", data, directory))


def _document(document: Any, directory: Path) -> None:
    clean = Redactor(["secret"]).text
    body = json.dumps(document).encode()
    decoded = wire.decode(body)
    _, inner = wire.unwrap(200, decoded)
    for read in (
        lambda: wire.job(inner, live_migration_id=LIVE, clean=clean),
        lambda: wire.decode(body[:-1]),
        lambda: from_json("cutover_accepted", 1.0, inner),
    ):
        try:
            read()
        except (ValueError, KeyError):
            continue
    wire.bucket_figures(wire.error_document(inner, clean=clean))
    wire.project_limits(inner)
    if isinstance(inner, dict):
        identity(inner, clean=clean)


def _event(event: tuple[str, Any], directory: Path) -> None:
    kind, data = event
    try:
        from_json(kind, 1.0, data)
    except ValueError:
        return


def _button(body: tuple[Command, Any], directory: Path) -> None:
    command, given = body
    control.read(command, json.dumps(given).encode())
    control.read(command, repr(given).encode("utf-8", "surrogatepass"))


def _tokens(data: bytes, directory: Path) -> None:
    read_tokens(in_file("token", data, directory))


def _mark(data: bytes, directory: Path) -> None:
    (directory / "marks").mkdir(mode=0o700, exist_ok=True)
    try:
        Mark(in_file("marks/m", data, directory), "m").read()
    except JournalError:
        return


def _document_of_workflow(document: Any, directory: Path) -> None:
    build_workflow(document, directory=directory)
    build_settings(document, environ={"HOME": "/"})


def _headers(text: str, directory: Path) -> None:
    lines = text.split("\n")
    digest_challenge(challenges(lines))
    described(challenges(lines))
    for line in lines:
        wire.retry_after(line, now=1e9)
        split_host(line)


def _words(text: str, directory: Path) -> None:
    redactor = Redactor(["topsecret", "a\\b\"c'd"])
    for read in (redactor.text, one_line, lines_of_text, visible, skeletons, as_it_looks, secret_parts):
        read(text)
    try:
        parse_duration(text)
    except ValueError:
        return


READERS: dict[str, tuple[Callable[[Any, Path], None], st.SearchStrategy[Any]]] = {
    "workflow": (_workflow, bytes_of(WORKFLOW)),
    "csv": (_table, bytes_of(CSV)),
    "config": (_config, bytes_of(CONFIG)),
    "scenario": (_scenario, bytes_of(SCENARIO)),
    "profile": (_profile, bytes_of(PROFILE)),
    "certificates": (_bundle, bytes_of("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")),
    "reads": (_reads, bytes_of('{"orders": {"at": 1.0, "status": "NEW", "lag": null}}')),
    "documents": (_document, DOCUMENTS),
    "events": (_event, st.tuples(st.sampled_from(sorted(EVENTS)), st.one_of(EVENT_DATA, ANY_JSON))),
    "buttons": (_button, st.tuples(st.sampled_from(Command), st.one_of(st.dictionaries(BUTTON_KEYS, ANY_JSON), ANY_JSON))),
    "tokens": (_tokens, bytes_of("ada steer correct-horse-battery-staple\n# x\nbob view 0123456789abcdef0123456789abcdef\n")),
    "marks": (_mark, st.one_of(st.binary(max_size=300), bytes_of(" " * 120))),
    "rows": (read_damaged, DAMAGES),
    "in code": (_document_of_workflow, st.one_of(st.dictionaries(CODE_KEYS, ANY_JSON), ANY_JSON)),
    "headers": (_headers, st.one_of(spoilt(HEADERS), st.text(max_size=100), st.sampled_from(["-1", "1e400", "Thu, 99 Foo 0000"]))),
    "words": (_words, st.one_of(spoilt("Authorization: Bearer eyJ0.abc.def 1d2h3m4.5s PT90S"), st.text())),
}  # fmt: skip


SHORT, LONG = {"rows": 60}, {"rows": 100}
"""Inputs of the short form, and of a round of the long one, where each costs many times as much as a file that is read."""


@pytest.mark.parametrize("name", READERS)
def test_a_reader_reads_or_says_what_is_wrong(name: str, tmp_path: Path) -> None:
    """Nothing but `InputError` comes out, each with a message, and no input takes long."""
    read, inputs = READERS[name]
    count = 0

    @settings(
        max_examples=LONG.get(name, 2000) if SECONDS else examples(SHORT.get(name, 150)),
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(inputs)
    def once(value: Any) -> None:
        nonlocal count
        count += 1
        told: list[str] = []
        began = time.process_time()
        try:
            read(value, tmp_path)
        except InputError as error:
            told.extend(problem.message for problem in error.problems)
            assert told
        assert time.process_time() - began < SLOWEST
        assert all(message and "\n" not in message for message in told)

    end = time.monotonic() + SECONDS
    once()
    while time.monotonic() < end:
        once()
    if SECONDS:
        with Path("fuzz.log").open("a", encoding="utf-8") as log:
            log.write(f"{name}: {count:,} inputs in {SECONDS:g} s, no other error\n")
