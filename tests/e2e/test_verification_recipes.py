"""The `verify` hooks of examples/verify, in a run that is real to the program, against what they ask: servers and clusters played here."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from .program import ROOT, Atlas, Program, new_id

RECIPES = ROOT / "examples" / "verify"

PYMONGO = '''
"""Two clusters, as far as `counts.py` asks them: what `clusters.json` beside this file says of each connection string."""

import json
from contextlib import nullcontext
from pathlib import Path

from pymongo.errors import ConnectionFailure


class Collection:
    def __init__(self, documents):
        self._documents = documents

    def estimated_document_count(self):
        return self._documents


class Database(dict):
    def list_collection_names(self, filter):
        return list(self)

    def __getitem__(self, name):
        return Collection(super().__getitem__(name))


class MongoClient(nullcontext):
    def __init__(self, uri, serverSelectionTimeoutMS):
        super().__init__(self)
        self._databases = json.loads((Path(__file__).parents[1] / "clusters.json").read_text())[uri]

    def list_database_names(self):
        if self._databases is None:
            raise ConnectionFailure("no primary")
        return list(self._databases)

    def __getitem__(self, name):
        return Database(self._databases[name])
'''
ORDERS = {"shop": {"orders": 120, "system.views": 1}, "admin": {"system.users": 4}}
SHORT = {"shop": {"orders": 119, "system.views": 1}, "admin": {"system.users": 2}}


class Verifier:
    """MongoDB's migration-verifier, or an application: what it answers by path, the last answer again and again."""

    def __init__(self, **answers: list[tuple[int, Any]]) -> None:
        self._answers = answers
        self.asked: list[str] = []

    def answer(self, path: str) -> tuple[int, Any]:
        """The next answer to *path*."""
        name = path.rpartition("/")[2]
        self.asked.append(name)
        left = self._answers[name]
        return left.pop(0) if len(left) > 1 else left[0]


@contextmanager
def serving(played: Verifier) -> Iterator[str]:
    """The address of *played*."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, document = played.answer(self.path)
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(document).encode())

        do_POST = do_GET  # noqa: N815 - so http.server calls it

        def log_message(self, *_: object) -> None:
            """Nothing on stderr."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def night(program: Program, atlas: Atlas, recipe: str, **variables: str) -> Mapping[str, Any]:
    """A canary whose cutover *recipe* verifies, then the others: the report."""
    for file in RECIPES.iterdir():
        shutil.copy(file, program.directory)
    program.config(atlas={"base_url": atlas.base_url})
    workflow = program.workflow(
        {"canary": {"orders": new_id()}, "others": {"customers": new_id()}},
        canary={"max_failures": 0},
        defaults={
            "vars": variables,
            "hooks": {"verify": [[f"./{recipe}"]], "verify_every": "0.1s", "verify_timeout": "30s"},
        },
    )
    done = program.run("run", workflow, "--yes", "--format", "json", **atlas.keys)
    return done.report


def hooks_of(report: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Whose `verify` hooks ended, and how."""
    return [(hook["migration"], hook["exit_code"]) for hook in report["hooks"] if hook["hook"] == "verify"]


def outcomes(report: Mapping[str, Any]) -> dict[str, str]:
    """How each migration ended."""
    return {migration["name"]: migration["outcome"] for migration in report["migrations"]}


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_health_url_is_asked_until_the_application_answers(program: Program, atlas: Atlas) -> None:
    """503 is not yet."""
    with serving(Verifier(health=[(503, {}), (503, {}), (200, {"up": True})])) as address:
        report = night(program, atlas, "health.sh", health_url=f"{address}/health")
    assert outcomes(report) == {"orders": "SUCCESS", "customers": "SUCCESS"}
    assert hooks_of(report) == [("orders", 75), ("orders", 75), ("orders", 0), ("customers", 0)]


def progress(**fields: Any) -> tuple[int, Any]:
    """What the verifier answers at `/progress`."""
    tasks = {"totalTasks": 8, "completedTasks": 8, "failedTasks": 0, "metadataMismatchTasks": 0}
    return 200, {"progress": {"phase": "idle", "generation": 3, "error": None, "verificationStatus": tasks | fields}}


TOLD, TOLD_ALREADY = (200, {"success": True}), (200, {"success": False, "error": "writesOff already set"})
CHECKING = (
    200,
    {"progress": {"phase": "recheck", "generation": 2, "error": None, "verificationStatus": {"totalTasks": 8}}},
)


def test_the_migration_verifier_is_told_that_writes_have_stopped_and_asked_how_far_it_is(
    program: Program, atlas: Atlas
) -> None:
    """It is still checking at first."""
    verifier = Verifier(writesOff=[TOLD, TOLD_ALREADY], progress=[CHECKING, progress()])
    with serving(verifier) as address:
        report = night(program, atlas, "migration_verifier.py", verifier=address)
    assert outcomes(report) == {"orders": "SUCCESS", "customers": "SUCCESS"}
    assert hooks_of(report) == [("orders", 75), ("orders", 0), ("customers", 0)]
    assert verifier.asked[:4] == ["writesOff", "progress", "writesOff", "progress"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (progress(failedTasks=2), "2 tasks found a difference"),
        (progress(metadataMismatchTasks=1), "1 tasks found a difference"),
        ((200, {"progress": {"phase": "idle", "error": "no space left"}}), "the verifier has failed: no space left"),
        ((200, {"progress": {"phase": "idle", "generation": 0}}), "never compared anything"),
    ],
)
def test_what_the_migration_verifier_does_not_prove_lets_nothing_more_start(
    program: Program, atlas: Atlas, answer: tuple[int, Any], said: str
) -> None:
    """The canary is UNVERIFIED, which is one failure more than the wave allows."""
    with serving(Verifier(writesOff=[TOLD], progress=[answer])) as address:
        report = night(program, atlas, "migration_verifier.py", verifier=address)
    assert outcomes(report) == {"orders": "UNVERIFIED", "customers": "NOT_STARTED"}
    assert report["exit_code"] == 1
    assert said in report["hooks"][0]["output"]


def clusters(program: Program, source: Any, target: Any) -> None:
    """What the two clusters of `orders-eu` hold, and a pymongo that asks them."""
    package = program.directory / "pymongo"
    package.mkdir()
    (package / "__init__.py").write_text(PYMONGO)
    (package / "errors.py").write_text("class ConnectionFailure(Exception):\n    pass\n")
    uris = program.directory / "uris"
    uris.mkdir(mode=0o700)
    for side in ("source", "target"):
        (uris / f"orders-eu.{side}").write_text(f"mongodb://{side}\n")
    program.write("clusters.json", {"mongodb://source": source, "mongodb://target": target})


@pytest.mark.parametrize(
    ("target", "ends", "said"),
    [
        (ORDERS, {"orders": "SUCCESS", "customers": "SUCCESS"}, "1 collections, 0 of them differ"),
        (
            SHORT,
            {"orders": "UNVERIFIED", "customers": "NOT_STARTED"},
            "shop.orders: 120 on the old cluster, 119 on the new one",
        ),
        (
            {},
            {"orders": "UNVERIFIED", "customers": "NOT_STARTED"},
            "shop.orders: 120 on the old cluster, 0 on the new one",
        ),
    ],
)
def test_documents_are_counted_on_both_sides(
    program: Program, atlas: Atlas, target: Any, ends: dict[str, str], said: str
) -> None:
    """Where a collection has fewer on the new cluster, the canary is UNVERIFIED and nothing more starts."""
    clusters(program, ORDERS, target)
    report = night(program, atlas, "counts.py", cluster="orders-eu")
    assert outcomes(report) == ends
    assert said in report["hooks"][0]["output"]


def test_a_cluster_that_cannot_be_asked_is_asked_again(program: Program, atlas: Atlas) -> None:
    """Until `verify_timeout` is over."""
    clusters(program, ORDERS, None)
    for file in RECIPES.iterdir():
        shutil.copy(file, program.directory)
    program.config(atlas={"base_url": atlas.base_url})
    hooks = {"verify": [["./counts.py"]], "verify_every": "0.1s", "verify_timeout": "0.3s"}
    workflow = program.workflow(
        {"canary": {"orders": new_id()}}, defaults={"vars": {"cluster": "orders-eu"}, "hooks": hooks}
    )
    done = program.run("run", workflow, "--yes", "--format", "json", **atlas.keys)
    assert outcomes(done.report) == {"orders": "UNVERIFIED"}
    assert {code for _, code in hooks_of(done.report)} == {75}


def test_a_rehearsal_asks_nobody(program: Program, tmp_path: Path) -> None:
    """What is rehearsed moves no documents, so all three say so and succeed."""
    for file in RECIPES.iterdir():
        shutil.copy(file, program.directory)
    (program.directory / "pymongo").mkdir()
    (program.directory / "pymongo" / "__init__.py").write_text("MongoClient = None\n")
    (program.directory / "pymongo" / "errors.py").write_text("ConnectionFailure = None\n")
    program.config()
    program.scenario()
    hooks = {"verify": [["./counts.py"], ["./health.sh"], ["./migration_verifier.py"]]}
    workflow = program.workflow({"canary": {"orders": new_id()}}, defaults={"hooks": hooks})
    done = program.run("run", workflow, "--rehearse", "--format", "json")
    assert outcomes(done.report) == {"orders": "SUCCESS"}
    assert len(hooks_of(done.report)) == 3


def test_an_unverified_migration_of_a_run_that_is_over_is_verified_again(program: Program, atlas: Atlas) -> None:
    """`retry`, then `resume`, as the page says: nothing else is left of the run."""
    good = program.directory / "good"
    workflow = program.workflow(
        {"canary": {"orders": new_id()}}, defaults={"hooks": {"verify": [["test", "-e", str(good)]]}}
    )
    program.config(atlas={"base_url": atlas.base_url})
    first = program.run("run", workflow, "--yes", "--format", "json", **atlas.keys)
    assert outcomes(first.report) == {"orders": "UNVERIFIED"}
    run_id = first.report["run_id"]
    good.touch()
    assert "recorded" in program.run("retry", run_id, "orders").err
    assert "unfinished" in program.run("status").out
    again = program.run("resume", run_id, "--yes", "--format", "json", **atlas.keys)
    assert (again.code, outcomes(again.report)) == (0, {"orders": "SUCCESS"})
    assert again.report["migrations"][0]["cutover_requests"] == 1
